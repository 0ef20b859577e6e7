"""The record of a request as bytes, so that any replica can explain its decision: numbers and the operator's names.

A flat list, because each decision is one: its order is the format, whose number stands first. What is not one of these
lists, as this version or another writes it, is as good as nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple
from typing import Any, Final

import orjson

from steersman.router.accounting import Record
from steersman.router.model import (
    Assessment,
    CacheState,
    ClassifierId,
    Decision,
    Fallback,
    OutOfDomain,
    Policy,
    Reason,
    Scored,
    Stages,
    Usage,
)

_FORMAT: Final = 2
_LONGEST_NAME: Final = 256
"""Of what an engine calls its model; all other names are the operator's."""


def encode(record: Record) -> bytes:
    """The bytes of a record that has a decision. Of the caller there is nothing in them."""
    made = record.decision
    if made is None:
        raise ValueError("nothing was decided")
    wanted_for = record.wanted_for and record.wanted_for.name
    return orjson.dumps(
        [
            _FORMAT,
            *(made.id, made.tier, made.wanted_tier, made.reason.name, made.truncated, made.boundaries),
            _policy(made.policy),
            _scored(made.scored),
            wanted_for,
            astuple(record.usage),
            *(record.finish_reason[:_LONGEST_NAME], record.served_model[:_LONGEST_NAME]),
            *(record.usd, record.strongest_usd, record.joules),
            *(record.retries, record.waited_seconds, record.first_byte_seconds, record.outcome),
            [seconds for _, seconds in record.stages.items()],
        ]
    )


def decode(value: bytes) -> Record | None:
    """The record of these bytes; None for anything that this version did not write."""
    try:
        number, *rest = orjson.loads(value)
        return _record(iter(rest)) if number == _FORMAT else None
    except (ValueError, TypeError, KeyError, StopIteration):
        return None


def _policy(policy: Policy) -> list[Any]:
    rule = policy.out_of_domain
    return [
        policy.name,
        policy.version,
        policy.tiers,
        policy.boundaries,
        policy.fallback.value,
        rule and [rule.novelty, rule.rule.value],
    ]


def _scored(scored: Scored) -> list[Any]:
    found, who = scored.assessment, scored.classifier
    return [
        found and [found.score, found.win_probability, found.novelty, found.truncated],  # NaN becomes null
        scored.cache.name,
        scored.failure and scored.failure.name,
        who and [who.name, who.version, who.artefact_digest],
    ]


def _record(fields: Iterator[Any]) -> Record:
    decision = _decision(fields)
    wanted_for = next(fields)
    return Record(
        decision=decision,
        wanted_for=wanted_for and Reason[wanted_for],
        usage=_usage(*next(fields)),
        finish_reason=str(next(fields)),
        served_model=str(next(fields)),
        usd=float(next(fields)),
        strongest_usd=float(next(fields)),
        joules=float(next(fields)),
        retries=int(next(fields)),
        waited_seconds=float(next(fields)),
        first_byte_seconds=_maybe(next(fields)),
        outcome=str(next(fields)),
        stages=Stages(*map(float, next(fields))),
    )


def _usage(prompt: float, completion: float, cached: float, estimated: object) -> Usage:
    return Usage(int(prompt), int(completion), int(cached), bool(estimated))


def _decision(fields: Iterator[Any]) -> Decision:
    return Decision(
        id=str(next(fields)),
        tier=str(next(fields)),
        wanted_tier=str(next(fields)),
        reason=Reason[next(fields)],
        truncated=bool(next(fields)),
        boundaries=tuple(map(float, next(fields))),
        policy=_policy_of(iter(next(fields))),
        scored=_scored_of(*next(fields)),
    )


def _policy_of(fields: Iterator[Any]) -> Policy:
    return Policy(
        name=str(next(fields)),
        version=str(next(fields)),
        tiers=tuple(map(str, next(fields))),
        boundaries=tuple(map(float, next(fields))),
        fallback=Fallback(next(fields)),
        out_of_domain=_out_of_domain(next(fields)),
    )


def _out_of_domain(rule: list[Any] | None) -> OutOfDomain | None:
    return None if rule is None else OutOfDomain(float(rule[0]), Fallback(rule[1]))


def _scored_of(found: list[Any] | None, cache: str, failure: str | None, who: list[str] | None) -> Scored:
    return Scored(
        None if found is None else _assessment(*found),
        CacheState[cache],
        None if failure is None else Reason[failure],
        None if who is None else ClassifierId(*map(str, who)),
    )


def _assessment(score: float, win_probability: float | None, novelty: float, truncated: object) -> Assessment:
    win = math.nan if win_probability is None else float(win_probability)
    return Assessment(float(score), win, float(novelty), bool(truncated))


def _maybe(number: float | None) -> float | None:
    return None if number is None else float(number)
