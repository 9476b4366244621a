"""The floods: what one unit with a valid key and login can send in masses. Each has a size for the
full and for the quick form, and mostly a unit of its own, so that neither quotas nor leftovers of
one flood are in another's figures."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hostile_peer import (PIECE, TEXT, Json, Message, Peer, entry, manifest, new_id, pieces, sha256,
                          status, tally, to_json, utc)

EXPRESS, ORDINARY = "express", "ordinary"
MEBIBYTE = PIECE
LARGE = 900_000  # bytes of a large document's manifest
FILE = 16  # pieces of a large attachment
AHEAD = 7200.0  # seconds: a signing time that makes a receiver wait


@dataclass
class Flood:
    """`make` gives the messages of a flood of some size by a unit; `after` names the flood that the
    same unit must have sent before. A quick size of 0 leaves it out there."""

    name: str
    title: str
    lane: str
    full: int
    quick: int
    make: Callable[[Peer, int], Iterable[Message]]
    after: str = ""
    pause: float = 0.0  # seconds between two messages, in the full form
    is_queue_full: bool = False  # the sender's own queues take nothing meanwhile
    asks: int = 0  # the victim has sent a document of so many MiB, and asks for it with a tally
    entries: int = 1  # the size counts what lies in one message
    unit_of: str = ""  # another flood, whose unit sends this one too


def unit(flood: Flood) -> str:
    return f"HOSTILE-{(flood.unit_of or flood.name).upper()}"


def signed(peer: Peer, values: Iterable[Json]) -> list[bytes]:
    """Signed before the flood, so that it is not slowed down by this machine."""
    with ThreadPoolExecutor(2) as workers:
        return list(workers.map(peer.sign, values))


def documents(peer: Peer, values: list[Json], lane: str) -> list[Message]:
    bodies = signed(peer, values)
    peer.known += [(value["documentId"], sha256(to_json(value))) for value in values]
    return [Message("document", lane, value["documentId"], body)
            for value, body in zip(values, bodies, strict=True)]


# Documents, true and false


def hello(peer: Peer, lane: str = ORDINARY) -> list[Message]:
    """A true document with its file; not taken, this peer does not know its trade."""
    value = manifest(peer.unit, [peer.victim])
    return [*pieces(TEXT, value["documentId"], lane), *documents(peer, [value], lane)]


def garbage(_: Peer, count: int) -> list[Message]:
    return [Message("document", EXPRESS, new_id(), b"x") for _ in range(count)]


def same_id(_: Peer, count: int) -> list[Message]:
    name = new_id()
    return [Message("document", EXPRESS, name, b"congvan %012d" % n) for n in range(count)]


def tiny(peer: Peer, count: int) -> list[Message]:
    return documents(peer, [manifest(peer.unit, [peer.victim]) for _ in range(count)], ORDINARY)


def tiny_urgent(peer: Peer, count: int) -> list[Message]:
    values = [manifest(peer.unit, [peer.victim], priority=3) for _ in range(count)]
    return documents(peer, values, EXPRESS)


def statuses(peer: Peer, count: int) -> list[Message]:
    values = [status(peer.unit, peer.victim, new_id(), sha256(b""), "03") for _ in range(count)]
    return [Message("status", EXPRESS, value["statusId"], body, value["documentId"])
            for value, body in zip(values, signed(peer, values), strict=True)]


def reports(peer: Peer, count: int) -> list[Message]:
    """True statuses about a true document: each is to be kept, and none to be answered."""
    _, document, digest = peer.asked
    values = [status(peer.unit, peer.victim, document, digest, "05") for _ in range(count)]
    return [Message("status", EXPRESS, value["statusId"], body, document)
            for value, body in zip(values, signed(peer, values), strict=True)]


def mixed(_: Peer, count: int) -> list[Message]:
    kinds = ("document", "status", "tally", "tally-answer", "piece", "x")
    return [Message(kinds[n % 6], EXPRESS, new_id(), b"x") for n in range(count)]


def unknown(_: Peer, count: int) -> list[Message]:
    return [Message("x", EXPRESS, new_id(), b"x") for _ in range(count)]


def copies(peer: Peer, count: int) -> list[Message]:
    value = manifest(peer.unit, [peer.victim], priority=3)
    return documents(peer, [value], EXPRESS) * count


def conflicts(peer: Peer, count: int) -> list[Message]:
    """Other manifests under the id of the first document, which was accepted."""
    document, _ = peer.known[0]
    values = [manifest(peer.unit, [peer.victim], document, subject=f"Bản khác {n}")
              for n in range(count)]
    return [Message("document", EXPRESS, document, body) for body in signed(peer, values)]


def malformed(peer: Peer, count: int) -> list[Message]:
    """Well signed and no manifest, all under one id."""
    document = new_id()
    values = [manifest(peer.unit, [peer.victim], document, subject=f"Bản {n}", priority=9)
              for n in range(count)]
    return [Message("document", EXPRESS, document, body) for body in signed(peer, values)]


# Large ones: signed while they are sent, as they do not fit into memory all at once


def large(peer: Peer, count: int, member: bytes, at: float | None = None) -> Iterator[Message]:
    for _ in range(count):
        value = manifest(peer.unit, [peer.victim], priority=3)
        content = to_json(value)[:-1] + b',"x":' + member + b"}"
        yield Message("document", EXPRESS, value["documentId"], peer.signer.sign(content, at))


def nested(peer: Peer, count: int) -> Iterator[Message]:
    return large(peer, count, b"[" * (LARGE // 2) + b"]" * (LARGE // 2))


def members(peer: Peer, count: int) -> Iterator[Message]:
    many = b",".join(b'"%05d":1' % n for n in range(100_000))
    return large(peer, count, b"{" + many + b"}")


def recipients(peer: Peer, count: int) -> Iterator[Message]:
    to = [peer.victim, *(f"U{n:05}" for n in range(1_999))]
    for _ in range(count):
        value = manifest(peer.unit, to, priority=3)
        yield Message("document", EXPRESS, value["documentId"], peer.sign(value))


def quarantined(_: Peer, count: int) -> Iterator[Message]:
    filler = random.randbytes(1_000_000)
    return (Message("document", EXPRESS, new_id(), n.to_bytes(4, "big") + filler)
            for n in range(count))


def postponed(peer: Peer, count: int) -> Iterator[Message]:
    return large(peer, count, b'"' + b"x" * LARGE + b'"', time.time() + AHEAD)


def mebibytes(_: Peer, count: int, kept: int = FILE) -> Iterator[Message]:
    """Pieces of files that no document names; `kept` of the pieces of each are sent."""
    rng = random.Random(new_id())
    for _ in range(count // kept):
        yield from list(pieces(rng.randbytes(FILE * PIECE), new_id(), EXPRESS))[:kept]


def unfinished(peer: Peer, count: int) -> Iterator[Message]:
    return mebibytes(peer, count, FILE - 1)


# Tallies


def tallies(peer: Peer, lists: Iterable[list[Json]], **more: bool) -> list[Message]:
    values = [tally(peer.unit, peer.victim, entries, **more) for entries in lists]
    return [Message("tally", ORDINARY, value["tallyId"], body)
            for value, body in zip(values, signed(peer, values), strict=True)]


def known(peer: Peer, most: int) -> list[Json]:
    """Entries about documents that the victim has, as if nothing had been heard about them."""
    return [entry(document, digest, number + 1)
            for number, (document, digest) in enumerate(peer.known[:most])]


def tallies_unknown(peer: Peer, count: int) -> list[Message]:
    return tallies(peer, ([entry(new_id(), sha256(b""))] for _ in range(count)), partial=True)


def tallies_long(peer: Peer, count: int) -> list[Message]:
    entries = known(peer, 2_000)
    return tallies(peer, [entries] * count, partial=True)


def tallies_paced(peer: Peer, count: int) -> list[Message]:
    return tallies(peer, [known(peer, 500)] * count, partial=True)


def tally_again(peer: Peer, count: int) -> list[Message]:
    return tallies(peer, [known(peer, 1_000)], partial=True) * count


def tally_of_one(peer: Peer, count: int) -> list[Message]:
    return tallies(peer, [known(peer, 1) * count], partial=True)


def answers(peer: Peer, count: int) -> list[Message]:
    """The victim's tally is answered again and again: its document is not here."""
    tally_id, document, _ = peer.asked
    values = [{"kind": "tallyAnswer", "version": 1, "answerId": new_id(), "tallyId": tally_id,
               "from": {"organId": peer.unit}, "to": {"organId": peer.victim},
               "timestamp": utc(time.time()), "missing": [document]} for _ in range(count)]
    return [Message("tally-answer", ORDINARY, value["answerId"], body, tally_id)
            for value, body in zip(values, signed(peer, values), strict=True)]


def tallies_whole(peer: Peer, count: int) -> list[Message]:
    """Not partial and with one entry: are the statuses of the last week given away unasked?"""
    return tallies(peer, [known(peer, 1)] * count)


FLOODS = [
    Flood("garbage", "garbage of 1 byte, new ids", EXPRESS, 10_000, 2_000, garbage),
    Flood("unknown", "unknown type, after the garbage", EXPRESS, 10_000, 2_000, unknown,
          after="garbage", unit_of="garbage"),
    Flood("mixed", "garbage of 1 byte, of every type", EXPRESS, 6_000, 1_200, mixed),
    Flood("same-id", "bodies under one message-id", EXPRESS, 2_000, 400, same_id),
    Flood("tiny", "tiny documents, thường", ORDINARY, 4_000, 800, tiny),
    Flood("tallies", "tallies of one unknown entry", ORDINARY, 1_000, 200, tallies_unknown,
          after="tiny", unit_of="tiny"),
    Flood("tallies-long", "tallies of 2,000 entries", ORDINARY, 100, 6, tallies_long,
          after="tiny", unit_of="tiny"),
    Flood("tallies-paced", "tallies of 500 entries, one a second", ORDINARY, 20, 3, tallies_paced,
          after="tiny", unit_of="tiny", pause=1.0),
    Flood("tally-again", "one tally of 1,000 entries, again and again", ORDINARY, 300, 0,
          tally_again, after="tiny", unit_of="tiny"),
    Flood("tally-of-one", "one document 2,000 times in a tally", ORDINARY, 2_000, 0, tally_of_one,
          after="tiny", unit_of="tiny", entries=2_000),
    Flood("tallies-whole", "tallies of one entry, not partial", ORDINARY, 20, 0, tallies_whole,
          after="tiny", unit_of="tiny"),
    Flood("tiny-urgent", "tiny documents, hỏa tốc", EXPRESS, 4_000, 800, tiny_urgent),
    Flood("statuses", "statuses about nothing", EXPRESS, 4_000, 800, statuses),
    Flood("copies", "copies of one document", EXPRESS, 10_000, 1_500, copies),
    Flood("conflicts", "other documents under one id", EXPRESS, 2_000, 400, conflicts),
    Flood("malformed", "no manifests, well signed, one id", EXPRESS, 2_000, 300, malformed),
    Flood("conflict-tallies", "tallies about that id", ORDINARY, 10, 4, tallies_whole,
          after="conflicts", unit_of="conflicts", pause=3.0),
    Flood("answers", "answers: 20 MiB are missing", ORDINARY, 20, 20, answers, asks=20),
    Flood("reports", "statuses about one document of the victim", EXPRESS, 2_000, 400, reports,
          asks=1),
    Flood("nested", "900 KB of nested JSON", EXPRESS, 300, 12, nested),
    Flood("members", "900 KB with 100,000 members", EXPRESS, 300, 12, members),
    Flood("recipients", "documents to 2,000 recipients", EXPRESS, 300, 60, recipients),
    Flood("queue-full", "tiny documents, the sender's queue full", EXPRESS, 600, 200, tiny_urgent,
          is_queue_full=True),
    Flood("pieces", "pieces of 1 MiB that nothing names", EXPRESS, 400, 48, mebibytes),
    Flood("quarantined", "garbage of 1 MB", EXPRESS, 300, 24, quarantined),
    Flood("postponed", "0.9 MB, signed two hours ahead", EXPRESS, 300, 24, postponed),
    Flood("unfinished", "pieces of unfinished files", EXPRESS, 1_500, 45, unfinished),
]
