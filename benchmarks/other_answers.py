"""Answers of all models to the questions of one set, and what other models than those used so far make of its gains."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from steersman.classifier import json_lines
from steersman.classifier.training_data import text_of
from steersman.classifier.training_set import Floats

MOST_UNANSWERED: Final = 0.3
"""Part of the questions that a model may have left out to count."""

Levels = tuple[float, float]
"""Mean success of strong and of weak models."""
Columns = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Answers:
    """Success of each model on each question, shape `(questions, models)`; NaN where it has not answered."""

    models: Sequence[str]
    success: Floats

    @classmethod
    def read(cls, folder: Path, texts: Sequence[str], *, text: str | None = None) -> Answers:
        """Those of a folder's file to some of its questions.

        Args:
            folder: Holds one file.
            texts: The questions.
            text: Column that holds them, where it is not the prompt with its choices.
        """
        (path,) = folder.glob("*.jsonl.gz")
        rows = [line.row for line in json_lines.parse(json_lines.read(path), path)]
        scores = {str(row[text]) if text else text_of(row): row.get("scores") or {} for row in rows}
        models = sorted({model for each in texts for model in scores[each]})
        success = np.array(
            [[scores[each].get(model) for model in models] for each in texts], dtype=np.float64
        )
        kept = np.isnan(success).mean(axis=0) <= MOST_UNANSWERED
        return cls([model for model, keep in zip(models, kept, strict=True) if keep], success[:, kept])

    def among(self, allowed: Collection[str]) -> Answers:
        """Of those models alone."""
        kept = [column for column, model in enumerate(self.models) if model in allowed]
        return Answers([self.models[column] for column in kept], self.success[:, kept])

    def level(self, models: Sequence[str]) -> float:
        """Mean success of some models."""
        return float(np.nanmean(self.success[:, [self.models.index(model) for model in models]]))

    def alike(self, levels: Levels, *, of_each: int) -> Floats:
        """Gain on each question by the models that are nearest to a strong and a weak level."""
        means = np.nanmean(self.success, axis=0)
        strong = np.argsort(np.abs(means - levels[0]), kind="stable")[:of_each]
        others = np.argsort(np.abs(means - levels[1]), kind="stable")
        return self._gains(strong, others[~np.isin(others, strong)][:of_each])

    def apart(self) -> Floats:
        """Gain on each question by the best and the worst third."""
        order = np.argsort(np.nanmean(self.success, axis=0), kind="stable")
        third = max(1, len(order) // 3)
        return self._gains(order[-third:], order[:third])

    def _gains(self, strong: Columns, weak: Columns) -> Floats:
        """A question that one side has not answered gains nothing."""
        return np.nan_to_num(_mean(self.success[:, strong]) - _mean(self.success[:, weak]))


def _mean(success: Floats) -> Floats:
    answered = ~np.isnan(success)
    return np.asarray(
        np.where(answered, success, 0).sum(axis=1)
        / np.where(answered.any(axis=1), answered.sum(axis=1), np.nan)
    )
