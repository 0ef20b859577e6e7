"""The policy file, with the tier catalogue and the policies as YAML, and the same policies as resources.

A file is taken as a whole or not at all, and so is a resource. Their schema is closed, so that a misspelt key is an
error with a line that says where, and not a default that nobody asked for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from steersman.router.model import (
    Capabilities,
    Catalogue,
    Fallback,
    OutOfDomain,
    Policy,
    PolicyResource,
    Price,
    Rights,
    Sticky,
    Tier,
    UpstreamSpec,
    WhenCold,
)
from steersman.router.quotas import DAY, HOUR, LEASE, MINUTE, Kind, Quota, Quotas
from steersman.runtime import strict_yaml
from steersman.runtime.addresses import DNS, SERVICE
from steersman.runtime.settings import Group

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Refusal = Callable[[str], str | None]


QUOTA_KINDS: Final[Mapping[str, tuple[Kind, float]]] = {
    "requests_per_minute": (Kind.REQUESTS, MINUTE),
    "tokens_per_minute": (Kind.TOKENS, MINUTE),
    "strong_calls_per_hour": (Kind.STRONG_CALLS, HOUR),
    "usd_per_day": (Kind.USD, DAY),
    "usd_per_month": (Kind.USD, 30 * DAY),
    "concurrent_requests": (Kind.RUNNING, LEASE),
}
"""What a tenant's limits may be called, and of each what it counts and in how many seconds."""
_HIGHEST_PORT: Final = 65_535
_PORT: Final = re.compile(r"[0-9]{1,5}")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9._-]{1,16})?\]")
"""A name, an IPv4 address, or an IPv6 address in brackets."""


class CatalogueError(ValueError):
    """The policy file, or a resource, cannot be used; says where and why."""


def _checked_target(target: str) -> str:
    named = target.startswith((DNS, SERVICE))
    for address in [target.partition(":///")[2]] if named else target.split(","):
        host, _, port = address.strip().rpartition(":")
        if not _HOST.fullmatch(host) or not _PORT.fullmatch(port) or not 0 < int(port) <= _HIGHEST_PORT:
            raise ValueError("must be HOST:PORT[,HOST:PORT...], dns:///NAME:PORT or k8s:///SERVICE:PORT")
    return target


def _checked_url(url: str) -> str:
    complaint = "must be a URL with http or https and a host"
    try:
        parts = urlsplit(url)
        right = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise ValueError(complaint) from None
    if not right:
        raise ValueError(complaint)
    return url


class _Upstream(Group):
    kind: Literal["backend", "openai"]
    target: Annotated[str, AfterValidator(_checked_target)] | None = None
    """Of a backend: `HOST:PORT[,HOST:PORT...]`, `dns:///NAME:PORT` for all addresses of a name, or
    `k8s:///SERVICE:PORT` for all ready pods of a Service in the router's namespace, with their port."""
    url: Annotated[str, AfterValidator(_checked_url)] | None = None
    """Of an OpenAI-compatible server, with or without `/v1`."""
    api_key_env: str | None = None
    """Environment variable that holds its key."""
    ca_file: Path | None = None
    """File of the authorities that an `https` URL's certificate may be by; the system's where not given."""

    @model_validator(mode="after")
    def _has_its_address(self) -> Self:
        wanted, other = ("target", "url") if self.kind == "backend" else ("url", "target")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise ValueError(f"an upstream of kind {self.kind} has a {wanted} and no {other}")
        return self


class _Price(Group):
    input_usd_per_million_tokens: Amount = 0.0
    output_usd_per_million_tokens: Amount = 0.0
    joules_per_output_token: Amount = 0.0


class _Capabilities(Group):
    context_window: Annotated[int, Field(gt=0)] = 8192
    """In tokens."""
    images: bool = False
    tools: bool = True
    json_schema: bool = True


class _Tier(Group):
    model: str
    """What the engine calls its model."""
    upstream: _Upstream
    price: _Price = _Price()
    capabilities: _Capabilities = _Capabilities()


class _OutOfDomain(Group):
    novelty: Annotated[float, Field(gt=0.0, le=1.0)] = OutOfDomain().novelty
    """Percentile of novelty at or over which a query is out of domain."""
    rule: Literal["proportional", "strong", "weak", "score"] = "proportional"
    """What decides for it; with `score` the score does, as for any other query."""

    @property
    def chosen(self) -> OutOfDomain | None:
        return None if self.rule == "score" else OutOfDomain(self.novelty, Fallback(self.rule))


class _Sticky(Group):
    moves: Literal["upward", "both", "free"] = "upward"
    """Where a conversation may go: to dearer tiers only, or to cheaper ones as well; `free` when each of its turns is
    decided by itself."""
    hysteresis: Share = Sticky().hysteresis
    """How far beyond a boundary a score has to be before the conversation moves over it."""

    @property
    def chosen(self) -> Sticky | None:
        return None if self.moves == "free" else Sticky(self.hysteresis, downward=self.moves == "both")


class _Policy(Group):
    tiers: Annotated[tuple[str, ...], Field(min_length=1)]
    """In order of cost, cheapest first."""
    threshold: Share | None = None
    """Short form of `boundaries` for two tiers."""
    boundaries: tuple[Share, ...] | None = None
    """Scores at which a query moves to the next tier; ascending, one fewer than tiers."""
    fallback: Fallback = Fallback.PROPORTIONAL
    """What decides when the classifier does not answer."""
    out_of_domain: _OutOfDomain = _OutOfDomain()
    """What decides for a query that is unlike what the classifier was trained on."""
    tier_fallback: bool = True
    """Whether another tier may answer when the wanted one cannot be reached."""
    when_cold: WhenCold = WhenCold.OTHER
    """What to do when the wanted tier has no address, as when it was scaled to zero: have another tier answer, if
    `tier_fallback` allows it, or wait."""
    sticky: _Sticky = _Sticky()
    """How a conversation keeps the tier that it has."""

    @model_validator(mode="after")
    def _boundaries_fit(self) -> Self:
        if (self.threshold is None) == (self.boundaries is None) and len(self.tiers) > 1:
            raise ValueError("give either threshold or boundaries")
        boundaries = self.all_boundaries
        if len(boundaries) != len(self.tiers) - 1:
            raise ValueError(f"{len(self.tiers)} tiers need {len(self.tiers) - 1} boundaries")
        if list(boundaries) != sorted(boundaries):
            raise ValueError("boundaries must ascend")
        if len(set(self.tiers)) != len(self.tiers):
            raise ValueError("a tier may stand in a policy once")
        return self

    @property
    def all_boundaries(self) -> tuple[float, ...]:
        return (self.threshold,) if self.threshold is not None else self.boundaries or ()


class _ResourcePolicy(_Policy):
    """The same as Kubernetes writes it: names in camelCase, choices in CamelCase."""

    model_config = ConfigDict(alias_generator=to_camel)

    @model_validator(mode="before")
    @classmethod
    def _choices_as_in_the_file(cls, spec: dict[str, Any]) -> dict[str, Any]:
        return {key: _in_small_letters(value) for key, value in spec.items()}


def _in_small_letters(value: Any) -> Any:
    """All that is a text by itself, or in an object, is a choice; names stand in lists."""
    if isinstance(value, dict):
        return {key: _in_small_letters(each) for key, each in value.items()}
    return value.lower() if isinstance(value, str) else value


class _Limits(Group):
    requests_per_minute: Positive | None = None
    tokens_per_minute: Positive | None = None
    """Tokens of prompts and answers."""
    strong_calls_per_hour: Positive | None = None
    """Answers of a policy's dearest tier."""
    usd_per_day: Positive | None = None
    usd_per_month: Positive | None = None
    """In 30 days."""
    concurrent_requests: Annotated[int, Field(gt=0)] | None = None
    """Requests in progress at once, over all routers."""
    when_strong_is_spent: Literal["refuse", "weak"] = "refuse"
    """What becomes of a query for the dearest tier when `strong_calls_per_hour` are spent: it is refused, or goes to
    a cheaper tier of its policy."""

    @property
    def quotas(self) -> Quotas:
        given = self.model_dump(exclude_none=True, include=set(QUOTA_KINDS))
        return Quotas(
            tuple(
                Quota(name, kind, float(given[name]), time)
                for name, (kind, time) in QUOTA_KINDS.items()
                if name in given
            ),
            weak_when_spent=self.when_strong_is_spent == "weak",
        )


class _Tenant(Group):
    policies: tuple[str, ...] | None = None
    """Names of the policies that it may name; all where not given."""
    tiers: tuple[str, ...] | None = None
    """Names of the tiers that may answer it, so that policies with others are not for it; all where not given."""
    default_policy: str | None = None
    """What it gets for a request without a model; the file's where not given."""
    limits: _Limits = _Limits()
    """How much it may use; any amount of what is not named."""
    weight: Annotated[float, Field(ge=0.01, le=100.0)] = 1.0
    """Its share of what there is too little of, held against the weights of other tenants."""
    capture: Annotated[dict[str, Share], Field(default_factory=dict)]
    """The part of its prompts that is kept for labelling, sealed, by the policy that decided; none where not given."""


class _File(Group):
    tiers: Annotated[dict[Name, _Tier], Field(min_length=1)]
    policies: Annotated[dict[Name, _Policy], Field(min_length=1)]
    default_policy: str
    tenants: dict[Name, _Tenant] | None = None
    """What each tenant may ask for; without it every tenant may ask for everything, with it those who are not in it for
    nothing. Policies may be those of resources."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for name, policy in self.policies.items():
            if name in self.tiers:
                raise ValueError(f"{name} names both a tier and a policy")
            if unknown := [tier for tier in policy.tiers if tier not in self.tiers]:
                raise ValueError(f"policy {name} names tiers that do not exist: {', '.join(unknown)}")
        if self.default_policy not in self.policies:
            raise ValueError(f"default_policy {self.default_policy} does not exist")
        for name, tenant in (self.tenants or {}).items():
            if unknown := [tier for tier in tenant.tiers or () if tier not in self.tiers]:
                raise ValueError(f"tenant {name} names tiers that do not exist: {', '.join(unknown)}")
            if tenant.policies is not None and tenant.default_policy not in {None, *tenant.policies}:
                raise ValueError(f"tenant {name} may not use its own default_policy {tenant.default_policy}")
        return self


def documents(text: bytes) -> list[Any]:
    """The documents of a YAML file, in which no key stands twice.

    Raises:
        CatalogueError: It is no YAML.
    """
    try:
        return strict_yaml.load_all(text)
    except strict_yaml.NotYaml as error:
        raise CatalogueError(str(error)) from error


def parse(text: bytes, *, environment: Mapping[str, str], refused: Refusal = lambda _: None) -> Catalogue:
    """Read a policy file.

    Args:
        text: YAML in UTF-8.
        environment: Where the keys of upstreams are looked up.
        refused: Says why a URL may not be asked, or None.

    Raises:
        CatalogueError: It is not valid; every fault is named.
    """
    try:
        file = _File.model_validate(strict_yaml.load(text))
    except strict_yaml.NotYaml as error:
        raise CatalogueError(str(error)) from error
    except RecursionError as error:
        raise _nested("file") from error
    except ValidationError as error:
        raise _error(error, whole="file") from None
    return Catalogue(
        tiers={name: _tier(name, tier, environment, refused) for name, tier in file.tiers.items()},
        policies={name: _policy(name, policy) for name, policy in file.policies.items()},
        default_policy=file.default_policy,
        tenants=None
        if file.tenants is None
        else {name: _rights(each) for name, each in file.tenants.items()},
    )


def parse_resource(resource: PolicyResource, spec: Mapping[str, Any]) -> Policy:
    """Read the spec of a RoutingPolicy resource.

    Raises:
        CatalogueError: It is not valid, which the API server might not know where its definition of the resource is
            of another version; every fault is named.
    """
    try:
        policy = _ResourcePolicy.model_validate(dict(spec))
    except ValidationError as error:
        raise _error(error, whole="spec") from None
    except RecursionError as error:
        raise _nested("spec") from error
    return _policy(resource.name, policy, resource)


def _error(error: ValidationError, *, whole: str) -> CatalogueError:
    faults = [
        f"{'.'.join(str(part) for part in each['loc']) or whole}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors(include_url=False, include_input=False)
    ]
    return CatalogueError("; ".join(faults))


def _nested(whole: str) -> CatalogueError:
    return CatalogueError(f"{whole}: is nested too deeply")


def _rights(tenant: _Tenant) -> Rights:
    return Rights(
        policies=None if tenant.policies is None else frozenset(tenant.policies),
        tiers=None if tenant.tiers is None else frozenset(tenant.tiers),
        default_policy=tenant.default_policy or "",
        quotas=tenant.limits.quotas,
        weight=tenant.weight,
        captured={policy: rate for policy, rate in tenant.capture.items() if rate},
    )


def _tier(name: str, tier: _Tier, environment: Mapping[str, str], refused: Refusal) -> Tier:
    upstream = tier.upstream
    if upstream.url is not None and (reason := refused(upstream.url)) is not None:
        raise CatalogueError(f"tiers.{name}.upstream.url: {reason}")
    key = environment.get(upstream.api_key_env) if upstream.api_key_env else None
    if upstream.api_key_env and not key:
        raise CatalogueError(f"tiers.{name}.upstream: {upstream.api_key_env} is not set")
    return Tier(
        name=name,
        model=tier.model,
        upstream=UpstreamSpec(upstream.kind, upstream.target or upstream.url or "", key, upstream.ca_file),
        price=Price(
            tier.price.input_usd_per_million_tokens,
            tier.price.output_usd_per_million_tokens,
            tier.price.joules_per_output_token,
        ),
        capabilities=Capabilities(**tier.capabilities.model_dump()),
    )


def _policy(name: str, policy: _Policy, resource: PolicyResource | None = None) -> Policy:
    version = hashlib.sha256(policy.model_dump_json().encode()).hexdigest()[:12]
    return Policy(
        name,
        version,
        policy.tiers,
        policy.all_boundaries,
        policy.fallback,
        policy.out_of_domain.chosen,
        policy.tier_fallback,
        policy.when_cold,
        policy.sticky.chosen,
        resource,
    )
