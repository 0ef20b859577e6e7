"""What each policy has decided."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.catalogue import a_policy
from steersman.router.accounting import Ledgers, Record
from steersman.router.model import Decision, Policy, Reason
from steersman.router.tally import Tally, TierCount

POLICY = a_policy(boundaries=[0.75])


@pytest.fixture
def tally() -> Tally:
    tally = Tally()
    tally.keep([POLICY])
    return tally


@pytest.fixture
def decision(record: Record) -> Decision:
    """For strong, by its score."""
    assert record.decision is not None
    return replace(record.decision, policy=POLICY)


def counted(tally: Tally, policy: Policy = POLICY) -> dict[str, tuple[int, int]]:
    return {tier: (count.wanted, count.answered) for tier, count in tally.of(policy).items()}


def test_every_tier_of_a_policy_has_counts_from_the_start_in_order_of_cost(tally: Tally) -> None:
    assert list(tally.of(POLICY).items()) == [("weak", TierCount()), ("strong", TierCount())]


def test_a_decision_counts_for_the_tier_that_it_wanted_and_for_the_one_it_went_to(
    tally: Tally, decision: Decision
) -> None:
    tally.closed(Record(decision=decision))
    tally.closed(Record(decision=replace(decision, tier="weak", reason=Reason.TIER_UNAVAILABLE)))
    assert counted(tally) == {"weak": (0, 1), "strong": (2, 1)}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"reason": Reason.OVERRIDE}, id="the caller named the tier"),
        pytest.param({"boundaries": (0.1,)}, id="the caller brought a threshold"),
        pytest.param({"policy": a_policy("another")}, id="the policy is not in force any more"),
    ],
)
def test_what_the_policy_did_not_decide_is_not_counted(
    tally: Tally, decision: Decision, changes: dict[str, object]
) -> None:
    tally.closed(Record(decision=replace(decision, **changes)))  # type: ignore[arg-type] # of several fields
    assert counted(tally) == {"weak": (0, 0), "strong": (0, 0)}


def test_a_request_that_was_refused_before_it_was_decided_is_not_counted(tally: Tally) -> None:
    tally.closed(Record())
    assert counted(tally) == {"weak": (0, 0), "strong": (0, 0)}


def test_counts_go_on_when_other_policies_change_and_begin_anew_with_a_new_version(
    tally: Tally, decision: Decision
) -> None:
    tally.closed(Record(decision=decision))
    tally.keep([POLICY, a_policy("another")])
    assert counted(tally)["strong"] == (1, 1)
    changed = replace(POLICY, version="another")
    tally.keep([changed])
    assert counted(tally, changed)["strong"] == (0, 0)


def test_several_ledgers_get_every_record(tally: Tally, decision: Decision) -> None:
    Ledgers((tally, tally)).closed(Record(decision=decision))
    assert counted(tally)["strong"] == (2, 2)
