from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fakes.engine import FakeEngine, fake_engine
from steersman.openai_api.client import EngineClient


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with fake_engine() as engine:
        yield engine


@pytest.fixture
async def client(engine: FakeEngine) -> AsyncIterator[EngineClient]:
    async with EngineClient(url=engine.url, api_key="key-of-ours") as client:
        yield client
