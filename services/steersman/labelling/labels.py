"""Labels in the two forms that training reads, each with all that its readers need and no more flags.

A row of labels has the winner and both scores under the names `strong` and `weak`, which are the defaults of `train
--adapt`, and the columns of the query that it came from, to group by. What a reference says goes before what a judge
says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from steersman.labelling import judging
from steersman.labelling.answering import Pair
from steersman.labelling.model import STRONG, WEAK, Label, Row, Tier, Winner

_OF_THE_QUERY: Final = frozenset({"messages", "prompt", "options", "scores", "winner", "cost"})
"""Columns of a query that are not taken over, because they would mean something else in a label."""
_SCORES: Final[Mapping[Winner, Mapping[Tier, float]]] = {
    "strong": {"strong": 1.0, "weak": 0.0},
    "weak": {"strong": 0.0, "weak": 1.0},
    "tie": {"strong": 0.5, "weak": 0.5},
}
_WON: Final[Mapping[Winner, str]] = {"strong": "model_a", "weak": "model_b", "tie": "tie"}


def of_pairs(
    pairs: Iterable[Pair], *, winners: Mapping[str, Winner], scores: Mapping[str, Mapping[Tier, float]]
) -> list[Label]:
    """The label of each query that has one.

    Args:
        pairs: Queries that both tiers have answered.
        winners: What the judge says, by query.
        scores: What the reference says, by query and tier.
    """
    labels = []
    for pair in pairs:
        query = pair.query
        if query.id in scores:
            labels.append(Label(query, _winner(scores[query.id]), scores[query.id], "reference"))
        elif judging.alike(pair):
            labels.append(Label(query, "tie", _SCORES["tie"], "same answers"))
        elif query.id in winners:
            winner = winners[query.id]
            labels.append(Label(query, winner, _SCORES[winner], "judge"))
    return labels


def rows(labels: Iterable[Label]) -> Iterator[Row]:
    """For `train --adapt`, `evaluate --data` and `calibrate --prompts`."""
    for label in labels:
        kept = {name: value for name, value in label.query.row.items() if name not in _OF_THE_QUERY}
        yield {
            **kept,
            "prompt": label.query.text,
            "winner": label.winner,
            "scores": dict(label.scores),
            "labelled_by": label.source,
        }


def battles(labels: Iterable[Label]) -> Iterator[Row]:
    """For `train mf` and `train sw_ranking`, in RouteLLM's format."""
    for label in labels:
        yield {
            "prompt": label.query.text,
            "model_a": STRONG,
            "model_b": WEAK,
            "winner": _WON[label.winner],
        }


def _winner(scores: Mapping[Tier, float]) -> Winner:
    gain = scores[STRONG] - scores[WEAK]
    return "tie" if not gain else STRONG if gain > 0 else WEAK
