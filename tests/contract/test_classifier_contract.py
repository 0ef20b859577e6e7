"""What Steersman relies on in the classifier, asked of the fake one and of a real Triton with the models that ship."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from fakes.addresses import FakeAddresses
from fakes.classifier import FakeClassifier
from fixtures.real_parts import StartTriton, Triton
from steersman.router.adapters.triton import TritonClassifier, TritonOptions
from steersman.router.model import OutOfDomain, Reason
from steersman.router.ports import Classifier, ClassifierFailure
from steersman.runtime.breaker import Breaker, State
from steersman.runtime.tasks import BackgroundTasks

PATIENT = 10.0
HASTY = 0.25
FAILURES = 3
"""After so many in a row the breaker opens."""
EASY = "hi"
HARD = (
    "Prove that every bounded sequence of real numbers has a convergent subsequence, then generalise to R^n."
)
TEXTS = [
    EASY,
    HARD,
    "",
    " ",
    "\0",
    "äöü ñ 漢字 🧭",
    "e\u0301",
    "x" * 7500,
    "Translate: 'Guten Tag'",
    "1 + 1 = ?",
]

Call = Callable[[], Awaitable[None]]


@dataclass
class Subject:
    """A classifier under test, and what can be done to it."""

    classifier: Classifier
    stop: Call
    hang: Call
    recover: Call


async def failure(classifier: Classifier) -> Reason:
    with pytest.raises(ClassifierFailure) as raised:
        await classifier.assess(EASY)
    return raised.value.reason


class ClassifierContract:
    """The suite; a subclass says which classifier is the `subject`."""

    async def test_it_says_who_it_is(self, subject: Subject) -> None:
        identity = subject.classifier.identity
        assert identity is not None
        assert all([identity.name, identity.version, identity.artefact_digest])

    @pytest.mark.parametrize("text", TEXTS)
    async def test_any_text_gets_an_assessment_in_range(self, subject: Subject, text: str) -> None:
        assert (await subject.classifier.assess(text)).valid

    async def test_the_same_text_gets_the_same_assessment(self, subject: Subject) -> None:
        first, second = [await subject.classifier.assess(HARD) for _ in range(2)]
        assert repr(first) == repr(second)  # by its words, as a missing number is not equal to itself

    async def test_company_does_not_change_an_assessment(self, subject: Subject) -> None:
        alone = [await subject.classifier.assess(text) for text in TEXTS]
        together = await asyncio.gather(*(subject.classifier.assess(text) for text in TEXTS * 4))
        # The size of a batch decides how 32-bit sums are rounded, and nothing else.
        expected = [each.score for each in alone] * 4
        assert [each.score for each in together] == pytest.approx(expected, abs=1e-6)

    async def test_a_caller_who_leaves_does_not_harm_the_next(self, subject: Subject) -> None:
        expected = await subject.classifier.assess(HARD)
        for _ in range(20):
            leaving = asyncio.create_task(subject.classifier.assess(EASY))
            await asyncio.sleep(0)
            leaving.cancel()
        assert repr(await subject.classifier.assess(HARD)) == repr(expected)


class OwnClassifierContract:
    """The part of the suite that breaks its `own` classifier."""

    async def test_one_that_hangs_is_timed_out_and_used_again_when_it_wakes(self, own: Subject) -> None:
        await own.classifier.assess(EASY)
        await own.hang()
        started = time.perf_counter()
        assert await failure(own.classifier) is Reason.CLASSIFIER_TIMEOUT
        assert time.perf_counter() - started < 10 * HASTY  # and not for ever, even on a busy machine
        await own.recover()
        await until_well(own.classifier)

    async def test_one_that_is_gone_is_unavailable_and_used_again_when_it_is_back(self, own: Subject) -> None:
        await own.classifier.assess(EASY)
        await own.stop()
        assert await failure(own.classifier) is Reason.CLASSIFIER_UNAVAILABLE
        await own.recover()
        await until_well(own.classifier)


async def until_well(classifier: Classifier) -> None:
    async with asyncio.timeout(30):
        while not await is_well(classifier):  # noqa: ASYNC110 - a classifier tells only when asked
            await asyncio.sleep(0.05)


async def is_well(classifier: Classifier) -> bool:
    try:
        return (await classifier.assess(EASY)).valid
    except ClassifierFailure:
        return False


class TestFake(ClassifierContract, OwnClassifierContract):
    @pytest.fixture
    def subject(self) -> Subject:
        classifier = FakeClassifier(timeout=HASTY)

        async def stop() -> None:
            classifier.failure = Reason.CLASSIFIER_UNAVAILABLE

        async def hang() -> None:
            classifier.gate.close()

        async def recover() -> None:
            classifier.failure = None
            classifier.gate.open()

        return Subject(classifier, stop, hang, recover)

    @pytest.fixture
    def own(self, subject: Subject) -> Subject:
        return subject


@asynccontextmanager
async def classifier_on(
    *addresses: str, patience: float = PATIENT, model: str = "static_head", version: str = "1"
) -> AsyncIterator[TritonClassifier]:
    options = TritonOptions("triton", model, version, patience, 512, 1.0)
    breaker = partial(Breaker, threshold=FAILURES, cooldown=0.2)
    async with (
        BackgroundTasks() as tasks,
        TritonClassifier(options, source=FakeAddresses(addresses), breaker=breaker) as classifier,
    ):
        tasks.start("lane", classifier.serve_lane)
        yield classifier


class TestTriton(ClassifierContract):
    @pytest.fixture
    async def subject(self, triton: Triton) -> AsyncIterator[Subject]:
        async def never() -> None:
            raise AssertionError("this one is shared")

        async with classifier_on(triton.grpc_address) as classifier:
            yield Subject(classifier, never, never, never)

    async def test_it_is_the_artefact_that_ships(self, subject: Subject, triton: Triton) -> None:
        del triton
        identity = subject.classifier.identity
        assert identity is not None
        assert (identity.name, identity.version) == ("static_head", "1")
        assert len(identity.artefact_digest) == 64

    async def test_a_harder_question_has_a_higher_score(self, subject: Subject) -> None:
        easy, hard = [await subject.classifier.assess(text) for text in (EASY, HARD)]
        assert easy.score < hard.score

    async def test_a_text_that_is_too_long_is_cut_and_that_is_told(self, subject: Subject) -> None:
        assert not (await subject.classifier.assess(HARD)).truncated
        assert (await subject.classifier.assess("long " * 20_000)).truncated

    async def test_the_numbers_are_those_of_32_bits(self, subject: Subject) -> None:
        found = await subject.classifier.assess(HARD)
        for number in (found.score, found.novelty, found.win_probability):
            assert math.isnan(number) or float(np.float32(number)) == number

    async def test_a_text_without_a_word_is_out_of_domain_and_a_question_is_not(
        self, subject: Subject
    ) -> None:
        odd, question = [await subject.classifier.assess(text) for text in ("?!", HARD)]
        assert OutOfDomain().covers(odd)
        assert not OutOfDomain().covers(question)

    @pytest.mark.parametrize("model", ["length", "random"])
    async def test_nothing_is_out_of_domain_to_a_method_that_knows_no_novelty(
        self, triton_of_all: Triton, model: str
    ) -> None:
        async with classifier_on(triton_of_all.grpc_address, model=model) as classifier:
            assert not OutOfDomain(novelty=1e-9).covers(await classifier.assess("?!"))

    async def test_a_model_that_is_not_there_is_a_failure(self, triton: Triton) -> None:
        async with classifier_on(triton.grpc_address, model="no_such_model") as classifier:
            assert classifier.identity is None
            assert await failure(classifier) in {
                Reason.CLASSIFIER_FAILED,
                Reason.CLASSIFIER_UNAVAILABLE,
            }

    async def test_a_version_that_is_not_there_is_a_failure(self, triton: Triton) -> None:
        async with classifier_on(triton.grpc_address, version="999") as classifier:
            assert classifier.identity is None
            with pytest.raises(ClassifierFailure):
                await classifier.assess(EASY)

    async def test_an_address_that_does_not_answer_is_left_for_one_that_does(self, triton: Triton) -> None:
        async with classifier_on("127.0.0.1:1", triton.grpc_address, patience=1.0) as classifier:
            assert classifier.identity is not None
            for _ in range(20 * FAILURES):
                await is_well(classifier)
            states = [breaker.state for breaker in classifier.breakers]
            assert states[0] is not State.CLOSED
            assert states[1] is State.CLOSED


async def test_without_any_address_it_is_unavailable() -> None:
    async with classifier_on() as classifier:
        assert classifier.identity is None
        assert await failure(classifier) is Reason.CLASSIFIER_UNAVAILABLE


async def test_nothing_of_the_library_leaks_out() -> None:
    async with classifier_on("127.0.0.1:1", patience=2.0) as classifier:
        with pytest.raises(ClassifierFailure) as raised:
            await classifier.assess(EASY)
    assert not isinstance(raised.value, InferenceServerException)
    assert raised.value.__cause__ is None
    assert raised.value.reason is Reason.CLASSIFIER_UNAVAILABLE


class TestOwnTriton(OwnClassifierContract):
    @pytest.fixture
    async def server(self, start_triton: StartTriton) -> Triton:
        return await start_triton()

    @pytest.fixture
    async def own(self, server: Triton) -> AsyncIterator[Subject]:
        async def hang() -> None:
            server.process.pause()

        async def recover() -> None:
            if server.process.running:
                server.process.resume()
            else:
                await server.process.start()

        async with classifier_on(server.grpc_address, patience=HASTY) as classifier:
            await until_well(classifier)
            yield Subject(classifier, server.process.kill, hang, recover)
        server.process.resume()

    async def test_one_that_hangs_is_left_alone_after_a_few_timeouts(
        self, server: Triton, own: Subject
    ) -> None:
        del server
        await own.hang()
        reasons = [await failure(own.classifier) for _ in range(FAILURES)]
        assert reasons == [Reason.CLASSIFIER_TIMEOUT] * FAILURES
        started = time.perf_counter()
        reasons = [await failure(own.classifier) for _ in range(50)]
        assert reasons.count(Reason.CLASSIFIER_UNAVAILABLE) > 40  # the others are the breaker's probes
        assert time.perf_counter() - started < 50 * HASTY / 2

    async def test_one_that_comes_up_later_is_recognised(self, server: Triton) -> None:
        await server.process.kill()
        async with classifier_on(server.grpc_address, patience=PATIENT) as classifier:
            assert classifier.identity is None
            following = asyncio.create_task(classifier.keep_identity_fresh())
            await server.process.start()
            async with asyncio.timeout(30):
                while classifier.identity is None:  # noqa: ASYNC110 - it tells only when asked
                    await asyncio.sleep(0.05)
            following.cancel()
            await until_well(classifier)
