"""Decisions looked back at: by the class itself, over HTTP and over gRPC, by their own tenant and by another."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import grpc
import orjson
import pytest

from fakes.catalogue import a_catalogue
from fakes.router import RouterOnFakes, a_request, router_on_fakes
from fakes.served import over_grpc, over_http
from fakes.shared_store import FakeStore
from fixtures.callers import Answer, calling, failure, fetch
from steersman.api.v1 import decision_pb2, decision_service_pb2 as pb, decision_service_pb2_grpc
from steersman.identity.keys import Keyring, make
from steersman.identity.shown import Shown
from steersman.router.accounting import Record
from steersman.router.callers import KeyHolders
from steersman.router.decisions import Decisions
from steersman.router.explaining import decided
from steersman.router.model import Caller, Rights
from steersman.runtime.errors import InvalidRequest, NotFound, Unavailable

NOW = datetime(2026, 11, 24, tzinfo=UTC)
OWN, OWN_KEY = make("search", created=NOW)
OTHER, OTHER_KEY = make("mail", created=NOW)
SEARCH, MAIL = Caller("search"), Caller("mail")


@pytest.fixture
async def guarded() -> RouterOnFakes:
    return await router_on_fakes(replace(a_catalogue(), tenants={"search": Rights(), "mail": Rights()}))


def holders() -> KeyHolders:
    return KeyHolders(lambda _: None, keyring=Keyring.of([OWN_KEY, OTHER_KEY]))


def shown(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_decision_is_found_by_its_tenant_and_by_nobody_else(guarded: RouterOnFakes) -> None:
    made = await guarded.decided(a_request(tenant="search"))
    found = await guarded.decisions.find(made.id, caller=SEARCH)
    assert found.decision == made
    with pytest.raises(NotFound):
        await guarded.decisions.find(made.id, caller=MAIL)


async def test_another_replica_finds_it_too() -> None:
    shared = FakeStore[bytes]()
    one, another = await router_on_fakes(decided=shared), await router_on_fakes(decided=shared)
    made = await one.decided(a_request(tenant="search"))
    assert (await another.decisions.find(made.id, caller=SEARCH)).decision == made


async def test_another_tenants_decision_and_one_that_never_was_are_looked_for_alike(
    guarded: RouterOnFakes,
) -> None:
    made = await guarded.decided(a_request(tenant="search"))
    told = []
    for decision_id in (made.id, secrets.token_hex(16)):
        with pytest.raises(NotFound) as error:
            await guarded.decisions.find(decision_id, caller=MAIL)
        told.append((error.value.message, error.value.reason, len(guarded.told.asked)))
    assert [words[:2] for words in told] == [told[0][:2]] * 2
    assert [asked for *_, asked in told] == [1, 2]


async def test_without_the_other_replicas_nobody_says_that_there_is_none(guarded: RouterOnFakes) -> None:
    made = await guarded.decided(a_request(tenant="search"))
    guarded.told.down = True
    assert (await guarded.decisions.find(made.id, caller=SEARCH)).decision == made
    for caller, decision_id in ((MAIL, made.id), (SEARCH, secrets.token_hex(16))):
        with pytest.raises(Unavailable):
            await guarded.decisions.find(decision_id, caller=caller)


@pytest.mark.parametrize("decision_id", ["", "0" * 31, "0" * 33, "G" * 32, "../" * 10, "0" * 31 + "\n"])
async def test_what_is_no_id_is_not_looked_for(guarded: RouterOnFakes, decision_id: str) -> None:
    with pytest.raises(InvalidRequest):
        await guarded.decisions.find(decision_id, caller=SEARCH)
    assert not guarded.told.asked


async def test_a_process_keeps_the_newest_for_a_while(guarded: RouterOnFakes) -> None:
    now, shared = [time.time()], FakeStore[bytes](down=True)
    kept = Decisions(secret=b"x", store=shared, entries=2, ttl_seconds=60, now=lambda: now[0])
    for _ in range(3):
        await guarded.decided(a_request(tenant="search"))
        kept.closed(guarded.ledger.records[-1])
    first, second, third = (decided(record).id for record in guarded.ledger.records)
    for decision_id in (second, third):
        assert (await kept.find(decision_id, caller=SEARCH)).outcome == "OK"
    now[0] += 61
    for decision_id in (first, second, third):
        with pytest.raises(Unavailable):
            await kept.find(decision_id, caller=SEARCH)


async def test_a_request_that_was_refused_leaves_nothing_to_look_back_at(guarded: RouterOnFakes) -> None:
    guarded.decisions.closed(Record())
    assert not guarded.told.written


@pytest.mark.parametrize("quality", [None, -0.1, 1.1, float("nan")])
async def test_a_quality_is_a_number_from_0_to_1(guarded: RouterOnFakes, quality: float | None) -> None:
    made = await guarded.decided(a_request(tenant="search"))
    with pytest.raises(InvalidRequest):
        await guarded.decisions.rate(made.id, quality, caller=SEARCH)
    assert not guarded.feedback


async def ask(url: str, key: str, data: bytes | None = None) -> Answer:
    return await fetch(url, data=data, headers=shown(key))


async def test_http_explains_a_decision_in_a_sentence_and_in_fields(guarded: RouterOnFakes) -> None:
    guarded.hard()
    made = await guarded.decided(a_request(tenant="search"))
    async with over_http(guarded, callers=holders()) as served:
        answer = await ask(f"{served.url}/v1/decisions/{made.id}", OWN)
    assert answer.status == 200
    told = answer.json
    assert (told["id"], told["tier"], told["rule"]) == (made.id, "strong", "BOUNDARIES")
    assert told["sentence"].startswith("Tier strong was chosen because the score of 0.8000")
    assert (told["reason"], told["cache"], told["outcome"]) == ("SCORE", "MISS", "OK")
    assert told["stages"]["decide_seconds"] >= 0.0
    assert told["tiers"] == ["weak", "strong"]
    assert told["created"] == pytest.approx(datetime.now(UTC).timestamp(), abs=60)


async def test_http_tells_of_another_tenants_decision_what_it_tells_of_none(guarded: RouterOnFakes) -> None:
    made = await guarded.decided(a_request(tenant="search"))
    async with over_http(guarded, callers=holders()) as served:
        for path, data in (("decisions/{}", None), ("feedback", b'{"id": "%b", "quality": 1}')):
            answers = [
                await ask(f"{served.url}/v1/{path.format(each)}", OTHER, data and data % each.encode())
                for each in (made.id, secrets.token_hex(16))
            ]
            assert [answer.status for answer in answers] == [404, 404]
            assert answers[0].body == answers[1].body
            assert orjson.loads(answers[0].body)["error"]["code"] == "decision_not_found"
    assert not guarded.feedback


@pytest.mark.parametrize("path", ["decisions/" + "0" * 32, "feedback"])
async def test_http_tells_nothing_to_whom_it_does_not_know(guarded: RouterOnFakes, path: str) -> None:
    data = b"{}" if path == "feedback" else None
    async with over_http(guarded, callers=holders()) as served:
        assert (await ask(f"{served.url}/v1/{path}", "sk-nobody", data)).status == 401


async def test_http_takes_feedback(guarded: RouterOnFakes) -> None:
    made = await guarded.decided(a_request(tenant="search"))
    async with over_http(guarded, callers=holders()) as served:
        body = orjson.dumps({"id": made.id, "quality": 0.5})
        answer = await ask(f"{served.url}/v1/feedback", OWN, body)
    assert answer.json == {"object": "feedback", "id": made.id, "quality": 0.5}
    (feedback,) = guarded.feedback
    assert (feedback.caller.tenant, feedback.decision, feedback.quality) == ("search", made, 0.5)


@dataclass(frozen=True)
class Waited:
    """Knows callers, and tells when one has come."""

    holders: KeyHolders
    seen: asyncio.Event

    async def identify(self, shown: Shown) -> Caller:
        self.seen.set()
        return await self.holders.identify(shown)


async def test_feedback_may_come_in_pieces(guarded: RouterOnFakes) -> None:
    made, seen = await guarded.decided(a_request(tenant="search")), asyncio.Event()
    body = orjson.dumps({"id": made.id, "quality": 0.5})
    head = (
        f"POST /v1/feedback HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OWN}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    async with over_http(guarded, callers=Waited(holders(), seen)) as served, asyncio.timeout(10):
        host, _, port = served.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.encode() + body[:20])
        await seen.wait()
        writer.write(body[20:])
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(guarded.feedback) == 1


async def test_feedback_larger_than_the_router_takes_is_413(guarded: RouterOnFakes) -> None:
    async with over_http(guarded, callers=holders(), max_bytes=1000) as served:
        answer = await ask(f"{served.url}/v1/feedback", OWN, b" " * 1001)
    assert answer.status == 413


@pytest.mark.parametrize(
    "data", [b"no JSON", b"[]", b'{"id": 3}', b'{"id": "0", "quality": true}', b'{"quality": 1}']
)
async def test_http_names_what_is_wrong_with_feedback(guarded: RouterOnFakes, data: bytes) -> None:
    async with over_http(guarded, callers=holders()) as served:
        answer = await ask(f"{served.url}/v1/feedback", OWN, data)
    assert answer.status == 400
    assert orjson.loads(answer.body)["error"]["type"] == "invalid_request_error"


async def test_grpc_explains_takes_feedback_and_keeps_tenants_apart(guarded: RouterOnFakes) -> None:
    guarded.easy()
    made = await guarded.decided(a_request(tenant="search"))
    own, other = (("authorization", f"Bearer {OWN}"),), (("authorization", f"Bearer {OTHER}"),)
    question = pb.ExplainDecisionRequest(id=made.id)
    praise = pb.SubmitFeedbackRequest(id=made.id, quality=1.0)
    async with over_grpc(guarded, callers=holders()) as address, calling(address) as caller:
        stub = decision_service_pb2_grpc.DecisionServiceStub(caller.channel)
        told = await stub.ExplainDecision(question, timeout=10, metadata=own)
        await stub.SubmitFeedback(praise, timeout=10, metadata=own)
        refusals = [
            await failure(stub.ExplainDecision(question, timeout=10, metadata=other)),
            await failure(stub.SubmitFeedback(praise, timeout=10, metadata=other)),
            await failure(
                stub.ExplainDecision(pb.ExplainDecisionRequest(id="0" * 32), timeout=10, metadata=own)
            ),
        ]
    assert told.sentence.startswith("Tier weak was chosen")
    assert (told.decision.id, told.rule, told.outcome) == (made.id, pb.DECISION_RULE_BOUNDARIES, "OK")
    assert told.decision.reason == decision_pb2.DECISION_REASON_SCORE
    assert told.decide_time.ToDatetime(UTC).timestamp() == pytest.approx(
        datetime.now(UTC).timestamp(), abs=60
    )
    assert [(each.code, each.reason) for each in refusals] == [
        (grpc.StatusCode.NOT_FOUND, "DECISION_NOT_FOUND")
    ] * 3
    assert [each.quality for each in guarded.feedback] == [1.0]
