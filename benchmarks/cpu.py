"""Processor time of processes, so that a product is measured by all that it runs and not by one process of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class CpuMeter:
    """Reads the processor time that processes and their children have used.

    Args:
        processes: Ids by the names to report them under.
    """

    processes: Mapping[str, int]

    def read(self) -> dict[str, float]:
        """Seconds of user and system time since each process began."""
        return {name: _of_tree(pid) for name, pid in self.processes.items()}


def used(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Seconds between two readings."""
    return {name: after[name] - before[name] for name in before}


def _of_tree(pid: int) -> float:
    root = psutil.Process(pid)
    return sum(_of(process) for process in [root, *root.children(recursive=True)])


def _of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
