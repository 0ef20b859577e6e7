"""A home of data sets: a real HTTP server on a free port, with every way in which one can disappoint."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar


@dataclass
class DataHome:
    """What the server holds and how it fails; paths begin with a slash."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    statuses: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Answers given before the file, one a request."""
    redirects: dict[str, str] = field(default_factory=dict)
    cut: Counter[str] = field(default_factory=Counter)
    """How many requests are cut off in the middle of the file."""
    stalled: set[str] = field(default_factory=set)
    """Files of which the second half never comes."""
    dribbled: set[str] = field(default_factory=set)
    """Files that come a byte at a time, for ever."""
    unsized: set[str] = field(default_factory=set)
    """Files whose length is not told."""
    asked: Counter[str] = field(default_factory=Counter)
    half_sent: threading.Event = field(default_factory=threading.Event)
    """Set once a stalled file has come to its middle."""
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


class _Handler(BaseHTTPRequestHandler):
    home: ClassVar[DataHome]

    def do_GET(self) -> None:
        home, path = self.home, self.path
        home.asked[path] += 1
        if home.statuses[path]:
            self._say(home.statuses[path].pop(0))
        elif path in home.redirects:
            self._say(302, Location=home.redirects[path])
        elif path in home.files:
            self._send(home.files[path], path)
        else:
            self._say(404)

    def log_message(self, *_: object) -> None:
        """Keep silent."""

    def _say(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes, path: str) -> None:
        self.send_response(200)
        if path not in self.home.unsized:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = len(content) // 2
        if path in self.home.stalled:
            self.wfile.write(content[:half])
            self.home.half_sent.set()
            self.home.closing.wait()
        elif path in self.home.dribbled:
            self._dribble()
        elif self.home.cut[path]:
            self.home.cut[path] -= 1
            self.wfile.write(content[:half])
        else:
            self.wfile.write(content)

    def _dribble(self) -> None:
        try:
            while not self.home.closing.wait(0.02):
                self.wfile.write(b".")
                self.wfile.flush()
        except OSError:
            return


@contextmanager
def data_home() -> Iterator[DataHome]:
    """Run one, in a thread."""
    home = DataHome()
    handler = type("Handler", (_Handler,), {"home": home})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        home.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield home
        finally:
            home.closing.set()
            server.shutdown()
            thread.join()
