"""The processes of a benchmark: the product's, on real parts, and those that it is held against."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from benchmarks import programs
from benchmarks.tenants import Tenants

from steersman.local import collector as collectors, triton as tritons, valkey as valkeys
from steersman.local.parts import Parts
from steersman.local.ports import Ports
from steersman.local.processes import Process, Program
from steersman.local.services import CLASSIFIER

HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Running:
    """A process, and the port that matters."""

    process: Process
    port: int

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Its id."""
        return self.process.pid


@dataclass(frozen=True, slots=True)
class Router:
    """A router, and its listeners."""

    process: Process
    grpc_port: int
    http_port: int
    metrics_port: int
    health_port: int

    @property
    def address(self) -> str:
        """HOST:PORT of the gRPC listener."""
        return f"{HOST}:{self.grpc_port}"

    @property
    def metrics_address(self) -> str:
        """HOST:PORT of the listener for metrics."""
        return f"{HOST}:{self.metrics_port}"

    @property
    def health_address(self) -> str:
        """HOST:PORT of the listener for health alone."""
        return f"{HOST}:{self.health_port}"

    @property
    def pid(self) -> int:
        """Its id."""
        return self.process.pid


class Starter:
    """Starts processes, which live as long as its context.

    Args:
        parts: Where the real parts lie.
        ports: Hands out ports.
        folder: For logs and files.
    """

    def __init__(self, parts: Parts, ports: Ports, folder: Path) -> None:
        self._parts = parts
        self._ports = ports
        self._folder = folder
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def beside(self) -> Starter:
        """Another one, for processes that live shorter."""
        return Starter(self._parts, self._ports, self._folder)

    async def valkey(self) -> Running:
        """A real Valkey."""
        port = self._ports.take()
        return Running(await self._start(valkeys.valkey(self._parts, port=port)), port)

    async def triton(self) -> Running:
        """A real Triton with the product's model."""
        ports = tritons.TritonPorts(self._ports.take(), self._ports.take(), self._ports.take())
        program = tritons.triton(
            self._parts,
            repository=self._parts.model_repository,
            ports=ports,
            folder=self._folder / "triton",
            models=(CLASSIFIER,),
        )
        return Running(await self._start(program), ports.grpc)

    async def collector(self) -> Running:
        """The local system's collector."""
        port = self._ports.take()
        return Running(await self._start(collectors.collector(self._parts, port=port)), port)

    async def engine(self, *, seconds: float = 0.0) -> Running:
        """The mock engine, whose whole answers take so long."""
        port = self._ports.take()
        return Running(await self._start(programs.engine(self._parts, port=port, seconds=seconds)), port)

    async def echo(self, answer: bytes, *, kind: str = "echo") -> Running:
        """A bare gRPC server that answers with these bytes."""
        port = self._ports.take()
        path = self._folder / f"answer-{port}"
        path.write_bytes(answer)
        return Running(await self._start(programs.echo(self._parts, port=port, answer=path, kind=kind)), port)

    async def pass_through(self, target: Running, *, name: str = "pass-through") -> Running:
        """A bare gRPC proxy."""
        port = self._ports.take()
        program = programs.pass_through(self._parts, port=port, target=target.port, name=name)
        return Running(await self._start(program), port)

    async def litellm(self, engine: Running) -> Running:
        """LiteLLM's proxy in front of the mock engine."""
        port = self._ports.take()
        program = programs.litellm(self._parts, port=port, engine_port=engine.port, folder=self._folder)
        return Running(await self._start(program), port)

    async def routellm(self, engine: Running) -> Running:
        """RouteLLM's own server in front of the mock engine."""
        port = self._ports.take()
        program = programs.routellm(self._parts, port=port, engine_port=engine.port)
        return Running(await self._start(program), port)

    async def backend(self, engine: Running, *, slots: int) -> Running:
        """A backend in front of the mock engine."""
        port = self._ports.take()
        program = programs.backend(
            self._parts, grpc=port, metrics=self._ports.take(), engine_port=engine.port, slots=slots
        )
        return Running(await self._start(program), port)

    async def router(
        self,
        *,
        valkey: Running,
        triton: Running,
        upstream: Mapping[str, str],
        tenants: Tenants | None = None,
        conversations: bool = True,
        collector: Running | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Router:
        """A router on real parts, both of whose tiers have this upstream.

        Args:
            valkey: Its Redis.
            triton: Its classifier.
            upstream: Of both tiers.
            tenants: Its callers; told apart only where there are some.
            conversations: Whether its policy heeds them.
            collector: Where its spans go, over HTTP as in the local system; it makes none without.
            settings: Further ones.
        """
        grpc, http, metrics, health = (self._ports.take() for _ in range(4))
        policies = self._folder / f"policies-{grpc}.yaml"
        programs.write_policies(
            policies, upstream, tenants=tenants.rights if tenants else None, conversations=conversations
        )
        given = {
            "STEERSMAN_POLICY_FILE": str(policies),
            "STEERSMAN_CLASSIFIER__TARGET": triton.address,
            "STEERSMAN_CACHE__URL": f"redis://{valkey.address}/0",
            **(settings or {}),
        }
        if collector is not None:
            given["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{collector.address}"
            given["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
        if tenants is not None:
            keys = self._folder / f"keys-{grpc}.yaml"
            keys.write_bytes(tenants.key_file)
            given["STEERSMAN_IDENTITY__KEY_FILE"] = str(keys)
        program = programs.router(
            self._parts, grpc=grpc, http=http, metrics=metrics, health=health, settings=given
        )
        return Router(await self._start(program), grpc, http, metrics, health)

    async def _start(self, program: Program) -> Process:
        return await self._stack.enter_async_context(Process(program, logs=self._folder))


@dataclass(frozen=True, slots=True)
class System:
    """The product on real parts, with a direct upstream to the mock engine.

    Attributes:
        peers: Starts what it is held against.
    """

    valkey: Running
    triton: Running
    engine: Running
    router: Router
    peers: Starter

    @property
    def product(self) -> dict[str, int]:
        """Ids of all processes that the product runs."""
        return {"router": self.router.pid, "valkey": self.valkey.pid, "triton": self.triton.pid}

    @property
    def only_router(self) -> dict[str, int]:
        """The same where the others are idle."""
        return {"router": self.router.pid}


@asynccontextmanager
async def system(folder: Path) -> AsyncIterator[System]:
    """Start the product, and stop it in the end."""
    async with Starter(Parts(), Ports(), folder) as starter:
        valkey, triton, engine = await starter.valkey(), await starter.triton(), await starter.engine()
        upstream = {"kind": "openai", "url": f"http://{engine.address}"}
        router = await starter.router(valkey=valkey, triton=triton, upstream=upstream)
        yield System(valkey, triton, engine, router, starter)
