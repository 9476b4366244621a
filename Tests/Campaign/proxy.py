"""A TCP proxy in front of the broker, one per node: it can cut, hold back and delay connections.

TLS passes through it, so every byte that it cuts at is a byte of a TLS record. With several
upstreams it takes the first that answers, beginning with the one that answered last.
"""

import contextlib
import random
import socket
import struct
import threading
import time

CHUNK = 65_536
UP, DOWN = "up", "down"  # node to broker, broker to node


class Connection:
    """One connection of a node and its twin to the broker."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.near, self.far = near, far
        self.lock = threading.Lock()
        self.is_open = True
        self.budget: int | None = None  # bytes until the line is cut

    def cut(self) -> None:
        """End both sides with a reset, as a broken line does."""
        with self.lock:
            if not self.is_open:
                return
            self.is_open = False
        for side in (self.near, self.far):
            with contextlib.suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)  # wakes the other pump
            with contextlib.suppress(OSError):
                side.close()

    def spend(self, count: int) -> int:
        """How many of `count` bytes may still pass."""
        with self.lock:
            if self.budget is None:
                return count
            allowed = min(count, self.budget)
            self.budget -= allowed
            return allowed


class Proxy:
    """Listens on a port of its own; `upstreams` are (host, port) pairs."""

    def __init__(self, upstreams: list[tuple[str, int]]) -> None:
        self.upstreams = upstreams
        self.preferred = 0
        self.connections: list[Connection] = []
        self.lock = threading.Lock()
        self.gates = {UP: threading.Event(), DOWN: threading.Event()}
        for gate in self.gates.values():
            gate.set()
        self.delay = 0.0
        self.is_closing = False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    # Faults

    def open_connections(self) -> list[Connection]:
        with self.lock:
            self.connections = [c for c in self.connections if c.is_open]
            return list(self.connections)

    def cut_one(self, rng: random.Random) -> int:
        connections = self.open_connections()
        if connections:
            rng.choice(connections).cut()
        return min(1, len(connections))

    def cut_all(self) -> int:
        connections = self.open_connections()
        for connection in connections:
            connection.cut()
        return len(connections)

    def cut_after(self, rng: random.Random, limit: int) -> int:
        """Cut every connection after a random number of further bytes."""
        connections = self.open_connections()
        for connection in connections:
            with connection.lock:
                connection.budget = rng.randrange(limit)
        return len(connections)

    def hold(self, *directions: str) -> None:
        """A black hole: nothing passes, nothing is refused; new connections stall too."""
        for direction in directions:
            self.gates[direction].clear()

    def heal(self) -> None:
        self.delay = 0.0
        for connection in self.open_connections():
            with connection.lock:
                connection.budget = None
        for gate in self.gates.values():
            gate.set()

    def close(self) -> None:
        self.is_closing = True
        self.heal()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut_all()

    # Work

    def _accept(self) -> None:
        while not self.is_closing:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _dial(self) -> socket.socket | None:
        for step in range(len(self.upstreams)):
            index = (self.preferred + step) % len(self.upstreams)
            with contextlib.suppress(OSError):
                far = socket.create_connection(self.upstreams[index], timeout=3)
                far.settimeout(None)
                self.preferred = index
                return far
        return None

    def _serve(self, near: socket.socket) -> None:
        self.gates[UP].wait()
        far = self._dial()
        if far is None:
            near.close()
            return
        connection = Connection(near, far)
        for side in (near, far):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.connections = [c for c in self.connections if c.is_open] + [connection]
        threading.Thread(target=self._pump, args=(connection, near, far, UP), daemon=True).start()
        self._pump(connection, far, near, DOWN)

    def _pump(
        self, connection: Connection, source: socket.socket, target: socket.socket, direction: str
    ) -> None:
        gate = self.gates[direction]
        try:
            while data := source.recv(CHUNK):
                gate.wait()
                if self.delay:
                    time.sleep(self.delay)
                allowed = connection.spend(len(data))
                target.sendall(data[:allowed])
                if allowed < len(data):
                    break
        except OSError:
            pass
        connection.cut()
