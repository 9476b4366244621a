"""A real node: the daemon as a process that is started again whenever it ends, and its database as
seen from outside."""

import contextlib
import os
import signal
import sqlite3
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from journal import Journal
from proxy import Proxy

Arm = tuple[str, int]  # crash point, number of the pass at which the process ends
DISK_FULL, READ_ONLY = "disk full", "disk read-only"


@dataclass
class Life:
    """One process of a node, and the ends that faults were about to cause it. They belong to this
    process and are only ever added: the next fault may come before the end of the last is judged."""

    process: subprocess.Popen[bytes]
    arm: Arm | None
    log_offset: int  # where in the log its own lines begin
    begun: float = field(default_factory=time.monotonic)
    expected: set[int] = field(default_factory=set)  # SIGKILL, SIGTERM


class Node:
    """One unit. Faults say what they are about to do (`Life.expected`, `in_trouble`), so that an end
    that nobody caused is a finding."""

    def __init__(self, unit: str, folder: Path, program: Path, proxy: Proxy, journal: Journal,
                 shim: Path | None) -> None:
        self.unit, self.folder, self.program = unit, folder, program
        self.proxy, self.journal, self.shim = proxy, journal, shim
        self.clock_file = folder.parent / f"{unit}.clock"
        self.set_clock(0)
        self.log_path = folder.parent / f"{unit}.log"
        self.lock = threading.RLock()
        self.life: Life | None = None
        self.next_arm: Arm | None = None
        self.armer: Callable[[], Arm | None] | None = None
        self.rest = 0.0  # seconds until the next start
        self.is_closing = False
        self.holds = 0  # see stand_still
        self.is_standing = False
        self.troubles: list[tuple[str, float, float]] = []  # kind, from, to (monotonic)
        self.is_receiving_only = False
        self.clerks = 0  # commands that may write, running now
        self.restarts = 0
        self.peak_kib = self.peak_files = 0
        self.thread: threading.Thread | None = None

    # Process

    def environment(self, arm: Arm | None = None) -> dict[str, str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CONGVAN_")}
        environment["CONGVAN_BROKER_PORT"] = str(self.proxy.port)
        if arm:
            environment["CONGVAN_CRASH_AT"] = f"{arm[0]}:{arm[1]}"
        if self.shim:
            environment |= {"LD_PRELOAD": str(self.shim), "CAMPAIGN_CLOCK": str(self.clock_file)}
        return environment

    def begin(self) -> None:
        self.is_closing = False
        self.thread = threading.Thread(target=self._supervise, name=self.unit, daemon=True)
        self.thread.start()

    def _supervise(self) -> None:
        failures = 0
        while not self.is_closing:
            if self.holds:
                self.is_standing = True
                time.sleep(0.02)
                continue
            self.is_standing = False
            with self.lock:
                arm = self.next_arm or (self.armer() if self.armer else None)
                self.next_arm = None
                with open(self.log_path, "ab") as log:
                    log.write(f"--- start, armed {arm}\n".encode())
                    log.flush()
                    process = subprocess.Popen(
                        [str(self.program), "node", "--dir", str(self.folder)], stdout=log,
                        stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                        env=self.environment(arm))
                    life = self.life = Life(process, arm, log.tell())
            code = process.wait()
            with self.lock:
                self.restarts += 1
                self.judge_end(life, code)
                # A folder that cannot be used at once (disk full) is tried again, not hammered.
                failures = failures + 1 if code > 0 and time.monotonic() - life.begun < 2 else 0
                rest, self.rest = max(self.rest, min(failures, 5) * 0.3), 0.0
            time.sleep(rest)

    def judge_end(self, life: Life, code: int) -> None:
        """A finding, unless something that was done to this very process explains its end."""
        arm, killed = life.arm, code == -signal.SIGKILL
        if arm:
            is_hit = killed and signal.SIGKILL not in life.expected
            self.journal.crash(arm[0], hit=is_hit)
            if is_hit:
                self.journal.fault("node: crash point", point=arm[0])
        if killed and (signal.SIGKILL in life.expected or arm):
            return
        if signal.SIGTERM in life.expected and (
                code == 0 or code == -signal.SIGTERM and not self._has_started(life)):
            return
        # What cannot use its disk may say so a little later than the disk is repaired.
        if code > 0 and (trouble := self.trouble_since(max(life.begun, time.monotonic() - 20))):
            self.journal.note(f"node starts refused, {trouble}")
            return
        expected = sorted(signal.Signals(number).name for number in life.expected)
        self.journal.finding(
            f"node {self.unit} ended with {code}, expected {expected}, armed {arm}: "
            f"see {self.log_path}")

    def _has_started(self, life: Life) -> bool:
        """Before it says so, a process has not asked yet to hear of SIGTERM."""
        with open(self.log_path, "rb") as log:
            log.seek(life.log_offset)
            return b"node started" in log.read(1_000_000)

    @property
    def arm(self) -> Arm | None:
        return self.life.arm if self.life else None

    @property
    def is_running(self) -> bool:
        return self.life is not None and self.life.process.poll() is None

    def _strike(self, number: int, rest: float = 0.0, arm: Arm | None = None) -> Life | None:
        """A signal for the process that runs now. `arm` is for the next one, and waits for it."""
        with self.lock:
            if not self.is_running:
                return None
            assert self.life
            self.life.expected.add(number)
            self.rest, self.next_arm = max(self.rest, rest), arm or self.next_arm
            self.life.process.send_signal(number)
            return self.life

    def kill(self, rest: float = 0.0, arm: Arm | None = None) -> bool:
        return self._strike(signal.SIGKILL, rest, arm) is not None

    def terminate(self, rest: float = 0.0, patience: float = 120) -> bool:
        """SIGTERM; a daemon that does not end is a finding, and is killed."""
        life = self._strike(signal.SIGTERM, rest)
        if life is None:
            return False
        try:
            life.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.journal.finding(f"node {self.unit} did not end {patience} s after SIGTERM")
            with self.lock:
                life.expected.add(signal.SIGKILL)
                life.process.kill()
        return True

    def freeze(self, seconds: float) -> bool:
        with self.lock:
            if not self.is_running:
                return False
            assert self.life
            process = self.life.process
            process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            process.send_signal(signal.SIGCONT)
        return True

    @contextlib.contextmanager
    def stand_still(self) -> Any:
        """The node is ended and not started again until the block is left."""
        with self.lock:
            self.is_standing = False
            self.holds += 1
        try:
            while self.thread and self.thread.is_alive() and not self.is_standing:
                self.terminate()
                time.sleep(0.02)
            yield
        finally:
            with self.lock:
                self.holds -= 1

    @contextlib.contextmanager
    def in_trouble(self, kind: str) -> Iterator[None]:
        """DISK_FULL or READ_ONLY: the node and its clerks may refuse to work."""
        with self.lock:
            self.troubles.append((kind, time.monotonic(), float("inf")))
            number = len(self.troubles) - 1
        try:
            yield
        finally:
            with self.lock:
                self.troubles[number] = kind, self.troubles[number][1], time.monotonic()

    def trouble_since(self, moment: float) -> str:
        """The trouble that there was at any time since then (monotonic), or "". Whoever asks begins
        with the beginning of what failed: the trouble may be over before the failure is seen."""
        with self.lock:
            return next((kind for kind, _, end in reversed(self.troubles) if end >= moment), "")

    @property
    def trouble(self) -> str:
        return self.trouble_since(time.monotonic())

    def sample(self) -> None:
        """The most memory and open files that any process of this node has had."""
        life = self.life
        with contextlib.suppress(OSError, StopIteration, AttributeError):
            folder = Path(f"/proc/{life.process.pid}")
            peak = next(line for line in (folder / "status").read_text().splitlines()
                        if line.startswith("VmHWM:"))
            self.peak_kib = max(self.peak_kib, int(peak.split()[1]))
            self.peak_files = max(self.peak_files, len(os.listdir(folder / "fd")))

    def end(self) -> None:
        """Stop for good."""
        self.is_closing = True
        while self.thread and self.thread.is_alive():
            if not self.terminate():
                self.thread.join(0.1)

    def abort(self) -> None:
        """Nothing of it is left, whatever state it was in."""
        self.is_closing = True
        with contextlib.suppress(Exception):
            while self.thread and self.thread.is_alive():
                self.kill()
                self.thread.join(0.1)

    # Clock

    def set_clock(self, seconds: float) -> None:
        with open(self.clock_file, "r+b" if self.clock_file.exists() else "w+b") as file:
            file.write(struct.pack("q", int(seconds * 1_000_000)))

    # Command line and database

    def sit(self) -> bool:
        """A clerk sits down at this node's desk, and must `leave`; nobody may while the unit only
        receives."""
        with self.lock:
            self.clerks += not self.is_receiving_only
            return not self.is_receiving_only

    def leave(self) -> None:
        with self.lock:
            self.clerks -= 1

    def cli(self, *arguments: str, arm: Arm | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.program), *arguments, "--dir", str(self.folder)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            env=self.environment(arm))

    def run_cli(self, *arguments: str) -> str:
        process = self.cli(*arguments)
        out, error = process.communicate(timeout=120)
        if process.returncode:
            raise RuntimeError(f"congvan {' '.join(arguments[:2])}: {error.strip()}")
        return out

    @contextlib.contextmanager
    def database(self) -> Any:
        """Read-only, with rows by name."""
        connection = sqlite3.connect(f"file:{self.folder}/congvan.db?mode=ro", uri=True, timeout=30)
        connection.row_factory = sqlite3.Row
        try:
            yield connection
        finally:
            connection.close()

    def rows(self, sql: str, *arguments: Any) -> list[sqlite3.Row]:
        with self.database() as database:
            return database.execute(sql, arguments).fetchall()
