"""The real Redis-protocol server of the local system: Valkey, in memory only."""

from __future__ import annotations

from pathlib import Path

from steersman.local.parts import Parts
from steersman.local.probes import redis_pong
from steersman.local.processes import Program


def valkey(
    parts: Parts, *, port: int, socket: Path | None = None, name: str = "valkey", megabytes: int = 64
) -> Program:
    """A Valkey server that keeps nothing on disk.

    Args:
        parts: Where the real parts are.
        port: Where it listens.
        socket: A Unix socket, for its owner alone, in place of the port.
        name: The program's.
        megabytes: What it keeps at most; it forgets then what was not asked for the longest.
    """
    argv = [str(parts.valkey), "--bind", "127.0.0.1", "--port", str(0 if socket else port)]
    if socket is not None:
        argv += ["--unixsocket", str(socket), "--unixsocketperm", "700"]
    return Program(
        name=name,
        argv=(
            *argv,
            "--save",
            "",
            "--appendonly",
            "no",
            "--maxmemory",
            f"{megabytes}mb",
            "--maxmemory-policy",
            "allkeys-lru",
        ),
        ready=redis_pong(port, socket=socket),
        stop_seconds=5.0,
    )
