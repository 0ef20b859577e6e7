"""What a caller shows of itself, as one value: whatever else can be shown one day does not change who asks for it."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Shown:
    """What one request shows.

    Args:
        authorization: The HTTP header or gRPC metadata of that name.
        peer: Whose connection it came on; None where no certificate was verified.
    """

    authorization: str | None = None
    peer: Peer | None = None
