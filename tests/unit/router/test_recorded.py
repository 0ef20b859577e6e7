from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import orjson
import pytest

from fakes.catalogue import a_policy
from fakes.router import RouterOnFakes, a_request
from steersman.router import explaining, http_decisions
from steersman.router.accounting import Record
from steersman.router.model import Caller
from steersman.router.recorded import decode, encode

CANARY = "a-canary-in-a-prompt"


def explained(record: Record) -> dict[str, Any]:
    return http_decisions.explanation(record)


@pytest.mark.parametrize("name", ["record", "unscored", "novel", "without_win_probability"])
def test_what_is_explained_is_the_same_on_every_replica(request: pytest.FixtureRequest, name: str) -> None:
    record = request.getfixturevalue(name)
    back = decode(encode(record))
    assert back is not None
    assert orjson.dumps(explained(back)) == orjson.dumps(explained(record))
    assert explaining.sentence(back) == explaining.sentence(record)


def test_a_score_comes_back_to_the_last_bit(record: Record) -> None:
    assert record.decision is not None
    assessment = record.decision.scored.assessment
    assert assessment is not None
    scored = replace(
        record.decision.scored, assessment=replace(assessment, score=0.1 + 0.2, win_probability=math.nan)
    )
    back = decode(encode(replace(record, decision=replace(record.decision, scored=scored))))
    assert back is not None
    assert back.decision is not None
    found = back.decision.scored.assessment
    assert found is not None
    assert found.score == 0.1 + 0.2
    assert math.isnan(found.win_probability)


def test_a_policy_without_a_rule_for_queries_out_of_domain_comes_back_without_one(record: Record) -> None:
    assert record.decision is not None
    back = decode(
        encode(replace(record, decision=replace(record.decision, policy=a_policy(out_of_domain=None))))
    )
    assert back is not None
    assert back.decision is not None
    assert back.decision.policy.out_of_domain is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff\x00",
        b"{}",
        b"[]",
        b"[1]",
        b"null",
        b"3",
        b'[2, "id", "weak"]',
        b'[1, "id", "weak", "weak", "NO_SUCH_REASON", false, [0.7]]',
    ],
)
def test_what_another_version_wrote_or_somebody_else_is_as_good_as_nothing(value: bytes) -> None:
    assert decode(value) is None


def test_what_is_cut_off_anywhere_is_as_good_as_nothing(record: Record) -> None:
    fields = orjson.loads(encode(record))
    assert all(decode(orjson.dumps(fields[:length])) is None for length in range(len(fields)))


def test_there_is_nothing_of_the_caller_in_it_and_little_at_all(record: Record) -> None:
    record.caller = Caller("the-search-team", key="0a1b2c3d")
    value = encode(record)
    assert b"the-search-team" not in value
    assert b"0a1b2c3d" not in value
    assert len(value) < 512


async def test_there_is_nothing_of_a_prompt_in_it(router: RouterOnFakes) -> None:
    await router.decided(a_request(CANARY, threshold=0.25, user=CANARY, session_id=CANARY))
    await router.streamed(a_request(CANARY, model="strong", stream=True))
    assert [CANARY.encode() in encode(record) for record in router.ledger.records] == [False, False]
