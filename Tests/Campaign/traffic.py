"""The stream of documents: clerks that issue documents with `congvan send`, some of whom lose their
process half way, and the ledger of what they were told."""

import json
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from journal import Journal
from node import Arm, Node

RECALLED, REPLACED, REFUSED = "recalled", "replaced", "refused"
CLI_POINTS = ["issue.before-commit", "issue.after-commit"]
CLI_CONTENT_POINTS = ["content.before-sync", "content.before-rename", "content.after-rename"]


@dataclass
class Document:
    """What a clerk wanted, and what became of it. `id` is None when nothing was issued. The fate of
    a clerk that was killed at a random moment is open: see `Traffic.ask_again`."""

    subject: str
    sender: str
    recipients: list[str]
    files: list[tuple[str, int, str]] = field(default_factory=list)  # name, size, digest
    urgent: bool = False
    id: str | None = None
    outcome: str = ""
    at: float = 0.0
    is_open: bool = False
    # What a person did with it afterwards: RECALLED, REPLACED by a later one, or REFUSED by one of
    # the recipients. `is_act_open`: its process was killed, and may have come to its end or not.
    act: str = ""
    refused_by: str = ""
    replaces: str | None = None
    is_act_open: bool = False


@dataclass
class Mix:
    """Shares of the sizes: (share, smallest, largest)."""

    sizes: list[tuple[float, int, int]]
    crash_share: float  # of the sends that lose their process
    fan_out: float  # chance of each further recipient
    act_share: float  # of the documents, after which a person does something with another


LONG = Mix([(0.70, 1_000, 8_000), (0.20, 8_000, 100_000), (0.08, 100_000, 400_000),
            (0.012, 400_000, 1_040_000), (0.008, 1_100_000, 6_000_000)], 0.01, 0.25, 0.04)
# Every second file passes the points of the spool or of the content files.
SHORT = Mix([(0.40, 1_000, 8_000), (0.10, 8_000, 250_000), (0.25, 270_000, 500_000),
             (0.25, 1_060_000, 1_500_000)], 0.25, 0.3, 0.15)


class Traffic:
    """Several clerks at once, at `rate` documents a second together, until `limit` or `stop`."""

    def __init__(self, nodes: list[Node], journal: Journal, scratch: Path, seed: int, mix: Mix,
                 rate: float, limit: int, clerks: int = 4,
                 choose: Callable[[list[str]], str] | None = None) -> None:
        """`choose` says at which of some crash points the next clerk ends; else chance does."""
        self.nodes, self.journal, self.scratch, self.mix = nodes, journal, scratch, mix
        self.rate, self.limit, self.choose = rate, limit, choose
        self.rng = random.Random(f"{seed}/traffic")
        self.pool = self.rng.randbytes(8_000_000)
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.documents: list[Document] = []
        self.planned = 0
        self.begun = 0.0
        self.ledger = open(scratch / "ledger.jsonl", "a", encoding="utf-8")
        self.answers = 0
        self.threads = [threading.Thread(target=self._clerk, args=(n,), daemon=True)
                        for n in range(clerks)]

    def start(self) -> None:
        self.begun = time.monotonic()
        for thread in self.threads:
            thread.start()

    def finish(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()
        self.ledger.close()

    def ask_again(self, nodes: dict[str, Node]) -> None:
        """The fate of clerks that were killed at a random moment, when everything has ended. One
        that died inside its commit leaves a document that nobody sees until the database is
        recovered; both ends are right, so the answer right after the death may be the wrong one."""
        for document in self.documents:
            if document.is_open:
                document.id = find(nodes[document.sender], document.subject)
                found = "issued" if document.id else "nothing issued"
                document.outcome = f"process killed, {found}"
        known = {document.id: document for document in self.documents if document.id}
        for document in self.documents:
            if document.replaces and document.id:
                known[document.replaces].act = REPLACED
        for document in known.values():
            if document.act == REPLACED and not any(
                    other.replaces == document.id and other.id for other in self.documents):
                document.act = ""
            elif document.is_act_open and not has_acted(nodes, document):
                document.act = document.refused_by = ""
        with open(self.scratch / "ledger.jsonl", "w", encoding="utf-8") as ledger:
            for document in self.documents:
                ledger.write(json.dumps(document.__dict__, ensure_ascii=False) + "\n")

    # Planning

    def _next(self) -> tuple[int, random.Random] | None:
        with self.lock:
            if self.stop.is_set() or self.planned >= self.limit:
                return None
            self.planned += 1
            return self.planned, random.Random(self.rng.getrandbits(64))

    def _clerk(self, number: int) -> None:
        folder = self.scratch / f"clerk-{number}"
        folder.mkdir()
        while (item := self._next()) is not None:
            count, rng = item
            wait = self.begun + count / self.rate - time.monotonic()
            if wait > 0 and self.stop.wait(wait):
                return
            try:
                self._issue(count, rng, folder)
                if rng.random() < self.mix.act_share:
                    rng.choice([self._recall, self._refuse, self._answer])(rng)
            except sqlite3.OperationalError as error:  # reading, while the disk is full or locked
                self.journal.note(f"a clerk cannot look: {error}")
            except Exception as error:  # a clerk that breaks would hide the rest
                self.journal.finding(f"the clerk's desk broke: {error!r}")

    def _content(self, rng: random.Random, count: int) -> bytes:
        point = rng.random()
        for share, low, high in self.mix.sizes:
            if point < share:
                break
            point -= share
        size = rng.randint(low, high)
        start = rng.randrange(len(self.pool) - size)
        head = f"%PDF-1.7\n% {count} {rng.getrandbits(64)}\n".encode()
        return head + self.pool[start:start + size]

    def _desk(self, rng: random.Random) -> Node:
        """The unit that issues; its clerk is counted. See Faults.receiver_lane for who may not."""
        nodes = self.nodes
        for node in (nodes[0] if rng.random() < 0.4 else rng.choice(nodes[1:]), nodes[0]):
            if node.sit():
                return node
        raise AssertionError("the first unit always issues")

    def _issue(self, count: int, rng: random.Random, folder: Path) -> None:
        sender = self._desk(rng)
        try:
            self._issue_from(sender, count, rng, folder)
        finally:
            sender.leave()

    def _issue_from(self, sender: Node, count: int, rng: random.Random, folder: Path) -> None:
        nodes = self.nodes
        others = [n.unit for n in nodes if n is not sender]
        rng.shuffle(others)
        recipients = others[:1] + [u for u in others[1:] if rng.random() < self.mix.fan_out]
        document = Document(f"Chiến dịch {count}", sender.unit, recipients, at=time.time())
        paths: list[str] = []
        for part in range(2 if rng.random() < 0.1 else 1):
            path = folder / f"van-ban-{count}-{part}.pdf"
            content = self._content(rng, count)
            path.write_bytes(content)
            paths.append(str(path))
            document.files.append((path.name, len(content), sha256(content).hexdigest()))
        if rng.random() < self.mix.act_share / 3 and (
                old := self._choose(rng, REPLACED, lambda d: d.sender == sender.unit)):
            document.replaces, document.recipients = old.id, list(old.recipients)
        arguments = ["send", *paths, "--to", *document.recipients, "--number", f"{count}/CV-CD",
                     "--date", "2026-11-20", "--type", "Công văn", "--subject", document.subject]
        if document.replaces:
            arguments += ["--replaces", document.replaces]
        if rng.random() < 0.15:
            document.urgent = True
            arguments += ["--urgency", rng.choice(["khẩn", "thượng-khẩn", "hỏa-tốc"])]
        try:
            self._send(sender, document, arguments, rng)
        except BaseException:  # what became of it is asked when everything has ended
            document.is_open = True
            raise
        finally:
            for name in paths:
                Path(name).unlink()
            with self.lock:
                self.documents.append(document)
                self.ledger.write(json.dumps(document.__dict__, ensure_ascii=False) + "\n")
                self.ledger.flush()

    # What people do with documents

    def _choose(self, rng: random.Random, act: str, fits: Callable[[Document], bool]
                ) -> Document | None:
        """One of the latest documents with which nobody has done anything, marked with `act`."""
        with self.lock:
            found = [d for d in self.documents[-400:]
                     if d.id and not d.is_open and not d.act and fits(d)]
            chosen = rng.choice(found) if found else None
            if chosen:
                chosen.act = act
        return chosen

    def take_back_between_all(self) -> None:
        """Each unit takes back a document that went to each other one, so that no campaign is without."""
        for node in self.nodes:
            for other in self.nodes:
                document = self._choose(self.rng, RECALLED, lambda d: (
                    d.sender == node.unit and other.unit in d.recipients))
                if document and document.id:
                    self._act(node, document, None, "recall", document.id, "--reason", "nhầm")

    def _act(self, node: Node, document: Document, rng: random.Random | None, *arguments: str
             ) -> None:
        """Some of these processes are killed too, as `rng` says."""
        begun = time.monotonic()
        process = node.cli(*arguments)
        is_struck = bool(rng and rng.random() < 0.2)
        if rng and is_struck:
            time.sleep(rng.random() * 0.04)
            process.kill()
        _, error = process.communicate(timeout=120)
        if process.returncode == -signal.SIGKILL and is_struck:
            self.journal.fault("person: kill -9", act=arguments[0])
            document.is_act_open = True
        elif process.returncode and (trouble := node.trouble_since(begun)):
            document.act = document.refused_by = ""
            self.journal.note(f"acts of people refused, {trouble}")
        elif process.returncode:
            self.journal.finding(f"congvan {arguments[0]} {document.id} ended with "
                                 f"{process.returncode}: {error.strip()[:300]}")

    def _recall(self, rng: random.Random) -> None:
        node = self._desk(rng)
        try:
            if document := self._choose(rng, RECALLED, lambda d: d.sender == node.unit):
                assert document.id
                self._act(node, document, rng, "recall", document.id, "--reason", "sai số liệu")
        finally:
            node.leave()

    def _refuse(self, rng: random.Random) -> None:
        """A recipient refuses what has arrived there."""
        node = self._desk(rng)
        try:
            with self.lock:
                here = {d.id: d for d in self.documents[-400:] if node.unit in d.recipients}
            if node.trouble:  # nobody can read either, when no daemon has the database open
                return
            arrived = [row["id"] for row in node.rows(
                "SELECT document.id FROM document JOIN received ON received.document = document.key"
                " WHERE direction = 'incoming' AND received.state = 'accepted'"
                " ORDER BY document.key DESC LIMIT 50") if row["id"] in here]
            if arrived and (document := self._choose(rng, REFUSED, lambda d: d.id in arrived)):
                assert document.id
                document.refused_by = node.unit
                self._act(node, document, rng, "refuse", document.id, "--reason", "gửi nhầm")
        finally:
            node.leave()

    def _answer(self, rng: random.Random) -> None:
        node = self._desk(rng)
        try:
            self.answer(node, rng, limit=3)
        finally:
            node.leave()

    def answer(self, node: Node, rng: random.Random, limit: int = 1_000) -> int:
        """Answers take-backs; returns how many were open."""
        begun = time.monotonic()
        try:
            open_ones = json.loads(node.run_cli("inbox", "--recalled", "--json"))[:limit]
            for row in open_ones:
                how = ["--agree"] if rng.random() < 0.5 else ["--decline", "--reason", "đã làm"]
                node.run_cli("recall", row["id"], *how)
                self.answers += 1
        except RuntimeError as error:
            # Another clerk may have answered it at the same moment.
            if not node.trouble_since(begun) and not any(
                    code in str(error) for code in ("DOCUMENT-NOT-RECALLED", "CHANGED-MEANWHILE")):
                self.journal.finding(f"a take-back cannot be answered: {error}")
            return 0
        return len(open_ones)

    # Sending

    def _send(self, node: Node, document: Document, arguments: list[str], rng: random.Random
              ) -> None:
        arm: Arm | None = None
        kill_after: float | None = None
        if rng.random() < self.mix.crash_share:
            points = CLI_POINTS + (CLI_CONTENT_POINTS if document.files[0][1] > 262_144 else [])
            if rng.random() < 0.75:
                arm = (self.choose(points) if self.choose else rng.choice(points), 1)
            else:
                kill_after = rng.random() * 0.04
        begun = time.monotonic()
        process = node.cli(*arguments, arm=arm)
        if kill_after is not None:
            time.sleep(kill_after)
            process.kill()
        try:
            out, error = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            out, error = process.communicate()
            self.journal.finding(f"congvan send hung for 120 s: {document.subject}")
        code = process.returncode
        if code == 0:
            document.id, document.outcome = out.strip(), "issued"
            return
        trouble = node.trouble_since(begun)
        found = document.id = find_soon(node, document.subject)
        document.outcome = "process died, issued" if found else "process died, nothing issued"
        if code == -signal.SIGKILL and (arm or kill_after is not None):
            if arm:
                self.journal.crash(arm[0], hit=True)
                self.journal.fault("send: crash point", point=arm[0])
                should = arm[0] == "issue.after-commit"
                if bool(found) != should:
                    self.journal.finding(
                        f"send killed at {arm[0]}: issued {found}: {document.subject}")
            else:
                self.journal.fault("send: kill -9")
                document.is_open = True
        elif trouble:
            document.outcome = f"{trouble}: {error.strip()[:120]}"
            self.journal.note(f"sends refused, {trouble}")
            if found:
                self.journal.finding(f"send failed and issued all the same: {document.subject}")
        else:
            self.journal.finding(f"congvan send ended with {code}: {error.strip()[:300]}")


def has_acted(nodes: dict[str, Node], document: Document) -> bool:
    """Whether an act whose process was killed had come to its end."""
    if document.act == RECALLED:
        sql, node = "SELECT frozen IS NOT NULL FROM document WHERE id = ?", nodes[document.sender]
    else:
        # An altered copy of the document gets a 02 too, from the node itself.
        sql = ("SELECT count(*) FROM status WHERE documentID = ? AND direction = 'sent' "
               "AND code = '02' AND reasonCode = 'REFUSED-BY-PERSON'")
        node = nodes[document.refused_by]
    return bool(node.rows(sql, document.id)[0][0])


def find_soon(node: Node, subject: str) -> str | None:
    """As `find`. A reader cannot open the database either while the disk is full or locked and no
    daemon has it open; the next such fault may begin between two looks."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return find(node, subject)
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def find(node: Node, subject: str) -> str | None:
    """The id of what the node issued under this subject."""
    rows = node.rows(
        "SELECT id FROM document WHERE direction = 'outgoing' AND subject = ?", subject)
    return rows[0]["id"] if rows else None
