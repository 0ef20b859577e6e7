"""Child processes with an owner: started until ready, stopped for certain, never outliving whoever started them.

Each runs in a session of its own, with its output in a file, so that a signal for one reaches its own children and
nobody else. Nothing here is bound to an event loop: tests share processes between loops.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from steersman.local import launch
from steersman.local.probes import Probe

_POLL_SECONDS: Final = 0.05
_QUOTED_LINES: Final = 6
_QUOTED_COLUMNS: Final = 300
"""How much of a log an error quotes: its last lines, and before them the last ones that speak of errors."""
_OWN_SETTINGS: Final = ("STEERSMAN_", "OTEL_")
"""Variables of the caller's environment that would change what a child does, and are not passed on."""


class StartFailed(Exception):
    """A process ended, or was not ready in time; the message quotes the end of its log."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start.

    Attributes:
        name: Names the process and its log file.
        argv: The command line.
        ready: Tells whether the process can be used.
        environment: Variables beyond those of the caller.
        tidy: Called each time that the process has ended.
        start_seconds: How long it may take until it is ready.
        stop_seconds: How long it may take to end after SIGTERM; then it is killed.
    """

    name: str
    argv: tuple[str, ...]
    ready: Probe
    environment: Mapping[str, str] = field(default_factory=dict)
    tidy: Callable[[], None] = lambda: None
    start_seconds: float = 60.0
    stop_seconds: float = 10.0


class Process:
    """A program that runs from entering this context until leaving it.

    Args:
        program: What to start.
        logs: Folder for its log file.
    """

    def __init__(self, program: Program, *, logs: Path) -> None:
        self.program = program
        self.log = logs / f"{program.name}.log"
        self._child: subprocess.Popen[bytes] | None = None
        self._cleared = True  # whether nothing of it is left, so that its id may be another's by now

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """The process's id; an error unless it was started."""
        if self._child is None:
            raise ProcessLookupError(self.program.name)
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended. A paused process runs."""
        return self._child is not None and self._child.poll() is None

    async def start(self) -> None:
        """Start the program and wait until it is ready."""
        self._child = self._spawn()
        self._cleared = False
        try:
            async with asyncio.timeout(self.program.start_seconds):
                await self._until_ready()
        except TimeoutError:
            await self.kill()
            raise StartFailed(self._explain("was not ready in time")) from None
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        """End the program: ask, wait, then kill it and whatever it started."""
        if self.running:
            self.send(signal.SIGTERM)
            self.resume()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.program.stop_seconds):
                    await self.ended()
        await self.kill()

    async def kill(self) -> None:
        """End the program and whatever it started, at once."""
        if self._cleared:
            return
        self._signal_all(signal.SIGKILL)
        await self.ended()
        self._cleared = True
        self.program.tidy()

    async def restart(self) -> None:
        """Start the program again, at the same addresses, after it was stopped, killed or has ended."""
        await self.stop()
        await self.start()

    def pause(self) -> None:
        """Freeze the program and whatever it started, and return when it is: connections stay open, nothing answers."""
        self._signal_all(signal.SIGSTOP)
        with contextlib.suppress(ChildProcessError):  # it has been waited for: nothing is left to freeze
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Undo `pause`."""
        self._signal_all(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program alone."""
        os.kill(self.pid, number)

    async def ended(self) -> int:
        """Wait until the program ends. Returns its exit status, negative for a signal."""
        if self._child is None:
            raise ProcessLookupError(self.program.name)
        if self._child.poll() is None:
            await _until_exit(self._child.pid)
        return self._child.wait()

    def _spawn(self) -> subprocess.Popen[bytes]:
        program = self.program
        tie = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid())]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OWN_SETTINGS)}
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # the command line is our own
                [*tie, *program.argv],
                env={**inherited, **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def _until_ready(self) -> None:
        while not await self.program.ready():
            if not self.running:
                raise StartFailed(self._explain("ended before it was ready"))
            await asyncio.sleep(_POLL_SECONDS)

    def _signal_all(self, number: signal.Signals) -> None:
        """Signal the program's process group, which its own children stay in."""
        if not self._cleared:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _explain(self, what: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        errors = [line for line in lines[:-_QUOTED_LINES] if "error" in line.lower()]
        quoted = [line[:_QUOTED_COLUMNS] for line in errors[-_QUOTED_LINES:] + lines[-_QUOTED_LINES:]]
        return "\n".join([f"{self.program.name} {what}; from {self.log}:", *quoted])


async def _until_exit(pid: int) -> None:
    """Wait until a child ends, without reaping it: the kernel makes its descriptor readable."""
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(pid)
    exited = asyncio.Event()
    loop.add_reader(descriptor, exited.set)
    try:
        await exited.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
