from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from steersman.router.adapters.policy_file import policy_file
from steersman.router.model import Catalogue
from steersman.runtime.watched_file import NotUsable

POLICY = """
tiers:
  weak: {{ model: m, upstream: {{ kind: backend, target: "weak:9001" }} }}
  strong: {{ model: m, upstream: {{ kind: backend, target: "strong:9001" }} }}
policies:
  auto: {{ tiers: [weak, strong], threshold: {threshold} }}
default_policy: auto
"""
BAD = "tiers: {}"


def policy(threshold: float) -> str:
    return POLICY.format(threshold=threshold)


class Watched:
    """A policy file, what was made of it, and what was told of its reloads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.applied: list[Catalogue] = []
        self.told: list[str] = []
        self.failing = False
        self.tried = 0
        self._news = asyncio.Event()
        self.file = policy_file(path, self.apply, self.tell, interval=0.001)

    async def apply(self, catalogue: Catalogue) -> None:
        self.tried += 1
        if self.failing:
            raise OSError("no connection can be made")
        self.applied.append(catalogue)

    def tell(self, outcome: str) -> None:
        self.told.append(outcome)
        self._news.set()

    @property
    def threshold(self) -> float:
        """Of the catalogue that is in use."""
        return self.applied[-1].policies["auto"].boundaries[0]

    async def news(self, change: Callable[[], object]) -> str:
        """What is told of a change."""
        self._news.clear()
        change()
        async with asyncio.timeout(5):
            await self._news.wait()
        return self.told[-1]

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        await self.file.load()
        task = asyncio.create_task(self.file.watch())
        try:
            yield
        finally:
            task.cancel()


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    path = tmp_path / "policies.yaml"
    path.write_text(policy(0.7))
    return Watched(path)


async def test_a_file_is_taken_at_the_start(watched: Watched) -> None:
    await watched.file.load()
    assert watched.threshold == 0.7
    assert watched.told == []


async def test_a_bad_file_at_the_start_is_an_error(watched: Watched) -> None:
    watched.path.write_text(BAD)
    with pytest.raises(NotUsable, match="policy file"):
        await watched.file.load()
    assert watched.applied == []


async def test_no_file_at_the_start_is_an_error(watched: Watched) -> None:
    watched.path.unlink()
    with pytest.raises(FileNotFoundError):
        await watched.file.load()


async def test_a_changed_file_is_taken(watched: Watched) -> None:
    async with watched.watching():
        assert await watched.news(lambda: watched.path.write_text(policy(0.5))) == "taken"
        assert watched.threshold == 0.5


async def test_a_bad_change_is_refused_once_and_the_old_policies_stay(watched: Watched) -> None:
    async with watched.watching():
        assert await watched.news(lambda: watched.path.write_text(BAD)) == "refused"
        assert watched.threshold == 0.7
        assert await watched.news(lambda: watched.path.write_text(policy(0.4))) == "taken"
    assert watched.told == ["refused", "taken"]
    assert len(watched.applied) == 2


async def test_going_back_after_a_bad_change_is_a_change_too(watched: Watched) -> None:
    async with watched.watching():
        await watched.news(lambda: watched.path.write_text(BAD))
        assert await watched.news(lambda: watched.path.write_text(policy(0.7))) == "taken"


async def test_a_mounted_config_map_changes_by_its_symbolic_link(tmp_path: Path) -> None:
    for version, threshold in (("v1", 0.7), ("v2", 0.2)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "policies.yaml").write_text(policy(threshold))
    data = tmp_path / "..data"
    data.symlink_to("v1")
    (tmp_path / "policies.yaml").symlink_to("..data/policies.yaml")
    watched = Watched(tmp_path / "policies.yaml")

    def swap() -> None:
        (tmp_path / "..new").symlink_to("v2")
        (tmp_path / "..new").rename(data)

    async with watched.watching():
        assert await watched.news(swap) == "taken"
        assert watched.threshold == 0.2


async def test_a_file_that_is_gone_for_a_while_changes_nothing(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched.watching():
        watched.path.unlink()
        async with asyncio.timeout(5):
            while not caplog.records:  # noqa: ASYNC110 - a log record is no event
                await asyncio.sleep(0.001)
        assert await watched.news(lambda: watched.path.write_text(policy(0.6))) == "taken"
    assert len(watched.applied) == 2


async def test_a_change_that_cannot_be_put_to_use_is_refused_once_and_tried_again(watched: Watched) -> None:
    async with watched.watching():
        watched.failing = True
        assert await watched.news(lambda: watched.path.write_text(policy(0.5))) == "refused"
        tried = watched.tried
        async with asyncio.timeout(5):
            while watched.tried < tried + 2:  # noqa: ASYNC110 - the file tells nobody that it tries again
                await asyncio.sleep(0.001)

        def mended() -> None:
            watched.failing = False

        assert await watched.news(mended) == "taken"
    assert watched.told == ["refused", "taken"]
    assert watched.threshold == 0.5


async def test_a_file_that_is_only_touched_is_not_taken_again(watched: Watched) -> None:
    async with watched.watching():
        watched.path.write_text(policy(0.7))
        assert await watched.news(lambda: watched.path.write_text(policy(0.6))) == "taken"
    assert len(watched.applied) == 2
