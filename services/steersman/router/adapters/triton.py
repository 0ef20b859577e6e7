"""The classifier on Triton Inference Server, behind the tensor contract of `triton_models/README.md`.

One client, that is one connection, an address. A request names an explicit version of the model. Triton may be down,
slow, or hung so that it never answers: each call has a deadline of its own, and a breaker leaves an address alone
that keeps missing it.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from dataclasses import dataclass
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
from steersman.runtime.addresses import AddressSource
from steersman.runtime.breaker import Breaker

log = logging.getLogger(__name__)

_OUTPUTS: Final = ("SCORE", "WIN_PROBABILITY", "NOVELTY", "TRUNCATED")
_FLOAT: Final = struct.Struct("<f")
_BOOL: Final = struct.Struct("<?")
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
        max_in_flight: Requests that an address is asked at once; the queue in front of the model is theirs.
        refresh_seconds: Time between two looks at the addresses.
    """

    target: str
    model: str
    version: str
    timeout: float
    max_in_flight: int
    refresh_seconds: float


class _Client:
    """One Triton."""

    def __init__(self, address: str) -> None:
        self.triton = InferenceServerClient(address, channel_args=list(_CHANNEL))

    @classmethod
    async def connect(cls, address: str) -> Self:
        return cls(address)

    async def close(self) -> None:
        await self.triton.close()


class TritonClassifier:
    """See `steersman.router.ports.Classifier`.

    Args:
        options: How Triton is asked.
        source: Finds its addresses.
        breaker: Makes a breaker for an address.
    """

    def __init__(
        self, options: TritonOptions, *, source: AddressSource, breaker: Callable[[], Breaker]
    ) -> None:
        self._options = options
        self._fleet = Fleet(
            options.target, source, _Client.connect, breaker, refresh_seconds=options.refresh_seconds
        )
        self._outputs = [InferRequestedOutput(name) for name in _OUTPUTS]
        self._identity: ClassifierId | None = None

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
        member = self._fleet.pick()
        if member is None:
            raise ClassifierFailure(Reason.CLASSIFIER_UNAVAILABLE)
        if member.in_flight >= self._options.max_in_flight:
            member.breaker.cancel()
            raise ClassifierFailure(Reason.CLASSIFIER_UNAVAILABLE)
        attributes = {"steersman.classifier.model": self._options.model}
        with (
            telemetry.child("classify", kind=SpanKind.CLIENT, attributes=attributes) as span,
            member.lease() as client,
        ):
            return await self._ask(member, client.triton, text, telemetry.headers_of(span))

    async def _ask(
        self, member: Member[_Client], triton: InferenceServerClient, text: str, headers: dict[str, str]
    ) -> Assessment:
        query = InferInput("TEXT", [1, 1], "BYTES")
        query.set_data_from_numpy(np.array([[text.encode()]], dtype=np.object_))
        try:
            result = await triton.infer(
                self._options.model,
                [query],
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
        return _assessment(result)

    async def _identify(self) -> None:
        for member in self._fleet.members:
            digest = await self._digest(member.client.triton)
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
                options.model, options.version, as_json=True, client_timeout=_ASK_SECONDS
            )
        except InferenceServerException as error:
            log.debug("classifier not found", extra={"status": error.status()})
            return None
        parameters = answer["config"].get("parameters", {})
        digest = parameters.get(f"artefact_digest.{options.version}", {}).get("string_value")
        return str(digest) if digest else None


def _judged(member: Member[_Client], error: InferenceServerException) -> ClassifierFailure:
    """What an error means for the query, after telling the breaker what it means for the address."""
    reason = _FAILURES.get(error.status(), Reason.CLASSIFIER_FAILED)
    if reason is Reason.CLASSIFIER_FAILED or _QUEUE_FULL in (error.message() or ""):
        member.breaker.success()  # it is there, and said no
    else:
        member.breaker.failure()
    return ClassifierFailure(reason)


def _assessment(result: InferResult) -> Assessment:
    response = result.get_response()
    tensors = {
        output.name: content
        for output, content in zip(response.outputs, response.raw_output_contents, strict=False)
    }
    try:  # four numbers are sooner unpacked than made into four arrays
        score, win_probability, novelty = (_FLOAT.unpack(tensors[name])[0] for name in _OUTPUTS[:3])
        (truncated,) = _BOOL.unpack(tensors[_OUTPUTS[3]])
    except (KeyError, struct.error):
        raise ClassifierFailure(Reason.CLASSIFIER_FAILED) from None
    assessment = Assessment(score, win_probability, novelty, truncated)
    if not assessment.valid:
        raise ClassifierFailure(Reason.CLASSIFIER_FAILED)
    return assessment
