#!/usr/bin/python3
"""The signed JSON texts of the wire, read as schemas/README.md section 6 says.

Only Python's own json module, made strict. As a program it reads one base64 text a line and prints for
each `ok`, `form` (no such JSON: MANIFEST-MALFORMED) or `rule` (a text that breaks a rule of
characters: MANIFEST-RULE), and whether it declares a secrecy mark.
"""

import base64
import json
import math
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

DEPTH, NUMBER = 8, 64
SCHEMA = Path(__file__).resolve().parents[2] / "schemas/manifest.schema.json"
FORBIDDEN = re.compile(json.loads(SCHEMA.read_text("utf-8"))["$defs"]["text"]["not"]["pattern"])
# In a correct text every match is one whole string; a name has a colon behind it.
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"([ \t\r\n]*:)?', re.S)
COUNTS = ("version", "priority", "pageAmount", "issuedAmount")


class RuleError(ValueError):
    """The text is JSON, and a string in it has forbidden characters or is not NFC."""


def refuse(reason: str) -> Any:
    raise ValueError(reason)


def is_text(text: str) -> bool:
    return (unicodedata.is_normalized("NFC", text) and not FORBIDDEN.search(text)
            and all(ord(character) & 0xFFFE != 0xFFFE for character in text))


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        refuse("a member stands twice")
    if not all(map(is_text, members)):
        refuse("the name of a member is no text")
    if any(value is None for value in members.values()):
        refuse("a member is null")
    return members


def number(digits: str) -> int | float:
    if len(digits) > NUMBER:
        refuse("a number is too long")
    if re.fullmatch("-?[0-9]+", digits) and digits != "-0":
        return int(digits)
    return value if math.isfinite(value := float(digits)) else refuse("a number is infinite")


def walk(value: Any) -> None:
    """The characters of every string."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            walk(inner)
    elif isinstance(value, str) and not is_text(value):
        raise RuleError(f"“{value[:40]}” is not NFC or has a forbidden character")


def depth_of(text: str) -> int:
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def counts(value: dict[str, Any]) -> list[Any]:
    found = [value[name] for name in COUNTS if name in value]
    for items, names in (("attachments", ("size",)), ("entries", ("sequence", "statuses"))):
        inner = value.get(items)
        for item in inner if isinstance(inner, list) else []:
            if isinstance(item, dict):
                found += [item[name] for name in names if name in item]
    return found


def has_null(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(map(has_null, inner))


def read(content: bytes) -> dict[str, Any]:
    """The object in the text. Throws ValueError, or its subclass RuleError."""
    text = content.decode("utf-8")
    try:
        value = json.loads(text, object_pairs_hook=unique, parse_int=number, parse_float=number,
                           parse_constant=lambda word: refuse(f"{word} is no JSON"))
    except RecursionError:
        refuse("it is nested too deeply")
    if not isinstance(value, dict):
        refuse("it is no object")
    if depth_of(text) > DEPTH:
        refuse("it is nested too deeply")
    if has_null(value):
        refuse("it has a null")
    if any("\\" in name for name, colon in STRING.findall(text) if colon):
        refuse("the name of a member is written with an escape")
    json.dumps(value, ensure_ascii=False).encode()  # fails for half of a surrogate pair
    if any(isinstance(count, float) for count in counts(value)):
        refuse("a count is not written as an integer")
    walk(value)
    return value


def declares_secrecy(content: bytes) -> bool:
    """True unless every member of that name, in any object, is exactly "Thường"; also in broken texts."""
    marks: list[Any] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        marks.extend(value for name, value in pairs if name.strip().lower() == "secrecymark")
        return dict(pairs)

    try:
        json.loads(content.decode("utf-8"), object_pairs_hook=look, parse_constant=refuse,
                   parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        text = content.replace(b"\0", b"").decode("utf-8", "replace")
        text = re.sub(r"\\u00([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), text)
        harmless = re.compile(r'"[ \t\r\n]*:[ \t\r\n]*"Thường"')
        names = re.finditer("secrecymark", text, re.IGNORECASE | re.ASCII)
        return not all(harmless.match(text, name.end()) for name in names)
    return any(mark != "Thường" for mark in marks)


def main() -> None:
    for line in sys.stdin:
        content = base64.b64decode(line)
        try:
            read(content)
            finding = "ok"
        except RuleError:
            finding = "rule"
        except ValueError:
            finding = "form"
        print(finding, "secret" if declares_secrecy(content) else "open")


if __name__ == "__main__":
    main()
