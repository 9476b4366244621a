"""By strace: the thread that acknowledges has synced the database's log since its last
acknowledgement. A node that acknowledged first would pass every other test, until the power fails.

The node talks plain TCP here, because TLS would hide the frames.
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from node import Node
from traffic import Document

ACK = re.compile(r"\\x01\\x00\\x01\\x00\\x00\\x00\\x0d\\x00\\x3c\\x00\\x50")  # basic.ack
CALL = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)")


@dataclass
class Order:
    acks: int = 0
    syncs: int = 0
    unsynced: int = 0


def trace(receiver: Node, sender: Node, password: Path, port: int, scratch: Path,
          documents: int = 60) -> Order:
    """Sends documents to a receiver that runs under strace. Both nodes are stopped before.

    Each has content of its own: a batch of nothing but pieces that are stored already has nothing
    to write, and is rightly acknowledged without a sync.
    """
    output = scratch / "strace.txt"
    environment = receiver.environment() | {
        "CONGVAN_BROKER_PORT": str(port), "CONGVAN_BROKER_TLS": "false",
        "CONGVAN_BROKER_AUTHENTICATION": "password", "CONGVAN_BROKER_PASSWORD_FILE": str(password)}
    environment.pop("LD_PRELOAD", None)
    process = subprocess.Popen(
        ["strace", "-f", "-y", "-xx", "-s", "48", "-e", "trace=fdatasync,fsync,sendto,write,writev",
         "-e", "signal=none", "-o", str(output), str(receiver.program), "node", "--dir",
         str(receiver.folder)], env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    file = scratch / "strace.pdf"
    sender.begin()
    ledger = open(scratch / "ledger.jsonl", "a", encoding="utf-8")  # for a later check
    try:
        for number in range(documents):
            content = b"%PDF-1.7\n" + os.urandom(5000)
            file.write_bytes(content)
            document = Document(
                f"Thứ tự ghi đĩa {number}", sender.unit, [receiver.unit],
                [(file.name, len(content), hashlib.sha256(content).hexdigest())], at=time.time())
            document.id = sender.run_cli(
                "send", str(file), "--to", receiver.unit, "--number", f"{number}/CV-FS", "--date",
                "2026-11-20", "--type", "Công văn", "--subject", document.subject).strip()
            ledger.write(json.dumps(document.__dict__, ensure_ascii=False) + "\n")
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and (
                sender.rows("SELECT 1 FROM delivery "
                            "WHERE state IN ('queued', 'retrying', 'published') LIMIT 1")
                or receiver.rows("SELECT 1 FROM notice WHERE state <> 'published' LIMIT 1")):
            time.sleep(0.2)
    finally:
        ledger.close()
        sender.end()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGTERM)
        process.wait(60)
    return judge(output)


def judge(output: Path) -> Order:
    order = Order()
    synced: set[str] = set()
    with open(output, encoding="ascii", errors="replace") as lines:
        for line in lines:
            if not (call := CALL.match(line)):
                continue
            thread, name = call.groups()
            if name in ("fdatasync", "fsync"):
                if "<unfinished" in line:  # counts when it has returned
                    continue
                if "congvan.db-wal" in unhex(line) or "resumed" in line:
                    synced.add(thread)
                    order.syncs += 1
            elif ACK.search(line):
                order.acks += 1
                if thread not in synced:
                    order.unsynced += 1
                synced.discard(thread)
    return order


def unhex(line: str) -> str:
    """strace -xx writes paths in hexadecimal too."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), line)
