"""What a classifier is measured on: prompts, and how well each of two models answered them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Costs:
    """What each call costs or would cost, in US dollars, in the order of the prompts."""

    strong: Floats
    weak: Floats
    basis: str
    """Where the figures come from, for the reader of a report."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Prompts, and how well each model answered them."""

    name: str
    prompts: tuple[str, ...]
    strong: Floats
    """Quality of the strong model's answer to each prompt, in the benchmark's own units."""
    weak: Floats
    strong_model: str = "strong"
    weak_model: str = "weak"
    columns: Mapping[str, tuple[str | float, ...]] = field(default_factory=dict)
    """What else is known of each prompt, by name: what it can be grouped by."""
    costs: Costs | None = None
    notes: tuple[str, ...] = ()
    """What a reader should know about the data, one sentence each."""

    @property
    def gains(self) -> Floats:
        """What the strong model adds to each answer."""
        return self.strong - self.weak

    @property
    def lengths(self) -> Floats:
        """Characters of each prompt."""
        return np.array([len(prompt) for prompt in self.prompts], dtype=np.float64)
