#!/usr/bin/python3
"""An independent client of the congvan wire, written from schemas/README.md alone.

The interoperability tests let it talk to a node. It needs Debian's python3-pika and
python3-jsonschema and the openssl command. It keeps nothing: a message that it has not handled to
the end goes back to the queue when it leaves. It does not judge CRLs, key sizes and signing times.
The password comes from --password-file, CONGVAN_CLIENT_PASSWORD or the URL. `send --repeat N`
publishes the very same messages N times. `receive` prints one JSON line per status, document and
problem until --count statuses and documents have come, duplicates included; with --document it
leaves other documents' messages in the queue; with --receipt it answers documents with 01 or 02.
Exit status: 0 done, 1 receive timed out, 2 error.
"""

import argparse
import contextlib
import datetime
import hashlib
import json
import os
import re
import secrets
import ssl
import subprocess
import sys
import tempfile
import time
import unicodedata
import uuid
from pathlib import Path
from typing import Any

import jsonschema
import pika
import strict_der
import strict_json

Json = dict[str, Any]
SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
PIECE, BODY, DOCUMENT = 1_048_576, 1_048_576, 4 << 30  # limits in bytes
XML, ODF = "application/vnd.openxmlformats-officedocument", "application/vnd.oasis.opendocument"
FORMATS = {
    "pdf": "application/pdf", "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg",
    "tif": "image/tiff", "tiff": "image/tiff", "zip": "application/zip", "txt": "text/plain",
    "csv": "text/csv", "xml": "application/xml", "edxml": "application/xml", "odt": f"{ODF}.text",
    "ods": f"{ODF}.spreadsheet", "odp": f"{ODF}.presentation", "xlsx": f"{XML}.spreadsheetml.sheet",
    "doc": "application/msword", "xls": "application/vnd.ms-excel", "rtf": "application/rtf",
    "ppt": "application/vnd.ms-powerpoint", "rar": "application/vnd.rar",
    "7z": "application/x-7z-compressed",
    "docx": f"{XML}.wordprocessingml.document", "pptx": f"{XML}.presentationml.presentation"}


class Problem(Exception):
    """Why something is not accepted: a code of outcome-codes.json, and the reason."""


def require(holds: object, code: str, reason: str) -> None:
    if not holds:
        raise Problem(code, reason)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def new_record() -> tuple[str, str]:
    """A new UUID version 7 (RFC 9562 section 5.7), and the time."""
    head = time.time_ns() // 1_000_000 << 80 | 0x7 << 76 | secrets.randbits(12) << 64
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return str(uuid.UUID(int=head | 0b10 << 62 | secrets.randbits(62))), now


def write_json(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def read_json(content: bytes) -> Json:
    try:
        return strict_json.read(content)
    except strict_json.RuleError as error:
        raise Problem("MANIFEST-RULE", str(error)) from None
    except ValueError as error:
        raise Problem("MANIFEST-MALFORMED", f"not JSON with one reading: {error}") from None


def check(kind: str, value: Json) -> None:
    """The schema, then the rules that JSON Schema cannot say ($comment there)."""
    schema = json.loads((SCHEMAS / f"{kind}.schema.json").read_text("utf-8"))
    formats = jsonschema.FormatChecker(["date"])  # days exist
    for error in jsonschema.Draft202012Validator(schema, format_checker=formats).iter_errors(value):
        path = ".".join(str(step) for step in error.absolute_path)
        raise Problem("MANIFEST-MALFORMED", f"{path}: {error.message[:200]}")
    try:  # the pattern of the schema leaves 30 February
        for moment in filter(None, (value.get("createdAt"), value.get("timestamp"))):
            datetime.date.fromisoformat(moment[:10])
    except ValueError:
        raise Problem("MANIFEST-MALFORMED", "a day that does not exist") from None
    if kind == "manifest":
        for name in ("responseFor", "replaces", "recalls"):
            ids = [reference["documentId"] for reference in value.get(name, [])]
            require(len(set(ids)) == len(ids), "MANIFEST-RULE", f"{name}: a document twice")
            require(value["documentId"] not in ids, "MANIFEST-RULE", f"{name}: the document itself")
        files, organs = value["attachments"], [value["from"], *value["to"]]
        units, names = [o["organId"] for o in organs], [f["name"].lower() for f in files]
        require(len(set(units)) == len(units), "MANIFEST-RULE", "to: a unit twice, or the sender")
        require(len(set(names)) == len(names), "MANIFEST-RULE", "two files have the same name")
        require(all(len(f["name"].encode()) <= 255 for f in files), "MANIFEST-RULE", "long name")
        require(sum(f["size"] for f in files) <= DOCUMENT, "TOO-LARGE", "more than 4 GiB")
        require({n.split(".")[-1] for n in names} <= FORMATS.keys(), "ATTACHMENT-FORMAT", "name")


def openssl_cms(*args: str, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", "cms", "-binary", *args], input=stdin, capture_output=True)


def open_cms(body: bytes, trusted: str, certificates: dict[str, set[bytes]], unit: str) -> bytes:
    """The signed content; one of the signers must have a certificate of the sending unit."""
    with tempfile.NamedTemporaryFile() as signers:
        done = openssl_cms("-verify", "-inform", "DER", "-cades", "-purpose", "any", "-CAfile",
                           trusted, "-signer", signers.name, stdin=body)
        pems = re.findall("-----BEGIN.+?-----END CERTIFICATE-----", signers.read().decode(), re.S)
    error = done.stderr.decode(errors="replace").strip()
    for words, code in (("expired", "EXPIRED"), ("not yet valid", "NOT-YET-VALID"),
                        ("certificate verify error", "UNTRUSTED"), ("failure", "ALTERED"),
                        ("", "NOT-SIGNED")):
        require(done.returncode == 0 or words not in error, f"SIGNATURE-{code}", error[-200:])
    require(1 <= len(pems) <= 4, "SIGNATURE-PROFILE", f"{len(pems)} signers")
    signed = {ssl.PEM_cert_to_DER_cert(pem) for pem in pems}
    require(signed & set().union(*certificates.values()), "SIGNATURE-UNKNOWN-SIGNER", unit)
    require(signed & certificates[unit], "SIGNATURE-NOT-THIS-UNIT", unit)
    try:
        strict_der.check_signed_data(body)
    except (ValueError, IndexError) as error:
        raise Problem("SIGNATURE-PROFILE", f"not DER of the profile: {error}") from None
    return done.stdout


class Client:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.unit = options, options.unit
        parameters = pika.URLParameters(re.sub("^(amqps?://[^:@/]+)@", r"\1:@", options.url))
        login, file = parameters.credentials, options.password_file
        login.password = os.environ.get("CONGVAN_CLIENT_PASSWORD", login.password)
        login.password = Path(file).read_text().rstrip("\n") if file else login.password
        self.channel: Any = pika.BlockingConnection(parameters).channel()
        self.channel.confirm_delivery()  # publishing now waits, and raises for a return or a nack

    def sign(self, content: bytes) -> bytes:
        done = openssl_cms("-sign", "-cades", "-nodetach", "-outform", "DER", "-md", "sha256",
                           "-nosmimecap", "-signer", self.options.cert, "-inkey", self.options.key,
                           stdin=content)
        require(done.returncode == 0, "SIGNATURE-NOT-SIGNED", done.stderr.decode(errors="replace"))
        require(len(done.stdout) <= BODY, "TOO-LARGE", "the signed manifest")
        return done.stdout

    def publish(self, key: str, kind: str, message_id: str, body: bytes,
                about: str | None = None, **headers: str | int) -> None:
        content = "application/octet-stream" if kind == "piece" else "application/pkcs7-mime"
        properties = pika.BasicProperties(
            type=f"congvan.{kind}", content_type=content, message_id=message_id,
            correlation_id=about, user_id=self.unit, delivery_mode=2,
            headers={"congvan-version": 1} | {f"congvan-{n}": headers[n] for n in headers})
        self.channel.basic_publish(f"congvan.out.{self.unit}", key, body, properties, True)

    def send(self) -> int:
        options, (document, now) = self.options, new_record()
        number = re.fullmatch("([^/-]*)([/-])(.*)", nfc(options.number)) or [""] * 4
        files: dict[str, tuple[str, int]] = {}  # files of equal content travel once
        manifest: Json = {
            "kind": "document", "version": 1, "documentId": document, "createdAt": now,
            "from": {"organId": self.unit, "organName": nfc(options.name)},
            "to": [{"organId": unit} for unit in options.to], "codeNumber": number[1],
            "codeSeparator": number[2], "codeNotation": number[3], "issuedDate": options.date,
            "typeName": nfc(options.type), "subject": nfc(options.subject),
            "priority": options.priority, "attachments": []}
        for path in options.files:
            name, size = nfc(Path(path).name), os.path.getsize(path)
            media = FORMATS.get(name.lower().split(".")[-1], "none")
            with open(path, "rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            manifest["attachments"].append(
                {"name": name, "mediaType": media, "size": size, "sha256": digest})
            files[digest] = (path, size)
        check("manifest", manifest)
        body = self.sign(content := write_json(manifest))
        for unit in options.to * options.repeat:
            key = f"{'express' if options.priority else 'ordinary'}.{unit}"
            for digest, (path, size) in files.items():
                with open(path, "rb") as stream:
                    for offset in range(0, size, PIECE):
                        self.publish(key, "piece", f"{digest}/{offset}", stream.read(PIECE),
                                     document, sha256=digest, offset=offset, size=size)
            self.publish(key, "document", document, body)
        self.channel.connection.close()
        print(json.dumps({"documentId": document, "manifestSha256": sha256(content)}))
        return 0


class Receiver(Client):
    def __init__(self, options: argparse.Namespace) -> None:
        directory = json.loads(Path(options.directory).read_bytes())
        check("directory", directory)
        self.certificates = {unit["organId"]: {
            ssl.PEM_cert_to_DER_cert(pem.strip()) for pem in unit.get("certificates", [])
        } for unit in directory["units"]}
        self.seen = 0  # documents and statuses shown
        self.pieces: dict[tuple[str, str, int], dict[int, tuple[int, bytes]]] = {}
        self.whole: set[tuple[str, int]] = set()  # attachments that arrived
        self.waiting: list[tuple[int, str, bytes, Json]] = []
        self.accepted: dict[tuple[str, str], tuple[str, tuple[str, bytes] | None]] = {}
        super().__init__(options)

    def receive(self) -> int:
        arrived: list[Any] = []
        for lane in ("express", "ordinary"):
            self.channel.basic_consume(f"congvan.{lane}.{self.unit}",
                                       lambda _, *message: arrived.append(message))
        end = time.monotonic() + self.options.wait
        while self.seen < self.options.count and (left := end - time.monotonic()) > 0:
            self.channel.connection.process_data_events(time_limit=min(left, 1))
            while arrived and self.seen < self.options.count:
                self.handle(*arrived.pop(0))
        self.channel.connection.close()
        return int(self.seen < self.options.count)

    def handle(self, method: Any, properties: Any, body: bytes) -> None:
        kind, headers = str(properties.type).removeprefix("congvan."), properties.headers or {}
        about = properties.message_id if kind == "document" else properties.correlation_id
        if self.options.document not in (None, about):
            return  # not acknowledged: it stays in the queue
        tag, sender = method.delivery_tag, method.exchange.removeprefix("congvan.out.")
        try:
            require(method.exchange != sender == properties.user_id, "SENDER-MISMATCH", sender)
            require(sender in self.certificates, "SENDER-UNKNOWN", sender)
            require(headers.get("congvan-version") == 1, "VERSION-UNKNOWN", "congvan-version")
            require(len(body) <= BODY, "TOO-LARGE", f"a body of {len(body)} bytes")
            require(kind in ("document", "piece", "status"), "MESSAGE-UNKNOWN", kind)
            if kind == "piece":
                return self.keep_piece(tag, sender, headers, body)
            content = open_cms(body, self.options.ca, self.certificates, sender)
            value = self.judge(content, kind, sender)
            if kind == "document":
                self.waiting.append((tag, sender, content, value))
            else:
                self.show(value, sender=sender, bodySha256=sha256(body))
                self.channel.basic_ack(tag)
        except Problem as problem:
            unverified = openssl_cms("-verify", "-inform", "DER", "-noverify", "-no_attr_verify",
                                     "-no_content_verify", stdin=body).stdout
            self.refuse(tag, sender, unverified if kind == "document" else b"", problem, about)
        finally:
            for document in list(self.waiting):
                self.try_to_accept(*document)

    def judge(self, content: bytes, kind: str, sender: str) -> Json:
        require(not strict_json.declares_secrecy(content), "DIEU5", "secrecyMark: found")
        value = read_json(content)
        require(value.get("kind") == kind, "MANIFEST-MALFORMED", f"kind: expected {kind}")
        require(value.get("version") == 1, "VERSION-UNKNOWN", f"version: {value.get('version')}")
        check("manifest" if kind == "document" else kind, value)
        require(value["from"]["organId"] == sender, "SENDER-MISMATCH", "from")
        to = value["to"] if kind == "document" else [value["to"]]
        require(self.unit in [organ["organId"] for organ in to], "NOT-ADDRESSED", "to")
        return value

    def keep_piece(self, tag: int, sender: str, headers: Any, body: bytes) -> None:
        digest, offset, size = (headers.get(f"congvan-{n}") for n in ("sha256", "offset", "size"))
        require(isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)
                and isinstance(offset, int) and isinstance(size, int) and size <= DOCUMENT
                and 0 <= offset < size and offset % PIECE == 0
                and len(body) == min(PIECE, size - offset), "PIECE-MALFORMED", "headers, length")
        known = self.pieces.setdefault((sender, digest, size), {})
        if (digest, size) in self.whole or offset in known:
            self.channel.basic_ack(tag)
        else:
            known[offset] = (tag, body)  # acknowledged with the document

    def try_to_accept(self, tag: int, sender: str, content: bytes, manifest: Json) -> None:
        document, digest = manifest["documentId"], sha256(content)
        first, receipt = self.accepted.get((sender, document), (None, None))
        try:
            require(first in (None, digest), "ID-CONFLICT", "another content with this id before")
            wanted = {(f["sha256"], f["size"]) for f in manifest["attachments"]} - self.whole
            if any(len(self.pieces.get((sender, *w), ())) < -(-w[1] // PIECE) for w in wanted):
                return
            for name, size in wanted:
                parts = sorted(self.pieces.pop((sender, name, size)).items())
                for _, (part_tag, _) in parts:
                    self.channel.basic_ack(part_tag)
                whole = b"".join(part for _, (_, part) in parts)
                require(sha256(whole) == name, "ATTACHMENT-ALTERED", name)
                self.whole.add((name, size))
            if self.options.receipt:
                receipt = self.report(sender, document, digest, "01", receipt)
            self.accepted[sender, document] = (digest, receipt)
            self.show(manifest, sender=sender, manifestSha256=digest, duplicate=bool(first))
            self.channel.basic_ack(tag)
        except Problem as problem:
            self.refuse(tag, sender, content, problem, document)
        self.waiting.remove((tag, sender, content, manifest))

    def show(self, value: Json, **more: Any) -> None:
        print(json.dumps({**value, **more}, ensure_ascii=False), flush=True)
        self.seen += value["kind"] != "problem"

    def report(self, to: str, document: str, digest: str, code: str,
               again: tuple[str, bytes] | None = None, **more: str) -> tuple[str, bytes]:
        """Sends a status, or one of before byte for byte; returns its id and its bytes."""
        name, now = new_record()
        status = {"kind": "status", "version": 1, "statusId": name, "documentId": document,
                  "manifestSha256": digest, "from": {"organId": self.unit}, "timestamp": now,
                  "to": {"organId": to}, "statusCode": code, **more}
        check("status", status)
        name, body = again or (name, self.sign(write_json(status)))
        self.publish(f"express.{to}", "status", name, body, document)
        return name, body

    def refuse(self, tag: int, sender: str, content: bytes, problem: Problem, about: str) -> None:
        code, reason = problem.args
        self.show({"kind": "problem"}, code=code, reason=reason, sender=sender, about=about)
        if content and sender in self.certificates and self.options.receipt:
            with contextlib.suppress(Problem):  # when the document cannot be named
                document = about
                with contextlib.suppress(Problem):
                    document = str(read_json(content).get("documentId"))
                self.report(sender, document, sha256(content), "02", reasonCode=code)
        self.channel.basic_ack(tag)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    send = commands.add_parser("send", help="sign a document and publish it")
    receive = commands.add_parser("receive", help="print what arrives")
    for name in "url unit key cert name number date type subject".split():
        send.add_argument(f"--{name}", required=True)
    for name in "url unit ca directory".split():
        receive.add_argument(f"--{name}", required=True)
    for name in ("--password-file", "--key", "--cert", "--document"):
        receive.add_argument(name)
    send.add_argument("--password-file")
    send.add_argument("--to", required=True, action="append")
    send.add_argument("--priority", type=int, default=0)
    send.add_argument("--repeat", type=int, default=1)
    send.add_argument("files", nargs="+", metavar="FILE")
    receive.add_argument("--wait", type=float, required=True, metavar="SECONDS")
    receive.add_argument("--count", type=int, default=1)
    receive.add_argument("--receipt", action="store_true")
    options = parser.parse_args()
    if options.command == "receive" and options.receipt and not (options.key and options.cert):
        parser.error("--receipt needs --key and --cert")
    try:
        return Client(options).send() if options.command == "send" else Receiver(options).receive()
    except (Problem, OSError, pika.exceptions.AMQPError) as error:
        print(f"error: {type(error).__name__}:", *error.args, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
