"""Messages that the network should not have made: the same again, altered, or in another order.

Copies are built from the sending unit's own database, byte for byte as the wire says
(schemas/README.md section 3), and published with that unit's user: the broker vouches for them. A
queue of our own on the hub would be simpler, but it would swallow what `mandatory` reports.
"""

import random
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pika

from broker import VHOST, Broker
from node import Node

PIECE = 1_048_576

UUIDS = re.compile(rb"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


@dataclass
class Message:
    """One AMQP message of `unit`."""

    unit: str
    to: str
    lane: str
    type: str
    id: str
    body: bytes
    about: str | None = None
    piece: tuple[str, int, int] | None = None  # digest, offset, size


@dataclass(frozen=True)
class Forgery:
    """An altered copy that the broker took. `key` names what the receiver may refuse for it; `ids`
    are what an altered manifest says instead of an id: the receiver's refusal is then about a
    document that its sender does not know."""

    receiver: str
    sender: str
    kind: str
    key: str
    ids: tuple[str, ...] = ()


class Meddler:
    def __init__(self, nodes: list[Node], broker: Broker, passwords: Path) -> None:
        self.nodes = {node.unit: node for node in nodes}
        self.broker, self.passwords = broker, passwords
        self.lock = threading.Lock()
        self.forgeries: set[Forgery] = set()

    # Copies from a database

    def document(self, rng: random.Random, node: Node, large: bool = False) -> list[Message]:
        """Pieces and manifest of one of the latest documents, to one of its recipients."""
        with node.database() as database:
            rows = database.execute(
                """
                SELECT d.document, recipient, d.urgency, id, signed FROM delivery d
                JOIN document ON document.key = d.document
                WHERE ?1 = 0 OR EXISTS (SELECT 1 FROM attachment a WHERE a.document = d.document
                  AND a.size > 1048576)
                ORDER BY (d.state IN ('queued', 'published')) DESC, d.key DESC LIMIT 40
                """, (int(large),)).fetchall()
            if not rows:
                return []
            row = rng.choice(rows)
            lane = "express" if row["urgency"] else "ordinary"
            messages = []
            for file in database.execute(
                    "SELECT DISTINCT attachment.sha256, attachment.size, content FROM attachment "
                    "JOIN blob ON blob.sha256 = attachment.sha256 WHERE document = ? "
                    "ORDER BY position", (row["document"],)).fetchall():
                digest = file["sha256"].hex()
                content = file["content"]
                if content is None:
                    content = (node.folder / "blobs" / digest[:2] / digest).read_bytes()
                for offset in range(0, len(content), PIECE):
                    messages.append(Message(
                        node.unit, row["recipient"], lane, "congvan.piece", f"{digest}/{offset}",
                        content[offset:offset + PIECE], row["id"],
                        (digest, offset, len(content))))
            messages.append(Message(node.unit, row["recipient"], lane, "congvan.document",
                                    row["id"], row["signed"]))
            return messages

    def statuses(self, rng: random.Random, node: Node, count: int) -> list[Message]:
        """Some of the latest statuses that the node has sent."""
        rows = node.rows("SELECT id, documentID, toUnit, signed FROM status "
                         "WHERE direction = 'sent' ORDER BY key DESC LIMIT 60")
        rng.shuffle(rows)
        return [Message(node.unit, row["toUnit"], "express", "congvan.status", row["id"],
                        row["signed"], row["documentID"]) for row in rows[:count]]

    def tallies(self, rng: random.Random, node: Node, count: int) -> list[Message]:
        """Some of the latest tallies and answers that the node has sent, of one kind."""
        kind = rng.choice(["congvan.tally", "congvan.tally-answer"])
        rows = node.rows("SELECT messageID, correlationID, toUnit, signed FROM notice WHERE "
                         "type = ? AND state = 'published' ORDER BY key DESC LIMIT 20", kind)
        rng.shuffle(rows)
        return [Message(node.unit, row["toUnit"], "ordinary", kind, row["messageID"], row["signed"],
                        row["correlationID"]) for row in rows[:count]]

    # Publishing

    def publish(self, messages: list[Message]) -> None:
        """As the unit, with confirms; raises when the broker does not take all of them."""
        unit = messages[0].unit
        connection = self._connect(unit)
        try:
            channel: Any = connection.channel()
            channel.confirm_delivery()
            for message in messages:
                headers: dict[str, Any] = {"congvan-version": 1}
                if message.piece:
                    digest, offset, size = message.piece
                    headers |= {"congvan-sha256": digest, "congvan-offset": offset,
                                "congvan-size": size}
                content = "octet-stream" if message.piece else "pkcs7-mime"
                channel.basic_publish(
                    f"congvan.out.{unit}", f"{message.lane}.{message.to}", message.body,
                    pika.BasicProperties(
                        type=message.type, content_type=f"application/{content}",
                        message_id=message.id, correlation_id=message.about, user_id=unit,
                        delivery_mode=2, headers=headers), mandatory=True)
        finally:
            if connection.is_open:
                connection.close()

    def _connect(self, unit: str) -> pika.BlockingConnection:
        password = (self.passwords / f"{unit}.password").read_text().strip()
        for host, port in self.broker.plain:
            try:
                return pika.BlockingConnection(pika.ConnectionParameters(
                    host, port, VHOST, pika.PlainCredentials(unit, password), heartbeat=30,
                    socket_timeout=5, blocked_connection_timeout=20, stack_timeout=10))
            except (pika.exceptions.AMQPError, OSError) as error:
                failure = error
        raise failure

    def waiting(self) -> int:
        """Messages that wait in the queues of all units, exactly and at once (what the HTTP API says
        may be five seconds old)."""
        connection = self._connect(next(iter(self.nodes)))
        try:
            channel: Any = connection.channel()
            return sum(
                channel.queue_declare(f"congvan.{lane}.{unit}", passive=True).method.message_count
                for unit in self.nodes for lane in ("ordinary", "express"))
        finally:
            if connection.is_open:
                connection.close()

    def alter(self, rng: random.Random, message: Message) -> Message:
        """Change one byte of the body, and remember it: the receiver must not believe it."""
        body = bytearray(message.body)
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        key = message.piece[0] if message.piece else message.id
        ids: set[bytes] = set()
        if message.type == "congvan.document":
            ids = set(UUIDS.findall(body.lower())) - set(UUIDS.findall(message.body.lower()))
        with self.lock:
            self.forgeries.add(Forgery(message.to, message.unit, message.type, key,
                                       tuple(found.decode() for found in ids)))
        message.body = bytes(body)
        return message
