"""How a text gets its score: this process's cache, then the shared one, then the classifier.

What is cached is the classifier's whole output and never a tier, so that thresholds and policies change at once.
Concurrent misses of one text are one question (single flight). A fallback is never cached: there is nothing to cache.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from steersman.router.demand import Demand
from steersman.router.keyed_hash import KeyedHash
from steersman.router.model import Assessment, CacheState, ClassifierId, Reason, Scored, Stages
from steersman.router.ports import Classifier, ClassifierFailure, ScoreStore, StoreUnavailable
from steersman.runtime import telemetry
from steersman.runtime.deadline import Deadline
from steersman.runtime.errors import DeadlineExceeded
from steersman.runtime.expiring import Expiring

_Found = tuple[Scored, Stages]
"""What a look beyond this process came to, and what it took."""


class Key:
    """Makes keys of the decision cache.

    A key is a keyed hash of the tenant's partition, the classifier (name, version, artefact digest), the length at
    which texts are cut, and the text. Without the secret nobody can tell from a key what was asked.

    Args:
        secret: Of the hash.
        text_limit: The length, in characters.
    """

    def __init__(self, secret: bytes, text_limit: int) -> None:
        self._hash = KeyedHash(secret)
        self._text_limit = str(text_limit)

    def of(self, text: str, *, tenant: str, classifier: ClassifierId) -> bytes:
        """The key of a text: 32 bytes."""
        return self._hash.of(
            (
                tenant,
                classifier.name,
                classifier.version,
                classifier.artefact_digest,
                self._text_limit,
                text,
            )
        )


class Scorer:
    """Scores texts.

    Args:
        classifier: What is asked in the end.
        store: The cache that replicas share.
        key: Makes its keys.
        demand: Counts calls to the classifier.
        entries: Size of this process's own cache.
        ttl_seconds: How long an entry of that is kept.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        classifier: Classifier,
        store: ScoreStore,
        key: Key,
        demand: Demand,
        entries: int,
        ttl_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._classifier = classifier
        self._store = store
        self._key = key
        self._demand = demand
        self._local: Expiring[bytes, Assessment] = Expiring(entries, ttl_seconds, clock=clock)
        self._flights: dict[bytes, _Flight] = {}

    async def score(self, text: str, *, tenant: str, deadline: Deadline, stages: Stages) -> Scored:
        """Score a text; a failure is part of the answer, and no exception.

        Args:
            text: The routed text.
            tenant: Whose partition of the cache is used.
            deadline: The caller's; what is known already takes no time.
            stages: Where the time is noted.

        Raises:
            DeadlineExceeded: It passed first.
        """
        classifier = self._classifier.identity
        if classifier is None:
            with self._demand.of_classifier() as want:
                want.unmet()
            return Scored(failure=Reason.CLASSIFIER_UNAVAILABLE)
        started = time.perf_counter()
        key = self._key.of(text, tenant=tenant, classifier=classifier)
        known = self._local.get(key)
        stages.cache += time.perf_counter() - started
        if known is not None:
            return Scored(known, CacheState.L1_HIT, None, classifier)
        if (flight := self._flights.get(key)) is not None:
            return await self._join(flight, deadline, stages)
        look_further = asyncio.ensure_future(self._look_further(key, text, classifier))
        scored, took = await _Flight(look_further, self._flights, key).wait(deadline)
        stages.cache += took.cache
        stages.classify = took.classify
        return scored

    @staticmethod
    async def _join(flight: _Flight, deadline: Deadline, stages: Stages) -> Scored:
        started = time.perf_counter()
        scored, _ = await flight.wait(deadline)
        stages.classify = time.perf_counter() - started
        if scored.assessment is None:
            return scored
        return Scored(scored.assessment, CacheState.COALESCED, None, scored.classifier)

    async def _look_further(self, key: bytes, text: str, classifier: ClassifierId) -> _Found:
        took = Stages()
        state = CacheState.MISS
        started = time.perf_counter()
        try:
            with telemetry.child("cache get"):
                stored = await self._store.get(key)
        except StoreUnavailable:
            stored, state = None, CacheState.BYPASSED
        took.cache = time.perf_counter() - started
        if stored is not None:
            self._local.put(key, stored)
            return Scored(stored, CacheState.L2_HIT, None, classifier), took
        with self._demand.of_classifier() as want:
            want.runs()
            try:
                assessment = await self._classifier.assess(text)
            except ClassifierFailure as failure:
                if failure.reason is not Reason.CLASSIFIER_FAILED:  # more classifiers would not help that one
                    want.unmet()
                took.classify = time.perf_counter() - started - took.cache
                return Scored(None, state, failure.reason, classifier), took
        took.classify = time.perf_counter() - started - took.cache
        self._local.put(key, assessment)
        if state is CacheState.MISS:
            self._store.put(key, assessment)
        return Scored(assessment, state, None, classifier), took


class _Flight:
    """One question that several callers wait for, found under its key as long as somebody does.

    When the last of them has left it is given up, and nobody can join it any more.
    """

    def __init__(self, task: asyncio.Future[_Found], flights: dict[bytes, _Flight], key: bytes) -> None:
        self._task = task
        self._flights = flights
        self._key = key
        self._waiting = 0
        flights[key] = self

    async def wait(self, deadline: Deadline) -> _Found:
        self._waiting += 1
        try:
            async with asyncio.timeout(deadline.remaining):
                return await asyncio.shield(self._task)
        except TimeoutError:
            raise DeadlineExceeded("the deadline passed before a tier was chosen") from None
        finally:
            self._waiting -= 1
            if self._waiting == 0:
                del self._flights[self._key]
                self._task.cancel()
