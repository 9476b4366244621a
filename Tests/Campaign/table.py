#!/usr/bin/python3
"""The results of one or more campaigns (files of `deploy/campaign --json`) as one Markdown table
with a column for each."""

import json
import sys
from collections.abc import Callable
from typing import Any

Result = dict[str, Any]
NUMBERS: list[tuple[str, str | Callable[[Result], object]]] = [
    ("minutes of faults", "minutes"), ("documents issued", "documents"),
    ("deliveries", "deliveries"), ("delivered, receipt verified", "delivered"),
    ("refused by a person after that", "refusedByPerson"),
    ("taken back or replaced before they arrived", "takenBackBeforeArrival"),
    ("take-backs answered", "takeBacksAnswered"),
    ("faults", "faultCount"), ("kinds of fault", lambda r: len(r["faults"]))]
AFTER: list[tuple[str, str | Callable[[Result], object]]] = [
    ("crash points killed, of 20", lambda r: sum(1 for n in r["crashPoints"].values() if n)),
    ("· kills at them", lambda r: sum(r["crashPoints"].values())),
    ("· kills at the rarest", lambda r: min(r["crashPoints"].values())),
    ("duplicates absorbed", "duplicatesAbsorbed"),
    ("altered messages, not believed", "disbelieved"),
    ("repaired by reconciliation: documents sent again", "sentAgainByReconciliation"),
    ("repaired by reconciliation: deliveries finished", "finishedByReconciliation"),
    ("sent again by a person", lambda r: sum(r["sentAgainByPerson"].values())),
    ("most memory of a node, MiB", "peakMiB"), ("most open files of a node", "peakFiles"),
    ("acks seen by strace", "acksTraced"), ("· without a sync before", "acksBeforeSync"),
    ("recovery after the last fault, s", "recoverySeconds"), ("**lost**", "lost"),
    ("**twice**", "twice"), ("**stuck**", "stuck"),
    ("other problems", lambda r: r["wrong"] + r["findings"] + len(r["shortfalls"]))]


def table(results: list[Result]) -> str:
    lines: list[str] = []

    def row(name: str, values: list[object]) -> None:
        lines.append(f"| {name:50} |" + "".join(f" {value!s:>8} |" for value in values))

    def rows(items: list[tuple[str, str | Callable[[Result], object]]]) -> None:
        for name, get in items:
            row(name, [r[get] if isinstance(get, str) else get(r) for r in results])

    row("seed", [r["seed"] for r in results])
    lines.append(f"| {'-' * 50} |" + f" {'-' * 7}: |" * len(results))
    rows(NUMBERS)
    for kind in sorted({kind for r in results for kind in r["faults"]}):
        row(f"· {kind}", [r["faults"].get(kind, 0) for r in results])
    rows(AFTER)
    return "\n".join(lines)


if __name__ == "__main__":
    print(table([json.load(open(name, encoding="utf-8")) for name in sys.argv[1:]]))
