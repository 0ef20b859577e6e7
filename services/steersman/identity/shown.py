"""What a caller shows of itself, as one value: whatever else can be shown one day does not change who asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection, by a certificate that was verified.

    Args:
        uris: Its URIs, as `spiffe://cluster.local/ns/search/sa/web`.
        subject: Its subject as RFC 4514 writes it, as `CN=web,O=search`.
    """

    uris: tuple[str, ...] = ()
    subject: str = ""


def nobody() -> None:
    """No peer is known."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What one request shows.

    Args:
        authorization: The HTTP header or gRPC metadata of that name.
        peer: Says whose connection it came on, or None where no certificate was verified. A function, since most who
            identify callers need not know.
    """

    authorization: str | None = None
    peer: Callable[[], Peer | None] = nobody
