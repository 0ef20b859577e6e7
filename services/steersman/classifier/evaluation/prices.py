"""Costs of calls where the data knows none: what a token costs, times a guess of how many there are."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from steersman.classifier.evaluation.benchmark import Benchmark, Costs

CHARACTERS_PER_TOKEN = 4
"""The usual rule of thumb for English; too high for most other scripts."""
ANSWER_TOKENS = 264
"""Mean length of an answer in Chatbot Arena, as the RouteLLM paper counts (arXiv 2406.18665)."""


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million tokens, of the prompt and the answer alike."""

    strong: float
    weak: float
    answer_tokens: int = ANSWER_TOKENS


def with_costs(benchmark: Benchmark, prices: Prices) -> Benchmark:
    """The benchmark with estimated costs, unless its data knows them."""
    if benchmark.costs is not None:
        return benchmark
    tokens = benchmark.lengths / CHARACTERS_PER_TOKEN + prices.answer_tokens
    costs = Costs(
        strong=tokens * prices.strong / 1e6,
        weak=tokens * prices.weak / 1e6,
        basis=(
            f"estimated: a token for {CHARACTERS_PER_TOKEN} characters of the prompt and {prices.answer_tokens} tokens "
            f"of answer, at {prices.strong:g} and {prices.weak:g} US dollars a million"
        ),
    )
    return dataclasses.replace(benchmark, costs=costs)
