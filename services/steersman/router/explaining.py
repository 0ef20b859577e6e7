"""Why a query went to the tier that it went to: what decided it, and a sentence for people. Pure."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from steersman.router.accounting import Record
from steersman.router.model import Decision, Fallback, Reason
from steersman.router.policy import tier_index


class Rule(Enum):
    """What decides which tier a query is meant for; the names are those of the API."""

    BOUNDARIES = auto()
    PROPORTIONAL = auto()
    STRONG = auto()
    WEAK = auto()
    SESSION = auto()
    BUDGET = auto()
    CALLER = auto()
    ONLY_TIER = auto()


_BY_REASON: Final = {
    Reason.SESSION: Rule.SESSION,
    Reason.BUDGET: Rule.BUDGET,
    Reason.OVERRIDE: Rule.CALLER,
    Reason.SINGLE_TIER: Rule.ONLY_TIER,
}
_INSTEAD: Final = {
    Fallback.PROPORTIONAL: (Rule.PROPORTIONAL, "a hash of its text decides, which keeps the planned shares"),
    Fallback.STRONG: (Rule.STRONG, "the policy sends such queries to its dearest tier"),
    Fallback.WEAK: (Rule.WEAK, "the policy sends such queries to its cheapest tier"),
}
_FAILURES: Final = {
    Reason.CLASSIFIER_UNAVAILABLE: "the classifier could not be reached",
    Reason.CLASSIFIER_TIMEOUT: "the classifier did not answer in time",
    Reason.CLASSIFIER_FAILED: "the classifier failed on this query",
}
_EXCUSES: Final = {
    Reason.TIER_UNAVAILABLE: "could not be reached",
    Reason.TIER_COLD: "had no replica running",
}


def decided(record: Record) -> Decision:
    """The decision of a record that has one."""
    if record.decision is None:
        raise ValueError("nothing was decided")
    return record.decision


def rule_of(record: Record) -> Rule:
    """What decided the tier that was wanted."""
    made = decided(record)
    known = _BY_REASON.get(_wanted_for(record))
    if known is not None:
        return known
    if len(made.policy.tiers) < 2:  # noqa: PLR2004 - one tier is no choice
        return Rule.ONLY_TIER
    instead = _rule_instead(made)
    return Rule.BOUNDARIES if instead is None else _INSTEAD[instead][0]


def sentence(record: Record) -> str:
    """Why this tier, in one sentence; and in a second one how the request ended, where it ended badly."""
    made = decided(record)
    because = _because(record, made)
    if made.reason in _EXCUSES:
        told = (
            f"Tier {made.tier} stood in for tier {made.wanted_tier}, which {_EXCUSES[made.reason]} and was wanted "
            f"because {because}."
        )
    else:
        told = f"Tier {made.tier} was chosen because {because}."
    return told if record.outcome == "OK" else f"{told} The request ended with {record.outcome}."


def _wanted_for(record: Record) -> Reason:
    return record.wanted_for or decided(record).reason


def _rule_instead(made: Decision) -> Fallback | None:
    """What decided in place of the score; None where the score did."""
    return made.policy.fallback if made.scored.assessment is None else made.out_of_domain


def _because(record: Record, made: Decision) -> str:
    policy = made.policy.name
    match _wanted_for(record):
        case Reason.OVERRIDE:
            return "the request named it"
        case Reason.SINGLE_TIER:
            return f"policy {policy} has no other"
        case Reason.BUDGET:
            return "the tenant's calls of the dearest tier are spent"
        case Reason.SESSION:
            return f"its conversation stands there, although {_by_itself(made)}"
        case Reason.CAPABILITY:
            return f"the tier that was meant for it cannot serve this request ({_by_itself(made)})"
        case _:
            return _by_itself(made)


def _by_itself(made: Decision) -> str:
    """What the query alone would have come to, as a clause."""
    instead = _rule_instead(made)
    if instead is None:
        return _held(made)
    clause = _INSTEAD[instead][1]
    if made.scored.assessment is None:
        failure = _FAILURES.get(made.scored.failure or Reason.CLASSIFIER_UNAVAILABLE, "there was no score")
        return f"{failure}, and {clause}"
    return (
        f"the query is unlike the training data (novelty {made.scored.assessment.novelty:.4f}), and {clause}"
    )


def _held(made: Decision) -> str:
    """The score against the boundaries."""
    assessment = made.scored.assessment
    score = 0.0 if assessment is None else assessment.score
    whose = (
        "the request's own" if made.boundaries != made.policy.boundaries else f"policy {made.policy.name}'s"
    )
    at = tier_index(score, made.boundaries)
    below = "" if at == len(made.boundaries) else f"below {whose} boundary of {made.boundaries[at]:g}"
    over = "" if at == 0 else f"at or over {whose} boundary of {made.boundaries[at - 1]:g}"
    return f"the score of {score:.4f} is {' and '.join(filter(None, (over, below)))}"
