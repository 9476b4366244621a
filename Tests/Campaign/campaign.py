#!/usr/bin/python3
"""The fault campaign: real nodes, a real broker, a stream of documents, and faults of every kind at
the same time. At the end everything is healed, and a checker looks from outside whether every
document arrived exactly once. Started by deploy/campaign."""

import argparse
import collections
import contextlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import faults
import fsync_order
import traffic
from broker import DEPLOY, VHOST, Broker, Cluster
from check import Checker, Verdict, leftovers
from journal import Journal
from meddler import Forgery, Meddler
from node import Node
from proxy import Proxy
from table import table

UNITS = [("LDLD-TINH", "Liên đoàn Lao động tỉnh", "", ""),
         ("CDCT-HUYEN", "Công đoàn cấp trên trực tiếp cơ sở", "LDLD-TINH", "cap-tren"),
         ("CDCS-MAY", "Công đoàn cơ sở Công ty May", "CDCT-HUYEN", "co-so"),
         ("CDCS-DET", "Công đoàn cơ sở Công ty Dệt", "CDCT-HUYEN", "co-so")]
QUIET = 40.0  # seconds without any progress, and without a retry in sight: then nothing moves it
LIMIT = 900.0  # seconds for everything to become final after the last fault
PER_MINUTE = 20_000 / 30  # documents that must have been issued
MOST_MIB, MOST_FILES = 300, 256  # of one node, however many documents


class Campaign:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="congvan-campaign.", dir=options.work))
        # With --json only the result goes to stdout.
        self.journal = Journal(self.folder, sys.stderr if options.json else sys.stdout)
        self.province = self.folder / "province"
        self.nodes: list[Node] = []
        self.broker: Broker | None = None
        self.meddler: Meddler | None = None
        self.mounts: list[Path] = []
        self.recovery = self.minutes = 0.0
        self.rescued = 0
        self.shortfalls: list[str] = []
        self.order = fsync_order.Order()
        self.forgeries: set[Forgery] = set()
        self.person: collections.Counter[str] = collections.Counter()

    # World

    def build(self) -> None:
        """The units, their folders and the broker; `deploy/province` does most of it."""
        units = ["|".join(unit) for unit in UNITS]
        command = [DEPLOY / "province", "make", self.province, self.options.program, *units]
        if self.options.cluster:
            command.insert(2, "--cluster")
        shim = self._clock_shim()
        environment = dict(os.environ)
        if shim:  # certificates of yesterday: a clock that jumps back must not make them too young
            past = self.folder / "past.clock"
            past.write_bytes(struct.pack("q", -86_400 * 1_000_000))
            environment |= {"LD_PRELOAD": str(shim), "CAMPAIGN_CLOCK": str(past)}
        self._run(*command, environment=environment)
        kind = Cluster if self.options.cluster else Broker
        self.broker = kind(self.province / "broker")
        for unit, *_ in UNITS:
            proxy = Proxy(self.broker.tls)
            self.nodes.append(Node(unit, self.province / unit, Path(self.options.program), proxy,
                                   self.journal, shim))

    @staticmethod
    def _run(*command: object, environment: dict[str, str]) -> None:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                              env=environment)
        if done.returncode:
            raise SystemExit(f"campaign: {command[0]}: {done.stderr.strip()[-2000:]}")

    def _clock_shim(self) -> Path | None:
        """Clock steps need a C compiler; without one the campaign does without them."""
        compiler = shutil.which("cc") or shutil.which("clang")
        if not compiler:
            return None
        shim = self.folder / "clockstep.so"
        source = Path(__file__).with_name("clockstep.c")
        done = subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim, source])
        return shim if done.returncode == 0 else None

    def _small_disk(self, node: Node) -> bool:
        """Puts a node's folder on a small file system of its own, when we may."""
        aside = node.folder.with_suffix(".aside")
        node.folder.rename(aside)
        node.folder.mkdir(mode=0o700)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g,mode=700", "tmpfs",
                               str(node.folder)], capture_output=True)
        if done.returncode:
            node.folder.rmdir()
            aside.rename(node.folder)
            return False
        self.mounts.append(node.folder)
        shutil.copytree(aside, node.folder, dirs_exist_ok=True)
        shutil.rmtree(aside)
        return True

    # The campaign

    def run(self) -> int:
        options, journal = self.options, self.journal
        journal.say(f"seed {options.seed} (again: {options.again}), folder {self.folder}")
        self.build()
        assert self.broker
        disk = self._small_disk(self.nodes[-1]) if not options.short else False
        meddler = Meddler(self.nodes, self.broker, self.province / "passwords")
        self.meddler, self.forgeries = meddler, meddler.forgeries
        seconds = options.minutes * 60
        plan = faults.Faults(self.nodes, self.broker, meddler, journal, options.seed, seconds,
                             options.short)
        plan.definitions = self.province / "definitions.json"
        plan.disk_node = self.nodes[-1] if disk else None
        stream = traffic.Traffic(
            self.nodes, journal, self.folder, options.seed,
            traffic.SHORT if plan.is_systematic else traffic.LONG, options.documents / seconds,
            options.documents, choose=plan.choose if plan.is_systematic else None)
        journal.say(f"{len(self.nodes)} nodes, {len(self.broker.members)} broker(s), "
                    + (f"at most {options.minutes:g} minutes" if options.short else
                       f"about {options.documents} documents in {options.minutes:g} minutes"))
        plan.start()  # before the nodes, so that their first start may be armed
        for node in self.nodes:
            node.begin()
        stream.start()
        self.endure(plan, stream, seconds)
        stream.finish()
        plan.finish()
        self.minutes = (time.monotonic() - stream.begun) / 60
        journal.say("the faults stop, everything is healed")
        plan.heal()
        healed = time.monotonic()
        stream.take_back_between_all()
        self.recovery = self.settle() - healed
        journal.say(f"the last movement was {self.recovery:.1f} s after the last fault")
        waiting = self.open_work().get("published", 0)
        self.reconcile(wait=5)
        self.rescued = waiting - self.open_work().get("published", 0)
        tallies: list[str] = []
        for _ in range(3):  # what comes again may meet a second cause, as an altered piece
            self.act_as_person()
            answered = sum(stream.answer(node, stream.rng) for node in self.nodes)
            tallies = self.reconcile()
            if not tallies and not answered and not any(self._failed(n) for n in self.nodes):
                break
        for node in self.nodes:
            node.end()
        journal.say("checking from outside")
        stream.ask_again({node.unit: node for node in self.nodes})
        verdict = Checker(self.nodes, stream.documents, meddler.forgeries, journal,
                          self.province / "ca" / "ca.pem", options.seed).run()
        verdict.wrong += tallies
        self.sweep(verdict)
        if plan.is_systematic:
            self.check_order(verdict)
        self.shortfalls += plan.shortfalls()
        if not options.short and verdict.documents < options.least:
            self.shortfalls.append(f"{verdict.documents} documents instead of {options.least}")
        return self.report(verdict)

    def endure(self, plan: faults.Faults, stream: traffic.Traffic, seconds: float) -> None:
        """Until the time is over, or the short form has all it wants. A machine that is too slow
        for the documents gets a quarter more time."""
        begun = said = time.monotonic()
        while (now := time.monotonic()) < begun + 1.25 * seconds and not plan.is_done():
            issued = sum(1 for document in list(stream.documents) if document.id)
            if now > begun + seconds and (self.options.short or issued >= self.options.least):
                break
            for node in self.nodes:
                node.sample()
            if now > said + 30:
                said = now
                self.journal.say(
                    f"{issued} documents, {self.journal.faults.total()} faults, "
                    f"{self.journal.crash_hits.total()} crash points, "
                    f"{len(self.journal.findings)} findings; open {self.open_work()}")
            time.sleep(0.5)

    # Waiting

    def open_work(self) -> dict[str, int]:
        """What is not final, by kind, over all nodes."""
        counts: collections.Counter[str] = collections.Counter()
        for node in self.nodes:
            with contextlib.suppress(Exception):
                for row in node.rows("""
                        SELECT state, count(*) AS n FROM delivery
                          WHERE state IN ('queued', 'published', 'retrying') GROUP BY state
                        UNION ALL SELECT 'notice ' || state, count(*) FROM notice
                          WHERE state IN ('queued', 'retrying') GROUP BY state
                        UNION ALL SELECT 'in ' || state, count(*) FROM received
                          WHERE state IN ('received', 'verified', 'incomplete') GROUP BY state"""):
                    counts[row["state"]] += row["n"]
        return dict(counts)

    def _retry_in_sight(self) -> bool:
        rows = [row for node in self.nodes for row in node.rows(
            "SELECT 1 FROM delivery WHERE state = 'retrying' UNION ALL "
            "SELECT 1 FROM notice WHERE state = 'retrying'")]
        return bool(rows)

    def settle(self) -> float:
        """Waits until all is final, or until nothing moves what is not; when it moved last."""
        begun = moved = time.monotonic()
        before: dict[str, int] = {}
        looks = 0  # in a row at which nothing was open
        while looks < 2:
            now = self._open_everywhere()
            looks = 0 if now else looks + 1
            if now != before:
                before, moved = now, time.monotonic()
            if not now:
                time.sleep(0.5)  # what a node just took from its queue is in its database by then
                continue
            quiet = time.monotonic() - moved
            if (quiet > QUIET and not self._retry_in_sight()) or time.monotonic() - begun > LIMIT:
                self.journal.say(f"no progress for {quiet:.0f} s: {now}")
                return moved
            time.sleep(0.25)
        return moved

    def _open_everywhere(self) -> dict[str, int]:
        """`open_work`, and when there is none, what waits in the queues: it may only be a duplicate,
        but it has to end."""
        counts = self.open_work()
        if counts or not self.meddler:
            return counts
        try:
            waiting = self.meddler.waiting()
        except Exception as error:  # the broker is not back yet
            return {f"queues cannot be seen: {type(error).__name__}": 1}
        return {"in queues": waiting} if waiting else {}

    def reconcile(self, wait: float = 60) -> list[str]:
        """Every unit sends its tally, as it does by itself once a day; says what then does not
        agree. A receipt or a document that got lost comes again through this."""
        begun = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        for node in self.nodes:
            node.run_cli("reconcile")
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline and any(
                (pair["answeredAt"] or "") < begun for _, pair in self._pairs()):
            time.sleep(0.5)
        self.settle()
        return [f"{unit} and {pair['unit']}: {pair['sent']} sent, {pair['receipts']} receipts, "
                f"{pair['missing']} missing, tally answered {pair['answeredAt']}"
                for unit, pair in self._pairs() if pair["missing"]
                or pair["sent"] != pair["receipts"] or (pair["answeredAt"] or "") < begun]

    def _pairs(self) -> list[tuple[str, dict[str, Any]]]:
        return [(node.unit, pair) for node in self.nodes
                for pair in json.loads(node.run_cli("reconcile", "--show", "--json"))]

    @staticmethod
    def _failed(node: Node) -> list[Any]:
        return node.rows("SELECT state, lastError FROM delivery JOIN document ON document.key = "
                         "delivery.document WHERE state IN ('suspended', 'refused', 'expired') AND "
                         "frozen IS NULL AND lastError IS NOT 'REFUSED-BY-PERSON'")

    def act_as_person(self) -> None:
        """What is suspended or refused is named; a person repairs and sends it again. Receipts that
        the broker refused go again after an hour or a restart; here an operator restarts."""
        for node in self.nodes:
            for row in self._failed(node):
                self.person[f"{row['state']} {row['lastError']}"] += 1
            refused = node.rows("SELECT lastError FROM notice WHERE state = 'suspended'")
            self.person.update(f"own notice {row['lastError']}" for row in refused)
            if refused:
                node.terminate()
            if self._failed(node):
                node.run_cli("resend", "--failed", "--reason", "chiến dịch: đã sửa")
        if self.person:
            self.journal.say(f"a person sends again: {dict(self.person)}")
            self.settle()

    def sweep(self, verdict: Verdict) -> None:
        """Leftovers of a crash are young; two hours later the next start must remove them all."""
        if not verdict.leftovers:
            return
        old = time.time() - 7200
        for node in self.nodes:
            for path in leftovers(node):
                os.utime(path, (old, old))
            node.begin()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and any(leftovers(node) for node in self.nodes):
            time.sleep(0.2)
        for node in self.nodes:
            node.end()
            for path in leftovers(node):
                verdict.wrong.append(f"{node.unit}: the sweep left {path}")

    def check_order(self, verdict: Verdict) -> None:
        if not shutil.which("strace"):
            self.shortfalls.append("no strace here, so the order of sync and ack was not seen")
            return
        assert self.broker
        receiver = self.nodes[2]
        password = self.province / "passwords" / f"{receiver.unit}.password"
        self.order = fsync_order.trace(receiver, self.nodes[0], password,
                                       self.broker.plain[0][1], self.folder)
        if self.order.unsynced or not self.order.acks or not self.order.syncs:
            verdict.wrong.append(f"strace: {self.order}")

    # Report

    def report(self, verdict: Verdict) -> int:
        journal, options = self.journal, self.options
        mebibytes = max(node.peak_kib for node in self.nodes) // 1024
        files = max(node.peak_files for node in self.nodes)
        if mebibytes > MOST_MIB or files > MOST_FILES:
            verdict.wrong.append(f"a node had {mebibytes} MiB and {files} open files")
        counts = dict(sorted(journal.faults.items()))
        result = {
            "seed": options.seed, "form": "short" if options.short else "long",
            "minutes": round(self.minutes, 1), "cluster": options.cluster,
            "documents": verdict.documents, "deliveries": verdict.deliveries,
            "delivered": verdict.delivered, "refusedByPerson": verdict.refused,
            "takenBackBeforeArrival": verdict.withdrawn, "takeBacksAnswered": verdict.answers,
            "lost": len(verdict.lost),
            "twice": len(verdict.twice), "stuck": len(verdict.stuck),
            "wrong": len(verdict.wrong), "findings": len(journal.findings),
            "recoverySeconds": round(self.recovery, 1), "bytesStored": verdict.bytes,
            "duplicatesAbsorbed": verdict.duplicates, "disbelieved": verdict.disbelieved,
            "sentAgainByReconciliation": verdict.sent_again,
            "finishedByReconciliation": self.rescued,
            "sentAgainByPerson": dict(self.person), "peakMiB": mebibytes, "peakFiles": files,
            "acksTraced": self.order.acks, "acksBeforeSync": self.order.unsynced,
            "leftoversSwept": verdict.leftovers,
            "signaturesCheckedByOpenSSL": verdict.signatures,
            "faults": counts, "faultCount": sum(counts.values()),
            "crashPoints": {p: journal.crash_hits[p] for p in faults.CRASH_POINTS},
            "crashPointsMissed": dict(journal.crash_misses), "notes": dict(journal.notes)}
        problems = verdict.lost + verdict.twice + verdict.stuck + verdict.wrong + journal.findings
        result["shortfalls"] = self.shortfalls
        result["problems"] = problems[:200]
        forgeries = [list(vars(f).values()) for f in self.forgeries]
        (self.folder / "forgeries.json").write_text(json.dumps(forgeries))
        (self.folder / "restored.json").write_text(json.dumps(journal.restored))
        (self.folder / "result.json").write_text(json.dumps(result, ensure_ascii=False, indent=1))
        print(json.dumps(result, ensure_ascii=False, indent=1) if options.json
              else table([result]), flush=True)
        for text in problems[:25]:
            journal.tell(f"PROBLEM: {text}")
        for text in self.shortfalls:
            journal.tell(f"TOO LITTLE: {text}")
        failed = bool(problems or self.shortfalls) or verdict.documents == 0
        if failed:
            journal.tell(f"FAILED. Kept: {self.folder} (journal.jsonl: faults in time; "
                         "ledger.jsonl: documents; province/UNIT.log: what the nodes said; "
                         "province/UNIT/congvan.db: congvan show ID --dir …). "
                         f"The same plan again: {self.options.again}")
        else:
            journal.tell(f"passed, seed {options.seed}")
        return int(failed)

    def close(self, keep: bool) -> None:
        """Nothing is left running or mounted; the folder stays only for a failure."""
        for node in self.nodes:
            node.abort()
            node.proxy.close()
        broker = self.province / "broker"
        if keep and self.mounts:  # what is in memory would go with the mount
            for mount in self.mounts:
                shutil.copytree(mount, mount.with_suffix(".kept"), dirs_exist_ok=True)
        for mount in self.mounts:
            subprocess.run(["umount", str(mount)], check=False)
            if keep:
                with contextlib.suppress(OSError):
                    mount.rmdir()
                    mount.with_suffix(".kept").rename(mount)
        if broker.exists():
            script = "cluster" if self.options.cluster else "broker"
            if keep and (broker / "log").exists():
                shutil.copytree(broker / "log", self.folder / "broker-log", dirs_exist_ok=True)
            subprocess.run([DEPLOY / script, "remove", broker], capture_output=True, check=False)
        self.journal.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy/campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=None,
                        help="of faults (default 10; in the short form at most, default 12)")
    parser.add_argument("--seed", type=int, default=None, help="of the plan (default: random)")
    parser.add_argument("--documents", type=int, default=None, help="default: 740 per minute")
    parser.add_argument("--short", action="store_true",
                        help=f"until every crash point was killed {faults.LEAST_KILLS} times; with "
                        f"--cluster until {faults.LEAST_LEADERS} leaders were killed")
    parser.add_argument("--cluster", action="store_true", help="three brokers, quorum queues")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--keep", action="store_true", help="keep the folder in any case")
    parser.add_argument("--work", default=None, help="where the folder is made (default: TMPDIR)")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.minutes = options.minutes or (12 if options.short else 10)
    options.least = int(options.documents * 0.9 if options.documents
                        else options.minutes * PER_MINUTE)
    options.documents = options.documents or int(options.minutes * 740)
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(3), "big")
    kind = "--short" if options.short else f"--minutes {options.minutes:g}"
    options.again = (f"deploy/campaign {kind}{' --cluster' * options.cluster} "
                     f"--seed {options.seed}")
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit(130))
    campaign = Campaign(options)
    keep = options.keep
    try:
        status = campaign.run()
        keep = keep or status != 0
        return status
    except KeyboardInterrupt:
        return 130
    except SystemExit:
        raise
    except BaseException:
        keep = True
        campaign.journal.tell(f"broke; kept: {campaign.folder}")
        raise
    finally:
        campaign.close(keep)


if __name__ == "__main__":
    sys.exit(main())
