from __future__ import annotations

import os

from benchmarks.cpu import CpuMeter


def test_memory_is_that_of_all_processes_together() -> None:
    own = CpuMeter({"this": os.getpid()}).resident_mib()

    assert own > 1
    assert CpuMeter({"this": os.getpid(), "again": os.getpid()}).resident_mib() > 1.5 * own
    assert CpuMeter({}).resident_mib() == 0
