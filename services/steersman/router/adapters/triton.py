"""The classifier on Triton Inference Server, behind the tensor contract of `triton_models/README.md`.

One client, that is one connection, an address. A request names an explicit version of the model. Triton may be down,
slow, or hung so that it never answers: each call has a deadline of its own, and a breaker leaves an address alone
that keeps missing it.

Texts that come while a call is under way go together in the next one, which costs a text less on both sides the more of
them there are. So the next call waits for the one before, unless a whole batch waits with it; and not for long, lest an
address that hangs hold up what another could answer. A text whose request is traced goes alone, so that Triton's spans
have one parent.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

import numpy as np
from opentelemetry.trace import SpanKind
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from steersman.router.fleet import Fleet, Member
from steersman.router.model import Assessment, ClassifierId, Reason
from steersman.router.ports import ClassifierFailure
from steersman.runtime import telemetry
from steersman.runtime.addresses import AddressSource, name_of
from steersman.runtime.breaker import Breaker
from steersman.runtime.gathering import gathered
from steersman.runtime.tls import PLAIN, Wire, named

log = logging.getLogger(__name__)

_OUTPUTS: Final = {"SCORE": "f", "WIN_PROBABILITY": "f", "NOVELTY": "f", "TRUNCATED": "?"}
"""Outputs in the order of an assessment's fields, with their kinds in the words of `struct`."""
_BATCH: Final = 16
"""Texts in one call: half of the models' `max_batch_size`, so that Triton can join two that are under way."""
_HEAD_START_SECONDS: Final = 0.02
"""After so long the next call no longer waits for the one before: several times what a call takes under load."""
_CHANNEL: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
)
_ASK_SECONDS: Final = 2.0
"""Time that Triton has to say which artefact it serves."""
_LOOK_SECONDS: Final = 10.0
_FIRST_LOOK_SECONDS: Final = 0.25
_QUEUE_FULL: Final = "queue size"
"""In Triton's words for a request that its queue had no room for."""

_FAILURES: Final = {
    "StatusCode.DEADLINE_EXCEEDED": Reason.CLASSIFIER_TIMEOUT,
    "StatusCode.UNAVAILABLE": Reason.CLASSIFIER_UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class TritonOptions:
    """How Triton is asked.

    Args:
        target: Its addresses.
        model: Name of the model.
        version: Its version.
        timeout: Seconds that an answer may take.
        queue: Texts that may wait for a lane.
        refresh_seconds: Time between two looks at the addresses.
    """

    target: str
    model: str
    version: str
    timeout: float
    queue: int
    refresh_seconds: float


@dataclass(frozen=True, slots=True)
class _Question:
    """A text that waits for a lane."""

    text: str
    answer: asyncio.Future[Assessment]


class _Client:
    """One Triton."""

    def __init__(self, address: str, wire: Wire, name: str | None) -> None:
        self.triton = InferenceServerClient(
            address,
            creds=wire.credentials,
            channel_args=[*_CHANNEL, *(named(name) if wire.credentials else ())],
        )

    @classmethod
    async def connect(cls, address: str, *, wire: Wire, name: str | None) -> Self:
        return cls(address, wire, name)

    async def close(self) -> None:
        await self.triton.close()


class TritonClassifier:
    """See `steersman.router.ports.Classifier`.

    Args:
        options: How Triton is asked.
        source: Finds its addresses.
        breaker: Makes a breaker for an address.
        wire: How this process speaks.
    """

    def __init__(
        self,
        options: TritonOptions,
        *,
        source: AddressSource,
        breaker: Callable[[], Breaker],
        wire: Wire = PLAIN,
    ) -> None:
        self._options = options
        self._fleet = Fleet(
            options.target,
            source,
            partial(_Client.connect, wire=wire, name=name_of(options.target)),
            breaker,
            refresh_seconds=options.refresh_seconds,
            edition=lambda: wire.edition,
        )
        self._outputs = [InferRequestedOutput(name) for name in _OUTPUTS]
        self._identity: ClassifierId | None = None
        self._waiting: asyncio.Queue[_Question] = asyncio.Queue(options.queue)
        self._turn = asyncio.Lock()
        self._next = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._fleet.refresh()
        await self._identify()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._fleet.close()

    @property
    def identity(self) -> ClassifierId | None:
        """See `steersman.router.ports.Classifier.identity`."""
        return self._identity

    @property
    def breakers(self) -> list[Breaker]:
        """Those of all addresses, for metrics."""
        return [member.breaker for member in self._fleet.members]

    async def keep_addresses_fresh(self) -> None:
        """Follow the target's addresses; for a background task."""
        await self._fleet.keep_fresh()

    async def keep_identity_fresh(self) -> None:
        """Follow which artefact is served; for a background task."""
        while True:
            await asyncio.sleep(_FIRST_LOOK_SECONDS if self._identity is None else _LOOK_SECONDS)
            await self._identify()

    async def assess(self, text: str) -> Assessment:
        """See `steersman.router.ports.Classifier.assess`."""
        attributes = {"steersman.classifier.model": self._options.model}
        with telemetry.child("classify", kind=SpanKind.CLIENT, attributes=attributes) as span:
            if headers := telemetry.headers_of(span):
                return (await self._ask([text], headers))[0]
            return await self._assess_with_others(text)

    async def serve_lane(self) -> None:
        """Ask for what waits, again and again; for a background task, of which there are several."""
        while True:
            async with asyncio.TaskGroup() as calls, self._turn:
                batch = [each for each in await gathered(self._waiting, _BATCH) if not each.answer.done()]
                if batch:
                    self._next.clear()
                    calls.create_task(self._answer(batch)).add_done_callback(lambda _: self._next.set())
                    await self._until_next()

    async def _until_next(self) -> None:
        """Wait until it is time for another call."""
        if self._waiting.qsize() < _BATCH:
            with suppress(TimeoutError):
                async with asyncio.timeout(_HEAD_START_SECONDS):
                    await self._next.wait()

    async def _assess_with_others(self, text: str) -> Assessment:
        question = _Question(text, asyncio.get_running_loop().create_future())
        try:
            self._waiting.put_nowait(question)
            if self._waiting.qsize() >= _BATCH:
                self._next.set()
            async with asyncio.timeout(self._options.timeout):
                return await question.answer
        except asyncio.QueueFull:
            raise ClassifierFailure(Reason.CLASSIFIER_UNAVAILABLE) from None
        except TimeoutError:
            raise ClassifierFailure(Reason.CLASSIFIER_TIMEOUT) from None

    async def _answer(self, batch: Sequence[_Question]) -> None:
        try:
            assessments = await self._ask([each.text for each in batch], {})
        except ClassifierFailure as failure:
            for each in batch:
                if not each.answer.done():
                    each.answer.set_exception(ClassifierFailure(failure.reason))
            return
        for each, assessment in zip(batch, assessments, strict=True):
            if not each.answer.done():
                each.answer.set_result(assessment)

    async def _ask(self, texts: Sequence[str], headers: dict[str, str]) -> Sequence[Assessment]:
        member = self._fleet.pick()
        if member is None:
            raise ClassifierFailure(Reason.CLASSIFIER_UNAVAILABLE)
        with member.lease() as client:
            try:
                result = await client.triton.infer(
                    self._options.model,
                    [_tensor(texts)],
                    model_version=self._options.version,
                    outputs=self._outputs,
                    client_timeout=self._options.timeout,
                    headers=headers or None,
                )
            except InferenceServerException as error:
                raise _judged(member, error) from None
            except BaseException:
                member.breaker.cancel()
                raise
        member.breaker.success()
        return _assessments(result, len(texts))

    async def _identify(self) -> None:
        for member in self._fleet.members:
            with member.lease() as client:  # which is not closed meanwhile
                digest = await self._digest(client.triton)
            if digest is not None:
                identity = ClassifierId(self._options.model, self._options.version, digest)
                if identity != self._identity:
                    log.info("classifier found", extra={"model": identity.name, "artefact": digest})
                self._identity = identity
                return

    async def _digest(self, triton: InferenceServerClient) -> str | None:
        """Digest of the artefact that a Triton serves; None when it does not say."""
        options = self._options
        try:
            answer = await triton.get_model_config(
                options.model, options.version, client_timeout=_ASK_SECONDS
            )
        except InferenceServerException as error:
            log.debug("classifier not found", extra={"status": error.status()})
            return None
        if answer is None:  # what came was no message
            return None
        told = answer.config.parameters.get(f"artefact_digest.{options.version}")
        return str(told.string_value) if told is not None and told.string_value else None


def _judged(member: Member[_Client], error: InferenceServerException) -> ClassifierFailure:
    """What an error means for the query, after telling the breaker what it means for the address."""
    reason = _FAILURES.get(error.status(), Reason.CLASSIFIER_FAILED)
    if reason is Reason.CLASSIFIER_FAILED or _QUEUE_FULL in (error.message() or ""):
        member.breaker.success()  # it is there, and said no
    else:
        member.breaker.failure()
    return ClassifierFailure(reason)


def _tensor(texts: Sequence[str]) -> InferInput:
    tensor = InferInput("TEXT", [len(texts), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[text.encode()] for text in texts], dtype=np.object_))
    return tensor


def _assessments(result: InferResult, count: int) -> list[Assessment]:
    """The outputs, read from their bytes: numbers in a row, in the order of the texts."""
    response = result.get_response()
    raw = {
        output.name: content
        for output, content in zip(response.outputs, response.raw_output_contents, strict=False)
    }
    try:
        columns = [struct.unpack(f"<{count}{code}", raw[name]) for name, code in _OUTPUTS.items()]
    except (KeyError, struct.error):
        raise ClassifierFailure(Reason.CLASSIFIER_FAILED) from None
    assessments = [Assessment(*row) for row in zip(*columns, strict=True)]
    if not all(assessment.valid for assessment in assessments):
        raise ClassifierFailure(Reason.CLASSIFIER_FAILED)
    return assessments
