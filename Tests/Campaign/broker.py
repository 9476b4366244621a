"""The broker under test: one private RabbitMQ (deploy/broker), or three in a cluster
(deploy/cluster). Both take the same calls; `member` counts from 0."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
VHOST = "congvan"


class Broker:
    """Addresses come from broker.env, which stays the same over every restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.members = self._folders()
        self.env = [self._read_env(member) for member in self.members]

    def _folders(self) -> list[Path]:
        return [self.folder]

    @staticmethod
    def _read_env(folder: Path) -> dict[str, str]:
        lines = (folder / "broker.env").read_text().splitlines()
        return dict(line.removeprefix("CONGVAN_BROKER_").split("=", 1) for line in lines)

    @staticmethod
    def _run(*command: str | Path, timeout: float = 240) -> str:
        try:
            done = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                                  timeout=timeout, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"{' '.join(map(str, command))}: {error}") from error
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()[-400:]}")
        return done.stdout

    # Addresses

    @property
    def tls(self) -> list[tuple[str, int]]:
        return [("127.0.0.1", int(env["TLS_PORT"])) for env in self.env]

    @property
    def plain(self) -> list[tuple[str, int]]:
        return [("127.0.0.1", int(env["PORT"])) for env in self.env]

    # Life

    def kill(self, member: int = 0) -> None:
        self._run(DEPLOY / "broker", "kill", self.members[member])

    def stop(self, member: int = 0) -> None:
        self._run(DEPLOY / "broker", "stop", self.members[member])

    def start(self, member: int = 0) -> None:
        self._run(DEPLOY / "broker", "start", self.members[member])

    def start_all(self) -> None:
        for member in range(len(self.members)):
            self.start(member)

    def freeze(self, member: int, seconds: float) -> None:
        """The machine of the broker hangs: everything stops, every connection stays open."""
        pid = int((self.members[member] / "beam.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    def leader(self, queue: str) -> int:
        """The member that leads a quorum queue."""
        shown = self.api("GET", f"/api/queues/{VHOST}/{urllib.parse.quote(queue, safe='')}")
        node = shown.get("leader") or shown["node"]
        names = [env["NODENAME"] for env in self.env]
        return names.index(node)

    # Administration

    def ctl(self, *arguments: str, member: int = 0) -> str:
        return self._run(DEPLOY / "broker", "ctl", self.members[member], *arguments, timeout=60)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the HTTP API of the first member that answers."""
        password = (self.members[0] / "admin.password").read_text().strip()
        token = b64encode(f"congvan-admin:{password}".encode()).decode()
        failure: Exception | None = None
        for env in self.env:
            request = urllib.request.Request(
                f"http://127.0.0.1:{env['HTTP_PORT']}{path}", method=method,
                data=None if body is None else json.dumps(body).encode(),
                headers={"authorization": f"Basic {token}", "content-type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    text = answer.read()
                    return json.loads(text) if text else None
            except (OSError, urllib.error.URLError) as error:
                failure = error
        raise RuntimeError(f"{method} {path}: {failure}")

    def remove(self) -> None:
        self._run(DEPLOY / "broker", "remove", self.folder)


class Cluster(Broker):
    """Three brokers with quorum queues."""

    def _folders(self) -> list[Path]:
        return [self.folder / str(number) for number in (1, 2, 3)]

    def remove(self) -> None:
        self._run(DEPLOY / "cluster", "remove", self.folder)
