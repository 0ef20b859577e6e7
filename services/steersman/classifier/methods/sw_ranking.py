"""RouteLLM's similarity-weighted ranking (arXiv 2406.18665, section 4.1), in its closed form for two tiers.

A row's label is the share of its battles that strong has won, a tie being half of one. It is centred within its
source, since by how much strong leads there is a matter of the source's models.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from steersman.classifier import training
from steersman.classifier.neighbour_training import NeighbourMethod
from steersman.classifier.neighbours import log_odds_of_alike
from steersman.classifier.training import WinOdds
from steersman.classifier.training_set import Floats, TrainingSet

RULE: Final = log_odds_of_alike
TAKES_BATTLES: Final = True


def _shares(pool: TrainingSet) -> Floats:
    shares = pool.battles.across_tiers().share_per_row(len(pool.source))
    fought = np.flatnonzero(~np.isnan(shares))
    source, won, weight = pool.source[fought], shares[fought], pool.reference[fought]
    means = np.bincount(source, weights=won) / np.maximum(np.bincount(source), 1)
    shares[fought] = won - means[source] + weight @ won / weight.sum()
    return shares


def _odds(_pool: TrainingSet, _raw: Floats) -> WinOdds:
    return training.ODDS_THEMSELVES


_METHOD: Final = NeighbourMethod(
    name="sw_ranking",
    rule=RULE,
    parameter="gamma",
    grid=(2.0, 10.0, 100.0, 1e3, 1e4, 1e6, 1e8, 1e12),
    labels=_shares,
    odds=_odds,
)
load = _METHOD.load
train = _METHOD.train
