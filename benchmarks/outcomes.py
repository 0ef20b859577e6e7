"""What a measure found: a figure of ours, the one it is held against, and the bar."""

from __future__ import annotations

import operator
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

from benchmarks.prompts import Lengths
from benchmarks.samples import Sample, Side, median_difference, median_ratio


class Metric(Enum):
    """What of a sample is compared; the value is its unit."""

    RATE = "/s"
    PER_CPU_SECOND = "/CPU s"
    P50 = "ms p50"
    P99 = "ms p99"
    MEMORY = "MiB"

    def of(self, sample: Sample) -> float:
        """Its value in one sample."""
        read = {
            Metric.RATE: operator.attrgetter("rate"),
            Metric.PER_CPU_SECOND: operator.attrgetter("per_cpu_second"),
            Metric.P50: operator.attrgetter("p50_ms"),
            Metric.P99: operator.attrgetter("p99_ms"),
            Metric.MEMORY: operator.attrgetter("resident_mib"),
        }
        return float(read[self](sample))


@dataclass(frozen=True, slots=True)
class Bar:
    """What is aimed at.

    Attributes:
        value: The limit, of what is held against a reference where there is one, else of the figure itself.
        least: Whether it is the least that will do, or the most.
    """

    value: float
    least: bool = True

    def cleared_by(self, reached: float) -> bool:
        """Whether that is good enough."""
        return reached >= self.value if self.least else reached <= self.value


class Held(Enum):
    """How our figure is held against a reference's."""

    RATIO = "ratio"
    DIFFERENCE = "difference"


@dataclass(frozen=True, slots=True)
class Figure:
    """One side's result.

    Attributes:
        side: Its name.
        processes: Those whose processor time is counted.
        samples: Its timed runs.
    """

    side: str
    processes: Sequence[str]
    samples: Sequence[Sample]

    @classmethod
    def of(cls, side: Side[Any], samples: Sequence[Sample]) -> Self:
        """What the samples of a side come to."""
        return cls(side.name, tuple(side.processes), samples)

    def values(self, metric: Metric) -> list[float]:
        """The metric in each run."""
        return [metric.of(sample) for sample in self.samples]

    def median(self, metric: Metric) -> float:
        """The metric in the middle of the runs."""
        return statistics.median(self.values(metric))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the table.

    Attributes:
        title: What was done, and how.
        metric: What is compared.
        bar: What is aimed at, if anything.
        prompts: How long the prompts were.
        ours: Our side.
        reference: What it is held against, if anything.
        held: How.
    """

    title: str
    metric: Metric
    bar: Bar | None
    prompts: Lengths
    ours: Figure
    reference: Figure | None = None
    held: Held = Held.RATIO

    @property
    def compared(self) -> float | None:
        """Our figure over the reference's, or beyond it; None without a reference."""
        if self.reference is None:
            return None
        compare = median_ratio if self.held is Held.RATIO else median_difference
        return compare(self.ours.values(self.metric), self.reference.values(self.metric))

    @property
    def cleared(self) -> bool | None:
        """Whether the bar is; None without one."""
        if self.bar is None:
            return None
        compared = self.compared
        return self.bar.cleared_by(self.ours.median(self.metric) if compared is None else compared)
