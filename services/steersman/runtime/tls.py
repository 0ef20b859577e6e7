"""How a process speaks with others: in the clear, or by TLS with certificates that it follows.

The certificates are a folder in cert-manager's layout, as a Secret is mounted. When it changes, each new handshake uses
what is there now: gRPC servers ask for it at every handshake, HTTP servers change the context of one in progress, and
clients are made anew by whoever owns them, who compares `edition`. Connections that stand are left alone. Files that do
not fit together are refused as a whole, and those before stay.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import grpc

from steersman.runtime.settings import Tls
from steersman.runtime.tasks import BackgroundTasks
from steersman.runtime.watched_file import WatchedFile

CERTIFICATE: Final = "tls.crt"
"""The process's own certificate, with those between it and the authority."""
KEY: Final = "tls.key"
AUTHORITIES: Final = "ca.crt"
"""Whose certificates others must show."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a client shows, and whom it trusts, at one time.

    Attributes:
        credentials: For gRPC.
        context: For HTTP, and for nobody else: urllib3 writes into it what protocols it speaks.
    """

    credentials: grpc.ChannelCredentials
    context: ssl.SSLContext


class Wire(Protocol):
    """How a process speaks with others."""

    @property
    def edition(self) -> int:
        """Changes with the certificates: a client that was made under another one should be replaced."""
        ...

    @property
    def verifies_clients(self) -> bool:
        """Whether only those who show a certificate can connect."""
        ...

    @property
    def credentials(self) -> grpc.ChannelCredentials | None:
        """For a gRPC client that is made now; None in the clear."""
        ...

    @property
    def client_context(self) -> ssl.SSLContext | None:
        """For any other client's connection that is made now; None in the clear."""
        ...

    @property
    def shown(self) -> Shown | None:
        """For a client of another thread, which is made anew when this is another object; None in the clear."""
        ...

    def server_context(self, *, certificates: ssl.VerifyMode | None = None) -> ssl.SSLContext | None:
        """For an HTTP server; follows the certificates by itself. None in the clear.

        Args:
            certificates: Whether clients must show one; as for all listeners where not given.
        """
        ...

    def listen(self, server: grpc.aio.Server, address: str) -> int:
        """Have a gRPC server listen, and say on which port.

        Raises:
            RuntimeError: The address cannot be listened on.
        """
        ...


@dataclass(frozen=True, slots=True)
class Plain:
    """In the clear. See `Wire`."""

    edition: int = 0
    verifies_clients: bool = False
    credentials: None = None
    client_context: None = None
    shown: None = None

    def server_context(self, *, certificates: ssl.VerifyMode | None = None) -> None:
        """See `Wire.server_context`."""
        del certificates

    def listen(self, server: grpc.aio.Server, address: str) -> int:
        """See `Wire.listen`."""
        return server.add_insecure_port(address)


PLAIN: Final = Plain()


@dataclass(frozen=True, slots=True)
class Loaded:
    """The certificates at one time, found to fit together."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    authorities: bytes = field(repr=False)
    server: ssl.SSLContext
    client: ssl.SSLContext
    shown: Shown

    @property
    def for_servers(self) -> grpc.ServerCertificateConfiguration:
        """In gRPC's form."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.certificate)], self.authorities)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of certificates."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def read_bytes(self) -> bytes:
        """All files one after the other, by which a change is seen."""
        return b"\0".join(self._read())

    def load(self, seen: bytes) -> Loaded:
        """The certificates.

        Args:
            seen: What was read; if it has changed meanwhile, nothing is loaded.

        Raises:
            ValueError: They do not fit together; says nothing of what they hold.
        """
        certificate, key, authorities = seen.split(b"\0")
        try:
            server, client, exporting = self._contexts()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ValueError(f"{CERTIFICATE}, {KEY} and {AUTHORITIES} cannot be used: {error}") from None
        if self.read_bytes() != seen:
            raise ValueError("the files changed while they were read")
        shown = Shown(grpc.ssl_channel_credentials(authorities, key, certificate), exporting)
        return Loaded(certificate, key, authorities, server, client, shown)

    def _read(self) -> list[bytes]:
        return [(self.path / name).read_bytes() for name in (CERTIFICATE, KEY, AUTHORITIES)]

    def _contexts(self) -> Sequence[ssl.SSLContext]:
        kinds = (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_CLIENT)
        contexts = [ssl.SSLContext(kind) for kind in kinds]
        for context in contexts:
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(self.path / CERTIFICATE, self.path / KEY)
            context.load_verify_locations(self.path / AUTHORITIES)
        # What was asked of the client is the listener's to say. Python tells of a peer's certificate only where the
        # context that a handshake ended with asks for one.
        contexts[0].verify_mode = ssl.CERT_OPTIONAL
        return contexts


class Certificates:
    """By TLS. See `Wire`.

    Args:
        loaded: The certificates at the start.
        verify_clients: Whether only those who show a certificate can connect.
    """

    def __init__(self, loaded: Loaded, *, verify_clients: bool) -> None:
        self._loaded = loaded
        self._verify_clients = verify_clients
        self._edition = 1

    async def take(self, loaded: Loaded) -> None:
        """Use these from the next handshake on."""
        self._loaded = loaded
        self._edition += 1

    @property
    def edition(self) -> int:
        """See `Wire.edition`."""
        return self._edition

    @property
    def verifies_clients(self) -> bool:
        """See `Wire.verifies_clients`."""
        return self._verify_clients

    @property
    def credentials(self) -> grpc.ChannelCredentials:
        """See `Wire.credentials`."""
        return self._loaded.shown.credentials

    @property
    def client_context(self) -> ssl.SSLContext:
        """See `Wire.client_context`."""
        return self._loaded.client

    @property
    def shown(self) -> Shown:
        """See `Wire.shown`."""
        return self._loaded.shown

    def server_context(self, *, certificates: ssl.VerifyMode | None = None) -> ssl.SSLContext:
        """See `Wire.server_context`."""
        if certificates is None:
            certificates = ssl.CERT_REQUIRED if self._verify_clients else ssl.CERT_NONE
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = certificates
        context.options |= ssl.OP_NO_TICKET  # a session that is resumed would not be verified anew
        context.num_tickets = 0
        context.sni_callback = self._use_current
        return context

    def listen(self, server: grpc.aio.Server, address: str) -> int:
        """See `Wire.listen`."""
        used = self._loaded

        def changed() -> grpc.ServerCertificateConfiguration | None:
            """Called in each handshake, by a thread of gRPC's."""
            nonlocal used
            if used is self._loaded:
                return None
            used = self._loaded
            return used.for_servers

        credentials = grpc.dynamic_ssl_server_credentials(
            used.for_servers,
            changed,  # type: ignore[arg-type] # the stub knows no None, by which gRPC means that nothing has changed
            require_client_authentication=self._verify_clients,
        )
        return server.add_secure_port(address, credentials)

    def _use_current(self, handshake: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Called in each handshake, whether it names a server or not."""
        handshake.context = self._loaded.server


@asynccontextmanager
async def opened(settings: Tls, *, on_reload: Callable[[str], None]) -> AsyncIterator[Wire]:
    """How to speak by these settings; the certificates are followed while the context lasts.

    Args:
        settings: Where the certificates are.
        on_reload: Told whether changed ones were `taken` or `refused`.

    Raises:
        OSError: They cannot be read.
        NotUsable: They are not valid.
    """
    if settings.folder is None:
        yield PLAIN
        return
    folder, found = Folder(settings.folder), list[Certificates]()

    async def apply(loaded: Loaded) -> None:
        if found:
            await found[0].take(loaded)
        else:
            found.append(Certificates(loaded, verify_clients=settings.verify_clients))

    files = WatchedFile("folder of certificates", folder, folder.load, apply, on_reload)
    await files.load()
    async with BackgroundTasks() as tasks:
        tasks.start("certificates", files.watch)
        yield found[0]


def channel(
    wire: Wire, address: str, *, name: str | None, options: Sequence[tuple[str, object]] = ()
) -> grpc.aio.Channel:
    """A gRPC channel to one address.

    Args:
        wire: How this process speaks.
        address: HOST:PORT.
        name: What the server's certificate must be for; HOST where not given.
        options: Channel arguments.
    """
    if (credentials := wire.credentials) is None:
        return grpc.aio.insecure_channel(address, options=options)
    return grpc.aio.secure_channel(address, credentials, options=[*options, *named(name)])


def named(name: str | None) -> Sequence[tuple[str, str]]:
    """Channel arguments for a server that is reached by an address, and has a certificate for a name."""
    return [("grpc.ssl_target_name_override", name)] if name else []
