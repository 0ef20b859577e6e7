from __future__ import annotations

import asyncio

import pytest

from fakes.classifier import IDENTITY, FakeClassifier, assessment
from fakes.clock import FakeClock
from fakes.shared_store import FakeStore
from steersman.router.demand import Demand
from steersman.router.model import Assessment, CacheState, ClassifierId, Reason, Scored, Stages
from steersman.router.scoring import Key, Scorer
from steersman.runtime.deadline import Deadline

TEXT = "What is a rhumb line?"


class Scoring:
    """A scorer on fakes."""

    def __init__(self) -> None:
        self.classifier = FakeClassifier()
        self.store = FakeStore[Assessment]()
        self.demand = Demand()
        self.clock = FakeClock()
        self.key = Key(b"secret", 8192)
        self.scorer = self.another_replica()

    def another_replica(self) -> Scorer:
        """A scorer with the same store and classifier, and a cache of its own."""
        return Scorer(
            classifier=self.classifier,
            store=self.store,
            key=self.key,
            demand=self.demand,
            entries=4,
            ttl_seconds=60.0,
            clock=self.clock,
        )

    async def score(self, text: str = TEXT, *, tenant: str = "default") -> Scored:
        return await self.scorer.score(text, tenant=tenant, deadline=Deadline.after(60), stages=Stages())

    def ask(self, text: str = TEXT) -> asyncio.Task[Scored]:
        return asyncio.create_task(self.score(text))

    async def ask_while_held(self, count: int) -> list[asyncio.Task[Scored]]:
        """So many callers of one text, all waiting for a classifier that holds its answer back."""
        self.classifier.gate.close()
        tasks = [self.ask() for _ in range(count)]
        await self.classifier.gate.until(waiting=1)
        return tasks


@pytest.fixture
def scoring() -> Scoring:
    return Scoring()


async def leave(task: asyncio.Task[Scored]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_unknown_text_is_asked_of_the_classifier(scoring: Scoring) -> None:
    assert await scoring.score() == Scored(assessment(), CacheState.MISS, None, IDENTITY)
    assert scoring.classifier.asked == [TEXT]


async def test_a_known_text_asks_nobody(scoring: Scoring) -> None:
    await scoring.score()
    assert await scoring.score() == Scored(assessment(), CacheState.L1_HIT, None, IDENTITY)
    assert len(scoring.classifier.asked) == len(scoring.store.asked) == 1


async def test_what_another_replica_has_asked_is_found_in_the_store(scoring: Scoring) -> None:
    await scoring.another_replica().score(
        TEXT, tenant="default", deadline=Deadline.after(60), stages=Stages()
    )
    assert await scoring.score() == Scored(assessment(), CacheState.L2_HIT, None, IDENTITY)
    assert len(scoring.classifier.asked) == 1


async def test_what_was_found_in_the_store_is_kept_in_this_process(scoring: Scoring) -> None:
    await scoring.another_replica().score(
        TEXT, tenant="default", deadline=Deadline.after(60), stages=Stages()
    )
    await scoring.score()
    assert (await scoring.score()).cache is CacheState.L1_HIT


async def test_what_was_found_in_the_store_is_not_written_again(scoring: Scoring) -> None:
    await scoring.another_replica().score(
        TEXT, tenant="default", deadline=Deadline.after(60), stages=Stages()
    )
    await scoring.score()
    assert len(scoring.store.written) == 1


async def test_this_processes_entries_end(scoring: Scoring) -> None:
    await scoring.score()
    scoring.clock.advance(61.0)
    assert (await scoring.score()).cache is CacheState.L2_HIT


async def test_this_processes_cache_is_bounded(scoring: Scoring) -> None:
    for number in range(5):
        await scoring.score(f"text {number}")
    assert (await scoring.score("text 0")).cache is CacheState.L2_HIT
    assert (await scoring.score("text 4")).cache is CacheState.L1_HIT


async def test_tenants_do_not_share_scores(scoring: Scoring) -> None:
    await scoring.score(tenant="one")
    assert (await scoring.score(tenant="other")).cache is CacheState.MISS


async def test_a_new_artefact_makes_all_scores_unknown(scoring: Scoring) -> None:
    await scoring.score()
    scoring.classifier.identity = ClassifierId(IDENTITY.name, IDENTITY.version, "another digest")
    scored = await scoring.score()
    assert (scored.cache, scored.classifier) == (CacheState.MISS, scoring.classifier.identity)


@pytest.mark.parametrize("count", [2, 50])
async def test_callers_who_ask_the_same_at_once_are_one_question(scoring: Scoring, count: int) -> None:
    tasks = await scoring.ask_while_held(count)
    scoring.classifier.gate.open()
    states = [scored.cache for scored in await asyncio.gather(*tasks)]
    assert states == [CacheState.MISS] + [CacheState.COALESCED] * (count - 1)
    assert len(scoring.classifier.asked) == len(scoring.store.asked) == 1


async def test_callers_who_ask_different_things_do_not_wait_for_each_other(scoring: Scoring) -> None:
    scoring.classifier.gate.close()
    tasks = [scoring.ask("one"), scoring.ask("other")]
    await scoring.classifier.gate.until(waiting=2)
    scoring.classifier.gate.open()
    assert [scored.cache for scored in await asyncio.gather(*tasks)] == [CacheState.MISS] * 2


@pytest.mark.parametrize("who", [0, 1, 2])
async def test_one_caller_who_leaves_takes_nothing_from_the_others(scoring: Scoring, who: int) -> None:
    tasks = await scoring.ask_while_held(3)
    await leave(tasks.pop(who))
    scoring.classifier.gate.open()
    assert [scored.assessment for scored in await asyncio.gather(*tasks)] == [assessment()] * 2
    assert (scoring.classifier.cancelled, len(scoring.classifier.asked)) == (0, 1)


async def test_a_question_is_given_up_when_all_callers_have_left(scoring: Scoring) -> None:
    for task in await scoring.ask_while_held(3):
        await leave(task)
    await scoring.classifier.gate.until(waiting=0)
    assert scoring.classifier.cancelled == 1
    assert scoring.demand.classifier.running == 0


async def test_a_look_into_the_store_is_given_up_too(scoring: Scoring) -> None:
    scoring.store.gate.close()
    task = scoring.ask()
    await scoring.store.gate.until(waiting=1)
    await leave(task)
    await scoring.store.gate.until(waiting=0)
    assert scoring.classifier.asked == []


async def test_who_comes_while_a_question_is_being_given_up_asks_anew(scoring: Scoring) -> None:
    scoring.classifier.slow_to_leave.close()
    (first,) = await scoring.ask_while_held(1)
    await leave(first)
    await scoring.classifier.slow_to_leave.until(waiting=1)
    scoring.classifier.gate.open()
    assert (await scoring.score()).cache is CacheState.MISS
    scoring.classifier.slow_to_leave.open()
    await scoring.classifier.slow_to_leave.until(waiting=0)
    assert (await scoring.score()).cache is CacheState.L1_HIT


@pytest.mark.parametrize(
    "reason", [Reason.CLASSIFIER_UNAVAILABLE, Reason.CLASSIFIER_TIMEOUT, Reason.CLASSIFIER_FAILED]
)
async def test_a_failure_is_an_answer_with_its_reason(scoring: Scoring, reason: Reason) -> None:
    scoring.classifier.failure = reason
    assert await scoring.score() == Scored(None, CacheState.MISS, reason, IDENTITY)


async def test_a_failure_is_kept_nowhere(scoring: Scoring) -> None:
    scoring.classifier.failure = Reason.CLASSIFIER_TIMEOUT
    await scoring.score()
    scoring.classifier.failure = None
    assert await scoring.score() == Scored(assessment(), CacheState.MISS, None, IDENTITY)
    assert len(scoring.store.written) == 1


async def test_all_who_wait_learn_of_a_failure(scoring: Scoring) -> None:
    scoring.classifier.failure = Reason.CLASSIFIER_UNAVAILABLE
    tasks = await scoring.ask_while_held(3)
    scoring.classifier.gate.open()
    failures = [scored.failure for scored in await asyncio.gather(*tasks)]
    assert failures == [Reason.CLASSIFIER_UNAVAILABLE] * 3


async def test_a_classifier_that_was_never_reached_is_not_asked(scoring: Scoring) -> None:
    scoring.classifier.identity = None
    assert await scoring.score() == Scored(failure=Reason.CLASSIFIER_UNAVAILABLE)
    assert scoring.classifier.asked == []
    assert scoring.store.asked == []


async def test_a_bug_reaches_the_callers_and_not_the_next_ones(scoring: Scoring) -> None:
    scoring.classifier.bug = ZeroDivisionError()
    tasks = await scoring.ask_while_held(2)
    scoring.classifier.gate.open()
    raised = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in raised] == [ZeroDivisionError] * 2
    scoring.classifier.bug = None
    assert (await scoring.score()).assessment == assessment()


async def test_without_the_store_the_classifier_is_asked_and_nothing_is_written(scoring: Scoring) -> None:
    scoring.store.down = True
    assert await scoring.score() == Scored(assessment(), CacheState.BYPASSED, None, IDENTITY)
    assert scoring.store.written == []


async def test_without_the_store_this_process_still_remembers(scoring: Scoring) -> None:
    scoring.store.down = True
    await scoring.score()
    assert (await scoring.score()).cache is CacheState.L1_HIT


async def test_without_store_and_classifier_both_are_named(scoring: Scoring) -> None:
    scoring.store.down = True
    scoring.classifier.failure = Reason.CLASSIFIER_UNAVAILABLE
    assert await scoring.score() == Scored(None, CacheState.BYPASSED, Reason.CLASSIFIER_UNAVAILABLE, IDENTITY)


async def test_the_store_is_given_a_key_and_never_the_text(scoring: Scoring) -> None:
    await scoring.score()
    key = scoring.key.of(TEXT, tenant="default", classifier=IDENTITY)
    assert scoring.store.asked == scoring.store.written == [key]


async def test_the_time_of_a_miss_is_noted_by_stage(scoring: Scoring) -> None:
    stages = Stages()
    await scoring.scorer.score(TEXT, tenant="default", deadline=Deadline.after(60), stages=stages)
    assert stages.cache > 0
    assert stages.classify > 0


async def test_a_hit_takes_no_time_of_the_classifier(scoring: Scoring) -> None:
    await scoring.score()
    stages = Stages()
    await scoring.scorer.score(TEXT, tenant="default", deadline=Deadline.after(60), stages=stages)
    assert stages.cache > 0
    assert stages.classify == 0


async def test_the_time_of_a_failure_is_noted_too(scoring: Scoring) -> None:
    scoring.classifier.failure = Reason.CLASSIFIER_UNAVAILABLE
    stages = Stages()
    await scoring.scorer.score(TEXT, tenant="default", deadline=Deadline.after(60), stages=stages)
    assert stages.classify > 0


async def test_who_waits_for_anothers_question_counts_it_as_classifying(scoring: Scoring) -> None:
    (first,) = await scoring.ask_while_held(1)
    stages = Stages()
    second = asyncio.create_task(
        scoring.scorer.score(TEXT, tenant="default", deadline=Deadline.after(60), stages=stages)
    )
    await asyncio.sleep(0)
    scoring.classifier.gate.open()
    await asyncio.gather(first, second)
    assert stages.classify > 0


async def test_demand_for_the_classifier_is_counted_once_a_question(scoring: Scoring) -> None:
    tasks = await scoring.ask_while_held(5)
    assert scoring.demand.classifier.running == 1
    scoring.classifier.gate.open()
    await asyncio.gather(*tasks)
    assert (scoring.demand.classifier.running, scoring.demand.classifier.waiting) == (0, 0)


@pytest.mark.parametrize(
    ("reason", "unmet"),
    [
        (Reason.CLASSIFIER_UNAVAILABLE, 1),
        (Reason.CLASSIFIER_TIMEOUT, 1),
        pytest.param(Reason.CLASSIFIER_FAILED, 0, id="more of them would not help"),
    ],
)
async def test_demand_that_the_classifier_did_not_meet_is_counted(
    scoring: Scoring, reason: Reason, unmet: int
) -> None:
    scoring.classifier.failure = reason
    await scoring.score()
    assert scoring.demand.classifier.unmet_total == unmet


async def test_demand_for_a_classifier_that_was_never_reached_is_counted(scoring: Scoring) -> None:
    scoring.classifier.identity = None
    await scoring.score()
    assert scoring.demand.classifier.unmet_total == 1
    assert scoring.demand.classifier.waiting == 0
