#!/usr/bin/python3
"""The form of a signed message, as schemas/README.md section 5 says: DER, and the profile's shape.

It says nothing on signatures: openssl does. As a program it reads one base64 message a line and
prints `ok`, or what is wrong with it.
"""

import base64
import re
import sys
from typing import NamedTuple

ID_DATA, SIGNED_DATA = (bytes.fromhex(f"2a864886f70d01070{n}") for n in (1, 2))
SIGNING_TIME = bytes.fromhex("2a864886f70d010905")
SIGNED, UNSIGNED = 16_384, 65_536  # bytes of one signer's attributes


class Value(NamedTuple):
    tag: int
    content: bytes
    whole: bytes


def require(holds: object, reason: str) -> None:
    if not holds:
        raise ValueError(reason)


def children(data: bytes) -> list[Value]:
    """The values one after another in `data`: definite shortest lengths, no strings in parts."""
    values, at = [], 0
    while at < len(data):
        require(at + 2 <= len(data), "a value is cut off")
        tag, length, start = data[at], data[at + 1], at + 2
        require(tag & 0x1F != 0x1F and tag & 0xDF, "a tag that CMS does not have")
        require(tag >> 6 or (tag & 0x1F in (16, 17)) == bool(tag & 0x20), "a string in parts")
        if length >= 0x80:
            digits = data[start : start + (length & 0x7F)]
            require(length > 0x80, "an indefinite length")
            require(digits and digits[0] and int.from_bytes(digits, "big") >= 0x80, "a long length")
            start, length = start + len(digits), int.from_bytes(digits, "big")
        require(start + length <= len(data), "a value is cut off")
        values.append(Value(tag, data[start : start + length], data[at : start + length]))
        at = start + length
    return values


def check(value: Value, exact: bool = True, depth: int = 0) -> None:
    """Everything inside; with `exact` also that primitive values have their one form."""
    require(depth < 64, "nested too deeply")
    tag, content = value.tag, value.content
    if tag & 0x20:
        for inner in children(content):
            check(inner, exact, depth + 1)
    elif exact and tag == 1:
        require(content in (b"\0", b"\xff"), "a BOOLEAN")
    elif exact and tag in (2, 10):
        padded = len(content) > 1 and (content[0], content[1] >> 7) in ((0, 0), (0xFF, 1))
        require(content and not padded, "an INTEGER")
    elif exact and tag == 3:
        unused = content[0] if content else 8
        require(unused < 8 and (content[-1] & ((1 << unused) - 1) == 0 if content[1:]
                                else unused == 0), "a BIT STRING")
    elif exact and tag == 5:
        require(not content, "a NULL")
    elif exact and tag == 6:
        require(re.fullmatch(rb"([\x81-\xff][\x80-\xff]*[\x00-\x7f]|[\x00-\x7f])+", content, re.S),
                "an OBJECT IDENTIFIER")
    elif exact and tag in (0x17, 0x18):
        require(re.fullmatch(rb"[0-9]{12}Z" if tag == 0x17 else rb"[0-9]{14}Z", content), "a time")


def in_order(values: list[Value]) -> list[Value]:
    require([v.whole for v in values] == sorted(v.whole for v in values), "order of a SET OF")
    return values


def algorithm(value: Value) -> bytes:
    name, *parameters = children(value.content)
    require([p.tag for p in parameters] in ([], [5]), "an algorithm has parameters")
    return name.content


def signer(value: Value) -> tuple[bytes, int, bytes]:
    """Who it is, the version of its form, and its digest."""
    parts = children(value.content)
    require(len(parts) in (6, 7) and parts[3].tag == 0xA0, "no signed attributes")
    for part in parts[:6]:
        check(part)
    version = {0x30: 1, 0x80: 3}.get(parts[1].tag, 0)
    require(parts[0].content == bytes([version]), "the version of a signer")
    require(len(parts[3].whole) <= SIGNED, "signed attributes too long")
    names = []
    for attribute in in_order(children(parts[3].content)):
        name, values = children(attribute.content)
        found = children(values.content)
        require(len(found) == 1, "an attribute without exactly one value")
        require(name.content != SIGNING_TIME or found[0].tag != 0x18 or found[0].content >= b"2050",
                "signing-time is a GeneralizedTime before 2050")
        names.append(name.content)
    require(len(set(names)) == len(names), "an attribute stands twice")
    algorithm(parts[4])
    for unsigned in parts[6:]:
        require(len(unsigned.whole) <= UNSIGNED, "unsigned attributes too long")
        in_order(children(unsigned.content))
    return parts[1].whole, version, algorithm(parts[2])


def check_signed_data(message: bytes) -> None:
    """Throws ValueError with what is wrong."""
    outer, *rest = children(message)
    require(not rest and outer.tag == 0x30, "not one value")
    check(outer, exact=False)
    kind, wrapped = children(outer.content)
    require(kind.content == SIGNED_DATA, "not SignedData")
    version, digests, content, *sets, signers = children(children(wrapped.content)[0].content)
    for part in (version, digests, content):
        check(part)
    require(children(content.content)[0].content == ID_DATA, "not id-data")
    others = False
    for part in sets:
        members = in_order(children(part.content))
        plain = all(member.tag == 0x30 for member in members)
        require(plain or part.tag == 0xA1, "a certificate that is not X.509")
        others = others or not plain
    found = [signer(value) for value in in_order(children(signers.content))]
    require(1 <= len(found) <= 4, f"{len(found)} signers")
    require(len({name for name, _, _ in found}) == len(found), "one signer signs twice")
    listed = [algorithm(value) for value in in_order(children(digests.content))]
    require(sorted(listed) == sorted({digest for _, _, digest in found}), "digestAlgorithms")
    wanted = 5 if others else max(version for _, version, _ in found)
    require(version.content == bytes([wanted]), "the version of SignedData")


def main() -> None:
    for line in sys.stdin:
        try:
            check_signed_data(base64.b64decode(line))
            print("ok")
        except (ValueError, IndexError) as error:
            print(error)


if __name__ == "__main__":
    main()
