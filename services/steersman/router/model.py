"""The router's values: what is asked, what is known about it, and what was decided.

Pure on purpose: nothing here knows how a query comes in, where scores come from or where answers are made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Final, Literal

from steersman.router.quotas import NO_QUOTAS, Quotas


class Reason(Enum):
    """Why a tier was chosen; the names are those of the API."""

    SCORE = auto()
    OVERRIDE = auto()
    SINGLE_TIER = auto()
    CAPABILITY = auto()
    CLASSIFIER_UNAVAILABLE = auto()
    CLASSIFIER_TIMEOUT = auto()
    CLASSIFIER_FAILED = auto()
    TIER_UNAVAILABLE = auto()
    TIER_COLD = auto()
    OUT_OF_DOMAIN = auto()
    SESSION = auto()
    BUDGET = auto()


class CacheState(Enum):
    """Where the classifier's output came from; the names are those of the API."""

    UNSPECIFIED = auto()
    L1_HIT = auto()
    L2_HIT = auto()
    MISS = auto()
    COALESCED = auto()
    BYPASSED = auto()


class Fallback(Enum):
    """What decides where there is no score, or one that means little."""

    PROPORTIONAL = "proportional"
    """A hash of the text, which keeps the planned share of every tier, so that cost and capacity hold."""
    STRONG = "strong"
    """The policy's dearest tier."""
    WEAK = "weak"
    """The policy's cheapest tier."""


class WhenCold(Enum):
    """What becomes of a request whose tier has no address."""

    OTHER = "other"
    """Another tier answers at once, where there is one that may and can; otherwise the request waits."""
    WAIT = "wait"
    """It waits for the tier; only when it has waited in vain, or there is no room, another tier may answer."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The classifier's output for a query: all that is cached of a decision."""

    score: float
    win_probability: float
    """NaN where the method has none."""
    novelty: float
    truncated: bool

    @property
    def valid(self) -> bool:
        """Whether the values are in their ranges; what comes from a cache or a server may be anything."""
        win = self.win_probability
        return (
            0.0 <= self.score <= 1.0 and 0.0 <= self.novelty <= 1.0 and (math.isnan(win) or 0.0 <= win <= 1.0)
        )


@dataclass(frozen=True, slots=True)
class ClassifierId:
    """A classifier, as exactly as the decision cache tells one from another."""

    name: str
    version: str
    artefact_digest: str


@dataclass(frozen=True, slots=True)
class Scored:
    """What scoring a query came to: an assessment, or why there is none."""

    assessment: Assessment | None = None
    cache: CacheState = CacheState.UNSPECIFIED
    failure: Reason | None = None
    classifier: ClassifierId | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """What a request demands of the tier that serves it."""

    tokens: int = 0
    """Estimated tokens of the request, and of the longest answer that it allows."""
    images: bool = False
    tools: bool = False
    json_schema: bool = False


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a tier can serve."""

    context_window: int
    """In tokens."""
    images: bool
    tools: bool
    json_schema: bool

    def missing(self, needs: Needs) -> str | None:
        """The first need that is not met, in words for the caller; None when all are."""
        if needs.tokens > self.context_window:
            return f"about {needs.tokens} tokens do not fit its context window of {self.context_window}"
        for name in ("images", "tools", "json_schema"):
            if getattr(needs, name) and not getattr(self, name):
                return f"it does not support {name.replace('_', ' ')}"
        return None


@dataclass(frozen=True, slots=True)
class Price:
    """What a tier's tokens cost."""

    input_usd: float
    """Per million tokens of the request."""
    output_usd: float
    """Per million tokens of the answer."""
    joules_per_output_token: float = 0.0

    def usd(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Cost of one answer in US dollars."""
        return (prompt_tokens * self.input_usd + completion_tokens * self.output_usd) / 1e6


@dataclass(frozen=True, slots=True)
class UpstreamSpec:
    """Where a tier's requests go."""

    kind: Literal["backend", "openai"]
    target: str
    """For a backend what an address source understands; for openai a base URL."""
    api_key: str | None = field(default=None, repr=False)
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """One entry of the tier catalogue."""

    name: str
    model: str
    """What the engine calls its model."""
    upstream: UpstreamSpec
    price: Price
    capabilities: Capabilities


@dataclass(frozen=True, slots=True)
class PolicyResource:
    """One generation of a RoutingPolicy resource."""

    namespace: str
    name: str
    """The policy's name too."""
    uid: str
    """Tells it from a resource of the same name that was deleted."""
    generation: int


@dataclass(frozen=True, slots=True)
class OutOfDomain:
    """What becomes of queries that are unlike the classifier's training data, where its score means little."""

    novelty: float = 0.999
    """A query is one of them when its novelty is at or over it; more than 0, which is what a method says that knows no
    novelty. docs/adr/0018-out-of-domain.md tells how the default was found."""
    rule: Fallback = Fallback.PROPORTIONAL

    def covers(self, assessment: Assessment) -> bool:
        """Whether a query is one of them."""
        return assessment.novelty >= self.novelty


@dataclass(frozen=True, slots=True)
class Sticky:
    """How a conversation keeps the tier that it has."""

    hysteresis: float = 0.05
    """A score has to be so far beyond a boundary before the conversation moves over it."""
    downward: bool = False
    """Whether it may move to a cheaper tier at all."""


@dataclass(frozen=True, slots=True)
class Session:
    """Where a conversation stands."""

    tier: str
    """The tier that was decided for its last turn."""
    address: str = ""
    """Who answered it; empty where nobody did, or where the tier has no pods."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A named rule from score to tier."""

    name: str
    version: str
    tiers: tuple[str, ...]
    """In order of cost, cheapest first."""
    boundaries: tuple[float, ...]
    """Scores at which a query moves to the next tier; ascending, one fewer than tiers."""
    fallback: Fallback = Fallback.PROPORTIONAL
    out_of_domain: OutOfDomain | None = OutOfDomain()
    """None where the score decides for every query."""
    tier_fallback: bool = True
    """Whether another tier may answer when the wanted one cannot be reached."""
    when_cold: WhenCold = WhenCold.OTHER
    """What to do when the wanted tier has no address."""
    sticky: Sticky | None = Sticky()
    """None where each turn of a conversation is decided by itself."""
    resource: PolicyResource | None = None
    """Where it comes from; None where that is the policy file."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A generation of a resource that cannot be used here."""

    resource: PolicyResource
    reason: str
    """For people."""
    generation_in_force: int = 0
    """The older one of the same resource that stays; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request."""

    tenant: str
    key: str = ""
    """Id of the API key that was shown, or NAMESPACE/NAME of the ServiceAccount whose token it was."""


NOBODY: Final = Caller("")
"""Before a caller is known."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What a tenant may ask for."""

    policies: frozenset[str] | None = None
    """Names; all where None."""
    tiers: frozenset[str] | None = None
    """Names of the tiers that may answer; all where None."""
    default_policy: str = ""
    """What a request without a model gets; the catalogue's where empty."""
    quotas: Quotas = NO_QUOTAS
    """How much it may use."""
    weight: float = 1.0
    """Its share of what there is too little of, held against those of others."""
    captured: Mapping[str, float] = field(default_factory=dict)
    """The part of its prompts that is kept for labelling, by policy; none of a policy that is not named."""

    def allow_policy(self, policy: Policy) -> bool:
        """Whether the policy and all of its tiers may be used."""
        named = self.policies is None or policy.name in self.policies
        return named and all(map(self.allow_tier, policy.tiers))

    def allow_tier(self, tier: str) -> bool:
        """Whether a tier may answer."""
        return self.tiers is None or tier in self.tiers


ALL_RIGHTS: Final = Rights()
NO_RIGHTS: Final = Rights(frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All tiers and policies, as of one reading of the policy file and of the resources that go with it."""

    tiers: Mapping[str, Tier]
    policies: Mapping[str, Policy]
    default_policy: str
    refused: tuple[Refusal, ...] = ()
    tenants: Mapping[str, Rights] | None = None
    """What each tenant may ask for; where None, every tenant may ask for everything."""

    def rights(self, tenant: str) -> Rights:
        """What a tenant may ask for: nothing, if there is a list of tenants that it is not on."""
        return ALL_RIGHTS if self.tenants is None else self.tenants.get(tenant, NO_RIGHTS)

    def is_strong(self, tier: str, policy: Policy, rights: Rights) -> bool:
        """Whether an answer of a tier is a call of the dearest one.

        A policy with a choice says so itself. What was asked for without one, as by a tier's name, goes by the policies
        with a choice that have the tier and that the tenant may use; where there are none, by those of others.
        """
        if len(policy.tiers) > 1:
            return tier == policy.tiers[-1]
        every = [each for each in self.policies.values() if tier in each.tiers and len(each.tiers) > 1]
        own = [each for each in every if rights.allow_policy(each)]
        return any(tier == each.tiers[-1] for each in own or every)


@dataclass(frozen=True, slots=True)
class RoutedText:
    """The part of a conversation that is scored."""

    text: str
    truncated: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """Which tier answers a query, and why."""

    id: str
    tier: str
    wanted_tier: str
    reason: Reason
    policy: Policy
    boundaries: tuple[float, ...]
    scored: Scored
    truncated: bool

    @property
    def out_of_domain(self) -> Fallback | None:
        """The policy's rule that decided in place of the score; None where there was none, or the score could."""
        rule, assessment = self.policy.out_of_domain, self.scored.assessment
        return rule.rule if rule is not None and assessment is not None and rule.covers(assessment) else None


@dataclass(slots=True)
class Stages:
    """Seconds that each stage of a request took; filled in as the request goes along."""

    admission: float = 0.0
    cache: float = 0.0
    classify: float = 0.0
    decide: float = 0.0
    dispatch: float = 0.0

    def items(self) -> tuple[tuple[str, float], ...]:
        """Name and seconds of each stage, in their order."""
        return (
            ("admission", self.admission),
            ("cache", self.cache),
            ("classify", self.classify),
            ("decide", self.decide),
            ("dispatch", self.dispatch),
        )

    @property
    def total(self) -> float:
        """What Steersman added to the request."""
        return self.admission + self.cache + self.classify + self.decide + self.dispatch


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as counted by the engine."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    estimated: bool = False
    """Whether the engine has never told, and this is a guess."""
