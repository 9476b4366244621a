#!/usr/bin/python3
"""Results of deploy/floods --json as Markdown; with two of them each figure as “before → after”."""

import json
import sys
from collections.abc import Callable
from typing import Any

Run = dict[str, Any]
Flood = dict[str, Any]


def megabytes(count: float) -> str:
    return f"{count / 1e6:.2f}"


def ratio(one: float, other: float) -> str:
    value = one / max(1, other)
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


COST: list[tuple[str, Callable[[Flood], object]]] = [
    ("back, messages", lambda f: f"{f['backMessages']:,}"),
    ("back, MB", lambda f: megabytes(f["backBytes"])),
    ("× messages", lambda f: ratio(f["backMessages"], f["sentMessages"])),
    ("× bytes", lambda f: ratio(f["backBytes"], f["sentBytes"])),
    ("signs", lambda f: f"{f['signatures']:,}"),
    ("· most for one id", lambda f: f["mostPerDocument"]),
    ("CPU s", lambda f: f["cpuSeconds"]),
    ("database, MB", lambda f: f"{f['databaseBytes'] / 1e6:.1f}"),
    ("files, MB", lambda f: f"{f['fileBytes'] / 1e6:.0f}")]


def worst(flood: Flood, kind: str) -> str:
    flooded = flood["flooded"].get(kind)
    return f"{max(flooded):.1f}" if flooded else "–"


def rows(runs: list[Run], columns: list[tuple[str, Callable[[Flood], object]]],
         fixed: list[tuple[str, Callable[[Flood], object]]]) -> list[str]:
    """One line a flood; `fixed` columns show only the last run that has the flood."""
    lines = ["| flood | " + " | ".join(name for name, _ in fixed + columns) + " |",
             "| --- |" + " ---: |" * (len(fixed) + len(columns))]
    names = list(dict.fromkeys(flood["name"] for run in runs for flood in run["floods"]))
    for name in names:
        found = [next((f for f in run["floods"] if f["name"] == name), None) for run in runs]
        last = [flood for flood in found if flood][-1]

        def cell(get: Callable[[Flood], object]) -> str:
            return " → ".join(str(get(flood)) if flood else "–" for flood in found)
        cells = [str(get(last)) for _, get in fixed] + [cell(get) for _, get in columns]
        lines.append(f"| {last['title']} | " + " | ".join(cells) + " |")
    return lines


def table(runs: list[Run]) -> str:
    kinds = list(runs[0]["floods"][0]["flooded"]) if runs[0]["floods"] else []
    sent: list[tuple[str, Callable[[Flood], object]]] = [
        ("sent", lambda f: f"{f['sentMessages']:,} / {megabytes(f['sentBytes'])} MB")]
    waits = [(kind, lambda f, kind=kind: worst(f, kind)) for kind in kinds]
    waits.append(("· of that issuing", lambda f: f.get("issuing", "–")))
    waits.append(("drained in", lambda f: f["drainedSeconds"] or "–"))
    quiet = max((max(values) for run in runs for flood in run["floods"]
                 for values in flood["quiet"].values() if values), default=0.0)
    lines = rows(runs, COST, sent)
    lines += ["", "Seconds until the verified receipt, the worst of each kind "
              f"(without a flood: at most {quiet:.1f}):", ""]
    lines += rows(runs, waits, [])
    for run in runs:
        lines += ["", f"{run['form']} form, {run['at']}, {run['machine']}, load "
                  f"{run['loadBefore'][0]} before and {run['loadAfter'][0]} after, "
                  f"{run['innocents']} innocent documents, {len(run['problems'])} problems."]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table([json.load(open(name, encoding="utf-8")) for name in sys.argv[1:]]))
