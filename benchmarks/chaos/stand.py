"""The system that bad things happen to: real parts, two routers, two pods of the weak tier, one of the strong one.

Between the routers and Triton, Valkey and the first weak backend there is a line that can be made bad. What is killed
is started again here, as the kubelet does it in a cluster.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import yaml
from benchmarks.chaos import clocks
from benchmarks.chaos.proxy import HOST, BadLine, bad_line

from steersman.local import collector, engine, services, triton, valkey
from steersman.local.parts import Parts
from steersman.local.ports import Ports
from steersman.local.processes import Process, Program
from steersman.local.services import CLASSIFIER, Listening, RouterNeeds

ROUTERS: Final = ("router_1", "router_2")
_SLOTS: Final = 2
"""Of each engine: what is in its cache is so for each of them."""
_REMEMBERED: Final = ("CACHE", "SESSIONS", "DECISIONS")
WEAK: Final = ("weak_backend_1", "weak_backend_2")


@dataclass(frozen=True, slots=True)
class Stand:
    """A running system.

    Attributes:
        processes: By name.
        lines: Lines that can be made bad, by the name of the process behind them.
        grpc: Addresses of the routers.
        http: URLs of the routers.
        metrics: URLs of the metrics, by the name of the process.
        decisions: Decision log of each router.
        clock: File by which the routers' clocks can be set; None where they cannot.
    """

    processes: Mapping[str, Process]
    lines: Mapping[str, BadLine]
    grpc: tuple[str, ...]
    http: tuple[str, ...]
    metrics: Mapping[str, str]
    decisions: Mapping[str, Path]
    clock: Path | None = None

    def set_clocks(self, seconds: int) -> None:
        """Set the routers' clocks so many seconds forward."""
        if self.clock is None:
            raise ValueError("the clocks of this stand cannot be set")
        clocks.set_by(self.clock, seconds)


@dataclass(frozen=True, slots=True)
class Room:
    """How much is remembered.

    Attributes:
        entries: Scores, conversations and decisions, of each so many by each router; the product's own bounds where
            not given.
        megabytes: By Valkey.
    """

    entries: int | None = None
    megabytes: int = 64

    @property
    def settings(self) -> Mapping[str, str]:
        """Of a router."""
        if self.entries is None:
            return {}
        return {f"STEERSMAN_{kind}__LOCAL_ENTRIES": str(self.entries) for kind in _REMEMBERED}


@asynccontextmanager
async def stand(folder: Path, *, faketime: Path | None = None, room: Room = Room()) -> AsyncIterator[Stand]:
    """Start everything, and stop it in the end.

    Args:
        folder: For logs and files.
        faketime: Library by which the routers' clocks can be set; without it they are real.
        room: How much is remembered.
    """
    clock = folder / "clock" if faketime else None
    settings = clocks.environment(faketime, clock) if faketime and clock else {}
    planned = _Planned(Parts(), Ports(), folder, {**settings, **room.settings}, room.megabytes)
    async with AsyncExitStack() as stack:
        lines = {
            name: await stack.enter_async_context(bad_line(port, listen=planned.line_ports[name]))
            for name, port in planned.behind_lines.items()
        }
        processes: dict[str, Process] = {}
        for program in planned.programs():
            process = Process(program, logs=folder / "logs")
            processes[program.name] = await stack.enter_async_context(process)
        yield Stand(
            processes,
            lines,
            tuple(planned.routers[name].grpc for name in ROUTERS),
            tuple(f"http://{planned.routers[name].http}" for name in ROUTERS),
            {name: f"http://{where.metrics}/metrics" for name, where in planned.listening.items()},
            planned.decisions,
            clock,
        )


class _Planned:
    """Ports and programs of a stand."""

    def __init__(
        self, parts: Parts, ports: Ports, folder: Path, settings: Mapping[str, str], valkey_megabytes: int
    ) -> None:
        def listening(*, http: bool = False) -> Listening:
            def address() -> str:
                return f"{HOST}:{ports.take()}"

            return Listening(grpc=address(), metrics=address(), http=address() if http else "")

        self._parts = parts
        self._folder = folder
        self._settings = settings
        self._valkey_megabytes = valkey_megabytes
        self._collector = ports.take()
        self._valkey = ports.take()
        self._triton = triton.TritonPorts(ports.take(), ports.take(), ports.take())
        self.routers = {name: listening(http=True) for name in ROUTERS}
        self._backends = {name: listening() for name in (*WEAK, "strong_backend")}
        self._engines = {name.replace("backend", "engine"): ports.take() for name in self._backends}
        self.listening = {**self.routers, **self._backends}
        self.behind_lines = {
            "triton": self._triton.grpc,
            "valkey": self._valkey,
            WEAK[0]: _port(self._backends[WEAK[0]].grpc),
        }
        self.line_ports = {name: ports.take() for name in self.behind_lines}
        self.decisions = {name: folder / f"{name}.decisions" for name in ROUTERS}

    def programs(self) -> list[Program]:
        """All of them, in the order of their start."""
        parts, otlp = self._parts, f"http://{HOST}:{self._collector}"
        models = engine.tiny(parts)
        policies = self._write_policies(models)
        return [
            collector.collector(parts, port=self._collector),
            valkey.valkey(parts, port=self._valkey, megabytes=self._valkey_megabytes),
            triton.triton(
                parts,
                repository=parts.model_repository,
                ports=self._triton,
                folder=self._folder / "triton",
                models=(CLASSIFIER,),
            ),
            *(
                engine.engine(
                    parts, replace(models[name.partition("_")[0]], slots=_SLOTS), port=port, name=name
                )
                for name, port in self._engines.items()
            ),
            *(
                services.backend(
                    parts,
                    tier=name.partition("_")[0],
                    engine_url=f"http://{HOST}:{self._engines[name.replace('backend', 'engine')]}",
                    listening=where,
                    otlp_url=otlp,
                    name=name,
                )
                for name, where in self._backends.items()
            ),
            *self._routers(policies, otlp),
        ]

    def _routers(self, policies: Path, otlp: str) -> list[Program]:
        shared = {"STEERSMAN_CACHE__HMAC_KEY": secrets.token_hex(32), **self._settings}
        programs = []
        for name in ROUTERS:
            needs = RouterNeeds(
                policies,
                f"{HOST}:{self.line_ports['triton']}",
                f"redis://{HOST}:{self.line_ports['valkey']}/0",
                {"STEERSMAN_DECISION_LOG__PATH": str(self.decisions[name]), **shared},
            )
            program = services.router(
                self._parts, needs, listening=self.routers[name], otlp_url=otlp, name=name
            )
            programs.append(replace(program, environment={**program.environment, **shared}))
        return programs

    def _write_policies(self, models: Mapping[str, engine.Model]) -> Path:
        targets = {
            "weak": f"{HOST}:{self.line_ports[WEAK[0]]},{self._backends[WEAK[1]].grpc}",
            "strong": self._backends["strong_backend"].grpc,
        }
        tiers = {
            name: {
                "model": model.name,
                "upstream": {"kind": "backend", "target": targets[name]},
                "capabilities": {"context_window": model.context_window, "tools": model.tools},
            }
            for name, model in models.items()
        }
        policy = {"tiers": list(tiers), "threshold": 0.7, "fallback": "proportional"}
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "policies.yaml"
        path.write_text(
            yaml.safe_dump({"tiers": tiers, "policies": {"auto": policy}, "default_policy": "auto"})
        )
        return path


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
