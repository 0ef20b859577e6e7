"""Settings of a backend."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from steersman.runtime import plaintext
from steersman.runtime.settings import Group, ProcessSettings, Seconds

HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+")]


class EngineSettings(Group):
    """The engine behind this backend."""

    url: HttpUrl
    """Where it serves OpenAI's API, with or without `/v1`."""
    api_key: SecretStr | None = None
    """Bearer token for it."""
    ca_file: Path | None = None
    """Authorities that the certificate of an `https` engine may be by; the system's where not set. An engine on the
    pod's own loopback needs no TLS."""
    slots: Annotated[int, Field(gt=0)] | None = None
    """Requests that it works on at once; where it is not set, what the engine says (llama.cpp), else 32."""
    connect_timeout_seconds: Seconds = 2.0
    """Time to connect."""
    first_byte_timeout_seconds: Seconds = 60.0
    """Time to the first chunk of a streamed answer, its prompt's processing included."""
    idle_timeout_seconds: Seconds = 30.0
    """Silence in a streamed answer after which the engine counts as hung."""
    unary_timeout_seconds: Seconds = 600.0
    """Time for an answer that is not streamed."""
    refresh_seconds: Seconds = 5.0
    """How often the engine is asked whether it is there and what it serves."""


class QueueSettings(Group):
    """The queue in front of the engine."""

    length: Annotated[int, Field(ge=0)] = 64
    """Requests that may wait for a slot; one more is RESOURCE_EXHAUSTED."""
    max_wait_seconds: Seconds = 30.0
    """Time that a request may wait for a slot."""


class BackendSettings(ProcessSettings):
    """Everything that a backend can be told."""

    tier: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    """Name of the tier that this backend belongs to."""
    engine: EngineSettings
    """The engine."""
    queue: QueueSettings = QueueSettings()
    """The queue."""

    @model_validator(mode="after")
    def _no_engine_in_the_clear(self) -> Self:
        if (reason := plaintext.refusal(self.engine.url, self.tls)) is not None:
            raise ValueError(f"ENGINE__URL: {reason}")
        return self
