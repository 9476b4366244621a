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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from journal import Journal
from proxy import Proxy

Arm = tuple[str, int]  # crash point, number of the pass at which the process ends
DISK_FULL, READ_ONLY = "disk full", "disk read-only"


class Node:
    """One unit. Faults say what they are about to do (`expect`), so that an end that nobody caused
    is a finding."""

    def __init__(self, unit: str, folder: Path, program: Path, proxy: Proxy, journal: Journal,
                 shim: Path | None) -> None:
        self.unit, self.folder, self.program = unit, folder, program
        self.proxy, self.journal, self.shim = proxy, journal, shim
        self.clock_file = folder.parent / f"{unit}.clock"
        self.set_clock(0)
        self.log_path = folder.parent / f"{unit}.log"
        self.lock = threading.RLock()
        self.process: subprocess.Popen[bytes] | None = None
        self.expected: str | None = None  # the end that a fault is about to cause
        self.arm: Arm | None = None
        self.next_arm: Arm | None = None
        self.armer: Callable[[], Arm | None] | None = None
        self.rest = 0.0  # seconds until the next start
        self.is_closing = False
        self.is_held = self.is_standing = False  # see stand_still
        self.trouble = ""  # DISK_FULL, READ_ONLY: the node and its clerks may refuse to work
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
            if self.is_held:
                self.is_standing = True
                time.sleep(0.02)
                continue
            self.is_standing = False
            with self.lock:
                arm = self.next_arm or (self.armer() if self.armer else None)
                self.next_arm, self.arm, self.expected = None, arm, None
                begun = time.monotonic()
                with open(self.log_path, "ab") as log:
                    log.write(f"--- start, armed {arm}\n".encode())
                    log.flush()
                    self.process = subprocess.Popen(
                        [str(self.program), "node", "--dir", str(self.folder)], stdout=log,
                        stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                        env=self.environment(arm))
            code = self.process.wait()
            with self.lock:
                self.restarts += 1
                self._judge_end(code, time.monotonic() - begun)
                # A folder that cannot be used at once (disk full) is tried again, not hammered.
                failures = failures + 1 if code > 0 and time.monotonic() - begun < 2 else 0
                rest, self.rest = max(self.rest, min(failures, 5) * 0.3), 0.0
            time.sleep(rest)

    def _judge_end(self, code: int, seconds: float) -> None:
        expected, arm = self.expected, self.arm
        killed = code == -signal.SIGKILL
        if arm and killed and expected is None:
            self.journal.crash(arm[0], hit=True)
            self.journal.fault("node: crash point", point=arm[0])
        elif arm:
            self.journal.crash(arm[0], hit=False)
        if killed and (expected == "kill" or arm):
            return
        # So young a process has not said yet that it wants to hear of SIGTERM; it may have been
        # frozen for some seconds meanwhile.
        if expected == "term" and (code == 0 or (code == -signal.SIGTERM and seconds < 10)):
            return
        if code > 0 and self.trouble:
            self.journal.note(f"node starts refused, {self.trouble}")
            return
        self.journal.finding(
            f"node {self.unit} ended with {code}, expected {expected}, armed {arm}: "
            f"see {self.log_path}")

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self, rest: float = 0.0, arm: Arm | None = None) -> bool:
        with self.lock:
            if not self.is_running:
                return False
            assert self.process
            self.expected, self.rest, self.next_arm = "kill", rest, arm
            self.process.send_signal(signal.SIGKILL)
        return True

    def terminate(self, rest: float = 0.0, patience: float = 40) -> bool:
        """SIGTERM; a daemon that does not end is a finding, and is killed."""
        with self.lock:
            if not self.is_running:
                return False
            process = self.process
            assert process
            self.expected, self.rest = "term", rest
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            self.journal.finding(f"node {self.unit} did not end {patience} s after SIGTERM")
            with self.lock:
                self.expected = "kill"
                process.kill()
        return True

    def freeze(self, seconds: float) -> bool:
        with self.lock:
            process = self.process
            if process is None or process.poll() is not None:
                return False
            process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            process.send_signal(signal.SIGCONT)
        return True

    @contextlib.contextmanager
    def stand_still(self) -> Any:
        """The node is ended and not started again until the block is left."""
        self.is_standing, self.is_held = False, True
        try:
            while self.thread and self.thread.is_alive() and not self.is_standing:
                self.terminate()
                time.sleep(0.02)
            yield
        finally:
            self.is_held = False

    def sample(self) -> None:
        """The most memory and open files that any process of this node has had."""
        process = self.process
        with contextlib.suppress(OSError, StopIteration, AttributeError):
            folder = Path(f"/proc/{process.pid}")
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
                if self.process:
                    self.expected = "kill"
                    self.process.kill()
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
