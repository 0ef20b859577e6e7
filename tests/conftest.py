"""Fixtures that any test may ask for, and the mark of those tests that start real parts."""

from __future__ import annotations

import signal
from typing import Final

import hypothesis
import pytest

pytest_plugins = [
    "fixtures.real_cluster",
    "fixtures.real_parts",
    "fixtures.whole_system",
    "fixtures.router_process",
    "fixtures.running_cluster",
    "fixtures.names",
]

# A shell's background job ignores SIGINT, and so would every command that a test starts to interrupt it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is not a slow function.
hypothesis.settings.register_profile("steersman", deadline=None)
# Chosen by `make test-fast`; `make test` tries five times as many.
hypothesis.settings.register_profile("fast", deadline=None, max_examples=20)
hypothesis.settings.load_profile("steersman")

REAL: Final = frozenset({"parts"})
"""Fixtures behind every real part: a test that needs one of them, directly or not, is an integration test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if REAL.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.integration)
