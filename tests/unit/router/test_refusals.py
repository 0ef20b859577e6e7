from __future__ import annotations

import pytest

from fakes.catalogue import a_catalogue
from fakes.clock import FakeClock
from fakes.router import a_request, router_on_fakes
from fakes.upstream import FULL
from steersman.router.refusals import REMEMBERED_SECONDS, Refusals
from steersman.runtime.errors import Overloaded


async def test_who_was_refused_by_a_tier_is_not_passed_on_again_at_once() -> None:
    router = await router_on_fakes(a_catalogue())
    clock = FakeClock()
    router.dispatcher.refusals = Refusals(clock)
    router.weak.error = FULL
    for _ in range(5):
        with pytest.raises(Overloaded) as told:
            await router.routing.complete(a_request(model="weak"))
        assert (told.value.reason, told.value.retry_after_seconds) == ("QUEUE_FULL", 4.0)
    assert len(router.weak.seen) == 1
    with pytest.raises(Overloaded):
        await router.routing.complete(a_request(model="weak", tenant="other"))
    assert len(router.weak.seen) == 2
    clock.advance(2 * REMEMBERED_SECONDS)
    router.weak.error = None
    await router.routing.complete(a_request(model="weak"))


def test_not_more_refusals_are_kept_than_can_be() -> None:
    clock = FakeClock()
    refusals = Refusals(clock)
    for number in range(2000):
        refusals.note("weak", f"tenant-{number}", FULL)
    refusals.check("weak", "tenant-1999")
    clock.advance(2 * REMEMBERED_SECONDS)
    refusals.note("weak", "late", FULL)
    with pytest.raises(Overloaded):
        refusals.check("weak", "late")
    refusals.check("weak", "tenant-0")
