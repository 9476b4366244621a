"""What happened, for the report and for whoever looks at a failure: faults, findings, documents."""

import collections
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO


class Journal:
    """Thread-safe; every entry is also a line of `journal.jsonl` in the campaign's folder. Progress
    goes to `progress`."""

    def __init__(self, folder: Path, progress: TextIO = sys.stdout,
                 name: str = "campaign") -> None:
        self.start = time.monotonic()
        self.progress, self.name = progress, name
        self.lock = threading.Lock()
        self.file = open(folder / "journal.jsonl", "a", encoding="utf-8")
        self.faults: collections.Counter[str] = collections.Counter()
        self.crash_hits: collections.Counter[str] = collections.Counter()
        self.crash_misses: collections.Counter[str] = collections.Counter()
        self.findings: list[str] = []
        self.notes: collections.Counter[str] = collections.Counter()
        self.restored: list[tuple[str, float]] = []  # receivers back at a backup, and when

    def write(self, kind: str, **members: Any) -> None:
        entry = {"t": round(time.monotonic() - self.start, 3), "at": time.strftime("%H:%M:%S")}
        with self.lock:
            self.file.write(json.dumps(entry | {"kind": kind} | members, ensure_ascii=False) + "\n")
            self.file.flush()

    def fault(self, name: str, **members: Any) -> None:
        """A fault took effect."""
        with self.lock:
            self.faults[name] += 1
        self.write("fault", fault=name, **members)

    def crash(self, point: str, hit: bool) -> None:
        with self.lock:
            (self.crash_hits if hit else self.crash_misses)[point] += 1
        self.write("crash", point=point, hit=hit)

    def finding(self, text: str) -> None:
        """Something that must not happen, whatever the faults: it fails the campaign."""
        with self.lock:
            self.findings.append(text)
        self.write("finding", text=text)
        self.tell(f"FINDING: {text}")

    def note(self, name: str, count: int = 1) -> None:
        with self.lock:
            self.notes[name] += count

    def say(self, text: str) -> None:
        self.write("say", text=text)
        self.tell(f"{time.monotonic() - self.start:6.1f} s  {text}")

    def tell(self, text: str) -> None:
        print(f"{self.name}: {text}", file=self.progress, flush=True)

    def close(self) -> None:
        self.file.close()
