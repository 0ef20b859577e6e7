"""What the router needs of the outside, as protocols; each has its adapter, and a fake in the tests.

Adapters raise what is named here, or errors of `steersman.runtime.errors`, and nothing of the libraries they use.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from steersman.captures.place import Place
from steersman.router.model import Assessment, ClassifierId, Reason, Session
from steersman.router.quotas import Ask, Taken

V = TypeVar("V")


class StoreUnavailable(Exception):
    """A shared store cannot be asked now."""


class ClassifierFailure(Exception):
    """The classifier gave no assessment.

    Args:
        reason: CLASSIFIER_UNAVAILABLE, CLASSIFIER_TIMEOUT or CLASSIFIER_FAILED.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason


class SharedStore(Protocol[V]):
    """What all replicas remember of one kind: scores, or sessions."""

    async def get(self, key: bytes) -> V | None:
        """What is stored under a key.

        Raises:
            StoreUnavailable: The store did not answer in time, or is known not to.
        """
        ...

    def put(self, key: bytes, value: V) -> None:
        """Store soon, off the request's path; given up silently, but counted, when too much is waiting."""
        ...


class QuotaStore(Protocol):
    """The token buckets and slots of all tenants."""

    async def take(self, tenant: str, asks: tuple[Ask, ...]) -> Taken:
        """Take of several quotas at once; see `steersman.router.quotas.take`.

        Raises:
            StoreUnavailable: The store did not answer in time, or is known not to; nothing may have been taken.
        """
        ...


@dataclass(frozen=True, slots=True)
class SealedPrompt:
    """A captured prompt, which nobody can read without the key."""

    place: Place
    sealed: bytes


class CaptureStore(Protocol):
    """The captured prompts of all tenants, bounded by tenant and in time."""

    async def add(self, tenant: str, prompts: Sequence[SealedPrompt]) -> int:
        """Store a tenant's, the first ones where not all of them fit any more; says how many.

        Raises:
            StoreUnavailable: The store did not answer in time; some may have been stored.
        """
        ...


ScoreStore = SharedStore[Assessment]
SessionStore = SharedStore[Session]


class Classifier(Protocol):
    """The classifier on the inference server."""

    @property
    def identity(self) -> ClassifierId | None:
        """Which classifier answers; None until it has been reached once."""
        ...

    async def assess(self, text: str) -> Assessment:
        """Score one text.

        Raises:
            ClassifierFailure: There is no answer in the time that the classifier is given, or it is an error.
        """
        ...


class LineSink(Protocol):
    """Where the decision log goes. Called from one thread that is not the event loop's."""

    def write(self, lines: Sequence[bytes]) -> None:
        """Append lines, each with its end.

        Raises:
            OSError: None of them was written.
        """
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a pod says that it is, with the requests of all routers."""

    waiting: int
    running: int
    slots: int
    """Requests that its engine works on at once."""
    draining: bool = False
    """Whether it takes no new requests."""

    @property
    def pressure(self) -> float:
        """Requests for each slot."""
        return (self.waiting + self.running) / max(1, self.slots)


@dataclass(frozen=True, slots=True)
class Party:
    """For whom something is done, where there may be too little for all."""

    tenant: str = ""
    weight: float = 1.0


NO_PARTY: Final = Party()
"""Where nobody is told apart."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One attempt at an answer."""

    body: bytes
    """An OpenAI chat completion request."""
    timeout: float
    """Seconds that are left until the caller's deadline."""
    headers: Mapping[str, str]
    """Trace context for the next hop."""
    party: Party = NO_PARTY
    """For whom it is; told to backends, and to nobody else."""


class Upstream(Protocol):
    """One address that answers a tier's requests."""

    def generate(self, dispatch: Dispatch) -> AsyncGenerator[Sequence[bytes], None]:
        """The answer as a stream: its chunks as they come, several at once when they come together.

        Closing the generator ends the work at the engine.

        Raises:
            Error: One of `steersman.runtime.errors`: Unavailable and Overloaded before the first chunk may be tried
                elsewhere; BrokenOff after it may not.
        """
        ...

    async def complete(self, dispatch: Dispatch) -> bytes:
        """The answer to a request that asks for no stream, as the engine sent it.

        Cancelling who waits for it ends the work at the engine.

        Raises:
            Error: As for `generate`.
        """
        ...

    async def load(self) -> Load | None:
        """How busy it says that it is, within half a second; None where it does not say."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...
