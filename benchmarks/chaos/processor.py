"""Whether processes had the processor when they wanted it: with other work on the machine, waiting times tell of that.

Linux tells for each thread how long it ran and how long it was ready to run and did not (`schedstat`).
A process that ran for one second and was ready for four more would have been five times as fast alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_PROC = Path("/proc")


@dataclass(slots=True)
class Times:
    """Seconds, of all threads of a process.

    Attributes:
        ran: On a processor.
        ready: Without one, although there was something to do.
    """

    ran: float = 0.0
    ready: float = 0.0

    @property
    def slowed(self) -> float:
        """By how much the process was slower than it would have been alone; 1 where nothing is known."""
        return (self.ran + self.ready) / self.ran if self.ran else 1.0


@dataclass(slots=True)
class Watched:
    """Processes.

    Attributes:
        times: While they were watched, by name.
    """

    times: dict[str, Times] = field(default_factory=dict)

    @property
    def slowed(self) -> dict[str, float]:
        """By how much each process was slower than it would have been alone."""
        return {name: round(each.slowed, 2) for name, each in self.times.items()}


@contextmanager
def watched(pids: Mapping[str, int]) -> Iterator[Watched]:
    """Watch processes, by name, while the context lasts; what was seen is told when it has ended."""
    before = {name: _times(pid) for name, pid in pids.items()}
    seen = Watched()
    try:
        yield seen
    finally:
        for name, pid in pids.items():
            now = _times(pid)
            seen.times[name] = Times(now.ran - before[name].ran, now.ready - before[name].ready)


def _times(pid: int) -> Times:
    """Of the threads that it has now; one that has ended is not in it, and the long-lived ones do the work."""
    total = Times()
    for path in (_PROC / str(pid) / "task").glob("*/schedstat"):
        ran, ready = _fields(path)
        total.ran += ran
        total.ready += ready
    return total


class Busiest:
    """How long a process was ready to run and did not, read so fast that it can be asked at every request.

    It is that of the two threads that have run most until now: the event loop's and gRPC's. What comes in wakes one
    after the other.

    Args:
        pid: The process.
    """

    def __init__(self, pid: int) -> None:
        paths = [*(_PROC / str(pid) / "task").glob("*/schedstat")]
        self._paths = sorted(paths, key=lambda path: -_fields(path)[0])[:2]

    def ready(self) -> float:
        """Seconds, ever since the process began."""
        return sum(_fields(path)[1] for path in self._paths)


def _fields(path: Path) -> tuple[float, float]:
    try:
        ran, ready, _ = path.read_text().split()
    except (OSError, ValueError):  # it has just ended
        return 0.0, 0.0
    return int(ran) / 1e9, int(ready) / 1e9
