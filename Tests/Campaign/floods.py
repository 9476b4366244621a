#!/usr/bin/python3
"""Floods by one unit against a real node: what does it cost the victim, what comes back, and how
long do innocent documents and receipts wait meanwhile? Started by deploy/floods."""

import argparse
import hashlib
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import flood_table
import hostile
from broker import VHOST
from flood_kinds import FLOODS, MEBIBYTE, Flood, unit
from hostile_peer import Peer, Sent, content_of, reference, sha256, signed_content
from innocents import KINDS, VICTIM, Innocents
from journal import Journal
from world import Marks, World, wait_for

# What must hold: seconds later than the same traffic without the flood, by kind of traffic.
LATER = {"V→I thường": 2.0, "V→I hỏa tốc": 2.0, "I→V thường": 5.0, "I→V hỏa tốc": 2.0}
CHECKS = "checks"  # hostile.py, as a name beside those of the floods
MOST = 4  # bytes that may come back for one that was sent


@dataclass
class Form:
    """How much a form of the run does."""

    rounds: int  # of innocent traffic before a flood
    rest: float  # seconds between two documents of one clerk
    patience: float  # seconds until a flood must be drained


FULL, QUICK = Form(4, 0.3, 420), Form(1, 0.1, 60)


@dataclass
class Result:
    name: str
    title: str
    sentMessages: int = 0
    sentBytes: int = 0
    sentSeconds: float = 0.0
    refusedByBroker: int = 0
    backMessages: int = 0
    backBytes: int = 0
    signatures: int = 0
    mostPerDocument: int = 0
    cpuSeconds: float = 0.0
    databaseBytes: int = 0
    fileBytes: int = 0
    drainedSeconds: float | None = None
    outcomes: dict[str, int] = field(default_factory=dict)
    quiet: dict[str, list[float]] = field(default_factory=dict)  # seconds, by kind of traffic
    flooded: dict[str, list[float]] = field(default_factory=dict)
    issuing: float = 0.0  # seconds, the slowest `congvan send` meanwhile
    problems: list[str] = field(default_factory=list)
    shortfalls: list[str] = field(default_factory=list)


class Floods:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.form = options, QUICK if options.quick else FULL
        self.folder = Path(tempfile.mkdtemp(prefix="congvan-floods.", dir=options.work))
        self.journal = Journal(self.folder, sys.stderr if options.json else sys.stdout, "floods")
        self.plan = [flood for flood in FLOODS if self.size(flood)
                     and (not options.only or flood.name in options.only)]
        self.done: set[str] = set()
        self.results: list[Result] = []
        self.world: World | None = None

    def size(self, flood: Flood) -> int:
        count = flood.quick if self.options.quick else flood.full
        if self.options.only and flood.name in self.options.only:
            count = count or max(1, flood.full // 10)
        return max(1, round(count * self.options.scale)) if count else 0

    def run(self) -> int:
        begun, load = time.monotonic(), os.getloadavg()
        names = sorted({unit(flood) for flood in self.plan} | {hostile.UNIT})
        self.world = world = World(self.folder, Path(self.options.program), self.journal, names)
        self.journal.say(f"{len(self.plan)} floods, folder {self.folder}, load {load[0]:.1f}")
        for node in (world.victim, world.innocent):
            node.begin()
        self.innocents = Innocents(world.victim, world.innocent, self.folder, self.form.rest)
        self.innocents.traffic(rounds=1)  # connections, caches
        self.innocents.settle(30)
        checks = hostile.check(world, self.options.quick) if CHECKS in (self.options.only or [CHECKS]) else {}
        for name, text in checks.items():
            self.journal.say(f"{name}: {text or 'holds'}")
        for flood in self.plan:
            self.results.append(self.flood(flood))
        problems = [f"{name}: {text}" for name, text in checks.items() if text]
        problems += [f"{r.name}: {text}" for r in self.results for text in r.problems]
        problems += self.innocents.lost_or_twice() + self.journal.findings
        shortfalls = [f"{r.name}: {text}" for r in self.results for text in r.shortfalls]
        if not self.results and not checks:
            shortfalls.append("no flood at all")
        for node in (world.victim, world.innocent):
            node.end()
        problems += [text for text in self.journal.findings if text not in problems]
        return self.report({
            "form": "quick" if self.options.quick else "full", "scale": self.options.scale,
            "program": self.options.program, "minutes": round((time.monotonic() - begun) / 60, 1),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "loadBefore": [round(n, 1) for n in load],
            "loadAfter": [round(n, 1) for n in os.getloadavg()],
            "at": time.strftime("%Y-%m-%d %H:%M"),
            "innocents": len(self.innocents.pulses),
            "checks": checks, "floods": [asdict(result) for result in self.results],
            "problems": problems, "shortfalls": shortfalls})

    # One flood

    def flood(self, flood: Flood) -> Result:
        assert self.world
        world, result = self.world, Result(flood.name, flood.title)
        peer = world.peer(unit(flood))
        if flood.after and flood.after not in self.done:
            before = next(one for one in FLOODS if one.name == flood.after)
            peer.publish(before.make(peer, self.size(before)))
            self.done.add(before.name)
            self.drain(peer)
        if flood.asks:
            self.ask(peer, flood)
        messages = flood.make(peer, self.size(flood))
        quiet = self.innocents.traffic(rounds=self.form.rounds)
        self.innocents.settle(self.form.patience)
        if flood.is_queue_full:
            self.fill_up(peer, True)
        peer.seen.update(hashlib.sha256(body).hexdigest() for _, body, _ in peer.take())
        marks, began = world.marks(), time.time()
        stop = threading.Event()
        pause = min(flood.pause, 1) / 2 if self.options.quick else flood.pause
        sender = Publishing(peer, messages, pause)
        flooded = self.innocents.begin(stop)
        sender.start()
        sender.join()
        result.drainedSeconds = self.drain(peer, began)
        stop.set()
        pulses = flooded()
        self.innocents.settle(self.form.patience)
        if flood.is_queue_full:
            self.fill_up(peer, False)
        self.done.add(flood.name)
        self.measure(result, sender.sent, peer, marks)
        # A flood may be over at once: then the first documents beside it count.
        ended = began + max(2, result.drainedSeconds or self.form.patience)
        for kind in KINDS:
            result.quiet[kind] = self.innocents.seconds(quiet, kind)
            result.flooded[kind] = self.innocents.seconds(
                [pulse for pulse in pulses if pulse.began <= ended], kind)
        result.issuing = round(max((pulse.issuing for pulse in pulses), default=0.0), 1)
        self.judge(flood, result, sender)
        self.tell(result)
        return result

    def drain(self, peer: Peer, began: float = 0.0) -> float | None:
        """Waits until the victim has judged everything and has answered; seconds since `began`."""
        assert self.world
        deadline = time.monotonic() + self.form.patience
        calm = since = 0.0
        before = (-1, -1)
        while time.monotonic() < deadline:
            now = (self.world.waiting(), peer.count()[0])
            if now[0] or now != before:
                before, calm, since = now, 0.0, time.time()
            elif calm := time.time() - since:
                # What is unacknowledged or on its way is in none of the counts.
                if calm > 0.7:
                    return round(since - began, 1)
            time.sleep(0.2)
        return None

    def ask(self, peer: Peer, flood: Flood) -> None:
        """The victim sends the unit a document, and asks with a tally whether it is there."""
        assert self.world
        file = self.folder / "lon.pdf"
        file.write_bytes(b"%PDF-1.7\n" + os.urandom(self.asked_bytes(flood)))
        self.world.victim.run_cli(
            "send", str(file), "--to", peer.unit, "--number", "20/CV-CD", "--date", "2026-11-20",
            "--type", "Công văn", "--subject", "Văn bản lớn")
        file.unlink()
        wait_for(lambda: any(kind == "document" for kind, _, _ in peer.arrived), 60,
                 f"{peer.unit} does not get the victim's document")
        self.world.victim.run_cli("reconcile")
        wait_for(lambda: any(kind == "tally" for kind, _, _ in peer.arrived), 60,
                 f"{peer.unit} does not get the victim's tally")
        bodies = {kind: body for kind, body, _ in peer.arrived}
        tally = content_of(bodies["tally"])
        peer.asked = (tally["tallyId"], tally["entries"][0]["documentId"],
                      sha256(signed_content(bodies["document"])))

    def asked_bytes(self, flood: Flood) -> int:
        return (min(flood.asks, 3) if self.options.quick else flood.asks) * MEBIBYTE

    def fill_up(self, peer: Peer, is_full: bool) -> None:
        """The peer stops taking what comes, and its queues refuse more."""
        assert self.world
        path = f"/api/policies/{VHOST}/floods-full"
        peer.drain(not is_full)
        if is_full:
            self.world.broker.api("PUT", path, {
                "pattern": f"^congvan\\.(ordinary|express)\\.{peer.unit}$", "apply-to": "queues",
                "priority": 9, "definition": {"max-length": 1, "overflow": "reject-publish"}})
        else:
            self.world.broker.api("DELETE", path)

    def measure(self, result: Result, sent: Sent, peer: Peer, marks: Marks) -> None:
        assert self.world
        now = self.world.marks()
        result.sentMessages, result.sentBytes = sent.messages, sent.bytes
        result.sentSeconds = round(sent.ended - sent.began, 1)
        result.refusedByBroker = sent.refused
        result.cpuSeconds = round(now.cpu - marks.cpu, 1)
        result.databaseBytes = now.database - marks.database
        result.fileBytes = now.files - marks.files
        arrived = peer.take()
        result.backMessages = len(arrived)
        result.backBytes = sum(len(body) for _, body, _ in arrived)
        # Signatures: what is new of what came, or what the database has when some was not sent.
        fresh = {digest: (kind, body) for kind, body, _ in arrived if kind != "piece"
                 and (digest := hashlib.sha256(body).hexdigest()) not in peer.seen}
        peer.seen.update(fresh)
        per_document: dict[str, int] = {}
        for kind, body in fresh.values():
            if kind == "status":
                document = reference(body)
                per_document[document] = per_document.get(document, 0) + 1
        rows = self.world.victim.rows(
            "SELECT documentID, count(*) AS n FROM status WHERE direction = 'sent' AND toUnit = ? "
            "AND key > ? GROUP BY documentID", peer.unit, marks.status)
        answers = self.world.victim.rows(
            "SELECT count(*) AS n FROM notice WHERE tally IS NOT NULL AND signed IS NOT NULL "
            "AND toUnit = ? AND key > ?", peer.unit, marks.notice)[0]["n"]
        result.signatures = max(len(fresh), sum(row["n"] for row in rows) + answers)
        result.mostPerDocument = max([0, *per_document.values(), *(row["n"] for row in rows)])
        result.outcomes = {row["what"]: row["n"] for row in self.world.victim.rows(
            "SELECT ifnull(outcome, state) AS what, count(*) AS n FROM received WHERE sender = ? "
            "GROUP BY 1", peer.unit)}

    def judge(self, flood: Flood, result: Result, sender: "Publishing") -> None:
        problems, shortfalls = result.problems, result.shortfalls
        for kind in KINDS:
            quiet, flooded = result.quiet[kind], result.flooded[kind]
            if not quiet or not flooded:
                shortfalls.append(f"{kind}: measured {len(quiet)} times without and "
                                  f"{len(flooded)} times during the flood")
            elif (later := max(flooded) - max(quiet)) > LATER[kind]:
                problems.append(f"{kind}: {later:.1f} s later than without the flood, at most "
                                f"{LATER[kind]:g} s are allowed")
        most = MOST * result.sentBytes
        if flood.asks:  # once the document, and an eighth for what is signed
            most = max(most, int(1.125 * self.asked_bytes(flood)))
        if result.backBytes > most:
            problems.append(f"{result.backBytes} bytes came back for {result.sentBytes}, at most "
                            f"{most} are allowed")
        if result.mostPerDocument > 1:
            problems.append(f"{result.mostPerDocument} answers signed about one document id")
        if sender.failure:
            shortfalls.append(f"the flood broke off: {sender.failure}")
        if result.sentMessages < self.size(flood) * 0.8 / flood.entries:
            shortfalls.append(f"only {result.sentMessages} messages of {self.size(flood)} sent")
        if result.refusedByBroker > result.sentMessages / 10:
            shortfalls.append(f"the broker refused {result.refusedByBroker} messages of the flood")

    # Report

    def tell(self, result: Result) -> None:
        worst = ", ".join(
            f"{kind} {max(result.quiet[kind], default=0):.1f}→"
            f"{max(result.flooded[kind], default=0):.1f}" for kind in KINDS)
        self.journal.say(
            f"{result.name}: {result.sentMessages} sent in {result.sentSeconds} s, "
            f"{result.backMessages} back ({result.backBytes / max(1, result.sentBytes):.2f} × the "
            f"bytes), {result.signatures} signed, {result.cpuSeconds} s CPU, drained in "
            f"{result.drainedSeconds} s; {worst}; issuing {result.issuing}")
        self.journal.write("flood", **asdict(result))
        for text in result.problems + result.shortfalls:
            self.journal.tell(f"  {result.name}: {text}")

    def report(self, run: dict[str, Any]) -> int:
        (self.folder / "result.json").write_text(json.dumps(run, ensure_ascii=False, indent=1))
        print(json.dumps(run, ensure_ascii=False, indent=1) if self.options.json
              else flood_table.table([run]), flush=True)
        for text in run["problems"]:
            self.journal.tell(f"PROBLEM: {text}")
        for text in run["shortfalls"]:
            self.journal.tell(f"TOO LITTLE: {text}")
        if failed := bool(run["problems"] or run["shortfalls"]):
            self.journal.tell(f"FAILED. Kept: {self.folder} (result.json; province/{VICTIM}.log)")
        else:
            self.journal.tell(f"passed: {len(run['floods'])} floods, {run['innocents']} innocent "
                              f"documents, {run['minutes']} minutes")
        return int(failed)

    def close(self, keep: bool) -> None:
        if self.world:
            self.world.close()
        self.journal.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


class Publishing(threading.Thread):
    """The flood, sent beside everything else."""

    def __init__(self, peer: Peer, messages: Any, pause: float) -> None:
        super().__init__(daemon=True)
        self.peer, self.messages, self.pause = peer, messages, pause
        self.sent, self.failure = Sent(), ""

    def run(self) -> None:
        try:
            self.sent = self.peer.publish(self.messages, self.pause)
        except Exception as error:
            self.sent, self.failure = self.peer.sent, repr(error)


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy/floods", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller floods, the same bounds")
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="this flood (may be repeated): "
                        + ", ".join([CHECKS, *(flood.name for flood in FLOODS)]))
    parser.add_argument("--scale", type=float, default=1.0, help="times the size of each flood")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--keep", action="store_true", help="keep the folder in any case")
    parser.add_argument("--work", default=None, help="where the folder is made (default: TMPDIR)")
    parser.add_argument("--program", required=True, help="the congvan to try")
    options = parser.parse_args()
    if unknown := set(options.only or ()) - {flood.name for flood in FLOODS} - {CHECKS}:
        parser.error(f"no such flood: {', '.join(sorted(unknown))}")
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit(130))
    floods, keep = Floods(options), options.keep
    try:
        failed = floods.run()
        keep = keep or failed != 0
        return failed
    except Exception:
        keep = True
        floods.journal.tell(f"broke; kept: {floods.folder}")
        raise
    finally:
        floods.close(keep)


if __name__ == "__main__":
    sys.exit(main())
