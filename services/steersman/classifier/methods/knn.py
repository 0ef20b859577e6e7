"""The baseline that is hard to beat: the mean gain of the training rows that are most alike.

Only rows that models have answered are kept; the others would more than double the artefact.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from steersman.classifier import training
from steersman.classifier.neighbour_training import NeighbourMethod
from steersman.classifier.neighbours import mean_of_nearest
from steersman.classifier.training_set import Floats, TrainingSet

RULE: Final = mean_of_nearest
TAKES_BATTLES: Final = False


def _gains(pool: TrainingSet) -> Floats:
    """Gains are centred within their source, or the sources of near rows would be all that is told."""
    return np.where(np.isnan(pool.wins), np.nan, pool.targets)


_METHOD: Final = NeighbourMethod(
    name="knn",
    rule=RULE,
    parameter="neighbours",
    grid=(5, 10, 20, 40, 80, 160, 320, 640),
    labels=_gains,
    odds=training.win_odds,
)
load = _METHOD.load
train = _METHOD.train
