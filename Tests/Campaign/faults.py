"""The seeded plan of faults. Each lane runs its own faults one after another; the lanes run at the
same time, so that the broker may die while a node is frozen and a line is cut.

What a seed repeats: the documents, and for every lane the order of its faults, the pauses between
them and what each draws (`schedule`). What it cannot: the moments at which the lanes and the
processes meet, because they are real, and so what a fault finds there – the connections to cut, the
messages to repeat. In the short form crash points are taken in the order in which the machine
reaches them. A failure is therefore read from the journal and the folder that is kept.
"""

import contextlib
import json
import os
import random
import shutil
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from broker import VHOST, Broker, Cluster
from journal import Journal
from meddler import Meddler
from node import DISK_FULL, READ_ONLY, Arm, Node
from proxy import DOWN, UP

CRASH_POINTS = [
    "issue.before-commit", "issue.after-commit", "intake.before-commit", "intake.after-commit",
    "judge.before-commit", "judge.after-commit", "settle.before-commit", "settle.after-commit",
    "assemble.before-commit", "assemble.after-commit", "content.before-sync",
    "content.before-rename", "content.after-rename", "spool.before-sync", "spool.after-sync",
    "publish.before", "publish.after", "confirm.after", "ack.before", "ack.after"]
NODE_POINTS = [point for point in CRASH_POINTS if not point.startswith("issue.")]
RARE = ("assemble.", "content.", "spool.")  # passed only by large files
LEAST_KILLS = 20  # at every crash point, in the short form
LEAST_LEADERS = 4  # killed in the short form of a cluster
LEADER, QUEUE, RESTORE = ("cluster: leader kill -9", "broker: queue deleted",
                          "broker: restored from an old backup")
FULL_POLICY = f"/api/policies/{VHOST}/campaign-full"
RECEIVER = "node: receiver restored from an old backup"
Kind = tuple[int, str, Callable[[random.Random], bool]]  # share, name, action


@dataclass
class Pace:
    """Seconds between the faults of a lane: (least, most)."""

    nodes: tuple[float, float]
    network: tuple[float, float]
    broker: tuple[float, float]
    messages: tuple[float, float]


LONG = Pace((1, 6), (1, 6), (5, 20), (2, 8))
SHORT = Pace((2, 6), (3, 8), (12, 20), (2, 5))
SHORT_CLUSTER = Pace((2, 6), (3, 8), (1, 3), (2, 5))


def schedule(seed: int, lane: str, pace: tuple[float, float], kinds: list[Kind]
             ) -> Iterator[tuple[float, Kind, random.Random]]:
    """Pauses and faults of one lane. A fault has chances of its own, so that what it meets does not
    change what comes after it."""
    rng = random.Random(f"{seed}/{lane}")
    while True:  # every kind in its share, in a random order: rare kinds come too
        bag = [kind for kind in kinds for _ in range(kind[0])]
        rng.shuffle(bag)
        for kind in bag:
            yield rng.uniform(*pace), kind, random.Random(rng.getrandbits(64))


class Faults:
    def __init__(self, nodes: list[Node], broker: Broker, meddler: Meddler, journal: Journal,
                 seed: int, seconds: float, short: bool) -> None:
        self.nodes, self.broker, self.meddler, self.journal = nodes, broker, meddler, journal
        self.seed, self.seconds, self.short = seed, seconds, short
        self.is_cluster = isinstance(broker, Cluster)
        self.pace = (SHORT_CLUSTER if self.is_cluster else SHORT) if short else LONG
        # Every crash point in turn; a cluster is there for other faults.
        self.is_systematic = short and not self.is_cluster
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.turn: dict[str, int] = dict.fromkeys(CRASH_POINTS, 0)
        self.disk_node: Node | None = None
        self.definitions = Path()
        self.threads: list[threading.Thread] = []

    # Running

    def start(self) -> None:
        for node in self.nodes if self.is_systematic else []:
            node.armer = self.next_arm
            self._thread(f"crash {node.unit}", self._crash_lane, node)
        for name, (pace, kinds) in self.lanes().items():
            self._thread(name, self._lane, name, pace, kinds)
        if not self.short:
            self._thread("receiver", self.receiver_lane)

    def lanes(self) -> dict[str, tuple[tuple[float, float], list[Kind]]]:
        lanes: dict[str, tuple[tuple[float, float], list[Kind]]] = {
            "network": (self.pace.network, [
                (4, "net: cut one connection", self.cut_one),
                (2, "net: cut all connections", self.cut_all),
                (4, "net: cut at a random byte", self.cut_after),
                (3, "net: black hole", self.black_hole),
                (3, "net: publishes and acks held, then cut", self.hold_up),
                (3, "net: confirms and deliveries held, then cut", self.hold_down),
                (2, "net: slow line", self.slow_line)]),
            "broker": (self.pace.broker, [
                (4, "broker: kill -9", self.broker_kill),
                (2, "broker: graceful restart", self.broker_restart),
                (2, "broker: frozen", self.broker_freeze),
                (2, "broker: memory alarm", self.memory_alarm),
                (1, "broker: disk alarm", self.disk_alarm),
                (3, "broker: connection closed by operator", self.close_connection),
                (2, "broker: queue full", self.queue_full),
                (1, "broker: permission withdrawn", self.permission)]),
            "messages": (self.pace.messages, [
                (4, "message: document again", self.again_document),
                (4, "message: status again", self.again_status),
                (3, "message: manifest altered", self.alter_manifest),
                (2, "message: piece altered", self.alter_piece),
                (2, "message: status altered", self.alter_status),
                (4, "message: reordered", self.reorder)]),
        }
        if self.short and self.is_cluster:
            lanes["broker"] = (self.pace.broker, [(1, LEADER, self.leader_kill)])
        if not self.is_systematic:
            lanes["nodes"] = lanes["more nodes"] = (self.pace.nodes, [
                (5, "node: kill -9", self.node_kill),
                (3, "node: SIGTERM", self.node_term),
                (3, "node: SIGSTOP", self.node_freeze),
                (9, "node: crash point", self.node_crash_point)])
        if self.short:
            return lanes
        lanes["messages"][1].append((2, "message: tally and answer again", self.again_tally))
        lanes["broker"][1].extend([
            (2, QUEUE, self.queue_deleted),
            (1, "broker: exchange of a unit deleted", self.exchange_deleted),
            (1, "broker: hub deleted", self.hub_deleted),
            (1, "broker: user deleted", self.user_deleted)])
        if self.is_cluster:
            lanes["broker"][1].append((8, LEADER, self.leader_kill))
        else:  # a backup and what a channel waits for belong to one broker
            lanes["broker"][1].extend([
                (2, RESTORE, self.restore), (1, "broker: consumer timeout", self.consumer_timeout)])
        machine: list[Kind] = []  # one lane, because one disk has one state
        if self.nodes[0].shim:
            machine.append((2, "node: clock step", self.clock_step))
        if self.disk_node:
            machine += [(1, "node: disk full", self.disk_fills),
                        (1, "node: disk read-only", self.disk_locks)]
        if machine:
            lanes["machine"] = ((8, 20), machine)
        return lanes

    def is_done(self) -> bool:
        """The short forms end when they have reached what they are there for."""
        return self.short and not self.shortfalls()

    def shortfalls(self) -> list[str]:
        """What a campaign of this form must have done, and has not."""
        journal = self.journal
        least = LEAST_KILLS if self.is_systematic else \
            1 if self.seconds >= 1800 and not self.short else 0
        found = [f"{journal.crash_hits[point]} kills at {point} instead of {least}"
                 for point in CRASH_POINTS if journal.crash_hits[point] < least]
        wanted: dict[str, int] = {}
        if self.short and self.is_cluster:
            wanted = {LEADER: LEAST_LEADERS}
        elif self.seconds >= 1800 and not self.short:
            # Every kind: one that can never be made would look like one that is survived.
            wanted = {name: 1 for _, kinds in self.lanes().values() for _, name, _ in kinds
                      if name != "node: crash point"}
            wanted |= {RECEIVER: 1} | ({LEADER: 20} if self.is_cluster else {})
        found += [f"{journal.faults[name]} × {name} instead of {count}"
                  for name, count in wanted.items() if journal.faults[name] < count]
        if not self.short:
            least = int(self.seconds / 6)
            if journal.faults.total() < least:
                found.append(f"{journal.faults.total()} faults instead of {least}")
            if self.seconds >= 1800 and len(journal.faults) < 12:
                found.append(f"{len(journal.faults)} kinds of fault instead of 12")
        return found

    def _thread(self, name: str, body: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=body, args=arguments, name=name, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _lane(self, name: str, pace: tuple[float, float], kinds: list[Kind]) -> None:
        for pause, (_, kind, fault), rng in schedule(self.seed, name, pace, kinds):
            if self.stop.wait(pause):
                return
            try:
                if fault(rng):
                    self.journal.fault(kind)
            except Exception as error:  # the broker may be down: this fault did not happen
                self.journal.write("skipped", fault=kind, error=str(error)[:300])
                self.journal.note("faults that could not be made (broker down)")

    def finish(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def heal(self) -> None:
        """Undo whatever is left."""
        for node in self.nodes:
            node.armer = node.next_arm = None
            node.proxy.heal()
            node.set_clock(0)
            if node.arm:
                node.kill()
        self.broker.start_all()
        self._repeat(lambda: self._memory_watermark("0.4"))
        self._repeat(lambda: self._disk_limit("50MB"))
        with contextlib.suppress(RuntimeError):  # it is not there, most of the time
            self.broker.api("DELETE", FULL_POLICY)

    def _pause(self, seconds: float) -> None:
        self.stop.wait(seconds)

    def _node(self, rng: random.Random) -> Node:
        return rng.choice(self.nodes)

    # Crash points, systematically

    def choose(self, points: list[str]) -> str:
        """The one of these points that was killed least often, counting those on their way."""
        with self.lock:
            point = min(points, key=lambda p: (
                self.journal.crash_hits[p] + self._armed(p), not p.startswith(RARE), self.turn[p]))
            self.turn[point] += 1
        return point

    def next_arm(self) -> Arm | None:
        """With another pass each time."""
        if self.stop.is_set():
            return None
        point = self.choose(NODE_POINTS)
        return point, 1 + self.turn[point] * 7 % (2 if point.startswith(RARE) else 4)

    def _armed(self, point: str) -> int:
        return sum(1 for n in self.nodes if n.is_running and n.arm and n.arm[0] == point)

    def _crash_lane(self, node: Node) -> None:
        """A node that does not come to its point in time is killed, and takes the next. On a busy
        machine the time gets longer: a node that was only ever killed early would reach nothing."""
        restarts, since = -1, 0.0
        late, struck = 0, False  # kills in a row that came before the point; the last end was one
        while not self.stop.wait(0.05):
            if node.restarts != restarts:
                late = late if struck else 0
                restarts, since, struck = node.restarts, time.monotonic(), False
            elif time.monotonic() - since > min(24, 6 + 3 * late) and node.arm and not struck:
                struck = node.kill()
                late += struck

    # Nodes

    def node_kill(self, rng: random.Random) -> bool:
        return self._node(rng).kill(rest=rng.uniform(0, 3))

    def node_term(self, rng: random.Random) -> bool:
        return self._node(rng).terminate(rest=rng.uniform(0, 2))

    def node_freeze(self, rng: random.Random) -> bool:
        return self._node(rng).freeze(rng.uniform(0.5, 5))

    def node_crash_point(self, rng: random.Random) -> bool:
        node = self._node(rng)
        with self.lock:
            # The one that was reached least often: those of large files are seldom passed.
            point = min(rng.sample(NODE_POINTS, 6),
                        key=lambda p: (self.journal.crash_hits[p], self.turn[p]))
            self.turn[point] += 1
        restarts = node.restarts
        number = rng.choice([1, 1, 2, 3, 5, 9])
        if not node.kill(arm=(point, 1 if point.startswith(RARE) else number)):
            return False
        deadline = time.monotonic() + (25 if point.startswith(RARE) else 8)
        while time.monotonic() < deadline and not self.stop.is_set():
            if node.restarts >= restarts + 2:
                return False  # the node's supervisor has counted it
            time.sleep(0.05)
        node.kill()  # not passed in time; an ordinary kill then
        return False

    def clock_step(self, rng: random.Random) -> bool:
        """The clock jumps while the node runs, and is set right again some seconds later."""
        node = self._node(rng)
        node.set_clock(rng.choice([-3600, -3600, -300, -5, 60, 300]))
        self._pause(rng.uniform(2, 8))
        node.set_clock(0)
        return True

    @contextlib.contextmanager
    def _trouble(self, kind: str) -> Iterator[Node]:
        node = self.disk_node
        assert node
        with node.in_trouble(kind):
            yield node

    def disk_fills(self, rng: random.Random) -> bool:
        with self._trouble(DISK_FULL) as node:
            self._fill(node, rng)
        return True

    def _fill(self, node: Node, rng: random.Random) -> None:
        filler = node.folder / "filler"
        try:
            with open(filler, "wb", buffering=0) as file:
                size = 0
                for step in (64 << 20, 1 << 20, 4096):  # until not one more page fits
                    with contextlib.suppress(OSError):
                        while True:
                            os.posix_fallocate(file.fileno(), size, step)
                            size += step
            self._pause(rng.uniform(2, 8))
        finally:
            filler.unlink(missing_ok=True)

    def disk_locks(self, rng: random.Random) -> bool:
        """The disk comes back read-only after a crash of the machine, until somebody repairs it.
        The kernel refuses this while a file is open for writing, so the node ends before."""
        with self._trouble(READ_ONLY) as node:
            with node.stand_still():
                for _ in range(60):
                    is_locked = self._remount(node, "ro")
                    if is_locked:
                        break
                    time.sleep(0.05)
            if is_locked:
                try:
                    self._pause(rng.uniform(2, 6))
                finally:
                    while not self._remount(node, "rw"):
                        time.sleep(0.05)
        return is_locked

    @staticmethod
    def _remount(node: Node, how: str) -> bool:
        return subprocess.run(["mount", "-o", f"remount,{how}", str(node.folder)],
                              capture_output=True).returncode == 0

    def receiver_lane(self) -> None:
        """A unit goes back to a backup of its whole folder that is minutes old: what it had taken
        in and acknowledged since then is gone, and so are the receipts that it got. Whatever it
        issued since then would be gone for good, so in this time it only receives; what others
        issued to it comes back when tallies are compared."""
        rng = random.Random(f"{self.seed}/receiver")
        pause = (0.1 * self.seconds, 0.2 * self.seconds)
        while not self.stop.wait(rng.uniform(*pause) / 2):
            try:
                self._go_back(rng.choice(self.nodes[1:3]), rng.uniform(*pause))
            except Exception as error:  # half a backup is no fault of the node's
                self.journal.finding(f"a unit could not be restored from its backup: {error!r}")

    def _go_back(self, node: Node, seconds: float) -> None:
        backup, lost = node.folder.with_suffix(".backup"), node.folder.with_suffix(".lost")
        with node.lock:
            node.is_receiving_only = True
        while node.clerks:
            time.sleep(0.05)
        with node.stand_still():
            shutil.copytree(node.folder, backup)
        self.stop.wait(seconds)
        with node.stand_still():
            node.folder.rename(lost)
            backup.rename(node.folder)
            self.journal.restored.append((node.unit, time.time()))
        self.journal.fault(RECEIVER, unit=node.unit, secondsBack=round(seconds))
        node.is_receiving_only = False
        shutil.rmtree(lost)

    # Network

    def cut_one(self, rng: random.Random) -> bool:
        return self._node(rng).proxy.cut_one(rng) > 0

    def cut_all(self, rng: random.Random) -> bool:
        return sum(node.proxy.cut_all() for node in self.nodes) > 0

    def cut_after(self, rng: random.Random) -> bool:
        node = self._node(rng)
        return node.proxy.cut_after(rng, rng.choice([300, 5_000, 100_000, 1_500_000])) > 0

    def _held(self, rng: random.Random, *directions: str, seconds: float, cut: bool) -> bool:
        node = self._node(rng)
        node.proxy.hold(*directions)
        try:
            self._pause(seconds)
            if cut:
                node.proxy.cut_all()
        finally:
            node.proxy.heal()
        return True

    def black_hole(self, rng: random.Random) -> bool:
        """Now and then longer than the watchdog (20 s) and two heartbeats (30 s)."""
        seconds = rng.uniform(36, 45) if rng.random() < 0.1 and not self.short \
            else rng.uniform(1, 8)
        return self._held(rng, UP, DOWN, seconds=seconds, cut=False)

    def hold_up(self, rng: random.Random) -> bool:
        return self._held(rng, UP, seconds=rng.uniform(0.2, 4), cut=True)

    def hold_down(self, rng: random.Random) -> bool:
        return self._held(rng, DOWN, seconds=rng.uniform(0.2, 4), cut=True)

    def slow_line(self, rng: random.Random) -> bool:
        node = self._node(rng)
        node.proxy.delay = rng.uniform(0.02, 0.3)
        try:
            self._pause(rng.uniform(2, 10))
        finally:
            node.proxy.delay = 0.0
        return True

    # Broker

    def _member(self, rng: random.Random) -> int:
        return rng.randrange(len(self.broker.members))

    def broker_kill(self, rng: random.Random) -> bool:
        return self._kill_member(rng, self._member(rng))

    def _kill_member(self, rng: random.Random, member: int) -> bool:
        try:
            self.broker.kill(member)
            self._pause(rng.uniform(0, 3))
        finally:
            self.broker.start(member)
        return True

    def leader_kill(self, rng: random.Random) -> bool:
        """The broker that leads the quorum queue of a random unit."""
        queue = f"congvan.{rng.choice(['ordinary', 'express'])}.{self._node(rng).unit}"
        return self._kill_member(rng, self.broker.leader(queue))

    def broker_restart(self, rng: random.Random) -> bool:
        member = self._member(rng)
        try:
            self.broker.stop(member)
        finally:
            self.broker.start(member)
        return True

    def broker_freeze(self, rng: random.Random) -> bool:
        self.broker.freeze(self._member(rng), rng.uniform(0.5, 6))
        return True

    def memory_alarm(self, rng: random.Random) -> bool:
        try:
            self._memory_watermark("0.00001")
            self._pause(rng.uniform(2, 8))
        finally:
            self._repeat(lambda: self._memory_watermark("0.4"))
        return True

    def _memory_watermark(self, value: str) -> None:
        self.broker.ctl("set_vm_memory_high_watermark", value)

    def _disk_limit(self, value: str) -> None:
        self.broker.ctl("set_disk_free_limit", value)

    def disk_alarm(self, rng: random.Random) -> bool:
        try:
            self._disk_limit("100000GB")
            self._pause(rng.uniform(2, 8))
        finally:
            self._repeat(lambda: self._disk_limit("50MB"))
        return True

    def close_connection(self, rng: random.Random) -> bool:
        connections = self.broker.api("GET", "/api/connections?columns=name,user")
        ours = [c["name"] for c in connections if c.get("user") in {n.unit for n in self.nodes}]
        if not ours:
            return False
        name = urllib.parse.quote(rng.choice(ours), safe="")
        self.broker.api("DELETE", f"/api/connections/{name}")
        return True

    def queue_full(self, rng: random.Random) -> bool:
        """One unit's queues take almost nothing for a moment: nacks for its senders."""
        unit = self._node(rng).unit
        try:
            self.broker.api("PUT", FULL_POLICY, {  # one policy applies: it repeats the product's limit
                "pattern": f"^congvan\\.(ordinary|express)\\.{unit}$", "apply-to": "queues",
                "priority": 9, "definition": {"max-length": 1, "overflow": "reject-publish",
                                              "delivery-limit": 1_000_000_000}})
            self._pause(rng.uniform(1, 4))
        finally:
            self._repeat(lambda: self.broker.api("DELETE", FULL_POLICY))
        return True

    def queue_deleted(self, rng: random.Random) -> bool:
        """With all that is in it; the operator provisions it again some seconds later."""
        queue = f"congvan.{rng.choice(['ordinary', 'express'])}.{self._node(rng).unit}"
        return self._deleted(rng, f"/api/queues/{VHOST}/{queue}")

    def exchange_deleted(self, rng: random.Random) -> bool:
        return self._deleted(rng, f"/api/exchanges/{VHOST}/congvan.out.{self._node(rng).unit}")

    def hub_deleted(self, rng: random.Random) -> bool:
        """The broker takes what units publish, and can route it to nobody."""
        return self._deleted(rng, f"/api/exchanges/{VHOST}/congvan.hub")

    def user_deleted(self, rng: random.Random) -> bool:
        return self._deleted(rng, f"/api/users/{self._node(rng).unit}")

    def _deleted(self, rng: random.Random, path: str) -> bool:
        self.broker.api("DELETE", path)
        try:
            self._pause(rng.uniform(0, 4))
        finally:
            definitions = json.loads(self.definitions.read_text())
            self._repeat(lambda: self.broker.api("POST", "/api/definitions", definitions))
        return True

    def consumer_timeout(self, rng: random.Random) -> bool:
        """A node takes longer to acknowledge than the broker waits (30 min, looked at once a
        minute; here a second): the broker closes the channel. It counts when the broker says so."""
        node = self._node(rng)
        log = self.broker.members[0] / "log" / "rabbit.log"

        def said() -> int:
            text = log.read_text(errors="replace")  # RabbitMQ 3.10 and 4.0
            return text.count("waiting for delivery acknowledgement") + text.count(
                "waiting for a consumer acknowledgement of a delivery")

        before = said()
        try:
            self._wait_for_acks(1_000, 500)
            node.proxy.cut_all()  # a channel keeps the value with which it was opened
            self._pause(rng.uniform(2, 3))
            node.freeze(rng.uniform(3, 6))
        finally:
            self._repeat(lambda: self._wait_for_acks(1_800_000, 60_000))
            node.proxy.cut_all()
        return said() > before

    def _wait_for_acks(self, limit: int, tick: int) -> None:
        self.broker.ctl("eval", f"application:set_env(rabbit, consumer_timeout, {limit}), "
                        f"application:set_env(rabbit, channel_tick_interval, {tick}).")

    def restore(self, rng: random.Random) -> bool:
        """Every second time: all that the broker knew since the backup is gone, and what was
        acknowledged since then comes again."""
        data = self.broker.members[0] / "data"
        saved = self.broker.folder.parent / "broker-backup"
        is_restore = saved.exists()
        self.broker.stop(0)
        try:
            if is_restore:
                shutil.rmtree(data)
                saved.rename(data)
            else:
                shutil.copytree(data, saved)
        finally:
            self.broker.start(0)
        return is_restore

    def permission(self, rng: random.Random) -> bool:
        """The right to write is withdrawn and given back: deliveries end `suspended`. The lines are
        closed, because the broker keeps a permission in mind as long as a channel is open."""
        node = self._node(rng)
        path = f"/api/permissions/{VHOST}/{node.unit}"
        rights = self.broker.api("GET", path)
        rights = {key: rights[key] for key in ("configure", "write", "read")}
        try:
            self.broker.api("PUT", path, rights | {"write": "^$"})
            node.proxy.cut_all()
            self._pause(rng.uniform(2, 6))
        finally:
            self._repeat(lambda: self.broker.api("PUT", path, rights))
        return True

    @staticmethod
    def _repeat(action: Callable[[], object]) -> None:
        for attempt in range(10):
            try:
                action()
                return
            except RuntimeError:
                if attempt == 9:
                    raise
                time.sleep(1)

    # Messages

    def again_document(self, rng: random.Random) -> bool:
        messages = self.meddler.document(rng, self._node(rng))
        if messages:
            self.meddler.publish(messages * rng.choice([1, 1, 2, 3]))
        return bool(messages)

    def again_status(self, rng: random.Random) -> bool:
        messages = self.meddler.statuses(rng, self._node(rng), rng.choice([1, 3, 10]))
        if messages:
            self.meddler.publish(messages * rng.choice([1, 2]))
        return bool(messages)

    def again_tally(self, rng: random.Random) -> bool:
        """An operator compares in the middle of everything, and older tallies and answers come
        again."""
        node = self._node(rng)
        if not node.sit():
            return False
        try:
            node.run_cli("reconcile")
        finally:
            node.leave()
        messages = self.meddler.tallies(rng, node, rng.choice([1, 3]))
        if messages:
            self.meddler.publish(messages * rng.choice([1, 2]))
        return bool(messages)

    def alter_manifest(self, rng: random.Random) -> bool:
        messages = self.meddler.document(rng, self._node(rng))[-1:]
        if messages:
            self.meddler.publish([self.meddler.alter(rng, messages[0])])
        return bool(messages)

    def alter_piece(self, rng: random.Random) -> bool:
        messages = self.meddler.document(rng, self._node(rng), large=rng.random() < 0.5)[:-1]
        if messages:
            self.meddler.publish([self.meddler.alter(rng, rng.choice(messages))])
        return bool(messages)

    def alter_status(self, rng: random.Random) -> bool:
        messages = self.meddler.statuses(rng, self._node(rng), 1)
        if messages:
            self.meddler.publish([self.meddler.alter(rng, messages[0])])
        return bool(messages)

    def reorder(self, rng: random.Random) -> bool:
        """Manifests before their pieces, pieces backwards, several documents mixed."""
        node = self._node(rng)
        messages = [m for _ in range(rng.choice([1, 2, 4])) for m in
                    self.meddler.document(rng, node, large=rng.random() < 0.3)]
        rng.shuffle(messages)
        messages.sort(key=lambda m: m.type != "congvan.document")
        if messages:
            self.meddler.publish(messages)
        return bool(messages)
