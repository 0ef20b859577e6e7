"""A tenant tries every API with what is another's: decisions, conversations, policies, tiers, keys, scores.

Whatever it tries looks to it like what there is not, also by the clock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import orjson
import pytest

from fakes.engine import fake_engine
from fixtures import noise
from fixtures.callers import (
    Answer,
    Caller,
    RichError,
    body,
    calling,
    conversation,
    failure,
    fetch,
    responses,
    until,
)
from fixtures.router_process import Router, StartRouter, direct, policies
from steersman.api.v1 import (
    decision_pb2,
    decision_service_pb2,
    decision_service_pb2_grpc,
    router_service_pb2 as pb,
)
from steersman.cli.__main__ import main
from steersman.local.system import System
from steersman.router.ids import new_id

PRIVATE, NOTHING = "private", "nothing"
"""A policy of tenant `search` alone, and one that there is not; names of one length."""
PROMPT = "What does the search team want to know of albatrosses?"
FOR_CALLERS = (pb.DESCRIPTOR, decision_service_pb2.DESCRIPTOR)
"""What callers may ask."""


@dataclass(frozen=True)
class Tenants:
    """A router with two tenants; what `search` has, `mail` tries."""

    router: Router
    search: str
    """Its key."""
    mail: str
    decision_id: str
    """Of a decision of `search`, which any replica knows."""

    async def http(self, path: str, *, key: str = "", data: bytes | None = None, **headers: str) -> Answer:
        sent = {"Authorization": f"Bearer {key or self.mail}", **headers}
        return await fetch(f"{self.router.http}/v1/{path}", data=data, headers=sent)


def shown(key: str) -> tuple[tuple[str, str]]:
    return (("authorization", f"Bearer {key}"),)


@pytest.fixture
async def tenants(
    system: System, start_router: StartRouter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Tenants]:
    file, made = tmp_path / "keys.yaml", []
    for tenant in ("search", "mail"):
        assert main(["keys", "create", "--file", str(file), "--tenant", tenant]) == 0
        made.append(capsys.readouterr().out.strip())
    search, mail = made
    async with fake_engine() as engine:
        content = policies(direct(engine.url), direct(engine.url), threshold=0.5)
        content["policies"][PRIVATE] = {"tiers": ["strong"]}
        content["tenants"] = {"search": {}, "mail": {"policies": ["auto"], "tiers": ["weak", "strong"]}}
        router = await start_router(
            content,
            classifier=system.addresses.triton_grpc,
            cache=system.addresses.redis,
            settings={"IDENTITY__KEY_FILE": file},
        )
        asked = body(PROMPT, model=PRIVATE)
        answer = await fetch(
            f"{router.http}/v1/chat/completions", data=asked, headers={"Authorization": f"Bearer {search}"}
        )
        assert answer.status == 200
        yield Tenants(router, search, mail, answer.headers["x-steersman-decision-id"])


@asynccontextmanager
async def caller_of(tenants: Tenants) -> AsyncIterator[Caller]:
    async with calling(tenants.router.grpc) as caller:
        yield caller


# Each RPC that callers have, tried with what is another's, and with what there is not.
Try = Callable[[Caller, Tenants, str], Awaitable[RichError]]


async def _route(caller: Caller, tenants: Tenants, model: str) -> RichError:
    asked = pb.RouteRequest(conversation=conversation(PROMPT), model=model)
    return await failure(caller.stub.Route(asked, timeout=20, metadata=shown(tenants.mail)))


async def _complete(caller: Caller, tenants: Tenants, model: str) -> RichError:
    asked = pb.CompleteRequest(conversation=conversation(PROMPT), model=model)
    return await failure(caller.stub.Complete(asked, timeout=20, metadata=shown(tenants.mail)))


async def _chat(caller: Caller, tenants: Tenants, model: str) -> RichError:
    asked = pb.ChatRequest(conversation=conversation(PROMPT), model=model)
    return await failure(responses(caller.stub.Chat(asked, timeout=20, metadata=shown(tenants.mail))))


async def _explain(caller: Caller, tenants: Tenants, decision_id: str) -> RichError:
    stub = decision_service_pb2_grpc.DecisionServiceStub(caller.channel)
    asked = decision_service_pb2.ExplainDecisionRequest(id=decision_id)
    return await failure(stub.ExplainDecision(asked, timeout=20, metadata=shown(tenants.mail)))


async def _rate(caller: Caller, tenants: Tenants, decision_id: str) -> RichError:
    stub = decision_service_pb2_grpc.DecisionServiceStub(caller.channel)
    asked = decision_service_pb2.SubmitFeedbackRequest(id=decision_id, quality=0.0)
    return await failure(stub.SubmitFeedback(asked, timeout=20, metadata=shown(tenants.mail)))


BY_POLICY: Mapping[str, Try] = {"Route": _route, "Complete": _complete, "Chat": _chat}
BY_DECISION: Mapping[str, Try] = {"ExplainDecision": _explain, "SubmitFeedback": _rate}


def test_every_rpc_for_callers_is_tried_here() -> None:
    methods = {
        method.name
        for file in FOR_CALLERS
        for service in file.services_by_name.values()
        for method in service.methods
    }
    assert methods == {*BY_POLICY, *BY_DECISION}


async def test_grpc_tells_of_what_is_anothers_what_it_tells_of_what_there_is_not(tenants: Tenants) -> None:
    async with caller_of(tenants) as caller:
        for name, attempt in BY_POLICY.items():
            assert await attempt(caller, tenants, PRIVATE) == await attempt(caller, tenants, NOTHING), name
        for name, attempt in BY_DECISION.items():
            told = await attempt(caller, tenants, tenants.decision_id)
            assert told == await attempt(caller, tenants, new_id()), name
            assert told.code is grpc.StatusCode.NOT_FOUND


async def test_http_tells_of_what_is_anothers_what_it_tells_of_what_there_is_not(tenants: Tenants) -> None:
    pairs: list[tuple[str, Any, Any]] = [
        ("decisions/{}", tenants.decision_id, new_id()),
        ("models/{}", PRIVATE, NOTHING),
    ]
    for path, others, none in pairs:
        answers = [await tenants.http(path.format(each)) for each in (others, none)]
        assert _told(answers[0]) == _told(answers[1])
        assert answers[0].status == 404
    for stream in (False, True):
        answers = [
            await tenants.http("chat/completions", data=body(PROMPT, model=model, stream=stream))
            for model in (PRIVATE, NOTHING)
        ]
        assert _told(answers[0]) == _told(answers[1])
    rated = [orjson.dumps({"id": each, "quality": 0}) for each in (tenants.decision_id, new_id())]
    answers = [await tenants.http("feedback", data=data) for data in rated]
    assert _told(answers[0]) == _told(answers[1])
    assert [model["id"] for model in (await tenants.http("models")).json["data"]] == [
        "auto",
        "weak",
        "strong",
    ]


def _told(answer: Answer) -> tuple[int, bytes, list[str]]:
    return answer.status, answer.body, sorted(name for name in answer.headers if name != "Date")


async def test_what_is_ones_own_is_found_all_the_same(tenants: Tenants) -> None:
    assert (await tenants.http(f"decisions/{tenants.decision_id}", key=tenants.search)).status == 200
    assert (await tenants.http(f"models/{PRIVATE}", key=tenants.search)).status == 200


async def test_a_conversation_of_the_same_name_is_another_tenants_own(tenants: Tenants) -> None:
    async def turn(caller: Caller, key: str, threshold: float) -> decision_pb2.Decision:
        asked = pb.RouteRequest(
            conversation=conversation("Go on"), session_id="one name for both", threshold=threshold
        )
        response = await caller.stub.Route(asked, timeout=20, metadata=shown(key))
        decision: decision_pb2.Decision = response.decision
        return decision

    async with caller_of(tenants) as caller:
        assert (await turn(caller, tenants.search, 0.0)).tier == "strong"
        kept = await turn(caller, tenants.search, 1.0)
        assert (kept.tier, kept.reason) == ("strong", decision_pb2.DECISION_REASON_SESSION)
        own = await turn(caller, tenants.mail, 1.0)
        assert (own.tier, own.reason) == ("weak", decision_pb2.DECISION_REASON_SCORE)


async def test_what_another_tenant_has_asked_is_not_in_ones_cache(tenants: Tenants) -> None:
    prompt = f"{PROMPT} {new_id()}"
    async with caller_of(tenants) as caller:

        async def cache(key: str) -> decision_pb2.CacheState:
            asked = pb.RouteRequest(conversation=conversation(prompt))
            decision: decision_pb2.Decision = (
                await caller.stub.Route(asked, timeout=20, metadata=shown(key))
            ).decision
            return decision.cache

        async def known() -> bool:
            return await cache(tenants.search) == decision_pb2.CACHE_STATE_L1_HIT

        await until(known)
        assert await cache(tenants.mail) == decision_pb2.CACHE_STATE_MISS


async def test_the_id_of_anothers_key_opens_nothing(tenants: Tenants) -> None:
    head, _, secret = tenants.mail.rpartition("-")
    other_head = tenants.search.rpartition("-")[0]
    assert head != other_head
    told = [
        _told(await tenants.http("models", key=key))
        for key in (f"{other_head}-{secret}", f"{head[:-12]}{'0' * 12}-{secret}", "sk-nobody")
    ]
    assert told[0][0] == 401
    assert told == [told[0]] * 3


@pytest.mark.parametrize("what", ["decisions", "models", "keys"])
async def test_nothing_is_learnt_from_the_clock(tenants: Tenants, what: str) -> None:
    head, _, secret = tenants.mail.rpartition("-")
    one, other = {
        "decisions": (
            (f"decisions/{tenants.decision_id}", tenants.mail),
            (f"decisions/{new_id()}", tenants.mail),
        ),
        "models": ((f"models/{PRIVATE}", tenants.mail), (f"models/{NOTHING}", tenants.mail)),
        "keys": (
            ("models", f"{tenants.search.rpartition('-')[0]}-{secret}"),
            ("models", f"{head[:-12]}{'0' * 12}-{secret}"),
        ),
    }[what]
    async with aiohttp.ClientSession() as session:

        def asking(path: str, key: str) -> Callable[[], Awaitable[bytes]]:
            async def ask() -> bytes:
                headers = {"Authorization": f"Bearer {key}"}
                async with session.get(f"{tenants.router.http}/v1/{path}", headers=headers) as response:
                    assert response.status in {401, 404}
                    return await response.read()

            return ask

        share = await noise.share_longer(asking(*one), asking(*other))
    assert abs(share - 0.5) < noise.NOISE
