#!/usr/bin/python3
"""Does the checker see what it is there to see? Takes the folder of a campaign that was kept
(--keep), damages copies of its databases in one way each, and expects the checker to say so. And
does a campaign that did too little fail, does the same seed make the same plan, and is an end of a
process a finding exactly when nothing that was done to it explains it?"""

import itertools
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, cast

import check as checking
import faults
import fsync_order
from check import Checker, Verdict
from journal import Journal
from meddler import Forgery
from node import DISK_FULL, Life, Node
from proxy import Proxy
from traffic import Document

UNITS = ["LDLD-TINH", "CDCT-HUYEN", "CDCS-MAY", "CDCS-DET"]


class StillNode(Node):
    """A node that is only looked at."""

    def __init__(self, unit: str, folder: Path, journal: Journal) -> None:
        self.unit, self.folder, self.journal = unit, folder, journal

    def run_cli(self, *arguments: str) -> str:
        return '{"signature": "hợp lệ", "state": "accepted"}'


def copy(source: Path, target: Path) -> None:
    """A world of its own for the database; its content files are only read."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_dir():
            (target / path.name).symlink_to(path.resolve())
        else:
            shutil.copy(path, target)


def damage(folder: Path, statements: list[str]) -> None:
    database = sqlite3.connect(folder / "congvan.db")
    database.executescript("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF")
    triggers = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, in triggers:
        database.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        assert database.execute(statement).rowcount != 0, statement
    database.commit()
    database.close()


SOME = "(SELECT max(key) FROM document WHERE direction = 'incoming')"
SENT = "(SELECT max(key) FROM delivery WHERE state = 'delivered')"
EARLY = "(SELECT min(key) FROM delivery WHERE state = 'delivered')"
MAY = "CDCS-MAY"
# What is done, where the verdict must show it, and the words by which it is seen: another check
# than the one that is meant must not answer for it.
DAMAGES: list[tuple[str, str, str, list[str]]] = [
    ("the receiver lost an accepted document", "lost", "has not accepted", [
        f"DELETE FROM received WHERE document = {SOME}",
        f"DELETE FROM document WHERE key = {SOME}"]),
    ("the sender lost an issued document", "lost", "does not know it", [
        "DELETE FROM document WHERE key = (SELECT max(document) FROM delivery)"]),
    ("a delivery without its receipt", "wrong", "0 receipts", [
        "DELETE FROM status WHERE direction = 'received' AND code = '01' AND document = "
        f"(SELECT document FROM delivery WHERE key = {SENT})"]),
    ("two receipts for a document that nobody had forgotten", "wrong", "2 receipts", [
        f"UPDATE status SET document = (SELECT document FROM delivery WHERE key = {EARLY}), "
        f"fromUnit = (SELECT recipient FROM delivery WHERE key = {EARLY}) WHERE key = (SELECT "
        "max(key) FROM status WHERE direction = 'received' AND code = '01' AND document <> "
        f"(SELECT document FROM delivery WHERE key = {EARLY}))"]),
    ("a document waits for ever", "stuck", ": published", [
        f"UPDATE delivery SET state = 'published' WHERE key = {SENT}"]),
    ("delivered, and the receiver refused", "lost", "has not accepted", [
        f"UPDATE received SET state = 'quarantined', outcome = 'X' WHERE document = {SOME}"]),
    ("the same document under two ids", "twice", "2 times", [
        "UPDATE document SET subject = (SELECT subject FROM document WHERE direction = 'incoming' "
        f"AND sender = (SELECT sender FROM document WHERE key = {SOME}) ORDER BY key LIMIT 1) "
        f"WHERE key = {SOME}"]),
    ("altered content", "wrong", "is not itself", [
        "UPDATE blob SET content = zeroblob(size) WHERE rowid = "
        "(SELECT max(rowid) FROM blob WHERE content IS NOT NULL)"]),
    ("altered manifest", "wrong", "other bytes", [
        f"UPDATE document SET signed = CAST(signed || x'00' AS BLOB) WHERE key = {SOME}"]),
    ("an illegal step in a history", "wrong", "is not allowed", [
        "UPDATE history SET toState = 'expired' WHERE key = (SELECT max(key) FROM history "
        "WHERE subject = 'received' AND toState = 'accepted')"]),
    ("a receipt that was never sent", "stuck", "notices not sent", [
        "UPDATE notice SET state = 'queued' WHERE key = (SELECT max(key) FROM notice)"]),
    ("an honest message disbelieved", "wrong", "nobody altered it", [
        "UPDATE received SET state = 'quarantined', outcome = 'SIGNATURE-UNTRUSTED' WHERE key = "
        "(SELECT max(key) FROM received WHERE document IS NULL AND state = 'accepted')"]),
    ("a status disbelieved for ever because of a clock", "wrong", "nobody altered it", [
        "UPDATE received SET state = 'quarantined', outcome = 'SIGNATURE-TIME-IN-FUTURE' WHERE key "
        "= (SELECT max(key) FROM received WHERE type = 'congvan.status' AND state = 'accepted')"]),
    ("a document taken back by nobody", "wrong", "nobody took it back", [
        "UPDATE document SET frozen = 'recalled', frozenAt = 1 WHERE key = (SELECT max(key) FROM "
        "document d WHERE direction = 'incoming' AND frozen IS NULL AND NOT EXISTS (SELECT 1 FROM "
        "status WHERE status.document = d.key AND code IN ('02', '13')))"]),
    ("a take-back that never came", "wrong", "has 0 take-backs", [
        "DELETE FROM status WHERE key = (SELECT max(status.key) FROM status JOIN received ON "
        "received.document = status.document WHERE direction = 'received' AND code = '13')"]),
    ("an answer to a take-back of ours that never came", "wrong", "is not at the sender", [
        "DELETE FROM status WHERE direction = 'received' AND code IN ('15', '16')"]),
    ("a refusal by nobody", "stuck", "REFUSED-BY-PERSON", [
        "UPDATE delivery SET state = 'refused', lastError = 'REFUSED-BY-PERSON' WHERE key = "
        "(SELECT max(d.key) FROM delivery d JOIN document ON document.key = d.document WHERE d.state "
        "= 'delivered' AND frozen IS NULL AND NOT EXISTS (SELECT 1 FROM status WHERE "
        "status.document = d.document AND code IN ('02', '13')))"]),
    ("content without a row", "leftovers", "", [
        "DELETE FROM blob WHERE rowid = (SELECT max(rowid) FROM blob WHERE content IS NULL)"]),
]


def check(world: Path, folder: Path, journal: Journal, only: str = "") -> Verdict:
    """The whole check, with fewer calls of openssl: what they find is tested elsewhere."""
    checking.OPENSSL_SAMPLE = 1
    documents = [Document(**json.loads(line)) for line in open(folder / "ledger.jsonl")]
    for document in documents:
        document.files = [(name, size, digest) for name, size, digest in document.files]
    journal.restored = [tuple(r) for r in json.loads((folder / "restored.json").read_text())]
    forgeries = {Forgery(*f[:4], tuple(f[4])) for f in json.loads((folder / "forgeries.json").read_text())}
    nodes: list[Node] = [StillNode(unit, world / unit, journal) for unit in UNITS]
    return Checker(nodes, documents, forgeries, journal, folder / "province/ca/ca.pem", 1).run(only)


def order_is_seen(scratch: Path) -> bool:
    """An acknowledgement before the sync of its own thread, among others that are in order."""
    path = "".join(f"\\x{ord(c):02x}" for c in "/n/congvan.db-wal")
    ack = 'sendto(9<x>, "\\x01\\x00\\x01\\x00\\x00\\x00\\x0d\\x00\\x3c\\x00\\x50", 21) = 21'
    sync = f"fdatasync(7<{path}>) = 0"
    file = scratch / "strace.txt"
    file.write_text("\n".join(["1 " + sync, "1 " + ack, "2 " + sync, "1 " + ack, "2 " + ack]))
    found = fsync_order.judge(file)
    return (found.acks, found.syncs, found.unsynced) == (3, 2, 1)


def plan_is_seeded() -> bool:
    """The same seed, the same plan, whatever the faults draw; another seed, another plan."""
    def plan(seed: int, greedy: bool) -> list[object]:
        kinds: list[faults.Kind] = [(2, "a", lambda rng: True), (3, "b", lambda rng: True)]
        found: list[object] = []
        for pause, kind, rng in itertools.islice(
                faults.schedule(seed, "lane", (1, 9), kinds), 30):
            found.append((pause, kind[1], rng.random()))
            if greedy:
                rng.random()
        return found
    return plan(7, False) == plan(7, True) != plan(8, False)


def shortfall_is_seen(scratch: Path) -> bool:
    """A short form that reached every point often enough but one, and one that reached all."""
    journal = Journal(scratch)
    plan = faults.Faults([], cast(Any, None), cast(Any, None), journal, 1, 60, short=True)
    journal.crash_hits.update(dict.fromkeys(faults.CRASH_POINTS, faults.LEAST_KILLS))
    enough = plan.is_done()
    journal.crash_hits["ack.after"] -= 1
    found = plan.shortfalls()
    journal.close()
    return enough and not plan.is_done() and len(found) == 1 and "ack.after" in found[0]


KILLED, ENDED, REFUSED_TO_START = -signal.SIGKILL, -signal.SIGTERM, 1
# What was done to a process, in this order; whether it had said that it started; how it ended;
# whether that is a finding.
ENDS: list[tuple[list[int], bool, int, bool]] = [
    ([signal.SIGKILL], True, KILLED, False),
    ([signal.SIGKILL, signal.SIGTERM], True, KILLED, False),  # the second fault overtakes the first
    ([signal.SIGTERM, signal.SIGKILL], True, KILLED, False),
    ([signal.SIGTERM, signal.SIGKILL], True, 0, False),
    ([signal.SIGTERM], True, 0, False),
    ([signal.SIGTERM], False, ENDED, False),
    ([signal.SIGTERM], True, ENDED, True),
    ([signal.SIGTERM], True, KILLED, True),
    ([signal.SIGKILL], True, ENDED, True),
    ([signal.SIGKILL], True, 0, True),
    ([signal.SIGTERM, signal.SIGKILL], True, REFUSED_TO_START, True),
    ([], True, KILLED, True), ([], True, 0, True), ([], True, REFUSED_TO_START, True)]


def watched_node(scratch: Path, name: str) -> tuple[Node, Journal]:
    """A node whose process only waits for SIGTERM, with a journal of its own."""
    folder = scratch / name
    folder.mkdir()
    program = folder / "program"
    program.write_text("#!/usr/bin/python3\nimport signal, sys\n"
                       "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
                       "print('node started', flush=True)\nsignal.pause()\n")
    program.chmod(0o700)
    journal = Journal(folder, progress=open(folder / "progress", "w"))
    return Node(name, folder / "node", program, cast(Proxy, PortOnly()), journal, None), journal


class PortOnly:
    port = 1


def ends_are_judged(scratch: Path) -> bool:
    """Every row of ENDS, and refusals to start during a trouble, just after one, and long after."""
    node, journal = watched_node(scratch, "ends")
    wrong = 0

    def is_finding(done: list[int], started: bool, code: int, begun: float) -> bool:
        node.log_path.write_text("--- start\n" + "node started\n" * started)
        before = len(journal.findings)
        node.judge_end(Life(cast(Any, None), None, 0, begun, set(done)), code)
        return len(journal.findings) > before

    now = time.monotonic()
    for done, started, code, expected in ENDS:
        wrong += is_finding(done, started, code, now - 60) != expected
    for begun, end, expected in ((now - 60, float("inf"), False), (now - 60, now - 1, False),
                                 (now - 1, now - 5, True), (now - 60, now - 50, True)):
        node.troubles = [(DISK_FULL, now - 100, end), (DISK_FULL, now - 200, now - 150)]
        wrong += is_finding([], False, REFUSED_TO_START, begun) != expected
    journal.close()
    return wrong == 0


def faults_overtake_each_other(scratch: Path) -> bool:
    """Real processes, and faults of two lanes at the same moment: no end of theirs is a finding, and
    one that nobody caused is."""
    node, journal = watched_node(scratch, "overtaken")
    node.begin()

    def wait(condition: Any) -> None:
        deadline = time.monotonic() + 30
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.005)

    for number in range(12):
        restarts = node.restarts
        wait(lambda: node.is_running)
        with node.lock:  # the supervisor cannot judge the first before the second came
            life = node.life
            node.kill()
            assert life
            life.expected.add(signal.SIGTERM)
            life.process.wait(30)
        lanes = [threading.Thread(target=node.terminate if (number + lane) % 2 else node.kill)
                 for lane in range(3)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        wait(lambda: node.restarts > restarts)
    expected = [text for text in journal.findings if "ended with" in text]
    wait(lambda: node.is_running)
    before = len(journal.findings)
    life = node.life
    assert life
    subprocess.run(["kill", "-KILL", str(life.process.pid)], check=True)
    wait(lambda: len(journal.findings) > before)
    seen = len(journal.findings) - before
    node.abort()
    journal.close()
    return not expected and seen == 1


def main() -> int:
    folder = Path(sys.argv[1])
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        journal = Journal(Path(scratch))
        for name, seen in (("an acknowledgement before its sync", order_is_seen(Path(scratch))),
                           ("a campaign that did too little", shortfall_is_seen(Path(scratch))),
                           ("ends that nobody caused, and no others",
                            ends_are_judged(Path(scratch))),
                           ("faults that overtake each other",
                            faults_overtake_each_other(Path(scratch))),
                           ("the same seed, the same plan", plan_is_seeded())):
            print(f"{'seen' if seen else 'NOT SEEN'}: {name}")
            failed += not seen
        clean = check(folder / "province", folder, journal)
        print(f"as it was: {'clean' if clean.is_clean else 'NOT CLEAN'}")
        failed += not clean.is_clean
        clean = check(folder / "province", folder, journal, MAY)
        for name, member, says, statements in DAMAGES:
            world = Path(scratch) / "world"
            copy(folder / "province" / MAY, world / MAY)
            for unit in UNITS:
                if unit != MAY:
                    (world / unit).symlink_to((folder / "province" / unit).resolve())
            damage(world / MAY, statements)
            found = getattr(check(world, folder, journal, MAY), member)
            if isinstance(found, int):
                seen, shown = found > getattr(clean, member), str(found)
            else:
                shown = next((text for text in found if says in text), "")
                seen = bool(shown)
            print(f"{'seen' if seen else 'NOT SEEN'}: {name}: {shown}")
            failed += not seen
            shutil.rmtree(world)
        journal.close()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
