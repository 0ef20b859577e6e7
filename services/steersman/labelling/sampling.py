"""Which queries are worth labelling: as many of each group as it has in the traffic, drawn at random.

Nothing cleverer, because nothing cleverer was found to be reliably better: queries near the boundary, queries that
cover the embedding space, and mixtures of both were held against chance on four sets of questions (docs/label.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def stratified(groups: Sequence[str], count: int, *, generator: np.random.Generator) -> list[int]:
    """Draw without replacement; each group gets its share of the draws, less or more than one at most.

    Args:
        groups: The group of each row.
        count: How many to draw; all where there are fewer.
        generator: The chance.

    Returns:
        Indices of rows, in random order.
    """
    rows = len(groups)
    if count >= rows:
        return [int(row) for row in generator.permutation(rows)]
    shuffled = generator.permutation(rows)
    by_group = shuffled[np.argsort(np.array(groups)[shuffled], kind="stable")]
    # Steps of equal length through the groups one after the other, from a random start.
    places = ((np.arange(count) + generator.random()) * rows / count).astype(np.intp)
    return [int(row) for row in generator.permutation(by_group[places])]
