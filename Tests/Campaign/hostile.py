"""What a unit with a valid key and login must not bring about, tried on the running nodes: each
check gives what went wrong, or nothing. Whether the victim has come so far is seen by a true
document that follows: what one unit sends is judged in its order."""

import os
import time
from typing import TYPE_CHECKING

from hostile_peer import (PIECE, TEXT, Message, Peer, attachment, content_of, manifest, new_id,
                          pieces, sha256, to_json)

if TYPE_CHECKING:
    from node import Node
    from world import World

UNIT = "HOSTILE-CHECKS"
EXPRESS, ORDINARY = "express", "ordinary"
PATIENCE = 30.0
SIZES = (900, PIECE, PIECE + 1)  # kept as rows, as one piece, as several


def check(world: "World", is_quick: bool) -> dict[str, str]:
    """Name of each check, and what is wrong."""
    peer = world.peer(UNIT)
    return {
        "garbage is not answered": garbage(peer),
        "secret content is not kept": secrecy(world, peer, SIZES[::2] if is_quick else SIZES),
        "content of others is not betrayed": betrayal(world, peer),
        "content of others is not destroyed": destruction(world, peer)}


# Tools


def document(peer: Peer, content: bytes = TEXT, priority: int = 0, **more: object) -> Message:
    value = manifest(peer.unit, [peer.victim], priority=priority,
                     attachments=[attachment(content)], **more)
    return Message("document", EXPRESS if priority else ORDINARY, value["documentId"],
                   peer.sign(value))


def answers(peer: Peer, *names: str) -> list[str]:
    """Code and reason of what came back about one of the documents, or about anything."""
    found = [content_of(body) for kind, body, _ in peer.arrived if kind == "status"]
    return [f"{value['statusCode']} {value.get('reasonCode', '')}".strip() for value in found
            if not names or value["documentId"] in names]


def has_come_so_far(peer: Peer) -> None:
    """Sends a true document down each lane and waits for the receipts."""
    marks = [document(peer, priority=priority) for priority in (0, 3)]
    peer.publish(marks)
    deadline = time.monotonic() + PATIENCE
    while any(not answers(peer, mark.id) for mark in marks):
        if time.monotonic() > deadline:
            raise RuntimeError(f"a true document of {peer.unit} is not answered")
        time.sleep(0.05)
    taken = {mark.id for mark in marks}
    with peer.lock:
        peer.arrived = [item for item in peer.arrived
                        if content_of(item[1]).get("documentId") not in taken]


def send(world: "World", sender: "Node", receiver: "Node", content: bytes) -> str:
    """An innocent document with this file; returns its id when its receipt is there."""
    file = world.folder / "cua-nguoi-khac.txt"
    file.write_bytes(content)
    document = sender.run_cli(
        "send", str(file), "--to", receiver.unit, "--number", "7/CV-CD", "--date", "2026-11-20",
        "--type", "Công văn", "--subject", "Việc riêng").strip()
    world.wait_delivered(sender, document)
    return document


# Checks


def garbage(peer: Peer) -> str:
    """Where no content can be read, there is nothing that an answer could be about."""
    peer.take()
    cut = document(peer).body[:40]
    bodies = [b"", b"x", b"\x30\x80", b"{}", cut, os.urandom(300), b"\x30\x82\x01\x2c" * 75,
              to_json(manifest(peer.unit, [peer.victim]))]
    peer.publish(Message("document", lane, new_id(), body)
                 for lane in (EXPRESS, ORDINARY) for body in bodies)
    has_come_so_far(peer)
    came = answers(peer)
    return f"{len(came)} answers to {2 * len(bodies)} bodies: {came[:3]}" if came else ""


def secrecy(world: "World", peer: Peer, sizes: tuple[int, ...]) -> str:
    """Điều 5: what a manifest with a secrecy mark names does not stay, in any order."""
    wrong = []
    for size in sizes:
        for order in ("manifest, pieces", "pieces, manifest, pieces", "part, manifest, rest",
                      "manifest, pieces, pieces"):
            content = b"%PDF-1.7\n" + os.urandom(size - 9)
            secret = manifest(peer.unit, [peer.victim], secrecyMark="Mật",
                              attachments=[attachment(content, "mat.pdf")])
            parts = list(pieces(content, secret["documentId"], ORDINARY))
            steps = {"manifest": [Message("document", ORDINARY, secret["documentId"],
                                          peer.sign(secret))],
                     "pieces": parts, "part": parts[:1], "rest": parts[1:]}
            for step in order.split(", "):
                peer.publish(steps[step])
                has_come_so_far(peer)
            if answers(peer, secret["documentId"]) != ["02 DIEU5"]:
                wrong.append(f"{size} bytes, {order}: answered {answers(peer)[-3:]}")
            if kept := is_kept(world, content):
                wrong.append(f"{size} bytes, {order}: {kept}")
    return "; ".join(wrong[:4]) + (f"; {len(wrong)} in all" if len(wrong) > 4 else "")


def is_kept(world: "World", content: bytes, seconds: float = 6.0) -> str:
    """Where content still is after some seconds: it may be on its way out."""
    digest = sha256(content)
    deadline = time.monotonic() + seconds
    while True:
        rows = [table for table in ("blob", "transfer") if world.victim.rows(
            f"SELECT 1 FROM {table} WHERE sha256 = ?", bytes.fromhex(digest))]
        files = [path.name for path in world.victim.folder.rglob("*") if digest in path.name]
        if not rows + files:
            return ""
        if time.monotonic() > deadline:
            return "kept in " + ", ".join(rows + files)
        time.sleep(0.1)


def betrayal(world: "World", peer: Peer) -> str:
    """A digest that the victim has from another unit, or sent itself, tells a stranger nothing: the
    stranger hears the same as about a digest that nobody has, and 01 only for its own pieces."""
    wrong = []
    for sender, receiver in ((world.innocent, world.victim), (world.victim, world.innocent)):
        content = f"Văn bản của {sender.unit} {new_id()}\n".encode()
        send(world, sender, receiver, content)
        peer.take()
        named = attachment(content)
        values = [manifest(peer.unit, [peer.victim], attachments=[named]),
                  manifest(peer.unit, [peer.victim], attachments=[named | {"size": 7}]),
                  manifest(peer.unit, [peer.victim], attachments=[attachment(os.urandom(40))])]
        claims = [Message("document", ORDINARY, value["documentId"], peer.sign(value))
                  for value in values]
        peer.publish(claims)
        has_come_so_far(peer)
        heard = [answers(peer, claim.id) for claim in claims]
        if heard[0] or heard[1] != heard[2]:
            wrong.append(f"about {sender.unit}'s content: {heard[0] or 'nothing'}, with another "
                         f"size {heard[1] or 'nothing'}, about unknown content "
                         f"{heard[2] or 'nothing'}")
        peer.publish(pieces(content, claims[0].id, ORDINARY))
        has_come_so_far(peer)
        deadline = time.monotonic() + PATIENCE
        while not (heard_now := answers(peer, claims[0].id)) and time.monotonic() < deadline:
            time.sleep(0.05)
        if heard_now != ["01"]:
            wrong.append(f"with its own pieces the unit hears {heard_now or 'nothing'}")
    return "; ".join(wrong)


def destruction(world: "World", peer: Peer) -> str:
    """A stranger's secrecy mark reaches only what that stranger brought."""
    peer.take()
    had, later = (f"Văn bản thường {new_id()}\n".encode() for _ in range(2))
    document = send(world, world.innocent, world.victim, had)
    secret = manifest(peer.unit, [peer.victim], secrecyMark="Mật",
                      attachments=[attachment(had), attachment(later, "tep-2.txt")])
    peer.publish([*pieces(had, secret["documentId"], ORDINARY),
                  Message("document", ORDINARY, secret["documentId"], peer.sign(secret)),
                  *pieces(later, secret["documentId"], ORDINARY)])
    has_come_so_far(peer)
    wrong = []
    for content, name in ((had, document),
                          (later, send(world, world.innocent, world.victim, later))):
        folder = world.folder / f"export-{name}"
        world.victim.run_cli("export", name, "--out", str(folder))
        if content not in [path.read_bytes() for path in folder.glob("files/*")]:
            wrong.append(f"the file of {name} is gone")
    return "; ".join(wrong)
