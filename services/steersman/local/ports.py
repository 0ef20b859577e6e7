"""Free ports, below the range from which the kernel takes ports for outgoing connections.

A port taken there stays free until the process that it is meant for listens: no connection of another process can
be given it in between.
"""

from __future__ import annotations

import random
import socket
from typing import Final

_LOWEST: Final = 20_000
_HIGHEST: Final = 32_000
_ATTEMPTS: Final = 200


class NoFreePort(Exception):
    """Every port that was tried is taken."""


class Ports:
    """Hands out free ports of the loopback interface, none twice.

    Args:
        lowest: Of those that it tries.
        highest: Of those that it tries.
    """

    def __init__(self, *, lowest: int = _LOWEST, highest: int = _HIGHEST) -> None:
        self._lowest = lowest
        self._highest = highest
        self._taken: set[int] = set()

    def take(self, *, preferred: int | None = None) -> int:
        """A free port: the preferred one if it is free."""
        if preferred is not None and self._claim(preferred):
            return preferred
        for _ in range(_ATTEMPTS):
            port = random.randint(self._lowest, self._highest)  # noqa: S311  # a guess, no secret
            if self._claim(port):
                return port
        raise NoFreePort(f"no free port found between {self._lowest} and {self._highest}")

    def _claim(self, port: int) -> bool:
        if port in self._taken or not _is_free(port):
            return False
        self._taken.add(port)
        return True


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
