"""What a formula does not tell of waiting, by simulation: routers that are one event loop each, pods chosen blindly.

Time is virtual, chance is seeded, and both simulations agree with the textbook where there is a textbook answer: see
`tests/unit/benchmarks/test_capacity.py`.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

_WARM: Final = 0.1
"""Part of the requests at the beginning that does not count: everything is idle then."""


def waits(rate: float, work: NDArray[np.float64], *, seed: int) -> NDArray[np.float64]:
    """Seconds that requests take at one router, which does one thing at a time in the order of arrival.

    Args:
        rate: Requests a second, coming at random.
        work: Seconds of work of each.
        seed: Of chance.
    """
    gaps = np.random.default_rng(seed).exponential(1 / rate, work.size)
    # Lindley: what waits is what has gathered since it was last empty.
    gathered = np.concatenate(([0.0], np.cumsum(work[:-1] - gaps[1:])))
    waiting = gathered - np.minimum.accumulate(np.minimum(gathered, 0.0))
    taken: NDArray[np.float64] = (waiting + work)[int(_WARM * work.size) :]
    return taken


def work_of(kinds: Sequence[tuple[float, float]], requests: int, *, seed: int) -> NDArray[np.float64]:
    """Seconds of work of so many requests, whose kinds are (part of them, seconds)."""
    parts, seconds = zip(*kinds, strict=True)
    chosen: NDArray[np.float64] = np.random.default_rng(seed).choice(np.array(seconds), requests, p=parts)
    return chosen


class Choice(Enum):
    """How a router chooses among pods."""

    RANDOM = "at random"
    OWN = "the less busy of two, by its own requests"
    REPORTED = "and where these are equal by what the pods say"
    """As the product does."""
    KNOWING = "the less busy of two, by all requests"
    """What nobody can know."""


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods before which routers stand.

    Args:
        routers: That know only of their own requests.
        pods: Among which they choose.
        slots: Requests that a pod works on at once.
        queue: Requests that wait for a slot; one more is refused.
        seconds: Of an answer, on average; each takes a random time.
        report_seconds: Between two reports of a pod's load.
        attempts: Pods that are asked before the caller is told no.
    """

    routers: int
    pods: int
    slots: int = 16
    queue: int = 64
    seconds: float = 4.0
    report_seconds: float = 1.0
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of it.

    Attributes:
        refused: Part of the requests.
        waited: Part that waited for a slot.
        p99: Seconds of waiting.
    """

    refused: float
    waited: float
    p99: float


def at_pods(pods: Pods, *, utilisation: float, choice: Choice, requests: int, seed: int) -> Seen:
    """Let so many requests come at random to all routers alike."""
    return _Simulation(pods, choice, random.Random(seed)).run(utilisation, requests)  # noqa: S311 - no secret


@dataclass(slots=True)
class _Simulation:
    pods: Pods
    choice: Choice
    chance: random.Random
    _own: list[list[int]] = field(default_factory=list)
    _load: list[int] = field(default_factory=list)
    _said: list[int] = field(default_factory=list)
    _lines: list[deque[tuple[float, int]]] = field(default_factory=list)
    _ends: list[tuple[float, int, int]] = field(default_factory=list)
    _waited: list[float] = field(default_factory=list)

    def run(self, utilisation: float, requests: int) -> Seen:
        pods = self.pods
        self._own = [[0] * pods.pods for _ in range(pods.routers)]
        self._load, self._said = [0] * pods.pods, [0] * pods.pods
        self._lines = [deque() for _ in range(pods.pods)]
        rate = utilisation * pods.pods * pods.slots / pods.seconds
        now, reported, refused = 0.0, 0.0, 0
        for _ in range(requests):
            now += self.chance.expovariate(rate)
            self._end_until(now)
            if now - reported >= pods.report_seconds:
                self._said, reported = list(self._load), now
            refused += not self._send(now, self.chance.randrange(pods.routers))
        self._end_until(float("inf"))
        counted = sorted(self._waited[int(_WARM * len(self._waited)) :])
        return Seen(
            refused / requests,
            sum(each > 0 for each in counted) / len(counted),
            counted[int(0.99 * len(counted))],
        )

    def _send(self, now: float, router: int) -> bool:
        tried: set[int] = set()
        while len(tried) < min(self.pods.attempts, self.pods.pods):
            pod = self._choose(router, tried)
            if self._load[pod] < self.pods.slots + self.pods.queue:
                self._take(now, router, pod)
                return True
            tried.add(pod)
        return False

    def _choose(self, router: int, tried: set[int]) -> int:
        left = [pod for pod in range(self.pods.pods) if pod not in tried] if tried else range(self.pods.pods)
        if self.choice is Choice.RANDOM or len(left) == 1:
            return self.chance.choice(left)
        one, other = self.chance.sample(left, 2)
        return one if self._burden(router, one) <= self._burden(router, other) else other

    def _burden(self, router: int, pod: int) -> tuple[int, int]:
        if self.choice is Choice.KNOWING:
            return self._load[pod], 0
        return self._own[router][pod], self._said[pod] if self.choice is Choice.REPORTED else 0

    def _take(self, now: float, router: int, pod: int) -> None:
        self._own[router][pod] += 1
        self._load[pod] += 1
        if self._load[pod] > self.pods.slots:
            self._lines[pod].append((now, router))
        else:
            self._begin(now, router, pod, waited=0.0)

    def _begin(self, now: float, router: int, pod: int, *, waited: float) -> None:
        self._waited.append(waited)
        heapq.heappush(self._ends, (now + self.chance.expovariate(1 / self.pods.seconds), router, pod))

    def _end_until(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            at, router, pod = heapq.heappop(self._ends)
            self._own[router][pod] -= 1
            self._load[pod] -= 1
            if self._lines[pod]:
                came, whose = self._lines[pod].popleft()
                self._begin(at, whose, pod, waited=at - came)
