"""What a resource's status should say, and whether it is worth saying. Pure.

Of a generation that no router can be asked about, what was said last stays, and the condition tells that it is old.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median_low
from typing import Final

from steersman.controller.model import (
    ACCEPTED,
    PROGRAMMED,
    Classifier,
    Condition,
    Held,
    PolicyResource,
    Refusal,
    Report,
    Status,
    TierShare,
    Truth,
)
from steersman.controller.routers import View

_DIGITS: Final = 3
"""Of a share: what is smaller moves all the time, and tells nobody anything."""
_REASON_CHARACTERS: Final = 500
_REASONS: Final = 3
"""So many different reasons for a refusal are told."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known about one resource at one moment."""

    view: View
    hold_seconds: float
    """After so long a silence a router does not count."""
    shares: tuple[TierShare, ...] | None
    """Of what is in force; None where that is not known."""
    now: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """What a condition should say."""

    truth: Truth
    reason: str
    message: str


def in_force(resource: PolicyResource, heard: Sequence[Report]) -> Held | None:
    """What routers decide by: the resource's newest generation, or else whatever they have of it."""
    held = [report.held[resource.uid] for report in heard if resource.uid in report.held]
    return max(held, key=lambda each: each.generation, default=None)


def status_of(resource: PolicyResource, seen: Seen) -> Status:
    """The status that a resource should have now."""
    former, view = _of_this_generation(resource), seen.view
    conditions = (
        _condition(ACCEPTED, accepted(resource, view), resource, seen.now),
        _condition(PROGRAMMED, programmed(resource, seen), resource, seen.now),
    )
    if not view.heard:
        return replace(former, conditions=conditions, holding=0, total=view.total)
    held = in_force(resource, view.heard)
    shares = former.shares if seen.shares is None else seen.shares
    return Status(
        resource.generation,
        conditions,
        holding=len(_holding(resource, view)),
        total=view.total,
        shares=_rounded(shares),
        boundaries=_boundaries(resource, held, view),
        classifier=_classifier(view),
        observed_at=seen.now - timedelta(seconds=view.freshest_seconds),
    )


def accepted(resource: PolicyResource, view: View) -> Claim:
    """Whether routers can use a resource."""
    name = f"generation {resource.generation}"
    refusals = _refusals(resource, view)
    if refusals:
        return Claim(Truth.FALSE, "Refused", _complaint(name, refusals, view))
    if _holding(resource, view):
        return Claim(Truth.TRUE, "Accepted", f"{name} is in use, and no router refuses it")
    former = _of_this_generation(resource).condition(ACCEPTED)
    if former is not None and not view.heard:
        return Claim(former.truth, former.reason, former.message)
    return Claim(Truth.UNKNOWN, "Pending", f"no router has said yet whether it can use {name}")


def programmed(resource: PolicyResource, seen: Seen) -> Claim:
    """Whether every router decides by a resource's newest generation."""
    view = seen.view
    holding, total = len(_holding(resource, view)), view.total
    if not view.heard:
        why = f"none of {total} has been heard for {seen.hold_seconds:g} s" if total else "none is known"
        return Claim(Truth.UNKNOWN, "NoRouterHeard", f"what the routers hold is not known: {why}")
    routers = "router holds" if total == 1 else "routers hold"
    message = f"{holding} of {total} {routers} generation {resource.generation}"
    if view.silent:
        message += f"; {view.silent} not heard for {seen.hold_seconds:g} s"
    if _refusals(resource, view):
        return Claim(Truth.FALSE, "Refused", message)
    if holding < len(view.heard):
        return Claim(Truth.FALSE, "Pending", message)
    if view.silent:
        return Claim(Truth.UNKNOWN, "RoutersSilent", message)
    return Claim(Truth.TRUE, "Programmed", message)


def worth_writing(
    former: Status | None, wanted: Status, *, numbers_seconds: float, refresh_seconds: float, now: datetime
) -> bool:
    """Whether a status should take a former one's place.

    Args:
        former: What the resource has.
        wanted: What it should have.
        numbers_seconds: Shares and boundaries, which drift, are renewed at most this often.
        refresh_seconds: When the routers were heard last is told at least this often.
        now: The time of day.
    """
    if former is None or _words(former) != _words(wanted):
        return True
    age = abs(now - former.observed_at).total_seconds() if former.observed_at else math.inf
    if (former.shares, former.boundaries) != (wanted.shares, wanted.boundaries):
        return age >= numbers_seconds
    return wanted.observed_at != former.observed_at and age >= refresh_seconds


def _words(status: Status) -> Status:
    """What is told as soon as it changes; a condition's own time changes only with it."""
    return replace(status, shares=(), boundaries=(), observed_at=None)


def _of_this_generation(resource: PolicyResource) -> Status:
    """What was said before, where it was about the same spec."""
    former = resource.status
    return former if former and former.generation == resource.generation else Status(resource.generation)


def _condition(type_: str, claim: Claim, resource: PolicyResource, now: datetime) -> Condition:
    former = resource.status.condition(type_) if resource.status else None
    since = former.since if former and former.truth is claim.truth else now
    return Condition(type_, claim.truth, claim.reason, claim.message, resource.generation, since)


def _holding(resource: PolicyResource, view: View) -> list[Report]:
    return [
        report
        for report in view.heard
        if resource.uid in report.held and report.held[resource.uid].generation == resource.generation
    ]


def _refusals(resource: PolicyResource, view: View) -> list[Refusal]:
    found = (report.refused.get(resource.uid) for report in view.heard)
    return [each for each in found if each is not None and each.generation == resource.generation]


def _complaint(name: str, refusals: Sequence[Refusal], view: View) -> str:
    reasons = sorted({each.reason[:_REASON_CHARACTERS] for each in refusals})[:_REASONS]
    message = f"{name} is refused by {len(refusals)} of {view.total} routers: {'; '.join(reasons)}"
    older = max(each.generation_in_force for each in refusals)
    return f"{message}; generation {older} stays in force there" if older else message


def _rounded(shares: Sequence[TierShare]) -> tuple[TierShare, ...]:
    return tuple(
        TierShare(each.tier, round(each.wanted, _DIGITS), round(each.answered, _DIGITS)) for each in shares
    )


def _boundaries(resource: PolicyResource, held: Held | None, view: View) -> tuple[float, ...]:
    """The middle of what routers apply, since each may move its own."""
    if held is None:
        return ()
    alike = [
        report.held[resource.uid].boundaries
        for report in view.heard
        if resource.uid in report.held and report.held[resource.uid].version == held.version
    ]
    return tuple(median_low(column) for column in zip(*alike, strict=False))


def _classifier(view: View) -> Classifier | None:
    """What most routers use; None where no router knows."""
    known = Counter(report.classifier for report in view.heard if report.classifier is not None)
    return known.most_common(1)[0][0] if known else None
