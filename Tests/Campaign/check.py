"""The judge of the campaign: reads every node's database and files from outside, when nothing runs
any more, and compares them with the ledger of what the clerks were told."""

import collections
import hashlib
import json
import os
import random
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from journal import Journal
from meddler import Forgery
from node import Node
from traffic import RECALLED, REFUSED, REPLACED, Document

OPENSSL_SAMPLE, SHOW_SAMPLE = 40, 25  # per node
# The transition table of the exchange, written down a second time on purpose.
OUTGOING = {
    "queued": "published retrying suspended cancelled delivered refused expired",
    "retrying": "queued published suspended cancelled delivered refused expired retrying",
    "published": "delivered refused suspended expired queued",
    "suspended": "queued cancelled delivered refused", "delivered": "refused queued",
    "refused": "queued delivered", "expired": "queued delivered refused",
    "cancelled": "delivered refused queued"}
INCOMING = {
    "received": "verified incomplete accepted quarantined",
    "verified": "accepted incomplete quarantined",
    "incomplete": "accepted quarantined verified", "quarantined": "received discarded",
    "accepted": "received"}


@dataclass
class Verdict:
    documents: int = 0
    deliveries: int = 0
    delivered: int = 0
    refused: int = 0
    withdrawn: int = 0
    forgotten: int = 0
    answers: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    duplicates: int = 0
    disbelieved: int = 0
    leftovers: int = 0
    bytes: int = 0
    signatures: int = 0
    sent_again: int = 0

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.twice or self.stuck or self.wrong)


def times_said_anew(times: Iterable[int]) -> int:
    """How many of a unit's receipts about a document, in the order in which they arrived, are dated
    minutes before an earlier one: a unit whose clock was ahead when it gave a receipt, and was set
    back, gives it anew when it is asked."""
    latest, count = 0, 0
    for at in times:
        count += at < latest - 300_000_000
        latest = max(latest, at)
    return count


class Checker:
    def __init__(self, nodes: list[Node], documents: list[Document], forgeries: set[Forgery],
                 journal: Journal, authority: Path, seed: int) -> None:
        self.nodes = {node.unit: node for node in nodes}
        self.documents, self.forgeries, self.journal = documents, forgeries, journal
        self.authority, self.rng = authority, random.Random(f"{seed}/check")
        self.verdict = Verdict()

    def run(self, only: str = "") -> Verdict:
        """Every node has stopped, so that nothing changes under the check. `only` leaves out what
        lies within the other units."""
        outgoing = {unit: self._outgoing(node) for unit, node in self.nodes.items()}
        incoming = {unit: self._incoming(node) for unit, node in self.nodes.items()}
        self._ledger(outgoing, incoming)
        for node in [self.nodes[only]] if only else self.nodes.values():
            self._integrity(node)
            self._histories(node)
            self._content(node)
            self._quarantine(node)
            self._signatures(node)
            self._shown(node)
        return self.verdict

    # Reading

    def _outgoing(self, node: Node) -> dict[tuple[str, str], dict[str, Any]]:
        rows = node.rows("""
            SELECT document.id, recipient, state, subject, frozen, lastError, lastErrorText,
              hex(manifestSha256) AS digest, signed, document.key AS key,
              (SELECT id FROM status WHERE status.document = document.key AND direction = 'received'
                AND fromUnit = recipient AND code IN ('15', '16') ORDER BY at DESC LIMIT 1) AS answer
            FROM document LEFT JOIN delivery ON delivery.document = document.key
            WHERE direction = 'outgoing'""")
        receipts: dict[tuple[int, str], dict[str, int]] = collections.defaultdict(dict)
        for row in node.rows("SELECT document, fromUnit, id, at FROM status WHERE direction = "
                             "'received' AND code = '01' ORDER BY key"):
            receipts[row["document"], row["fromUnit"]][row["id"]] = row["at"]
        return {(row["id"], row["recipient"]): dict(row) | {
            "signed": hashlib.sha256(row["signed"]).digest(),
            "receipts": receipts[row["key"], row["recipient"]]} for row in rows}

    def _incoming(self, node: Node) -> dict[tuple[str, str], list[dict[str, Any]]]:
        found: dict[tuple[str, str], list[dict[str, Any]]] = collections.defaultdict(list)
        for row in node.rows("""
                SELECT document.id, document.sender, received.state, subject, signed, frozen,
                  hex(manifestSha256) AS digest, document.key AS key,
                  (SELECT count(*) FROM status WHERE documentID = document.id
                    AND direction = 'received' AND code = '13') AS takeBacks,
                  (SELECT id || ' ' || code FROM status WHERE status.document = document.key
                    AND direction = 'sent' AND code IN ('15', '16')
                    ORDER BY at DESC LIMIT 1) AS answer
                FROM document LEFT JOIN received ON received.document = document.key
                WHERE direction = 'incoming'"""):
            found[row["sender"], row["id"]].append(dict(row) | {
                "signed": hashlib.sha256(row["signed"]).digest()})
        return found

    # Documents

    def _ledger(self, outgoing: dict[str, Any], incoming: dict[str, Any]) -> None:
        verdict = self.verdict
        issued: dict[str, set[str]] = collections.defaultdict(set)
        files = {unit: self._files(node) for unit, node in self.nodes.items()}
        for document in self.documents:
            if document.id is None:
                continue
            verdict.documents += 1
            issued[document.sender].add(document.id)
            for recipient in document.recipients:
                verdict.deliveries += 1
                name = f"{document.id} {document.sender} → {recipient} ({document.subject})"
                sent = outgoing[document.sender].get((document.id, recipient))
                got = incoming[recipient].get((document.sender, document.id), [])
                accepted = [row for row in got if row["state"] == "accepted"]
                if sent is None:
                    verdict.lost.append(f"{name}: issued, and the sender does not know it")
                    continue
                if len(got) > 1:
                    verdict.twice.append(f"{name}: {len(got)} incoming documents")
                times_forgotten = sum(unit == recipient and at > document.at
                                      for unit, at in self.journal.restored)
                is_refused = sent["state"] == "refused" and (
                    document.act == REFUSED and document.refused_by == recipient)
                if document.act in (RECALLED, REPLACED) and sent["state"] in (
                        "cancelled", "refused", "expired"):
                    verdict.withdrawn += 1
                    if accepted:
                        verdict.wrong.append(f"{name}: {sent['state']}, and the receiver has it")
                elif sent["state"] == "delivered" or is_refused:
                    verdict.refused += is_refused
                    verdict.delivered += not is_refused
                    if not accepted and document.act == RECALLED and times_forgotten:
                        verdict.forgotten += 1  # what was taken back is not sent again
                    elif not accepted:
                        verdict.lost.append(f"{name}: delivered, and the receiver has not "
                                            f"accepted it ({[row['state'] for row in got]})")
                    # Who forgot a document with its receipt takes it in again, and signs another.
                    most = 1 + times_forgotten + times_said_anew(sent["receipts"].values())
                    if not 1 <= len(sent["receipts"]) <= most:
                        verdict.wrong.append(f"{name}: {len(sent['receipts'])} receipts 01")
                else:
                    verdict.stuck.append(
                        f"{name}: {sent['state']} {sent['lastError'] or ''} "
                        f"{sent['lastErrorText'] or ''}; at the receiver "
                        f"{[row['state'] for row in got] or 'nothing'}")
                for row in accepted:
                    self._acts(name, document, recipient, sent, row)
                    if row["signed"] != sent["signed"] or row["digest"] != sent["digest"]:
                        verdict.wrong.append(f"{name}: other bytes arrived than were signed")
                    expected = sorted((n, s, d) for n, s, d in document.files)
                    if files[recipient][row["key"]] != expected:
                        verdict.wrong.append(f"{name}: other files than the clerk gave")
        self._reconcile(issued, outgoing, incoming)

    def _acts(self, name: str, document: Document, recipient: str, sent: dict[str, Any],
              got: dict[str, Any]) -> None:
        """What a person did with a document is known on both sides, and nothing else is."""
        wrong = self.verdict.wrong
        if document.act == REFUSED and document.refused_by == recipient:
            if sent["lastError"] != "REFUSED-BY-PERSON":
                wrong.append(f"{name}: a person refused it, and the sender does not know")
        elif document.act == REPLACED:
            if self._is_replacement_gone(document):
                return  # taken back before it arrived there, perhaps: then nothing replaces it
            if (sent["frozen"], got["frozen"]) != ("replaced", "replaced"):
                wrong.append(f"{name}: replaced, and is {sent['frozen']} at the sender, "
                             f"{got['frozen']} at the receiver")
        elif document.act == RECALLED:
            answer, code = (got["answer"] or " ").split(" ")
            self.verdict.answers += bool(answer)
            if not got["takeBacks"] or not answer:
                wrong.append(f"{name}: taken back, and the receiver has {got['takeBacks']} "
                             f"take-backs, answered {code or 'nothing'}")
            elif sent["answer"] != answer:
                wrong.append(f"{name}: the answer {code} to the take-back is not at the sender")
            if (got["frozen"] == "recalled") != (code != "16"):
                wrong.append(f"{name}: answered {code} and is {got['frozen']} at the receiver")
            if code == "15" and sent["frozen"] != "recalled":
                wrong.append(f"{name}: taken back with consent, and is in force at the sender")
        elif sent["frozen"] or got["frozen"]:
            wrong.append(f"{name}: {sent['frozen']} at the sender, {got['frozen']} at the receiver, "
                         "and nobody took it back or replaced it")

    def _is_replacement_gone(self, document: Document) -> bool:
        return any(other.replaces == document.id and other.id and other.act in (RECALLED, REPLACED)
                   for other in self.documents)

    def _files(self, node: Node) -> dict[int, list[tuple[str, int, str]]]:
        files: dict[int, list[tuple[str, int, str]]] = collections.defaultdict(list)
        for row in node.rows("SELECT document, name, size, hex(sha256) AS digest FROM attachment"):
            files[row["document"]].append((row["name"], row["size"], row["digest"].lower()))
        return {key: sorted(value) for key, value in files.items()} | collections.defaultdict(list)

    def _reconcile(self, issued: dict[str, set[str]], outgoing: dict[str, Any],
                   incoming: dict[str, Any]) -> None:
        """The numbers of both sides, and nothing that nobody issued."""
        for unit, rows in outgoing.items():
            for id in {id for id, _ in rows} - issued[unit]:
                self.verdict.wrong.append(f"{unit} has issued {id}, and no clerk knows of it")
            subjects = collections.Counter(
                row["subject"] for row in {id: row for (id, _), row in rows.items()}.values())
            for subject, count in subjects.items():
                if count > 1:
                    self.verdict.twice.append(f"{unit} issued “{subject}” {count} times")
        for unit, arrived in incoming.items():
            for (sender, id), rows in arrived.items():
                if (id, unit) not in outgoing[sender]:
                    self.verdict.wrong.append(f"{unit} has {id} of {sender}, who never sent it")
            subjects = collections.Counter(
                (sender, rows[0]["subject"]) for (sender, _), rows in arrived.items())
            for (sender, subject), count in subjects.items():
                if count > 1:
                    self.verdict.twice.append(f"{unit} has “{subject}” of {sender} {count} times")
        delivered = sum(row["state"] == "delivered" or row["lastError"] == "REFUSED-BY-PERSON"
                        for rows in outgoing.values() for row in rows.values())
        delivered -= self.verdict.forgotten
        accepted = sum(row["state"] == "accepted" for arrived in incoming.values()
                       for rows in arrived.values() for row in rows)
        if delivered != accepted:
            self.verdict.wrong.append(f"{delivered} delivered, {accepted} accepted")

    # One node

    def _integrity(self, node: Node) -> None:
        answer = [row[0] for row in node.rows("PRAGMA integrity_check")]
        if answer != ["ok"]:
            self.verdict.wrong.append(f"{node.unit}: integrity_check: {answer[:3]}")
        if broken := node.rows("PRAGMA foreign_key_check"):
            self.verdict.wrong.append(f"{node.unit}: {len(broken)} broken references")
        if open_rows := node.rows(
                "SELECT state, count(*) AS n FROM received WHERE state IN ('received', 'verified', "
                "'incomplete') GROUP BY state"):
            self.verdict.stuck.append(f"{node.unit}: received {[tuple(r) for r in open_rows]}")
        if unsent := node.rows("SELECT type, lastError, count(*) AS n FROM notice "
                               "WHERE state <> 'published' GROUP BY type, lastError"):
            self.verdict.stuck.append(f"{node.unit}: notices not sent {[tuple(r) for r in unsent]}")
        self.verdict.duplicates += node.rows("SELECT coalesce(sum(duplicates), 0) FROM received")[
            0][0]

    def _histories(self, node: Node) -> None:
        states = {("delivery", r["key"]): r["state"]
                  for r in node.rows("SELECT key, state FROM delivery")}
        states |= {("received", r["key"]): r["state"]
                   for r in node.rows("SELECT key, state FROM received")}
        self.verdict.sent_again += node.rows(
            "SELECT count(*) FROM history WHERE subject = 'delivery' AND cause = 'reconciled'"
            )[0][0]
        last: dict[tuple[str, int], str | None] = {}
        wrong = []
        for row in node.rows("SELECT subject, subjectKey, fromState, toState FROM history "
                             "WHERE subject IN ('delivery', 'received') ORDER BY key"):
            key = row["subject"], row["subjectKey"]
            before, after = row["fromState"], row["toState"]
            table = OUTGOING if row["subject"] == "delivery" else INCOMING
            if before != last.get(key):
                wrong.append(f"{key}: {before} → {after} follows {last.get(key)}")
            if before is None:
                if after not in ("queued", "received", "quarantined"):
                    wrong.append(f"{key}: begins as {after}")
            elif after != before and after not in table.get(before, "").split():
                wrong.append(f"{key}: {before} → {after} is not allowed")
            last[key] = after
        wrong += [f"{key}: is {state}, its history says {last.get(key)}"
                  for key, state in states.items() if last.get(key) != state]
        self.verdict.wrong += [f"{node.unit}: history of {text}" for text in wrong[:5]]

    def _content(self, node: Node) -> None:
        """Every stored byte has its digest; files without a row are leftovers of a crash."""
        known = set()
        with node.database() as database:
            for row in database.execute("SELECT sha256, size, content FROM blob"):
                digest = row["sha256"].hex()
                known.add(digest)
                content = row["content"]
                if content is None:
                    path = node.folder / "blobs" / digest[:2] / digest
                    content = path.read_bytes() if path.exists() else b""
                self.verdict.bytes += len(content)
                if hashlib.sha256(content).hexdigest() != digest or len(content) != row["size"]:
                    self.verdict.wrong.append(f"{node.unit}: content {digest} is not itself")
            # A refused document that was replaced is sent no more.
            missing = database.execute(
                "SELECT count(*) FROM attachment a LEFT JOIN received r ON r.document = a.document "
                "WHERE r.state IS NOT 'quarantined' AND NOT EXISTS (SELECT 1 FROM blob "
                "WHERE blob.sha256 = a.sha256)").fetchone()[0]
            if missing:
                self.verdict.wrong.append(f"{node.unit}: {missing} attachments without content")
        self.verdict.leftovers += len(leftovers(node))

    def _quarantine(self, node: Node) -> None:
        """Only what the campaign altered may be disbelieved."""
        forged = {(f.sender, f.key) for f in self.forgeries if f.receiver == node.unit}
        digests = {f.key for f in self.forgeries if f.kind == "congvan.piece"}
        for row in node.rows("SELECT key, sender, messageID, type, outcome, detail, receivedAt "
                             "FROM received WHERE state = 'quarantined'"):
            self.verdict.disbelieved += 1
            if (row["sender"], row["messageID"]) in forged:
                continue
            if row["messageID"].split("/")[0] in digests or row["outcome"] == "ATTACHMENT-ALTERED":
                continue
            if row["outcome"] == "SIGNATURE-TIME-IN-FUTURE" and (
                    row["type"].startswith("congvan.tally")
                    or self._has_forgotten(row["sender"], row["receivedAt"])):
                continue
            if row["outcome"] == "STATUS-UNMATCHED" and any(
                    f.receiver == row["sender"] and f.sender == node.unit and named in row["detail"]
                    for f in self.forgeries for named in f.ids):
                continue
            self.verdict.wrong.append(
                f"{node.unit} disbelieves {row['type']} {row['messageID']} of {row['sender']}: "
                f"{row['outcome']} {row['detail']}, and nobody altered it")

    def _has_forgotten(self, unit: str, microseconds: int) -> bool:
        """What was said under a wrong clock comes again until it is believed; not a tally, because
        the next one says more, and not what its sender lost with a restored folder. Some minutes
        more, because the receiver's clock may have been ahead too."""
        return any(name == unit and at > microseconds / 1e6 - 400
                   for name, at in self.journal.restored)

    def _signatures(self, node: Node) -> None:
        """openssl, on manifests that were accepted and receipts that made a delivery delivered."""
        bodies = [r["signed"] for r in node.rows(
            "SELECT signed FROM document WHERE direction = 'incoming'")]
        receipts = [r["signed"] for r in node.rows(
            "SELECT signed FROM status WHERE direction = 'received' AND code = '01'")]
        for group in (bodies, receipts):
            for body in self.rng.sample(group, min(OPENSSL_SAMPLE, len(group))):
                done = subprocess.run(
                    ["openssl", "cms", "-verify", "-inform", "DER", "-CAfile",
                     str(self.authority)], input=body, capture_output=True)
                self.verdict.signatures += 1
                if done.returncode:
                    self.verdict.wrong.append(
                        f"{node.unit}: openssl does not verify what was believed: "
                        f"{done.stderr.decode().strip()[-200:]}")

    def _shown(self, node: Node) -> None:
        """What the program itself says about some of its documents."""
        rows = node.rows("SELECT id, direction FROM document")
        for row in self.rng.sample(rows, min(SHOW_SAMPLE, len(rows))):
            shown = json.loads(node.run_cli("show", row["id"], "--json"))
            if not shown["signature"].startswith("hợp lệ"):
                self.verdict.wrong.append(f"{node.unit}: show {row['id']}: {shown['signature']}")
            if row["direction"] == "incoming" and shown["state"] != "accepted":
                self.verdict.stuck.append(f"{node.unit}: show {row['id']}: {shown['state']}")


def leftovers(node: Node) -> list[Path]:
    """Temporary files, blobs without a row and spool files without a transfer."""
    known = {row[0].lower() for row in node.rows("SELECT hex(sha256) FROM blob")}
    found = [Path(root) / name for root, _, names in os.walk(node.folder / "tmp") for name in names]
    found += [Path(root) / name for root, _, names in os.walk(node.folder / "blobs")
              for name in names if name not in known]
    transfers = {spool_name(row["sender"], row["digest"].lower(), row["size"]) for row in
                 node.rows("SELECT sender, hex(sha256) AS digest, size FROM transfer")}
    found += [Path(root) / name for root, _, names in os.walk(node.folder / "spool")
              for name in names if name not in transfers]
    return found


def spool_name(sender: str, digest: str, size: int) -> str:
    return hashlib.sha256(f"{sender}\n{digest}\n{size}".encode()).hexdigest() + ".part"
