"""`up` and `down`: a system that stays when the command that started it has ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, Final

from rich.console import Console

from steersman.local import supervisor, tiers, usage
from steersman.local.addresses import Addresses
from steersman.local.options import Options
from steersman.local.parts import Parts

_STOP_SECONDS: Final = 45.0
_KILL_SECONDS: Final = 5.0


def up(options: Options, parts: Parts, console: Console) -> int:
    """Start the system, unless it is up, and show how to use it. Returns the exit status."""
    if supervisor.pid_of_running(parts) is not None:
        return _show_running(parts, console)
    tiers.fetch_strong_model(options, parts, console)
    failure = _start(parts, console)
    if failure is not None:
        console.print(failure, style="red", markup=False)
        return 1
    usage.show(console, Addresses.read(supervisor.addresses_file(parts)))
    console.print(f"\nIt stays up until [bold]make down[/bold]. Logs: {supervisor.folder(parts) / 'logs'}")
    return 0


def down(parts: Parts, console: Console) -> int:
    """Stop what `up` started. Returns the exit status."""
    pid = supervisor.pid_of_running(parts)
    if pid is None:
        supervisor.addresses_file(parts).unlink(missing_ok=True)  # of one that was killed
        console.print("Nothing is up.")
        return 0
    with console.status("Stopping"):
        stopped = _stop(pid)
    if not stopped:
        console.print(f"[red]Process {pid} does not end.")
        return 1
    supervisor.addresses_file(parts).unlink(missing_ok=True)
    console.print("The local system is down.")
    return 0


def _show_running(parts: Parts, console: Console) -> int:
    path = supervisor.addresses_file(parts)
    if not path.exists():
        console.print("The local system is starting or stopping; try again in a moment.")
        return 1
    console.print("The local system is up already.\n")
    usage.show(console, Addresses.read(path))
    return 0


def _start(parts: Parts, console: Console) -> str | None:
    """Start a supervisor and follow it until the system is ready. Returns why it is not, or None."""
    parts.local.mkdir(exist_ok=True)
    with (parts.local / "supervisor.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "steersman.local", "supervise"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            text=True,
        )
    try:
        return _follow(child.stdout, console)
    except BaseException:
        child.terminate()
        raise


def _follow(progress: IO[str] | None, console: Console) -> str | None:
    """Show progress until it ends; an end without failure means that all is ready."""
    ready: list[str] = []
    with console.status("Starting"):
        for line in progress or ():
            kind, _, what = line.rstrip("\n").partition(" ")
            if kind == supervisor.FAILED:
                return "\n".join([what, *(progress or ())])
            ready.append(what)
            console.print(f"[green]ready[/green] {what}")
    return None if "router" in ready else "The supervisor ended; see .local/supervisor.log."


def _stop(pid: int) -> bool:
    """Whether a process has ended for all that it can be told; those that it holds die with it either way."""
    with contextlib.suppress(ProcessLookupError), _handle(pid) as process:
        for number, seconds in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
            signal.pidfd_send_signal(process, number)
            ended, _, _ = select.select([process], [], [], seconds)  # later than it lets go of its lock
            if ended:
                return True
        return False
    return True


@contextlib.contextmanager
def _handle(pid: int) -> Iterator[int]:
    """A descriptor that stays of this process, whoever gets its number later."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
