"""RouterBench's AIQ (arXiv 2403.12031): quality averaged over what one may spend.

A router that can be set to several points of cost and quality can be set to all between them, by tossing a coin. So
it is as good as its non-decreasing convex hull: the least concave line above its points that never falls.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def hull(cost: Floats, quality: Floats) -> tuple[Floats, Floats]:
    """Corners of the non-decreasing convex hull, by rising cost, from the cheapest point to the best.

    Args:
        cost: Of each point, in any order.
        quality: Of each point.
    """
    corners: list[tuple[float, float]] = []
    for index in np.lexsort((-quality, cost)):
        point = (float(cost[index]), float(quality[index]))
        if corners and point[1] <= corners[-1][1]:
            continue
        while len(corners) > 1 and _is_under(corners[-1], corners[-2], point):
            corners.pop()
        corners.append(point)
    costs, qualities = zip(*corners, strict=True)
    return np.array(costs), np.array(qualities)


def aiq(cost: Floats, quality: Floats, *, low: float, high: float) -> float:
    """Mean height of the hull between two costs; NaN where the second is not above the first.

    Beyond the hull's ends its quality stays what it is there.
    """
    if not high > low:
        return float("nan")
    corner_costs, corner_qualities = hull(cost, quality)
    inside = corner_costs[(corner_costs > low) & (corner_costs < high)]
    costs = np.concatenate(([low], inside, [high]))
    heights = np.interp(costs, corner_costs, corner_qualities)
    return float(np.diff(costs) @ (heights[1:] + heights[:-1]) / 2 / (high - low))


def _is_under(middle: tuple[float, float], left: tuple[float, float], right: tuple[float, float]) -> bool:
    rise = (right[1] - left[1]) * (middle[0] - left[0])
    return (middle[1] - left[1]) * (right[0] - left[0]) <= rise
