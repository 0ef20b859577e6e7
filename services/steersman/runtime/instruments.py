"""Counters and histograms for what happens with every request.

They are written by the event loop's thread alone and so need no lock, and a histogram finds its bucket by bisection:
a step costs a tenth of what one of prometheus_client's costs, which locks for each. What a scrape shows is the same.
Whatever other threads count is counted by prometheus_client's own.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

S = TypeVar("S")


class Count:
    """One series of a counter."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, number: float = 1.0) -> None:
        """Count something, once or several times."""
        self.value += number


class Distribution:
    """One series of a histogram.

    Args:
        bounds: Upper ends of its buckets, ascending; what is beyond the last is counted too.
    """

    __slots__ = ("bounds", "numbers", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.numbers = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value where it belongs."""
        self.numbers[bisect_left(self.bounds, value)] += 1
        self.total += value


class _Family(Collector, Generic[S]):
    """All series of one name, by their labels' values."""

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str], *, registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._series: dict[tuple[object, ...], S] = {}
        registry.register(self)
        if not labels:
            self.labels()

    def labels(self, *values: object) -> S:
        """The series with these values of the labels, in their order; it is shown from now on."""
        found = self._series.get(values)
        return self._begun(values) if found is None else found

    def remove(self, label: str, value: str) -> None:
        """End all series in which a label has this value."""
        at = self._labels.index(label)
        self._series = {values: series for values, series in self._series.items() if values[at] != value}

    def describe(self) -> Iterable[Metric]:
        """See `prometheus_client.registry.Collector`; by it a registry refuses a second one of the same name."""
        return self.collect()

    def _begun(self, values: tuple[object, ...]) -> S:
        if len(values) != len(self._labels):
            raise ValueError(f"{self._name} has the labels {self._labels}, not {len(values)} of them")
        series = self._series[values] = self._new()
        return series

    def _new(self) -> S:
        raise NotImplementedError

    def _shown(self) -> Iterator[tuple[list[str], S]]:
        for values, series in list(self._series.items()):  # a scrape may come from another thread
            yield [str(value) for value in values], series


class Counter(_Family[Count]):
    """Counts, by labels whose values come from closed sets.

    Args:
        name: Without `_total`, which a scrape adds.
        documentation: For people.
        labels: Names of the labels.
        registry: What is scraped.
    """

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str] = (), *, registry: CollectorRegistry
    ) -> None:
        super().__init__(name, documentation, labels, registry=registry)

    def inc(self, number: float = 1.0) -> None:
        """Count, where there are no labels."""
        self.labels().inc(number)

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, series in self._shown():
            family.add_metric(values, series.value)
        yield family

    def _new(self) -> Count:
        return Count()


class Histogram(_Family[Distribution]):
    """Distributions, by labels whose values come from closed sets.

    Args:
        name: Without what a scrape adds.
        documentation: For people.
        labels: Names of the labels.
        buckets: Upper ends, ascending.
        registry: What is scraped.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._bounds = tuple(buckets)
        shown: list[str] = [floatToGoString(bound) for bound in (*self._bounds, math.inf)]  # type: ignore[no-untyped-call]
        self._shown_bounds = shown
        super().__init__(name, documentation, labels, registry=registry)

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, series in self._shown():
            numbers = accumulate(series.numbers)
            family.add_metric(values, list(zip(self._shown_bounds, numbers, strict=True)), series.total)
        yield family

    def _new(self) -> Distribution:
        return Distribution(self._bounds)
