"""The real Redis-protocol server of the local system: Valkey, in memory only."""

from __future__ import annotations

from steersman.local.parts import Parts
from steersman.local.probes import redis_pong
from steersman.local.processes import Program


def valkey(parts: Parts, *, port: int, name: str = "valkey") -> Program:
    """A Valkey server that keeps nothing on disk."""
    argv = [str(parts.valkey), "--bind", "127.0.0.1", "--port", str(port)]
    return Program(
        name=name,
        argv=(
            *argv,
            "--save",
            "",
            "--appendonly",
            "no",
            "--maxmemory",
            "64mb",
            "--maxmemory-policy",
            "allkeys-lru",
        ),
        ready=redis_pong(port),
        stop_seconds=5.0,
    )
