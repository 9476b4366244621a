#!/usr/bin/python3
"""Check schemas/examples against the JSON Schemas and expectations.json, and let the Python client read
them; exit 1 on any difference."""

import json
import sys
from pathlib import Path

import strict_json
from congvan_client import Problem, check, read_json
from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


def problem(kind: str, content: bytes) -> Problem | None:
    """What the Python client refuses the text for."""
    try:
        if strict_json.declares_secrecy(content):
            return Problem("DIEU5", "secrecyMark")
        check(kind, read_json(content))
    except Problem as found:
        return found
    return None


def main() -> int:
    expected = json.loads((SCHEMAS / "examples/expectations.json").read_text(encoding="utf-8"))
    checked = wrong = 0
    for kind in ("manifest", "status", "tally", "tally-answer"):
        schema = json.loads((SCHEMAS / f"{kind}.schema.json").read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        for file in sorted((SCHEMAS / "examples" / kind).glob("*/*.json")):
            name = str(file.relative_to(SCHEMAS / "examples"))
            try:
                is_valid = validator.is_valid(json.loads(file.read_bytes().decode("utf-8")))
            except ValueError:
                is_valid = False
            found = problem(kind, file.read_bytes())
            if (file.parent.name == "valid") != (found is None):
                wrong += 1
                print(f"{name}: the client says {found}")
            should = file.parent.name == "valid" or not expected[name]["schema"]
            checked += 1
            if is_valid != should:
                wrong += 1
                print(f"{name}: the schema says {is_valid}, expected {should}")
    print(f"{checked} examples checked, {wrong} wrong")
    return 1 if wrong or checked < 50 else 0


sys.exit(main())
