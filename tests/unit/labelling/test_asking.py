from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fakes.chat import FakeChat, reply
from steersman.classifier.errors import DataError
from steersman.labelling.asking import HOPELESS, Call, Tally, ask_all
from steersman.labelling.budget import Budget
from steersman.labelling.model import Messages, Reply
from steersman.openai_api import refusals
from steersman.runtime.errors import Overloaded, Refused, Unavailable


def calls(chat: FakeChat, count: int, keep: Callable[[Reply], None] = lambda _: None) -> list[Call]:
    return [Call(chat, [{"role": "user", "content": str(number)}], keep) for number in range(count)]


async def ask(asked: list[Call], *, at_once: int = 1, budget: Budget | None = None) -> Tally:
    return await ask_all(asked, budget or Budget(), at_once=at_once, progress=lambda _: None)


def fails(*numbers: int, error: Exception) -> Callable[[Messages], Reply | Exception]:
    return lambda messages: error if int(messages[0]["content"]) in numbers else reply()


async def test_replies_are_kept_and_paid_for_as_they_come() -> None:
    kept: list[Reply] = []
    budget = Budget(spent=0.5)
    tally = await ask(calls(FakeChat(), 3, kept.append), budget=budget)
    assert (len(kept), tally.replies, budget.spent) == (3, 3, 3.5)


async def test_no_more_calls_are_under_way_than_may_be() -> None:
    chat = FakeChat(held=asyncio.Event())
    task = asyncio.create_task(ask(calls(chat, 10), at_once=3))
    await chat.until(running=3)
    assert chat.held is not None
    chat.held.set()
    await task
    assert (len(chat.asked), chat.most_running) == (10, 3)


async def test_a_failure_is_counted_and_the_others_go_on() -> None:
    chat = FakeChat(says=fails(1, 3, error=Unavailable("the engine failed (500)")))
    tally = await ask(calls(chat, 5))
    assert tally.replies == 3
    assert tally.failures == {"fake-model: the engine failed (500)": 2}
    assert tally.stopped is None


async def test_where_nothing_works_the_rest_is_not_tried() -> None:
    chat = FakeChat(says=lambda _: Overloaded("the engine has no room"))
    tally = await ask(calls(chat, 100))
    assert len(chat.asked) == HOPELESS
    assert tally.stopped == "fake-model: the engine has no room"


async def test_a_key_that_is_not_accepted_ends_it_at_once() -> None:
    error = Unavailable("the engine does not accept this service's key", reason=refusals.UNAUTHORIZED)
    chat = FakeChat(says=lambda _: error)
    tally = await ask(calls(chat, 100))
    assert len(chat.asked) == 1
    assert tally.stopped is not None


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (400, 20)])
async def test_a_refusal_is_about_one_request_unless_there_is_no_such_model(status: int, asked: int) -> None:
    body = b'{"error":{"message":"the secret prompt","code":"unsupported_parameter","param":"max_tokens"}}'
    chat = FakeChat(says=lambda _: Refused(f"refused ({status})", status=status, body=body))
    tally = await ask(calls(chat, 20))
    assert len(chat.asked) == asked
    assert set(tally.failures) == {f"fake-model: refused ({status}) unsupported_parameter max_tokens"}


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'{"error":"no"}', b'{"error":{"code":"a b c"}}'])
async def test_the_words_of_a_refusal_are_not_told(body: bytes) -> None:
    chat = FakeChat(says=lambda _: Refused("refused (400)", status=400, body=body))
    assert set((await ask(calls(chat, 1))).failures) == {"fake-model: refused (400)"}


async def test_the_cost_never_exceeds_its_limit_however_many_calls_there_are_at_once() -> None:
    chat = FakeChat(says=lambda _: reply(usd=0.6))
    budget = Budget(spent=1.0, most=4.0)
    tally = await ask(calls(chat, 100), at_once=8, budget=budget)
    assert tally.stopped == "the next call could cost more than --max-cost leaves"
    assert budget.spent == pytest.approx(3.4)  # another one could cost 1


async def test_what_is_cut_or_not_metered_is_counted() -> None:
    chat = FakeChat(says=lambda _: reply(finish_reason="length", metered=False))
    tally = await ask(calls(chat, 2))
    assert (tally.cut, tally.estimated) == (2, 2)


async def test_a_reply_that_cannot_be_kept_ends_it_with_that_error() -> None:
    def full(_: Reply) -> None:
        raise DataError("cannot write: no space")

    with pytest.raises(DataError, match="no space"):
        await ask(calls(FakeChat(), 9, full), at_once=4)
