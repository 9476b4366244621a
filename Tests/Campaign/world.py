"""A private broker, two real nodes, and the keys and logins of units that have no node: they speak
for themselves (hostile_peer)."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pika
from broker import DEPLOY, VHOST, Broker
from flood_kinds import hello
from hostile_peer import Peer, Signer
from innocents import INNOCENT, VICTIM
from journal import Journal
from node import Node

TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Marks:
    """The victim at one moment."""

    cpu: float
    database: int
    files: int
    status: int
    notice: int


@dataclass
class Port:
    """Where a node finds the broker, in place of the campaign's proxy."""

    port: int


class World:
    """A private broker, two real nodes, and the folders of the hostile units."""

    def __init__(self, folder: Path, program: Path, journal: Journal, hostile: list[str]) -> None:
        self.folder, self.journal = folder / "province", journal
        units = [f"{VICTIM}|Công đoàn bị hại||", f"{INNOCENT}|Công đoàn vô can||"]
        units += [f"{name}|Đơn vị phá rối||" for name in hostile]
        made = subprocess.run([DEPLOY / "province", "make", self.folder, program, *units],
                              capture_output=True, text=True)
        if made.returncode:
            raise SystemExit(f"floods: deploy/province: {made.stderr.strip()[-2000:]}")
        self.broker = Broker(self.folder / "broker")
        port: Any = Port(self.broker.tls[0][1])
        self.victim, self.innocent = (
            Node(name, self.folder / name, program, port, journal, None)
            for name in (VICTIM, INNOCENT))
        self.peers: dict[str, Peer] = {}
        self.looker: Any = None

    def peer(self, name: str) -> Peer:
        """The hostile unit; at its first use it shows with a true document that it can speak."""
        if name not in self.peers:
            password = (self.folder / "passwords" / f"{name}.password").read_text().strip()
            peer = Peer(name, VICTIM, self.broker.plain[0][1], password,
                        Signer(self.folder / name)).open()
            self.peers[name] = peer
            peer.publish(hello(peer))
            wait_for(lambda: any(kind == "status" for kind, _, _ in peer.arrived), 30,
                     f"{name}'s true document is not answered")
            peer.take()
        return self.peers[name]

    def wait_delivered(self, sender: Node, document: str) -> None:
        wait_for(lambda: bool(sender.rows(
            "SELECT 1 FROM delivery JOIN document ON document.key = delivery.document "
            "WHERE id = ? AND state = 'delivered'", document)), 60, f"{document} has no receipt")

    def waiting(self) -> int:
        """Messages to the victim that it has not judged, and answers that it has not sent."""
        in_queues = sum(self.depth(f"congvan.{lane}.{VICTIM}") for lane in ("express", "ordinary"))
        row = self.victim.rows("""
            SELECT (SELECT count(*) FROM received WHERE state = 'received' AND notBefore IS NULL)
              + (SELECT count(*) FROM notice WHERE state = 'queued') AS n""")[0]
        return in_queues + int(row["n"])

    def depth(self, queue: str) -> int:
        """What is in a queue, asked as the victim: exact but for what is unacknowledged."""
        if self.looker is None:
            password = (self.folder / "passwords" / f"{VICTIM}.password").read_text().strip()
            self.looker = pika.BlockingConnection(pika.ConnectionParameters(
                "127.0.0.1", self.broker.plain[0][1], VHOST,
                pika.PlainCredentials(VICTIM, password), heartbeat=0)).channel()
        return int(self.looker.queue_declare(queue, passive=True).method.message_count)

    def marks(self) -> Marks:
        assert self.victim.life
        process = self.victim.life.process
        used = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        pages, free, size = (self.victim.rows(f"PRAGMA {name}")[0][0]
                             for name in ("page_count", "freelist_count", "page_size"))
        files = sum(path.stat().st_size for path in self.victim.folder.rglob("*")
                    if path.is_file() and not path.name.startswith("congvan.db"))
        keys = [self.victim.rows(f"SELECT ifnull(max(key), 0) FROM {table}")[0][0]
                for table in ("status", "notice")]
        return Marks((int(used[11]) + int(used[12])) / TICK, (pages - free) * size, files, *keys)

    def close(self) -> None:
        for peer in self.peers.values():
            with contextlib.suppress(Exception):
                peer.close()
        for node in (self.victim, self.innocent):
            node.abort()
        subprocess.run([DEPLOY / "broker", "remove", self.folder / "broker"],
                       capture_output=True, check=False)


def wait_for(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"floods: after {seconds:g} s {what}")
        time.sleep(0.05)
