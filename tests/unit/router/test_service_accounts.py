from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from fakes.kubernetes import GONE
from fakes.reviewer import FakeReviewer, a_token
from steersman.identity.keys import Keyring, make
from steersman.identity.service_accounts import Rule
from steersman.identity.shown import Shown
from steersman.router.callers import Bearers, KeyHolders
from steersman.router.model import Caller
from steersman.router.service_accounts import ServiceAccounts, Terms
from steersman.runtime.errors import Unauthenticated, Unavailable
from unit.router.test_callers import KEY, NOW, TEXT

ENDS = NOW.timestamp() + 3600
WEB = Caller("search", "search/web")
FRESH, STALE = 60.0, 600.0


@dataclass
class Reviewed:
    """Service accounts of namespace `search`, and what was told of them."""

    reviewer: FakeReviewer = field(default_factory=FakeReviewer)
    reviews: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    now: float = NOW.timestamp()
    set_by: float = 0.0
    """Seconds by which the clock of the day has been set; the monotonic one cannot be."""
    timeout: float = 5.0
    entries: int = 100

    def __post_init__(self) -> None:
        self.holders = KeyHolders(lambda why: self.refused.update([why]), lambda: NOW, Keyring.of([KEY]))
        self.accounts = ServiceAccounts(
            self.reviewer,
            Terms("steersman", [Rule("search", "*", "search")], FRESH, STALE, self.timeout, self.entries),
            refuse=self.holders.refuse,
            on_review=lambda outcome: self.reviews.update([outcome]),
            clock=lambda: self.now,
            now=lambda: self.now + self.set_by,
        )

    def known(self, name: str = "web", *, ends: float = ENDS, namespace: str = "search") -> str:
        """A token that the API server knows."""
        token = a_token(ends=ends, name=name)
        self.reviewer.users[token] = f"system:serviceaccount:{namespace}:{name}"
        return token


@pytest.fixture
async def reviewed() -> AsyncIterator[Reviewed]:
    reviewed = Reviewed()
    yield reviewed
    await reviewed.accounts.close()


async def test_a_token_is_its_accounts_tenant_and_is_reviewed_once_in_a_while(reviewed: Reviewed) -> None:
    token = reviewed.known()
    assert [await reviewed.accounts.identify(token) for _ in range(5)] == [WEB] * 5
    assert reviewed.reviewer.asked == [(token, "steersman")]
    reviewed.now += FRESH
    assert await reviewed.accounts.identify(token) == WEB
    assert len(reviewed.reviewer.asked) == 2


async def test_a_token_that_is_known_no_more_is_of_no_use_after_a_minute(reviewed: Reviewed) -> None:
    token = reviewed.known()
    await reviewed.accounts.identify(token)
    reviewed.reviewer.users.clear()
    assert await reviewed.accounts.identify(token) == WEB
    reviewed.now += FRESH
    with pytest.raises(Unauthenticated):
        await reviewed.accounts.identify(token)


async def test_a_token_is_good_until_it_ends_and_no_longer(reviewed: Reviewed) -> None:
    token = reviewed.known(ends=reviewed.now + 5)
    assert await reviewed.accounts.identify(token) == WEB
    reviewed.now += 5
    reviewed.reviewer.trouble = GONE
    with pytest.raises(Unauthenticated):
        await reviewed.accounts.identify(token)
    assert len(reviewed.reviewer.asked) == 1


@pytest.mark.parametrize("set_by", [-3600.0, 3600.0])
async def test_what_is_known_lasts_as_long_as_stated_whatever_the_clock_is_set_to(
    reviewed: Reviewed, set_by: float
) -> None:
    token = reviewed.known(ends=ENDS + 7200)
    await reviewed.accounts.identify(token)
    reviewed.set_by = set_by
    reviewed.now += FRESH - 1
    assert await reviewed.accounts.identify(token) == WEB
    assert len(reviewed.reviewer.asked) == 1
    reviewed.reviewer.users.clear()
    reviewed.now += 1
    with pytest.raises(Unauthenticated):
        await reviewed.accounts.identify(token)


async def test_while_the_api_server_is_away_whom_it_has_known_goes_on_for_the_stated_time(
    reviewed: Reviewed,
) -> None:
    token = reviewed.known()
    await reviewed.accounts.identify(token)
    reviewed.reviewer.trouble = GONE
    reviewed.now += STALE - 1
    assert await reviewed.accounts.identify(token) == WEB
    assert await reviewed.accounts.identify(token) == WEB
    assert reviewed.reviews == {"known": 1, "stale": 1}  # it is not asked again at each request
    reviewed.now += 1
    with pytest.raises(Unavailable) as told:
        await reviewed.accounts.identify(token)
    assert told.value.reason == "IDENTITY_UNAVAILABLE"
    with pytest.raises(Unavailable):
        await reviewed.accounts.identify(reviewed.known("another"))
    reviewed.reviewer.trouble = None
    assert await reviewed.accounts.identify(token) == WEB


async def test_an_api_server_that_hangs_costs_a_bounded_wait() -> None:
    reviewed = Reviewed(timeout=0.01)
    reviewed.reviewer.gate.close()
    with pytest.raises(Unavailable):
        await reviewed.accounts.identify(reviewed.known())
    assert reviewed.reviews == {"failed": 1}


async def test_what_cannot_be_valid_costs_the_api_server_nothing(reviewed: Reviewed) -> None:
    for token in (a_token(ends=reviewed.now - 1), a_token(audience="another", ends=ENDS), "eyJ.x.y"):
        with pytest.raises(Unauthenticated):
            await reviewed.accounts.identify(token)
    assert not reviewed.reviewer.asked


async def test_a_worthless_token_is_reviewed_once_for_a_while_and_displaces_none_that_is_known() -> None:
    reviewed = Reviewed(entries=2)
    token = reviewed.known()
    await reviewed.accounts.identify(token)
    for number in range(10):
        for _ in range(3):
            with pytest.raises(Unauthenticated):
                await reviewed.accounts.identify(a_token(ends=ENDS, name=f"nobody-{number}"))
    assert len(reviewed.reviewer.asked) == 11
    assert await reviewed.accounts.identify(token) == WEB
    assert len(reviewed.reviewer.asked) == 11


@pytest.mark.parametrize("user", ["system:serviceaccount:mail:web", "system:node:node-1", "admin"])
async def test_whom_no_rule_covers_is_nobody(reviewed: Reviewed, user: str) -> None:
    token = reviewed.known()
    reviewed.reviewer.users[token] = user
    with pytest.raises(Unauthenticated):
        await reviewed.accounts.identify(token)
    assert (reviewed.reviews, reviewed.refused) == ({"denied": 1}, {"token": 1})


async def test_many_requests_with_one_token_wait_for_one_review(reviewed: Reviewed) -> None:
    token = reviewed.known()
    reviewed.reviewer.gate.close()
    asking = [asyncio.create_task(reviewed.accounts.identify(token)) for _ in range(10)]
    await reviewed.reviewer.gate.until(waiting=1)
    asking.pop().cancel()  # whoever leaves ends it for nobody else
    reviewed.reviewer.gate.open()
    assert await asyncio.gather(*asking) == [WEB] * 9
    assert len(reviewed.reviewer.asked) == 1


async def test_reviews_under_way_are_bounded(reviewed: Reviewed) -> None:
    reviewed.reviewer.gate.close()
    asking = [
        asyncio.create_task(reviewed.accounts.identify(reviewed.known(f"web-{number}")))
        for number in range(24)
    ]
    await reviewed.reviewer.gate.until(waiting=24)
    with pytest.raises(Unavailable):
        await reviewed.accounts.identify(reviewed.known("one-more"))
    reviewed.reviewer.gate.open()
    assert len(await asyncio.gather(*asking)) == 24


async def test_strangers_keep_nobody_out_who_is_known(reviewed: Reviewed) -> None:
    known = [reviewed.known(f"known-{number}") for number in range(9)]
    for token in known:
        await reviewed.accounts.identify(token)
    reviewed.now += FRESH
    reviewed.reviewer.gate.close()
    strangers = [reviewed.known(f"stranger-{number}") for number in range(24)]
    asking = [asyncio.create_task(reviewed.accounts.identify(token)) for token in strangers]
    await reviewed.reviewer.gate.until(waiting=24)
    asking += [asyncio.create_task(reviewed.accounts.identify(token)) for token in known[:8]]
    await reviewed.reviewer.gate.until(waiting=32)
    assert (await reviewed.accounts.identify(known[8])).tenant == "search"  # by the review before
    reviewed.reviewer.gate.open()
    assert len(await asyncio.gather(*asking)) == 32


async def test_keys_and_tokens_are_told_apart_by_their_form(reviewed: Reviewed) -> None:
    callers = Bearers(reviewed.holders, reviewed.accounts)
    assert await callers.identify(Shown(f"Bearer {TEXT}")) == Caller("search", KEY.id)
    assert await callers.identify(Shown(f"bearer {reviewed.known()}")) == WEB
    told = []
    for shown in (
        None,
        "Bearer sk-nothing",
        f"Bearer {a_token(ends=ENDS, name='nobody')}",
        f"Bearer {make('x', created=NOW)[0]}",
    ):
        with pytest.raises(Unauthenticated) as error:
            await callers.identify(Shown(shown))
        told.append(error.value.message)
    assert len(set(told)) == 1
