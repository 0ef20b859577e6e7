"""What labelled queries say of those that are like them: the part of an adapted head that is not linear.

Each labelled query keeps a place among the inputs and a weight; a text's output is the sum of the weights, each by how
alike the two are, exp(-|p - q|^2 / 2). Places are inputs in units that make distances comparable: see `Bumps.scale`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

F = TypeVar("F", np.float32, np.float64)

_PARTS: Final = ("points", "weights", "scale")
_PREFIX: Final = "bumps."


@dataclass(slots=True)
class Bumps:
    """Places, and what each adds to texts near it."""

    points: npt.NDArray[np.float32]
    """Inputs times the scale, one labelled query a row."""
    weights: npt.NDArray[np.float32]
    """One a point."""
    scale: npt.NDArray[np.float32]
    """One an input: how much a difference in it counts."""
    _squares: npt.NDArray[np.float32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._squares = _squares(self.points)

    def raw(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """What they add to each row of inputs."""
        places: npt.NDArray[np.float32] = inputs * self.scale
        products: npt.NDArray[np.float32] = places @ self.points.T
        return _likeness(products, _squares(places), self._squares) @ self.weights

    def tensors(self) -> dict[str, npt.NDArray[np.float32]]:
        """Name the parts, for a safetensors file."""
        return {_PREFIX + part: getattr(self, part) for part in _PARTS}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[np.float32]]) -> Bumps | None:
        """Rebuild from what `tensors` gave; nothing where a head has none."""
        if _PREFIX + _PARTS[0] not in tensors:
            return None
        return cls(*(tensors[_PREFIX + part] for part in _PARTS))


def likeness(places: npt.NDArray[F], others: npt.NDArray[F]) -> npt.NDArray[F]:
    """How alike each of the places is to each of the others, in (0, 1], shape `(places, others)`."""
    return _likeness(places @ others.T, _squares(places), _squares(others))


def _likeness(products: npt.NDArray[F], squares: npt.NDArray[F], others: npt.NDArray[F]) -> npt.NDArray[F]:
    """By |p - q|^2 = p.p - 2 p.q + q.q, which may round to a little less than none."""
    return np.asarray(np.exp(np.minimum(products - (squares[:, None] + others) / 2, 0)))


def _squares(places: npt.NDArray[F]) -> npt.NDArray[F]:
    return np.asarray((places**2).sum(axis=1))
