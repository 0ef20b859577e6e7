"""Methods that keep their training rows: a query is told from the labels of the rows that are like it.

One product of matrices gives a batch its cosines to all rows. The rows are kept on disk in half precision, which
halves the artefact and moves no cosine by more than a thousandth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steersman.classifier.reference import Reference, own_scalars

Floats = npt.NDArray[np.float32]
Rule = Callable[[Floats, Floats, float], Floats]
"""From cosines `(queries, rows)`, the rows' labels, and the method's one parameter to a raw output a query."""

_SMALLEST_COSINE = 1e-6
_SURE = 1e-3
"""A win share is kept so far from 0 and 1, or its log odds would be infinite."""
_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Rows:
    """The training rows that are kept."""

    vectors: Floats
    """Unit vectors, shape `(rows, dimensions)`."""
    labels: Floats

    @classmethod
    def of(cls, vectors: npt.NDArray[np.float64], labels: npt.NDArray[np.float64]) -> Rows:
        """Keep them as precisely as the artefact does, so that what is validated is what is served."""
        return cls(
            vectors=vectors.astype(np.float16).astype(np.float32),
            labels=labels.astype(np.float16).astype(np.float32),
        )

    def raw(self, queries: Floats, *, rule: Rule, parameter: float) -> Floats:
        """Apply a rule to queries."""
        return rule(queries @ self.vectors.T, self.labels, parameter)

    def raw_of_own(
        self, queries: Floats, own: npt.NDArray[np.intp], *, rule: Rule, parameter: float
    ) -> Floats:
        """Apply a rule to queries of the training, each without its own row.

        Args:
            queries: Unit vectors.
            own: Which row each query is; -1 for one that is not kept.
            rule: As for `raw`.
            parameter: The same.
        """
        parts = []
        for start in range(0, len(queries), _ROWS_AT_ONCE):
            chunk = slice(start, start + _ROWS_AT_ONCE)
            cosines = queries[chunk] @ self.vectors.T
            kept = np.flatnonzero(own[chunk] >= 0)
            cosines[kept, own[chunk][kept]] = -np.inf
            parts.append(rule(cosines, self.labels, parameter))
        return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class NeighbourHead:
    """Rows, the rule that reads them, and what comes of it."""

    rows: Rows
    rule: Rule
    parameter: float
    reference: Reference

    @property
    def input_width(self) -> int:
        """Length of a vector; text features are not read."""
        return int(self.rows.vectors.shape[1])

    def raw(self, vectors: Floats, _features: Floats) -> Floats:
        """Raw output of each text."""
        return self.rows.raw(vectors, rule=self.rule, parameter=self.parameter)

    def tensors(self) -> dict[str, npt.NDArray[np.floating]]:
        """Name the parts, for a safetensors file."""
        return {
            "rows.vectors": self.rows.vectors.astype(np.float16),
            "rows.labels": self.rows.labels.astype(np.float16),
            **self.reference.tensors(self.parameter),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[np.floating]], *, rule: Rule) -> NeighbourHead:
        """Rebuild from what `tensors` gave."""
        (parameter,) = own_scalars(tensors)
        rows = Rows(*(tensors[f"rows.{name}"].astype(np.float32) for name in ("vectors", "labels")))
        return cls(rows=rows, rule=rule, parameter=parameter, reference=Reference.from_tensors(tensors))


def mean_of_nearest(cosines: Floats, labels: Floats, count: float) -> Floats:
    """The mean label of the `count` rows that are most alike."""
    nearest = min(int(count), len(labels))
    found = np.argpartition(-cosines, nearest - 1, axis=1)[:, :nearest]
    return np.asarray(labels[found].mean(axis=1))


def log_odds_of_alike(cosines: Floats, labels: Floats, gamma: float) -> Floats:
    """The Bradley-Terry difference of strong and weak, fitted to all rows with weights gamma ** (1 + S).

    S is the cosine over the query's greatest (RouteLLM, section 4.1). With two tiers the likelihood has the single
    unknown d = xi_strong - xi_weak: the sum of w * (y * log s(d) + (1 - y) * log s(-d)). Its derivative, the sum of
    w * (y - s(d)), is zero exactly where s(d) is the weighted mean of y, and it is concave: nothing needs iterating.
    A battle within a tier adds log s(0) and moves nothing.
    """
    greatest = np.maximum(np.abs(cosines.max(axis=1, keepdims=True)), np.float32(_SMALLEST_COSINE))
    alike = cosines / greatest
    # Against the greatest weight, because gamma ** (1 + S) might not fit and the common factor cancels.
    weights = np.exp(np.float32(np.log(gamma)) * (alike - alike.max(axis=1, keepdims=True)))
    share = np.clip((weights @ labels) / weights.sum(axis=1), _SURE, 1 - _SURE)
    return np.asarray(np.log(share / (1 - share)))
