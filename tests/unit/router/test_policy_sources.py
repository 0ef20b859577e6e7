"""The file and the resources, each of which may change at any time."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from fakes.catalogue import a_catalogue, a_policy, a_resource
from steersman.router.model import Catalogue, Policy, Refusal
from steersman.router.policy_sources import PolicySources


@dataclass
class World:
    """The sources, and what was put to use."""

    applied: list[Catalogue] = field(default_factory=list)
    failing: bool = False
    sources: PolicySources = field(init=False)

    def __post_init__(self) -> None:
        self.sources = PolicySources(self._apply)

    async def _apply(self, catalogue: Catalogue) -> None:
        if self.failing:
            raise OSError("no connection can be made")
        self.applied.append(catalogue)

    @property
    def threshold(self) -> float:
        return self.applied[-1].policies["auto"].boundaries[0]


def of_file(threshold: float) -> Catalogue:
    return a_catalogue(a_policy(boundaries=[threshold]))


def of_resource(threshold: float, generation: int = 1) -> Policy:
    return a_policy(boundaries=[threshold], resource=a_resource(generation=generation))


@pytest.fixture
async def world() -> World:
    return World()


async def test_each_source_is_put_to_use_as_it_comes(world: World) -> None:
    await world.sources.take_file(of_file(0.1))
    assert world.threshold == 0.1
    await world.sources.take_resources([of_resource(0.2)])
    assert world.threshold == 0.2


async def test_resources_that_come_before_the_file_wait_for_it(world: World) -> None:
    await world.sources.take_resources([of_resource(0.2)])
    assert world.applied == []
    await world.sources.take_file(of_file(0.1))
    assert world.threshold == 0.2


async def test_a_new_file_leaves_the_resources_in_force(world: World) -> None:
    await world.sources.take_file(of_file(0.1))
    await world.sources.take_resources([of_resource(0.2)])
    await world.sources.take_file(of_file(0.3))
    assert world.threshold == 0.2
    await world.sources.take_resources([])
    assert world.threshold == 0.3


async def test_what_changes_nothing_is_not_put_to_use_again(world: World) -> None:
    await world.sources.take_file(of_file(0.1))
    await world.sources.take_resources([of_resource(0.2)])
    await world.sources.take_resources([of_resource(0.2)])
    assert len(world.applied) == 2


async def test_what_could_not_be_put_to_use_is_tried_again(world: World) -> None:
    await world.sources.take_file(of_file(0.1))
    world.failing = True
    with pytest.raises(OSError, match="no connection"):
        await world.sources.take_resources([of_resource(0.2)])
    world.failing = False
    await world.sources.take_resources([of_resource(0.2)])
    assert world.threshold == 0.2


async def test_a_refusal_is_logged_once_with_what_stays_in_force(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.sources.take_file(of_file(0.1))
    await world.sources.take_resources([of_resource(0.2, generation=1)])
    broken = Refusal(a_resource(generation=2), "there is no tier mighty")
    await world.sources.take_resources([broken])
    await world.sources.take_resources([broken])
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    told = record.__dict__
    assert (told["policy"], told["generation"], told["generation_in_force"]) == ("auto", 2, 1)
    assert told["error"] == "there is no tier mighty"


async def test_that_a_resource_came_and_went_is_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await world.sources.take_file(of_file(0.1))
    new = a_policy("cheap", resource=a_resource("cheap"))
    await world.sources.take_resources([of_resource(0.2), new])
    await world.sources.take_resources([])
    assert [(record.message, record.__dict__["policy"]) for record in caplog.records] == [
        ("policy resource taken", "auto"),
        ("policy resource taken", "cheap"),
        ("policy resource gone, the file's policy decides again", "auto"),
        ("policy gone", "cheap"),
    ]
