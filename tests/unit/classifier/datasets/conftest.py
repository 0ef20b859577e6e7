from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from fakes.data_home import DataHome, data_home


@pytest.fixture
def home() -> Iterator[DataHome]:
    with data_home() as running:
        yield running


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
