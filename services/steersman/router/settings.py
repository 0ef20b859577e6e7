"""The router's settings; see `steersman.runtime.settings` for how they are read."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, SecretStr, model_validator

from steersman.identity.key_file import TENANT_PATTERN
from steersman.runtime.settings import (
    Address,
    Group,
    GrpcServer,
    Kubernetes as KubernetesApi,
    ProcessSettings,
    Seconds,
)

Count = Annotated[int, Field(gt=0)]


CONNECTION_AGE_SECONDS: Final = 10.0
"""Callers keep their connections, and a new replica is to have its share of them within half a minute: time for a
connection to end, and for DNS to have forgotten what it knew."""


class CallersServer(GrpcServer):
    """The gRPC listener for callers."""

    max_connection_age_seconds: Seconds = CONNECTION_AGE_SECONDS
    """Age at which a connection is asked to reconnect, so that long-lived callers find new replicas."""


class HttpServer(Group):
    """The listener for OpenAI's HTTP API."""

    address: Address = "0.0.0.0:8080"
    """Where to listen."""
    max_connection_age_seconds: Seconds = CONNECTION_AGE_SECONDS
    """Age at which a connection ends after the response in progress, for the same reason."""


class Requests(Group):
    """What is taken of a request."""

    max_messages: Count = 2048
    """Most messages of a conversation; more are INVALID_ARGUMENT."""
    max_in_flight: Count = 4096
    """Requests in progress at once; one more is RESOURCE_EXHAUSTED. The last eighth is for tenants that have less than
    their share of them."""
    default_timeout_seconds: Seconds = 300.0
    """Deadline of a request that brings none."""
    text_characters: Count = 7500
    """Length of the last user turn that is scored; of a longer one its beginning and end. With the context it should
    stay below what the classifier itself takes (8,192 for `static_head`)."""
    context_characters: Annotated[int, Field(ge=0)] = 512
    """Length of the turns before it that is scored with it."""


class ClassifierServer(Group):
    """The Triton Inference Server that hosts the classifier."""

    target: str = "dns:///triton:8001"
    """`HOST:PORT[,HOST:PORT...]`, `dns:///NAME:PORT` for all addresses of a name, or `k8s:///SERVICE:PORT`."""
    model: str = "static_head"
    """Name of the model."""
    version: str = "1"
    """Its version; asked for explicitly in each request."""
    timeout_seconds: Seconds = 0.1
    """Time after which the policy's fallback decides."""
    queue: Count = 2048
    """Texts that wait to be asked about; for one more the policy's fallback decides at once."""
    lanes: Count = 4
    """Calls to the classifier at once, at most. What comes while one is under way goes together in the next one, which
    waits for that one a few milliseconds."""
    breaker_failures: Count = 5
    """Failures in a row after which an address is left alone."""
    breaker_cooldown_seconds: Seconds = 2.0
    """For how long."""


class DecisionCache(Group):
    """The cache of the classifier's output: in this process, and in Redis."""

    url: str = "redis://redis:6379/0"
    """Where Redis or Valkey is."""
    hmac_key: SecretStr = Field(default_factory=lambda: SecretStr(secrets.token_hex(32)))
    """Secret of the cache keys, the same on all replicas; a random one, shared with nobody, when not set."""
    timeout_seconds: Seconds = 0.05
    """Time that a look-up may take; then the classifier is asked."""
    ttl_seconds: Count = 86_400
    """How long Redis keeps an entry; up to a tenth longer, so that not all end at once."""
    local_entries: Count = 100_000
    """Entries of this process's own cache."""
    local_ttl_seconds: Seconds = 3600.0
    """How long that keeps an entry."""
    read_queue: Count = 4096
    """Look-ups that wait to be sent to Redis; for one more the classifier is asked."""
    write_queue: Count = 4096
    """Entries that wait to be written to Redis; more are dropped and counted."""
    breaker_failures: Count = 3
    """Failures in a row after which Redis is left alone."""
    breaker_cooldown_seconds: Seconds = 2.0
    """For how long."""


class SessionMemory(Group):
    """Where conversations stand: in this process, and in the Redis of the decision cache."""

    ttl_seconds: Count = 3600
    """How long a conversation is remembered after its last turn."""
    local_entries: Count = 50_000
    """Conversations that this process remembers itself."""


class DecisionMemory(Group):
    """Decisions that can be explained: in this process, and in the Redis of the decision cache."""

    ttl_seconds: Count = 3600
    """How long one can be explained, and an answer be rated."""
    local_entries: Count = 10_000
    """Decisions that this process remembers itself."""


class PromptCapture(Group):
    """Prompts kept for labelling: sealed, in the Redis of the decision cache, where a tenant's `capture` says so."""

    key_file: Path | None = None
    """File of the keys that seal them, as `steersman captures rotate` writes it; read again when it changes. No prompt
    is kept without it."""
    ttl_seconds: Count = 604_800
    """How long one is kept at most; up to a 24th less."""
    entries: Count = 10_000
    """Most of a tenant's that are kept at a time; more are dropped and counted."""
    max_bytes: Count = 16 * 1024 * 1024
    """Most bytes of them."""
    longest_bytes: Count = 64 * 1024
    """Size of the longest that is kept, with its line of the decision log."""
    queue: Count = 256
    """Prompts that wait to be sealed and written; more are dropped and counted."""


class Dispatching(Group):
    """How requests get to engines."""

    first_byte_timeout_seconds: Seconds = 30.0
    """Time until a stream must have begun, for each attempt."""
    whole_timeout_seconds: Seconds = 120.0
    """Time until an answer that is not streamed must have come, for each attempt."""
    idle_timeout_seconds: Seconds = 30.0
    """Longest time between two pieces of a stream."""
    attempts: Count = 3
    """Attempts on a tier, the first one included, each on another address."""
    retry_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2
    """Retries that each request adds to the budget."""
    retries_per_second: Annotated[float, Field(ge=0.0)] = 3.0
    """Retries that are free each second."""
    breaker_failures: Count = 5
    """Failures in a row after which an address is left alone."""
    breaker_cooldown_seconds: Seconds = 2.0
    """For how long."""
    refresh_seconds: Seconds = 5.0
    """Time between two look-ups of a target's addresses."""


class DecisionLogging(Group):
    """The decision log: one line of JSON a decision, with its score and none of its text."""

    path: str = ""
    """File that it goes to, one for each process, or `-` for standard output; where empty, there is none."""
    sample_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Part of the decisions that is logged."""
    max_bytes: Count = 64 * 1024 * 1024
    """Size at which a file is full, and becomes `PATH.1`."""
    files: Count = 5
    """Files that are kept, the one that is written included."""
    queue: Count = 8192
    """Decisions that wait to be written; more are dropped and counted."""


class TenantMetrics(Group):
    """Metrics by tenant."""

    largest: Count = 20
    """Tenants with series of their own, the largest by requests; all others are counted together as `other`."""


Pattern = Annotated[str, Field(pattern=r"^[a-z0-9.*-]{1,253}$")]


class ServiceAccountRule(Group):
    """Whose requests some ServiceAccounts make."""

    namespace: Pattern
    """Name of their namespace, or a pattern with `*`."""
    name: Pattern = "*"
    """Their name, or a pattern with `*`."""
    tenant: Annotated[str, Field(pattern=rf"{TENANT_PATTERN}|^$")] = ""
    """The tenant; where empty, the one that is called as the namespace."""


class TokenIssuer(Group):
    """Who makes the tokens of ServiceAccounts, where its keys check them and no API server reviews them."""

    name: str = ""
    """What tokens have as `iss`; where empty, the API server reviews them."""
    keys_url: str = ""
    """Where its JSON Web Key Set is: `jwks_uri` of what it serves under `/.well-known/openid-configuration`."""
    ca_file: Path | None = None
    """Authorities that its certificate may be by; the system's when not set."""
    token_file: Path | None = None
    """File of a token to show for the keys, where it does not tell them to everybody."""
    fresh_seconds: Seconds = 300.0
    """How often the keys are fetched; a token that names an unknown one has them fetched at once."""
    stale_seconds: Seconds = 86_400.0
    """How long those that were good stay while they cannot be fetched."""

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if self.name and not self.keys_url.startswith(("https://", "http://127.0.0.1:")):
            raise ValueError("keys_url must begin with https://: who changes the keys makes tokens")
        return self


class ServiceAccounts(Group):
    """Callers known by the tokens of their Kubernetes ServiceAccounts."""

    rules: tuple[ServiceAccountRule, ...] = ()
    """The first that covers a ServiceAccount counts; without any, tokens are not taken."""
    audience: Annotated[str, Field(min_length=1)] = "steersman"
    """For whom a token must have been made."""
    fresh_seconds: Seconds = 60.0
    """How long the API server's word on a token is good; a ServiceAccount that is deleted is known for so long."""
    stale_seconds: Seconds = 600.0
    """How long it is good while the API server is away."""
    timeout_seconds: Seconds = 1.0
    """Time that the API server has to answer."""
    issuer: TokenIssuer = TokenIssuer()
    """Whose keys check tokens in place of the API server."""
    entries: Count = 10_000
    """Tokens that are remembered, as hashes."""


class Identity(Group):
    """How callers are known. Without any of it they are not told apart: anybody who reaches the router may use it."""

    key_file: Path | None = None
    """File of API keys, as `steersman keys` writes it; read again when it changes."""
    keys_secret: str = ""
    """Secret of the router's namespace with such a file, followed by the Kubernetes API, so that a change takes effect
    at once. The file above, where there is one, counts until the Secret has been heard of."""
    keys_entry: str = "keys.yaml"
    """Name of the file in that Secret."""
    certificate_file: Path | None = None
    """File of rules by which client certificates belong to tenants; read again when it changes. Needs TLS with clients
    verified."""
    service_accounts: ServiceAccounts = ServiceAccounts()
    """Callers known by the tokens of their ServiceAccounts."""


class Kubernetes(KubernetesApi):
    """The Kubernetes API, for a router that runs in a cluster."""

    policies: bool = False
    """Whether RoutingPolicy resources are policies too."""


class Waiting(Group):
    """Where requests wait for a tier that has no address."""

    max_requests: Count = 256
    """Requests that may wait at once; for one more another tier answers, if the policy allows it, or it is
    UNAVAILABLE."""
    max_bytes: Count = 32 * 1024 * 1024
    """Bytes of their bodies; in memory a body takes a few times as much."""
    longest_seconds: Seconds = 60.0
    """Longest wait of a request; never longer than its deadline, nor than half of the time to it when another tier may
    answer in the end."""
    at_once: Count = 16
    """Requests for each address that go from the room to a tier which has just started and whose answer has not begun;
    together with those of the other routers not more than a backend's queue takes."""


class RouterSettings(ProcessSettings):
    """All settings of a router."""

    policy_file: Path = Path("/etc/steersman/policies.yaml")
    """The tier catalogue and the policies; read again when it changes."""
    grpc: CallersServer = CallersServer()
    http: HttpServer = HttpServer()
    requests: Requests = Requests()
    classifier: ClassifierServer = ClassifierServer()
    cache: DecisionCache = Field(default_factory=DecisionCache)
    sessions: SessionMemory = SessionMemory()
    decisions: DecisionMemory = DecisionMemory()
    capture: PromptCapture = PromptCapture()
    dispatch: Dispatching = Dispatching()
    decision_log: DecisionLogging = DecisionLogging()
    kubernetes: Kubernetes = Kubernetes()
    waiting_room: Waiting = Waiting()
    identity: Identity = Identity()
    tenant_metrics: TenantMetrics = TenantMetrics()

    @model_validator(mode="after")
    def _private(self) -> Self:
        if self.tls.folder is not None and self.cache.url.startswith("redis://"):
            raise ValueError("with TLS on, CACHE__URL must begin with rediss:// (or unix://)")
        if self.identity.certificate_file and not (self.tls.folder and self.tls.verify_clients):
            raise ValueError("IDENTITY__CERTIFICATE_FILE needs TLS__FOLDER, and clients verified")
        return self
