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
    def authorities(self) -> Path:
        """File of those whose certificates are trusted."""
        return self.folder / "ca.crt"

    @property
    def certificate(self) -> Path:
        """File of its own."""
        return self.folder / "tls.crt"

    @property
    def key(self) -> Path:
        """File of the key of that."""
        return self.folder / "tls.key"

    @property
    def context(self) -> ssl.SSLContext:
        """For HTTP."""
        context = ssl.create_default_context(cafile=self.authorities)
        context.load_cert_chain(self.certificate, self.key)
        return context

    @property
    def credentials(self) -> grpc.ChannelCredentials:
        """For gRPC."""
        files = (self.authorities, self.key, self.certificate)
        return grpc.ssl_channel_credentials(*(file.read_bytes() for file in files))


def certificates(addresses: Addresses) -> Certificates | None:
    """The caller's of a system; None where its hops are in the clear."""
    return None if addresses.ca_file is None else Certificates(Path(addresses.ca_file).parent)
