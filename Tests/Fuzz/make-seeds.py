"""Writes what the fuzz targets begin with: FOLDER/seeds/TARGET/ and FOLDER/world/ (CONGVAN_FUZZ_WORLD).

The JSON seeds are schemas/examples, the good and the bad ones. The world is made once and then kept,
because a signed message from another world verifies nowhere else; remove it to have a new one.
"""

import datetime
import io
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "schemas/examples"


def run(*command):
    """Runs a command; its output only when it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"make-seeds: {' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def wire_time(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# MARK: The signed world

# Name, key, whether the directory knows the unit.
UNITS = [("ALPHA", "RSA", True), ("BETA", "EC", True), ("STRANGER", "EC", False), ("REVOKED", "EC", True)]
CONTENTS = {
    "document.json": "manifest/valid/762-CV-TU.json",
    "status.json": "status/valid/01-da-den.json",
    "tally.json": "tally/valid/two-entries.json",
}
# Name of the message, who signs, what, and options for `openssl cms -sign`. Only `valid-` is believed.
MESSAGES = [
    ("valid-alpha", ["ALPHA"], "document.json", ["-cades", "-nodetach"]),
    ("valid-beta", ["BETA"], "status.json", ["-cades", "-nodetach"]),
    ("valid-beta-sha512", ["BETA"], "tally.json", ["-cades", "-nodetach", "-md", "sha512"]),
    ("valid-both", ["BETA", "ALPHA"], "document.json", ["-cades", "-nodetach"]),
    ("streamed", ["ALPHA"], "status.json", ["-cades", "-nodetach", "-stream"]),
    ("stranger", ["STRANGER"], "status.json", ["-cades", "-nodetach"]),
    ("revoked", ["REVOKED"], "status.json", ["-cades", "-nodetach"]),
    ("detached", ["ALPHA"], "document.json", ["-cades"]),
    ("no-certificate", ["BETA"], "status.json", ["-cades", "-nodetach", "-nocerts"]),
    ("no-attributes", ["BETA"], "status.json", ["-nodetach", "-noattr"]),
    ("not-cades", ["BETA"], "status.json", ["-nodetach"]),
    ("key-identifier", ["BETA"], "status.json", ["-nodetach", "-keyid"]),
    ("sha1", ["ALPHA"], "status.json", ["-cades", "-nodetach", "-md", "sha1"]),
    ("receipt-request", ["BETA"], "status.json",
     ["-nodetach", "-receipt_request_all", "-receipt_request_to", "a@b.example"]),
]


def make_world(world):
    made = now()
    (world / "messages").mkdir(parents=True)
    authority = ROOT / "deploy/ca"
    run(authority, "init", world / "ca", "--name", "Fuzz CA")
    shutil.copy(world / "ca/ca.pem", world / "ca.pem")
    for name, source in CONTENTS.items():
        shutil.copy(EXAMPLES / source, world / name)
    for unit, kind, _ in UNITS:
        option = "rsa_keygen_bits:2048" if kind == "RSA" else "ec_paramgen_curve:P-256"
        key, request = world / f"{unit}.key", world / "request.csr"
        run("openssl", "genpkey", "-algorithm", kind, "-pkeyopt", option, "-out", key)
        run("openssl", "req", "-new", "-key", key, "-subj", f"/CN={unit}", "-out", request)
        # Valid from before: signing-time is in whole seconds.
        run(authority, "sign", world / "ca", "--csr", request, "--out", world / f"{unit}.crt",
            "--not-before", wire_time(made - datetime.timedelta(hours=1)))
        request.unlink()
    run(authority, "revoke", world / "ca", world / "REVOKED.crt", "keyCompromise")
    run(authority, "crl", world / "ca", "--out", world / "revoked.crl", "--days", "3650")

    signed = {f"{unit}.crt": [] for unit, _, _ in UNITS}
    for name, signers, content, options in MESSAGES:
        who = [part for unit in signers
               for part in ("-signer", world / f"{unit}.crt", "-inkey", world / f"{unit}.key")]
        run("openssl", "cms", "-sign", "-binary", "-outform", "DER", "-in", world / content,
            *who, *options, "-out", world / "messages" / name)
        for unit in signers:
            signed[f"{unit}.crt"].append(content)
    units = [{"organId": unit, "organName": f"Đơn vị {unit}", "aliases": [f"{unit}-OLD"],
              "certificates": [(world / f"{unit}.crt").read_text().strip()]}
             for unit, _, known in UNITS if known]
    (world / "directory.json").write_text(json.dumps({"version": 1, "units": units}))
    # Nobody needs the keys any more: what will be believed from now on was signed above.
    shutil.rmtree(world / "ca")
    for key in world.glob("*.key"):
        key.unlink()
    # A second on either side, as signing-time has whole seconds.
    record = {"made": wire_time(made - datetime.timedelta(seconds=1)),
              "arrival": wire_time(now() + datetime.timedelta(seconds=1)), "signed": signed}
    (world / "world.json").write_text(json.dumps(record))


# MARK: Frames

def short(text):
    return struct.pack(">B", len(text)) + text


def long(text):
    return struct.pack(">I", len(text)) + text


def frame(kind, payload, channel=1):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(class_id, method_id, arguments=b"", channel=1):
    return frame(1, struct.pack(">HH", class_id, method_id) + arguments, channel)


def header(size, flags=0, values=b"", class_id=60):
    return frame(2, struct.pack(">HHQH", class_id, 0, size, flags) + values)


def piece_headers():
    """One entry of every type that a header of ours may have."""
    values = [
        (b"congvan-version", b"b\x01"), (b"congvan-sha256", b"S" + long(b"ab" * 32)),
        (b"congvan-offset", b"l" + struct.pack(">q", 1 << 20)),
        (b"congvan-size", b"I" + struct.pack(">i", 3 << 20)), (b"a", b"t\x01"),
        (b"b", b"F" + long(short(b"k") + b"V")), (b"c", b"A" + long(b"s\x00\x01u\x00\x02")),
        (b"d", b"d" + struct.pack(">d", 1.5)), (b"e", b"T" + b"\0" * 8), (b"f", b"x" + long(b"z")),
        (b"g", b"D\x02" + b"\0" * 4), (b"h", b"i" + b"\xff" * 4), (b"i", b"L" + b"\xff" * 8),
    ]
    return long(b"".join(short(name) + value for name, value in values))


def frame_seeds():
    number = struct.pack(">Q", 1)
    deliver = method(60, 60, short(b"c") + number + b"\0" + short(b"congvan.out.A") + short(b"k"))
    # content-type, headers, delivery-mode, correlation-id, message-id, type, user-id
    flags = 0x8000 | 0x2000 | 0x1000 | 0x0400 | 0x0080 | 0x0020 | 0x0010
    values = (short(b"application/octet-stream") + piece_headers() + b"\x02"
              + short(b"01920000-0000-7000-8000-000000000000") + short(b"id") + short(b"congvan.piece")
              + short(b"A"))
    body = b"0123456789" * 300
    return {
        "delivery": b"\0" + deliver + header(4, flags, values) + frame(3, b"12") + frame(3, b"34"),
        "more-than-announced": b"\0" + deliver + header(3) + frame(3, b"12") + frame(3, b"34"),
        "two-deliveries": b"\0" + (deliver + header(1, 0x0080, short(b"\xff")) + frame(3, b"1")) * 2,
        "id-like-hexadecimal": b"\0" + deliver + header(0, 0x0080, short(b"not-utf8:ff")),
        "empty-delivery": b"\0" + deliver + header(0),
        "large": b"\xf0" + deliver + header(len(body) * 40) + frame(3, body),
        "too-large": b"\xf0" + deliver + header(40 * 30_000, 0x0010, short(b"A")) + frame(3, body * 10),
        "returned": b"\0" + method(60, 50, b"\x01\x38" + short(b"NO_ROUTE") + short(b"e") + short(b"k"))
        + header(1) + frame(3, b"1"),
        "confirms": b"\0" + method(60, 80, number + b"\x01") + method(60, 120, number + b"\x02"),
        "blocked": b"\0" + method(10, 60, short(b"low on memory"), 0) + method(10, 61, b"", 0),
        "cancelled": b"\0" + method(60, 30, short(b"c") + b"\x01") + frame(8, b"", 0),
        "channel-close": b"\0" + method(20, 40, b"\x01\x94" + short(b"NOT_FOUND") + b"\0" * 4),
        "close": b"\0" + method(10, 50, b"\x01\x40" + short(b"CONNECTION_FORCED") + b"\0" * 4, 0),
        "other-class": b"\0" + deliver + header(1, class_id=99),
    }


# MARK: Everything else

def attachment_seeds():
    office = b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml"
    listed = io.BytesIO()
    with zipfile.ZipFile(listed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        for name in ("content.xml", "word/vbaProject.bin", "xl/workbook.xml"):
            archive.writestr(name, "<x/>")
    sectors = [b""] * 3
    sectors[0] = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16 + struct.pack(
        "<HHHHH10xIIIIIIIII", 62, 3, 0xFFFE, 9, 6, 1, 1, 0, 0x1000, 2**32 - 2, 0, 2**32 - 2, 0, 0)
        + b"\xff" * 432)
    sectors[1] = struct.pack("<III", 2**32 - 3, 2**32 - 2, 2**32 - 2) + b"\xff" * 500
    for name, kind, child in [("Root Entry", 5, 1), ("WordDocument", 2, 2**32 - 1)]:
        text = name.encode("utf-16-le")
        sectors[2] += text.ljust(64, b"\0") + struct.pack(
            "<HBBIII36xIII", len(text) + 2, kind, 1, 2**32 - 1, 2**32 - 1, child, 0, 5000, 0)
    open_document = "application/vnd.oasis.opendocument."
    seeds = {
        "a.pdf": b"%PDF-1.7\n", "b.png": b"\x89PNG\r\n\x1a\n\0", "c.jpg": b"\xff\xd8\xff\xe0",
        "d.tif": b"II*\0", "e.tiff": b"MM\0*", "f.docx": office + b"word/document.xml",
        "g.xlsx": office + b"\n--\nxl/workbook.xml", "h.pptx": office + b"ppt/presentation.xml",
        "i.zip": office, "j.txt": "Công đoàn".encode(), "k.csv": b"a,b\n1,2\n",
        "l.xml": b"\xef\xbb\xbf <?xml version='1.0'?>", "m.edxml": b"<a/>", "n.txt": b"MZ\x90",
        "o.exe": b"MZ", "văn bản.pdf": b"\n%PDF-", "../p.pdf": b"%PDF-", "q.tar.zip": b"PK\x05\x06",
        "u.odt": listed.getvalue(), "v.xlsx": listed.getvalue(), "w.doc": b"".join(sectors),
        "x.rtf": b"{\\rtf1}", "y.rar": b"Rar!\x1a\7\1\0" + bytes([1, 2, 3, 4, 3, 4, 0, 0]),
        "z.7z": b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<IQQI", 0, 0, 4, 0) + b"\6\xf1\7\1",
        "aa.txt": "Họ tên\tĐơn vị".encode("utf-16"), "ab.csv": "Ho ten".encode("utf-16-le"),
        "ac.rar": b"Rar!\x1a\7\0" + b"\0\0\x73\0\0\x0d\0" + b"\0" * 6 + b"\0\0\x74\4\x80\x20\0",
    }
    for name, kind in [("r.odt", "text"), ("s.ods", "spreadsheet"), ("t.odp", "presentation")]:
        seeds[name] = b"PK\x03\x04" + b"\0" * 26 + f"mimetype{open_document}{kind}".encode()
    return {f"{number:02}": name.encode() + b"\n" + content
            for number, (name, content) in enumerate(seeds.items())}


TEXTS = [
    "Về việc tổ chức hội nghị", "159/QĐ-LĐLĐ", "762-CV/TU", "34/2016/NĐ-CP", "000.00.12.H57", "LDLD.ALPHA",
    "2018-07-04", "2024-02-29", "2018-07-04T08:00:00.123456Z", "2018-07-04T08:00:00+07:00",
    "1970-01-01T00:00:00-14:59", "01920000-0000-7000-8000-000000000000", "ab" * 32, "a\u0301\u0323", "\u0958",
    "\u202eabc", " a ", "\u3000", "\u200b", "\ufeff", "µ¸¶·", "9999-12-31T23:59:59.999999999Z",
    "\u1ea4\u0323", "가\u11a8", "\u2126", "e\u0300" * 30, "?\u0338", "\u0f73\u0f71", "a\u0f73\u0f73\u0f73\u0f71", "\u180e",
]


def directory_seeds(world):
    examples = {
        "world": json.loads((world / "directory.json").read_text()),
        "full": {"version": 1, "units": [
            {"organId": "A", "organName": "Một", "aliases": ["A1", "A2"], "parent": "B", "successor": "B",
             "validFrom": "2020-01-01", "validTo": "2030-12-31", "groups": ["co-so"], "queueType": "classic",
             "certificates": ["-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"]},
            {"organId": "B", "organName": "Hai", "queueType": "quorum"}]},
        "twice": {"version": 1, "units": [{"organId": "A", "organName": "A"}] * 2},
    }
    return {name: json.dumps(value, ensure_ascii=False).encode() for name, value in examples.items()}


def write(folder, seeds):
    folder.mkdir(parents=True)
    for name, content in seeds.items():
        (folder / name).write_bytes(content)


def dictionary(path):
    """The words of json.dict, and the members of all schemas."""
    names = set()

    def collect(value):
        if isinstance(value, dict):
            names.update(value.get("properties", {}))
            value = list(value.values())
        if isinstance(value, list):
            for part in value:
                collect(part)

    for schema in (ROOT / "schemas").glob("*.schema.json"):
        collect(json.loads(schema.read_text()))
    words = (ROOT / "Tests/Fuzz/json.dict").read_text()
    path.write_text(words + "".join(f'"\\"{name}\\":"\n' for name in sorted(names)))


def main():
    folder = pathlib.Path(sys.argv[1])
    world, seeds = folder / "world", folder / "seeds"
    if not (world / "world.json").exists():
        shutil.rmtree(world, ignore_errors=True)
        # Messages of an older world would only be refused.
        shutil.rmtree(folder / "corpus/cms", ignore_errors=True)
        make_world(world)
    shutil.rmtree(seeds, ignore_errors=True)
    for kind in ["manifest", "status", "tally", "tally-answer"]:
        write(seeds / kind, {f"{path.parent.name}-{path.name}": path.read_bytes()
                             for path in EXAMPLES.glob(f"{kind}/*/*.json")})
    write(seeds / "directory", directory_seeds(world))
    write(seeds / "attachment", attachment_seeds())
    write(seeds / "text", {f"{number:02}": text.encode() for number, text in enumerate(TEXTS)})
    write(seeds / "frames", frame_seeds())
    shutil.copytree(world / "messages", seeds / "cms")
    dictionary(folder / "json.dict")


os.umask(0o077)
main()
