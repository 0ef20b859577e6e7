"""What processes use, so that a product is measured by all that it runs and not by one process of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class CpuMeter:
    """Reads the processor time and the memory that processes and their children use.

    Args:
        processes: Ids by the names to report them under.
    """

    processes: Mapping[str, int]

    def read(self) -> dict[str, float]:
        """Seconds of user and system time since each process began."""
        return {name: sum(map(_of, _tree(pid))) for name, pid in self.processes.items()}

    def resident_mib(self) -> float:
        """Their resident memory, in MiB."""
        trees = (_tree(pid) for pid in self.processes.values())
        return sum(process.memory_info().rss for tree in trees for process in tree) / 2**20


def used(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Seconds between two readings."""
    return {name: after[name] - before[name] for name in before}


def _tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
