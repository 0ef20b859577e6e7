"""What the demo shows the system, and whom it trusts, where hops are private."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from steersman.local.addresses import Addresses


@dataclass(frozen=True, slots=True)
class Certificates:
    """A caller's, in a folder in cert-manager's layout."""

    folder: Path

    @property
    def context(self) -> ssl.SSLContext:
        """For HTTP."""
        context = ssl.create_default_context(cafile=self.folder / "ca.crt")
        context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        return context

    @property
    def credentials(self) -> grpc.ChannelCredentials:
        """For gRPC."""
        files = (self.folder / name for name in ("ca.crt", "tls.key", "tls.crt"))
        return grpc.ssl_channel_credentials(*(file.read_bytes() for file in files))


def certificates(addresses: Addresses) -> Certificates | None:
    """The caller's of a system; None where its hops are in the clear."""
    return None if addresses.ca_file is None else Certificates(Path(addresses.ca_file).parent)
