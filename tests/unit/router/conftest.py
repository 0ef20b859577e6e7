"""A router on fakes, and a record as it leaves one, for the modules that tell of it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from fakes.catalogue import a_policy
from fakes.classifier import IDENTITY
from fakes.router import RouterOnFakes, router_on_fakes
from fakes.served import OverHttp, over_http
from steersman.router.accounting import Record
from steersman.router.model import Assessment, CacheState, Decision, Reason, Scored, Stages, Usage

DECISION_ID = "0198f0c0ffee7000800000000000beef"


@pytest.fixture
async def router() -> RouterOnFakes:
    """A router with one address a tier."""
    return await router_on_fakes()


@pytest.fixture
async def served(router: RouterOnFakes) -> AsyncIterator[OverHttp]:
    """Its HTTP API."""
    async with over_http(router) as served:
        yield served


@pytest.fixture
def record() -> Record:
    """An answer of tier strong, wanted by its score."""
    return Record(
        stages=Stages(admission=0.001, cache=0.002, classify=0.003, decide=0.004, dispatch=0.005),
        decision=Decision(
            id=DECISION_ID,
            tier="strong",
            wanted_tier="strong",
            reason=Reason.SCORE,
            policy=a_policy(),
            boundaries=(0.75,),
            scored=Scored(Assessment(0.875, 0.625, 0.25, truncated=True), CacheState.MISS, None, IDENTITY),
            truncated=True,
        ),
        usage=Usage(70, 30, 20),
        finish_reason="stop",
        served_model="strong-model",
        usd=0.5,
        strongest_usd=2.0,
        joules=4.0,
        retries=1,
        first_byte_seconds=0.25,
    )


@pytest.fixture
def unscored() -> Record:
    """A record of a query that the classifier failed on."""
    scored = Scored(None, CacheState.BYPASSED, Reason.CLASSIFIER_TIMEOUT, IDENTITY)
    decision = Decision(
        DECISION_ID, "weak", "strong", Reason.TIER_UNAVAILABLE, a_policy(), (0.75,), scored, truncated=False
    )
    return Record(decision=decision)


@pytest.fixture
def novel(record: Record) -> Record:
    """A record of a query out of domain."""
    assert record.decision is not None
    scored = Scored(Assessment(0.875, 0.625, 1.0, truncated=False), CacheState.L2_HIT, None, IDENTITY)
    record.decision = replace(record.decision, reason=Reason.OUT_OF_DOMAIN, scored=scored)
    return record


@pytest.fixture
def without_win_probability(record: Record) -> Record:
    """A record of a method that has no win probability."""
    assert record.decision is not None
    scored = Scored(Assessment(0.875, math.nan, 0.25, truncated=False), CacheState.L2_HIT, None, IDENTITY)
    decision = record.decision
    record.decision = Decision(
        decision.id,
        decision.tier,
        decision.wanted_tier,
        decision.reason,
        decision.policy,
        decision.boundaries,
        scored,
        truncated=False,
    )
    return record
