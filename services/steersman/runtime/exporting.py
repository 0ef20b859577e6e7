"""Spans on their way to the collector: where it is, what it is shown, and an exporter that follows certificates.

A collector by `https://` is shown the process's own certificate, and has to have one by the same authorities for the
name in its URL. Where the standard variables name files (OTEL_EXPORTER_OTLP_CERTIFICATE and so on), those alone count.
Either way they are followed: the next export after a change is by a new exporter.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import grpc
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from steersman.runtime import plaintext
from steersman.runtime.settings import Tls
from steersman.runtime.tasks import BackgroundTasks
from steersman.runtime.tls import Shown, Wire
from steersman.runtime.watched_file import NotUsable, WatchedFile

if TYPE_CHECKING:
    import requests

_GENERAL: Final = "OTEL_EXPORTER_OTLP_"
_OF_TRACES: Final = "OTEL_EXPORTER_OTLP_TRACES_"


@dataclass(frozen=True, slots=True)
class Files:
    """Files of certificates for the collector alone, as the standard variables name them.

    Attributes:
        authorities: Whose certificate it has to have; the system's authorities where None.
        certificate: What it is shown; nothing where None.
        key: Of that certificate.
    """

    authorities: Path | None
    certificate: Path | None
    key: Path | None

    def __str__(self) -> str:
        return ", ".join(map(str, self._named))

    @property
    def _named(self) -> Sequence[Path]:
        return [path for path in (self.authorities, self.certificate, self.key) if path is not None]

    def read_bytes(self) -> bytes:
        """All of them one after the other, by which a change is seen."""
        return b"\0".join(path.read_bytes() for path in self._named)

    def load(self, seen: bytes) -> Shown:
        """What they say.

        Args:
            seen: What was read; if it has changed meanwhile, nothing is loaded.

        Raises:
            ValueError: They do not fit together; says nothing of what they hold.
        """
        try:
            context = self._context()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ValueError(f"they cannot be used: {error}") from None
        if self.read_bytes() != seen:
            raise ValueError("the files changed while they were read")
        texts = dict(zip(self._named, seen.split(b"\0"), strict=True))
        authorities, key, certificate = (
            None if path is None else texts[path] for path in (self.authorities, self.key, self.certificate)
        )
        return Shown(grpc.ssl_channel_credentials(authorities, key, certificate), context)

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.authorities is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(self.authorities)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True, slots=True)
class Collector:
    """The collector that the environment names.

    Attributes:
        url: Where it is.
        variable: What names it.
        by_http: Whether it is sent protobuf by HTTP; by gRPC otherwise.
        files: Certificates for it alone, where any are named.
    """

    url: str
    variable: str
    by_http: bool
    files: Files | None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self | None:
        """The one that these variables name, if any."""
        for variable in (f"{_OF_TRACES}ENDPOINT", f"{_GENERAL}ENDPOINT"):
            if url := environment.get(variable):
                by_http = environment.get(f"{_GENERAL}PROTOCOL", "grpc").startswith("http")
                return cls(url, variable, by_http, _files(environment))
        return None

    def check(self, settings: Tls) -> None:
        """Find out whether a process that speaks so may send it spans.

        Raises:
            NotUsable: It may not.
        """
        if (reason := plaintext.refusal(self.url, settings)) is not None:
            raise NotUsable(f"{self.variable}: {reason}")

    @asynccontextmanager
    async def exporter(self, wire: Wire, on_reload: Callable[[str], None]) -> AsyncIterator[SpanExporter]:
        """An exporter; certificates for this collector alone are followed while the context lasts.

        Args:
            wire: How this process speaks with others.
            on_reload: Told whether changed certificates for the collector alone were `taken` or `refused`.

        Raises:
            OSError: Those cannot be read.
            NotUsable: They are not valid.
        """
        if self.files is None:
            yield Following(self._made, lambda: wire.shown)
            return
        shown = list[Shown]()

        async def apply(loaded: Shown) -> None:
            shown[:] = [loaded]

        files = WatchedFile("certificates for the collector", self.files, self.files.load, apply, on_reload)
        await files.load()
        async with BackgroundTasks() as tasks:
            tasks.start("certificates for the collector", files.watch)
            yield Following(self._made, lambda: shown[0])

    def _made(self, shown: Shown | None) -> SpanExporter:
        # Imported here, since each brings its own transport, and a process needs one of them or none.
        if self.by_http:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - see above
                OTLPSpanExporter as HttpExporter,
            )

            return HttpExporter(session=None if shown is None else session(shown.context))
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415 - see above
            OTLPSpanExporter as GrpcExporter,
        )

        return GrpcExporter(credentials=None if shown is None else shown.credentials)


class Following(SpanExporter):
    """Replaces the exporter when what it has to show is another; used by the processor's thread alone.

    Args:
        make: Makes one.
        shown: What it has to show now.
    """

    def __init__(
        self, make: Callable[[Shown | None], SpanExporter], shown: Callable[[], Shown | None]
    ) -> None:
        self._make = make
        self._now = shown
        self._shown = shown()
        self._exporter = make(self._shown)
        self._closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand spans to the collector; again, where certificates have changed while it did not take them."""
        while True:
            self._follow()
            result = self._exporter.export(spans)
            if result is SpanExportResult.SUCCESS or self._closed or self._now() is self._shown:
                return result

    def shutdown(self) -> None:
        """Close the connection to the collector."""
        self._closed = True
        self._exporter.shutdown()

    def _follow(self) -> None:
        shown = self._now()
        if shown is not self._shown:
            self._exporter.shutdown()
            self._shown, self._exporter = shown, self._make(shown)


def _files(environment: Mapping[str, str]) -> Files | None:
    def named(what: str) -> Path | None:
        path = environment.get(f"{_OF_TRACES}{what}") or environment.get(f"{_GENERAL}{what}")
        return Path(path) if path else None

    authorities, certificate = named("CERTIFICATE"), named("CLIENT_CERTIFICATE")
    if authorities is None and certificate is None:
        return None
    key = None if certificate is None else named("CLIENT_KEY") or certificate
    return Files(authorities, certificate, key)


def session(context: ssl.SSLContext) -> requests.Session:
    """A session of the exporter's HTTP client that speaks by a context, whatever REQUESTS_CA_BUNDLE says.

    Args:
        context: Nobody else's; urllib3 writes into it.
    """
    import requests  # noqa: PLC0415 - comes with the exporter, and only by HTTP
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - as above

    class Adapter(HTTPAdapter):
        """Adds no authorities of its own to a context, which would stay in it."""

        def cert_verify(self, *_: Any) -> None:
            pass

        def build_connection_pool_key_attributes(
            self, *args: Any, **options: Any
        ) -> tuple[dict[str, Any], dict[str, Any]]:
            host, _ = super().build_connection_pool_key_attributes(*args, **options)
            return host, {"ssl_context": context}

    opened = requests.Session()
    opened.mount("https://", Adapter())
    return opened
