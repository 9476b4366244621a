"""A unit that speaks for itself: signs whatever it likes with its own valid key, and publishes it
with its own valid login. Written from schemas/README.md; openssl takes a millisecond's work and a
process per signature, so the CMS is built here and only the RSA operation is a library's.

Needs Debian's python3-pika and python3-cryptography.
"""

import collections
import contextlib
import hashlib
import itertools
import json
import re
import secrets
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pika
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

Json = dict[str, Any]
VHOST = "congvan"
PIECE = 1_048_576
TEXT = "congvan: một tệp nhỏ\n".encode()  # the one attachment of every tiny document


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def new_id() -> str:
    """A new UUID version 7."""
    head = time.time_ns() // 1_000_000 << 80 | 0x7 << 76 | secrets.randbits(12) << 64
    return str(uuid.UUID(int=head | 0b10 << 62 | secrets.randbits(62)))


def utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def to_json(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


# CMS (RFC 5652) in DER


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def oid(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    out = bytes([first * 40 + second])
    for number in rest:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.insert(0, number & 0x7F | 0x80)
        out += bytes(digits)
    return der(0x06, out)


SEQUENCE, SET, OCTETS = 0x30, 0x31, 0x04
DATA, SIGNED_DATA = oid("1.2.840.113549.1.7.1"), oid("1.2.840.113549.1.7.2")
SHA256 = der(SEQUENCE, oid("2.16.840.1.101.3.4.2.1"))
RSA = der(SEQUENCE, oid("1.2.840.113549.1.1.1"), b"\x05\x00")
ONE = b"\x02\x01\x01"


class Signer:
    """Signs with a unit's RSA key by the profile of section 5; thread-safe."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the folder of the unit's node, with unit.key and unit.crt."""
        pem = (folder / "unit.key").read_bytes()
        self.key: Any = serialization.load_pem_private_key(pem, None)
        certificate = x509.load_pem_x509_certificate((folder / "unit.crt").read_bytes())
        self.certificate = certificate.public_bytes(serialization.Encoding.DER)
        serial = certificate.serial_number
        number = der(0x02, serial.to_bytes(serial.bit_length() // 8 + 1, "big"))
        self.name = der(SEQUENCE, certificate.issuer.public_bytes(), number)
        digest = hashlib.sha256(self.certificate).digest()
        named = der(SEQUENCE, der(SEQUENCE, der(SEQUENCE, der(OCTETS, digest))))
        self.fixed = [self._attribute("1.2.840.113549.1.9.3", DATA),
                      self._attribute("1.2.840.113549.1.9.16.2.47", named)]

    @staticmethod
    def _attribute(name: str, value: bytes) -> bytes:
        return der(SEQUENCE, oid(name), der(SET, value))

    def sign(self, content: bytes, at: float | None = None) -> bytes:
        """SignedData with `content` attached; signing-time is `at`, or now."""
        moment = time.strftime("%y%m%d%H%M%SZ", time.gmtime(at)).encode()
        attributes = b"".join(sorted([
            *self.fixed,
            self._attribute("1.2.840.113549.1.9.5", der(0x17, moment)),
            self._attribute("1.2.840.113549.1.9.4",
                            der(OCTETS, hashlib.sha256(content).digest()))]))
        signature = self.key.sign(der(SET, attributes), padding.PKCS1v15(), hashes.SHA256())
        info = der(SEQUENCE, ONE, self.name, SHA256, der(0xA0, attributes), RSA,
                   der(OCTETS, signature))
        signed = der(SEQUENCE, ONE, der(SET, SHA256),
                     der(SEQUENCE, DATA, der(0xA0, der(OCTETS, content))),
                     der(0xA0, self.certificate), der(SET, info))
        return der(SEQUENCE, SIGNED_DATA, der(0xA0, signed))


# Messages


@dataclass
class Message:
    """One message as it goes out; `lane` is ordinary or express."""

    kind: str
    lane: str
    id: str
    body: bytes
    about: str | None = None
    headers: dict[str, str | int] = field(default_factory=dict)


def attachment(content: bytes, name: str = "tep.txt") -> Json:
    return {"name": name, "mediaType": "text/plain", "size": len(content),
            "sha256": sha256(content)}


def manifest(sender: str, to: list[str], document: str | None = None, **more: Any) -> Json:
    """A true manifest; `more` replaces or adds members."""
    return {
        "kind": "document", "version": 1, "documentId": document or new_id(),
        "createdAt": utc(time.time()), "from": {"organId": sender},
        "to": [{"organId": unit} for unit in to], "codeNumber": "1", "codeNotation": "CV-CD",
        "issuedDate": "2026-11-20", "typeName": "Công văn", "subject": "Thử tải", "priority": 0,
        "attachments": [attachment(TEXT)]} | more


def status(sender: str, to: str, document: str, digest: str, code: str, **more: Any) -> Json:
    return {"kind": "status", "version": 1, "statusId": new_id(), "documentId": document,
            "manifestSha256": digest, "from": {"organId": sender}, "to": {"organId": to},
            "statusCode": code, "timestamp": utc(time.time())} | more


def tally(sender: str, to: str, entries: list[Json], **more: Any) -> Json:
    return {"kind": "tally", "version": 1, "tallyId": new_id(), "from": {"organId": sender},
            "to": {"organId": to}, "timestamp": utc(time.time()), "entries": entries} | more


def entry(document: str, digest: str, sequence: int = 1, **more: Any) -> Json:
    return {"sequence": sequence, "documentId": document, "manifestSha256": digest,
            "statuses": 0, "awaiting": True} | more


def pieces(content: bytes, document: str, lane: str) -> Iterator[Message]:
    digest = sha256(content)
    for offset in range(0, len(content), PIECE):
        yield Message("piece", lane, f"{digest}/{offset}", content[offset:offset + PIECE],
                      document, {"sha256": digest, "offset": offset, "size": len(content)})


def signed_content(body: bytes) -> bytes:
    """The JSON in the CMS of a node; empty when there is none."""
    text = body[max(body.find(b'{"'), 0):].decode("utf-8", "surrogateescape")
    with contextlib.suppress(ValueError):
        _, end = json.JSONDecoder().raw_decode(text)
        return text[:end].encode("utf-8", "surrogateescape")
    return b""


def content_of(body: bytes) -> Json:
    value = json.loads(signed_content(body) or b"{}")
    return value if isinstance(value, dict) else {}


def reference(body: bytes) -> str:
    """The document that a status is about, read without parsing the rest."""
    found = re.search(rb'"documentId"\s*:\s*"([0-9a-f-]{36})"', body)
    return found[1].decode() if found else ""


# The broker


@dataclass
class Sent:
    messages: int = 0
    bytes: int = 0
    refused: int = 0  # by the broker
    began: float = 0.0  # wall clock
    ended: float = 0.0


class Peer:
    """One unit's connection: publishes with confirms, and drains both of its queues meanwhile."""

    WINDOW_MESSAGES, WINDOW_BYTES = 2_000, 16 << 20

    def __init__(self, unit: str, victim: str, port: int, password: str, signer: Signer) -> None:
        self.unit, self.victim, self.signer = unit, victim, signer
        self.parameters = pika.ConnectionParameters(
            "127.0.0.1", port, VHOST, pika.PlainCredentials(unit, password), heartbeat=0)
        self.lock = threading.Lock()
        self.arrived: list[tuple[str, bytes, str]] = []  # kind, body, correlation-id
        self.consumers: list[str] = []
        self.ready, self.done = threading.Event(), threading.Event()
        self.known: list[tuple[str, str]] = []  # own documents that the victim has: id, digest
        # A tally of the victim's, the document that it names, and the digest of its manifest.
        self.asked = ("", "", "")
        self.seen: set[str] = set()  # digests of bodies that came before
        self.failure: str | None = None
        self.source: Iterator[Message] = iter(())
        self.outstanding: collections.OrderedDict[int, int] = collections.OrderedDict()
        self.in_flight = self.tag = 0
        self.sent = Sent()
        self.pause = self.due = 0.0
        self.connection = pika.SelectConnection(
            self.parameters, self._opened, self._failed, self._failed)
        self.loop: Any = self.connection.ioloop
        self.thread = threading.Thread(target=self.loop.start, name=unit, daemon=True)

    def open(self) -> "Peer":
        self.thread.start()
        if not self.ready.wait(20) or self.failure:
            raise RuntimeError(f"{self.unit} does not reach the broker: {self.failure}")
        return self

    def close(self) -> None:
        self.loop.add_callback_threadsafe(self.connection.close)
        self.thread.join(10)

    def sign(self, value: Json, at: float | None = None) -> bytes:
        return self.signer.sign(to_json(value), at)

    def publish(self, messages: Iterable[Message], pause: float = 0.0) -> Sent:
        """Publishes all, `pause` seconds apart; returns when the broker has answered for each."""
        self.done.clear()
        self.sent = Sent(began=time.time())
        self.source, self.pause = iter(messages), pause
        self.loop.add_callback_threadsafe(self._fill)
        while not self.done.wait(1):
            if self.failure:
                raise RuntimeError(f"{self.unit}: the broker ended it: {self.failure}")
        self.sent.ended = time.time()
        return self.sent

    def drain(self, is_wanted: bool) -> None:
        """Goes on, or stops, taking what is in this unit's queues."""
        self.loop.add_callback_threadsafe(lambda: self._drain(is_wanted))

    def count(self) -> tuple[int, int]:
        """Messages and bytes of bodies that came to this unit so far."""
        with self.lock:
            return len(self.arrived), sum(len(body) for _, body, _ in self.arrived)

    def take(self) -> list[tuple[str, bytes, str]]:
        """What came since the last call."""
        with self.lock:
            arrived, self.arrived = self.arrived, []
            return arrived

    # On the loop's thread

    def _failed(self, _: Any, error: Any) -> None:
        self.failure = str(error)
        self.ready.set()
        self.loop.stop()

    def _opened(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._channel_opened)

    def _channel_opened(self, channel: Any) -> None:
        self.channel = channel
        channel.add_on_close_callback(lambda _, error: self._failed(None, error))
        channel.confirm_delivery(self._confirmed)
        self._drain(True)
        self.ready.set()

    def _drain(self, is_wanted: bool) -> None:
        for lane in ("express", "ordinary"):
            if is_wanted:
                self.consumers.append(self.channel.basic_consume(
                    f"congvan.{lane}.{self.unit}", self._received, auto_ack=True))
            elif self.consumers:
                self.channel.basic_cancel(self.consumers.pop())

    def _received(self, _: Any, __: Any, properties: Any, body: bytes) -> None:
        with self.lock:
            kind = str(properties.type).removeprefix("congvan.")
            self.arrived.append((kind, body, properties.correlation_id or ""))

    def _fill(self) -> None:
        while (self.in_flight < self.WINDOW_BYTES
               and len(self.outstanding) < self.WINDOW_MESSAGES):
            if self.pause and (wait := self.due - time.monotonic()) > 0:
                self.loop.call_later(wait, self._fill)
                return
            message = next(self.source, None)
            if message is None:
                if not self.outstanding:
                    self.done.set()
                return
            self.due = time.monotonic() + self.pause
            self._publish(message)

    def _publish(self, message: Message) -> None:
        binary = message.kind == "piece"
        properties = pika.BasicProperties(
            type=f"congvan.{message.kind}", message_id=message.id, correlation_id=message.about,
            content_type="application/octet-stream" if binary else "application/pkcs7-mime",
            user_id=self.unit, delivery_mode=2,
            headers={"congvan-version": 1}
            | {f"congvan-{name}": value for name, value in message.headers.items()})
        self.channel.basic_publish(f"congvan.out.{self.unit}", f"{message.lane}.{self.victim}",
                                   message.body, properties, mandatory=True)
        self.tag += 1
        self.outstanding[self.tag] = len(message.body)
        self.in_flight += len(message.body)
        self.sent.messages += 1
        self.sent.bytes += len(message.body)

    def _confirmed(self, frame: Any) -> None:
        tag, is_refused = frame.method.delivery_tag, frame.method.NAME == "Basic.Nack"
        tags = [tag]
        if frame.method.multiple:
            tags = list(itertools.takewhile(lambda one: one <= tag, self.outstanding))
        for one in tags:
            self.in_flight -= self.outstanding.pop(one, 0)
            self.sent.refused += is_refused
        self._fill()

