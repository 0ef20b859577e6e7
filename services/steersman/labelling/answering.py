"""Both tiers answer every query: what a router would have spared, paid once to learn from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from steersman.labelling.asking import Call
from steersman.labelling.errors import LabellingError
from steersman.labelling.folder import row_of
from steersman.labelling.journal import Journal
from steersman.labelling.model import TIERS, Answer, Query, Reply, Tier
from steersman.labelling.ports import Chat


@dataclass(frozen=True, slots=True)
class Pair:
    """Both tiers' answers to a query."""

    query: Query
    answers: Mapping[Tier, Answer]


def missing(
    queries: Iterable[Query],
    answers: Sequence[Answer],
    tiers: Mapping[Tier, Chat],
    journal: Journal,
    *,
    limit: int | None = None,
) -> list[Call]:
    """The calls for all answers that are not there yet; their replies go into the journal.

    Args:
        queries: All of them.
        answers: Those that are there.
        tiers: Who answers.
        journal: Of answers.
        limit: How many of the queries that lack an answer are taken; all where there is none.

    Raises:
        LabellingError: Another model has answered for a tier before.
    """
    for answer in answers:
        if answer.model != tiers[answer.tier].model:
            raise LabellingError(
                f"{journal.path} has answers of {answer.model} for {answer.tier}; "
                f"use another folder for {tiers[answer.tier].model}"
            )
    there = {(answer.query, answer.tier) for answer in answers}
    lacking = [query for query in queries if any((query.id, tier) not in there for tier in TIERS)]
    return [
        Call(tiers[tier], query.messages, partial(_keep, journal, query.id, tier, tiers[tier].model))
        for query in lacking[:limit]
        for tier in TIERS
        if (query.id, tier) not in there
    ]


def pairs(queries: Iterable[Query], answers: Iterable[Answer]) -> list[Pair]:
    """The queries that both tiers have answered."""
    by_query: dict[str, dict[Tier, Answer]] = {}
    for answer in answers:
        by_query.setdefault(answer.query, {})[answer.tier] = answer
    return [Pair(query, found) for query in queries if len(found := by_query.get(query.id, {})) == len(TIERS)]


def _keep(journal: Journal, query: str, tier: Tier, model: str, reply: Reply) -> None:
    journal.append(row_of(Answer(query, tier, model, reply)))
