"""What a classifier is measured on: prompts, and how well each of two models answered them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
T = TypeVar("T")


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

    def sample(self, most: int, *, seed: int) -> Benchmark:
        """So many of its prompts by chance, in their order; all of them where there are no more."""
        whole = len(self.prompts)
        if whole <= most:
            return self
        kept = np.sort(np.random.default_rng(seed).permutation(whole)[:most])

        def of(values: tuple[T, ...]) -> tuple[T, ...]:
            return tuple(values[index] for index in kept)

        return replace(
            self,
            prompts=of(self.prompts),
            strong=self.strong[kept],
            weak=self.weak[kept],
            columns={name: of(values) for name, values in self.columns.items()},
            costs=self.costs
            and replace(self.costs, strong=self.costs.strong[kept], weak=self.costs.weak[kept]),
            notes=(*self.notes, f"A sample of {most:,} of its {whole:,} prompts."),
        )

    @property
    def gains(self) -> Floats:
        """What the strong model adds to each answer."""
        return self.strong - self.weak

    @property
    def lengths(self) -> Floats:
        """Characters of each prompt."""
        return np.array([len(prompt) for prompt in self.prompts], dtype=np.float64)
