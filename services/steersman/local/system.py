"""A planned system, started in order and stopped in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from steersman.local.plan import Plan
from steersman.local.processes import Process


class System:
    """A system that runs from entering this context until leaving it.

    Args:
        plan: What to start.
        only: Names of the programs to start; all of them if absent.
        on_ready: Told the name of each process once it is ready.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        only: Collection[str] | None = None,
        on_ready: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.plan = plan
        self.addresses = plan.addresses
        self._on_ready = on_ready
        self._stack = AsyncExitStack()
        self._waves = [
            [Process(program, logs=plan.logs) for program in wave if only is None or program.name in only]
            for wave in plan.waves
        ]
        self.processes: Mapping[str, Process] = {
            process.program.name: process for wave in self._waves for process in wave
        }
        """By name: collector, valkey, triton, weak_engine, strong_engine, weak_backend, strong_backend, router; and
        triton_tls where hops are private."""

    async def __aenter__(self) -> Self:
        try:
            for wave in self._waves:
                self._stack.push_async_callback(_stop, wave)
                await self._start(wave)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self, wave: Collection[Process]) -> None:
        """Start a wave's processes together; the first failure ends the attempt, and is what is raised."""
        starts = [asyncio.create_task(self._start_one(process)) for process in wave]
        try:
            await asyncio.gather(*starts)
        finally:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)

    async def _start_one(self, process: Process) -> None:
        await process.start()
        self._on_ready(process.program.name)


async def _stop(processes: Collection[Process]) -> None:
    await asyncio.gather(*(process.stop() for process in processes))
