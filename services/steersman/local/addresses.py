"""Where each process of a running local system listens, in a file for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import orjson


@dataclass(frozen=True, slots=True)
class Addresses:
    """HOST:PORT for gRPC, URLs for everything else.

    Attributes:
        router_grpc: RouterService.
        router_http: The OpenAI-compatible API, without a path.
        triton_grpc: Triton.
        triton_http: Triton, without a path; its health alone where hops are private.
        redis: The Redis-protocol server, as a client's URL.
        weak_backend: BackendService of the weak tier; None where a server elsewhere answers for it.
        strong_backend: The same of the strong tier.
        weak_engine: The server that holds the weak model's weights, without a path; with one where it is elsewhere.
        strong_engine: The same of the strong tier.
        metrics: The router's Prometheus metrics.
        traces: The list of collected traces.
        ca_file: Authority of the certificates; None where nothing speaks TLS.
    """

    router_grpc: str
    router_http: str
    triton_grpc: str
    triton_http: str
    redis: str
    weak_backend: str | None
    strong_backend: str | None
    weak_engine: str
    strong_engine: str
    metrics: str
    traces: str
    ca_file: str | None = None

    def write(self, path: Path) -> None:
        """Write them as one JSON object, all at once."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2) + b"\n")
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> Addresses:
        """Read what `write` wrote."""
        content = orjson.loads(path.read_bytes())
        return cls(**{field.name: content[field.name] for field in fields(cls)})
