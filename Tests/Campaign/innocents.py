"""Two units that have nothing to do with a flood and write to each other as on any day. What counts
is the time from a clerk's command until the receipt is verified and stored."""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from node import Node

VICTIM, INNOCENT = "VICTIM", "INNOCENT"
URGENCIES = ("hỏa tốc", "thường")
KINDS = [f"{way} {urgency}" for way in ("V→I", "I→V") for urgency in ("thường", "hỏa tốc")]


@dataclass
class Pulse:
    """One innocent document. `issuing` is the clerk's command itself; `seconds` is None until the
    receipt is there."""

    kind: str
    began: float
    id: str
    issuing: float
    seconds: float | None = None
    state: str = ""


class Innocents:
    """`rest` is the pause between two documents of one clerk, in seconds."""

    def __init__(self, victim: Node, innocent: Node, scratch: Path, rest: float) -> None:
        self.ways = {"V→I": (victim, innocent), "I→V": (innocent, victim)}
        self.scratch, self.rest = scratch, rest
        self.pulses: list[Pulse] = []
        self.failures: list[str] = []
        self.lock = threading.Lock()
        self.number = 0

    def traffic(self, rounds: int) -> list[Pulse]:
        """Some documents each way, ordinary and urgent; returns when all are issued."""
        return self._begin(lambda done: done >= rounds)()

    def begin(self, stop: threading.Event) -> Callable[[], list[Pulse]]:
        """Clerks that go on until `stop`, and have each had one round at least. What is returned
        waits for them and gives their documents."""
        return self._begin(lambda done: done >= 1 and stop.is_set())

    def _begin(self, is_over: Callable[[int], bool]) -> Callable[[], list[Pulse]]:
        pulses: list[Pulse] = []
        clerks = [threading.Thread(target=self._clerk, args=(way, is_over, pulses), daemon=True)
                  for way in self.ways]
        for clerk in clerks:
            clerk.start()

        def finish() -> list[Pulse]:
            for clerk in clerks:
                clerk.join()
            return pulses
        return finish

    def _clerk(self, way: str, is_over: Callable[[int], bool], pulses: list[Pulse]) -> None:
        done = 0
        while not is_over(done):
            for urgency in URGENCIES:
                try:
                    pulse = self._send(way, urgency)
                except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
                    self.failures.append(f"{way} {urgency}: the clerk cannot issue: {error}")
                    return
                with self.lock:
                    self.pulses.append(pulse)
                    pulses.append(pulse)
                time.sleep(self.rest)
            done += 1

    def _send(self, way: str, urgency: str) -> Pulse:
        sender, receiver = self.ways[way]
        with self.lock:
            self.number += 1
            number = self.number
        file = self.scratch / f"van-ban-{number}.txt"
        file.write_text(f"Văn bản vô can số {number}\n")
        began = time.time()
        shown = sender.run_cli(
            "send", str(file), "--to", receiver.unit, "--number", f"{number}/CV-CD", "--date",
            "2026-11-20", "--type", "Công văn", "--subject", f"Văn bản vô can {number}",
            "--urgency", urgency.replace(" ", "-"), "--json")
        file.unlink()
        return Pulse(f"{way} {urgency}", began, json.loads(shown)["id"], time.time() - began)

    # Results

    def settle(self, patience: float) -> None:
        """Waits until every document has its receipt, or for so many seconds."""
        deadline = time.monotonic() + patience
        while self._look() and time.monotonic() < deadline:
            time.sleep(0.1)

    def _look(self) -> int:
        """Reads what the senders know; returns how many documents are without a receipt."""
        for way, (sender, _) in self.ways.items():
            open_ones = {p.id: p for p in self.pulses
                         if p.seconds is None and p.kind.startswith(way)}
            if not open_ones:
                continue
            marks = ",".join("?" * min(len(open_ones), 900))
            for row in sender.rows(
                    "SELECT id, state, finishedAt FROM delivery JOIN document ON document.key = "
                    f"delivery.document WHERE id IN ({marks})", *list(open_ones)[:900]):
                pulse = open_ones[row["id"]]
                pulse.state = row["state"]
                if row["state"] == "delivered":
                    pulse.seconds = row["finishedAt"] / 1e6 - pulse.began
        return sum(1 for pulse in self.pulses if pulse.seconds is None)

    @staticmethod
    def seconds(pulses: list[Pulse], kind: str) -> list[float]:
        return [round(pulse.seconds, 2) for pulse in pulses
                if pulse.kind == kind and pulse.seconds is not None]

    def lost_or_twice(self) -> list[str]:
        """Every document arrived once and was answered once, as both sides see it."""
        wrong = list(self.failures)
        for way, (sender, receiver) in self.ways.items():
            had = {row["id"]: (row["n"], row["receipts"]) for row in receiver.rows("""
                SELECT document.id, count(*) AS n,
                  (SELECT count(*) FROM status WHERE status.document = document.key
                    AND status.direction = 'sent' AND code = '01') AS receipts
                FROM received JOIN document ON document.key = received.document
                WHERE received.state = 'accepted' AND document.sender = ?
                GROUP BY document.key""", sender.unit)}
            for pulse in self.pulses:
                if not pulse.kind.startswith(way):
                    continue
                if pulse.seconds is None:
                    wrong.append(f"{pulse.kind}: {pulse.id} has no receipt, it is {pulse.state}")
                elif had.get(pulse.id) != (1, 1):
                    wrong.append(f"{pulse.kind}: {pulse.id} arrived and was answered "
                                 f"{had.get(pulse.id, (0, 0))} times")
        return wrong
