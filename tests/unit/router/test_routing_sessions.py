"""Conversations on their way through a router on fakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fakes.catalogue import a_catalogue, a_policy
from fakes.router import RouterOnFakes, a_request, router_on_fakes
from steersman.router.model import Reason, Session
from steersman.router.routing import Request
from steersman.runtime.errors import Unavailable

ASKED = {"role": "user", "content": "Prove the theorem"}
ANSWERED = {"role": "assistant", "content": "Done."}


def first(**fields: Any) -> Request:
    return a_request(messages=[ASKED], **fields)


def second(**fields: Any) -> Request:
    return a_request(messages=[ASKED, ANSWERED, {"role": "user", "content": "Thanks"}], **fields)


def hard_first(text: str) -> float:
    """Only what ends with the first question is hard."""
    return 0.9 if text.endswith("theorem") else 0.1


@pytest.fixture
async def two() -> RouterOnFakes:
    """A router with two addresses a tier."""
    router = await router_on_fakes(addresses=2)
    router.classifier.score = hard_first
    return router


async def by_route(router: RouterOnFakes, request: Request) -> None:
    await router.routing.route(request)


async def by_complete(router: RouterOnFakes, request: Request) -> None:
    await router.routing.complete(request)


async def by_stream(router: RouterOnFakes, request: Request) -> None:
    async for _ in router.routing.stream(request):
        pass


@pytest.mark.parametrize("ask", [by_route, by_complete, by_stream])
async def test_an_easy_sequel_of_a_hard_question_stays_with_strong(
    two: RouterOnFakes, ask: Callable[[RouterOnFakes, Request], Any]
) -> None:
    await ask(two, first())
    decision = await two.decided(second())
    assert (decision.tier, decision.reason) == ("strong", Reason.SESSION)


async def test_what_only_looks_like_a_sequel_is_decided_by_itself(two: RouterOnFakes) -> None:
    assert (await two.decided(second())).tier == "weak"


async def test_a_conversation_may_be_known_by_its_name(two: RouterOnFakes) -> None:
    await two.decided(first(session_id="chat-1"))
    assert (await two.decided(a_request("Thanks", session_id="chat-1"))).reason is Reason.SESSION
    assert (await two.decided(a_request("Thanks", session_id="chat-2"))).tier == "weak"


async def test_a_caller_who_names_a_tier_gets_it_whatever_the_conversation(two: RouterOnFakes) -> None:
    await two.decided(first())
    assert (await two.decided(second(model="weak"))).reason is Reason.OVERRIDE


async def test_where_the_policy_heeds_no_conversation_nothing_is_remembered() -> None:
    router = await router_on_fakes(a_catalogue(a_policy(sticky=None)))
    await router.decided(first())
    assert router.sessions.written == []


async def test_the_address_that_answered_before_is_asked_again(two: RouterOnFakes) -> None:
    for _ in range(20):
        await two.routing.complete(first())
        (served,) = (each for each in two.upstreams["strong"] if each.seen)
        for _ in range(10):
            await two.routing.complete(second())
        assert len(served.seen) == 11
        served.seen.clear()


async def test_a_turn_that_is_only_decided_leaves_the_conversation_where_it_is(two: RouterOnFakes) -> None:
    await two.routing.complete(first(session_id="chat-1"))
    await two.decided(first(session_id="chat-1"))
    (session,) = two.sessions.entries.values()
    (served,) = (each for each in two.upstreams["strong"] if each.seen)
    assert session == Session("strong", served.address)


async def test_the_address_that_answered_before_is_not_asked_while_it_has_more_than_its_share(
    two: RouterOnFakes,
) -> None:
    await two.routing.complete(first())
    busy = two.routing.delivery.dispatcher.fleets["strong"]
    (served,) = (each for each in two.upstreams["strong"] if each.seen)
    (member,) = (each for each in busy.members if each.client is served)
    with member.lease(), member.lease(), member.lease():
        await two.routing.complete(second())
    assert len(served.seen) == 1


async def test_a_conversation_goes_back_to_its_tier_when_another_one_has_stood_in(two: RouterOnFakes) -> None:
    for upstream in two.upstreams["strong"]:
        upstream.error = Unavailable("away")
    await two.routing.complete(first())
    assert {session.tier for session in two.sessions.entries.values()} == {"strong"}


async def test_an_answer_that_never_began_is_not_remembered(two: RouterOnFakes) -> None:
    for upstream in (*two.upstreams["strong"], *two.upstreams["weak"]):
        upstream.error = Unavailable("away")
    with pytest.raises(Unavailable):
        await two.routing.complete(first())
    assert two.sessions.written == []


async def test_a_router_goes_by_what_another_one_remembers() -> None:
    one = await router_on_fakes()
    one.classifier.score = hard_first
    await one.decided(first())
    other = await router_on_fakes(sessions=one.sessions)
    other.classifier.score = hard_first
    assert (await other.decided(second())).reason is Reason.SESSION
    assert set(one.sessions.entries.values()) == {Session("strong")}
