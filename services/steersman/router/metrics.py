"""The router's ledger: every record becomes counters, and attributes of the request's span.

Labels come from closed sets: stages, reasons, and the names of tiers and policies.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final

from opentelemetry import trace
from opentelemetry.util.types import AttributeValue
from prometheus_client import Gauge

from steersman.router.accounting import Record
from steersman.router.decisions import Feedback
from steersman.router.demand import Demand
from steersman.router.fairness import ROUTER_FULL
from steersman.router.model import Catalogue, Decision, Stages
from steersman.router.waiting import Outcome, WaitingRoom
from steersman.runtime.breaker import Breaker
from steersman.runtime.instruments import Counter, Histogram
from steersman.runtime.metrics import ANSWER_BUCKETS, STAGE_BUCKETS, ProcessMetrics

STAGES: Final = tuple(name for name, _ in Stages().items())


class RouterMetrics:
    """What the router measures; implements `steersman.router.accounting.Ledger`."""

    def __init__(self, process: ProcessMetrics) -> None:
        registry = process.registry
        self._stage = Histogram(
            "steersman_stage_duration_seconds",
            "Time that Steersman added to a request, by stage.",
            ("stage",),
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        self._stages = {stage: self._stage.labels(stage) for stage in STAGES}
        self._requests = Counter(
            "steersman_requests",
            "Requests ended: OK, or the reason of the error.",
            ("outcome",),
            registry=registry,
        )
        self._http_responses = Counter(
            "steersman_http_responses",
            "Responses to chat completions over HTTP, by status.",
            ("status",),
            registry=registry,
        )
        self._decisions = Counter(
            "steersman_decisions",
            "Decisions, by policy, tier, reason and cache state.",
            ("policy", "tier", "reason", "cache"),
            registry=registry,
        )
        self._classifier_failures = Counter(
            "steersman_classifier_failures",
            "Decisions that the policy's fallback made, by what was wrong with the classifier.",
            ("reason",),
            registry=registry,
        )
        self._out_of_domain = Counter(
            "steersman_out_of_domain",
            "Decisions that the policy's rule for queries unlike the training data made in place of the score.",
            ("policy",),
            registry=registry,
        )
        self._tokens = Counter(
            "steersman_tokens", "Tokens, by tier and kind.", ("tier", "kind"), registry=registry
        )
        self._cost = Counter(
            "steersman_cost_usd", "Price of the answers, by tier.", ("tier",), registry=registry
        )
        self._baseline = Counter(
            "steersman_strongest_cost_usd",
            "What the policy's dearest tier would have charged for the same tokens.",
            ("policy",),
            registry=registry,
        )
        self._first_byte = Histogram(
            "steersman_first_byte_seconds",
            "Time from the decision to the first byte of the answer, by tier.",
            ("tier",),
            buckets=ANSWER_BUCKETS,
            registry=registry,
        )
        self._retries = Counter(
            "steersman_retries", "Attempts after the first, by tier.", ("tier",), registry=registry
        )
        self._cache_writes_dropped = Counter(
            "steersman_cache_writes_dropped",
            "Classifier outputs that were not written to Redis.",
            registry=registry,
        )
        self._session_looks = Counter(
            "steersman_session_looks",
            "Looks for the conversation of a request that is not its first: known, unknown, or not to be found out.",
            ("outcome",),
            registry=registry,
        )
        self._session_writes_dropped = Counter(
            "steersman_session_writes_dropped",
            "Sessions that were not written to Redis.",
            registry=registry,
        )
        self._decision_writes_dropped = Counter(
            "steersman_decision_writes_dropped",
            "Decisions that were not written to Redis; only the replica that made them can explain them.",
            registry=registry,
        )
        self._feedback = Histogram(
            "steersman_feedback_quality",
            "What callers said of answers, from 0 to 1, by the tier that answered.",
            ("tier",),
            buckets=(0.0, 0.25, 0.5, 0.75, 1.0),
            registry=registry,
        )
        self._decision_log_lines = Counter(
            "steersman_decision_log_lines",
            "Lines of the decision log: written, or why they were not.",
            ("outcome",),
            registry=registry,
        )
        self._reloads = Counter(
            "steersman_policy_reloads",
            "Changes of the policy file, taken or refused.",
            ("outcome",),
            registry=registry,
        )
        self._key_reloads = Counter(
            "steersman_key_reloads",
            "Changes of the file of API keys, taken or refused.",
            ("outcome",),
            registry=registry,
        )
        self._certificate_rule_reloads = Counter(
            "steersman_certificate_rule_reloads",
            "Changes of the file of rules about client certificates, taken or refused.",
            ("outcome",),
            registry=registry,
        )
        self._callers_refused = Counter(
            "steersman_callers_refused",
            "Requests of callers who are not known, by what was wrong: missing, unknown, expired, revoked, token.",
            ("why",),
            registry=registry,
        )
        self._token_reviews = Counter(
            "steersman_token_reviews",
            "Reviews of ServiceAccounts' tokens: known, denied, failed, or stale where an older one stood in.",
            ("outcome",),
            registry=registry,
        )
        self._issuer_key_fetches = Counter(
            "steersman_issuer_key_fetches",
            "Times that the keys of the issuer of tokens were fetched: taken, or failed.",
            ("outcome",),
            registry=registry,
        )
        self._quota_refusals = Counter(
            "steersman_quota_refusals",
            "Requests that were refused because a quota of their tenant was used up, by its name.",
            ("quota",),
            registry=registry,
        )
        self._quotas_local = Counter(
            "steersman_quotas_local",
            "Claims on quotas that were decided by this replica alone, or not settled.",
            registry=registry,
        )
        self._policies = Gauge(
            "steersman_policies",
            "Policies in force, by their source: file or resource; refused: resources that cannot be used.",
            ("source",),
            registry=registry,
        )
        self._breakers = Gauge(
            "steersman_breaker_state",
            "State of the worst breaker of a part: 0 closed, 1 half open, 2 open.",
            ("part",),
            registry=registry,
        )
        self._demand = Gauge(
            "steersman_demand",
            "Requests that wait for or run on a part.",
            ("part", "state"),
            registry=registry,
        )

        self._waiting_requests = Gauge(
            "steersman_waiting_requests",
            "Requests in the waiting room, for a tier that has no address.",
            registry=registry,
        )
        self._waiting_bytes = Gauge("steersman_waiting_bytes", "Size of their bodies.", registry=registry)
        self._waits = Histogram(
            "steersman_wait_seconds",
            "Waits for a tier that has no address, by tier and by how they ended.",
            ("tier", "outcome"),
            buckets=ANSWER_BUCKETS,
            registry=registry,
        )

    def closed(self, record: Record) -> None:
        """See `steersman.router.accounting.Ledger`."""
        for stage, seconds in record.stages.items():
            if seconds:
                self._stages[stage].observe(seconds)
        self._requests.labels(record.outcome).inc()
        decision = record.decision
        if decision is not None:
            self._count(record, decision)
            span = trace.get_current_span()
            if span.is_recording():
                span.set_attributes(attributes(record, decision))

    def responded(self, status: int) -> None:
        """A chat completion over HTTP has ended."""
        self._http_responses.labels(status).inc()

    def turned_away(self, status: int) -> None:
        """A chat completion over HTTP was refused before it was taken up."""
        self._requests.labels(ROUTER_FULL).inc()
        self.responded(status)

    def retried(self, tier: str, _reason: str) -> None:
        """An attempt failed, and another one is made."""
        self._retries.labels(tier).inc()

    def cache_writes_dropped(self, number: int) -> None:
        """Entries were not written to Redis."""
        self._cache_writes_dropped.inc(number)

    def session_looked_for(self, outcome: str) -> None:
        """A request's conversation was looked for."""
        self._session_looks.labels(outcome).inc()

    def session_writes_dropped(self, number: int) -> None:
        """Sessions were not written to Redis."""
        self._session_writes_dropped.inc(number)

    def decision_writes_dropped(self, number: int) -> None:
        """Decisions were not written to Redis."""
        self._decision_writes_dropped.inc(number)

    def rated(self, feedback: Feedback) -> None:
        """A caller has said how good an answer was."""
        self._feedback.labels(feedback.decision.tier).observe(feedback.quality)

    def decisions_logged(self, outcome: str, number: int) -> None:
        """Lines were written to the decision log, or dropped."""
        self._decision_log_lines.labels(outcome).inc(number)

    def reloaded(self, outcome: str) -> None:
        """The policy file has changed, and was taken or refused."""
        self._reloads.labels(outcome).inc()

    def keys_reloaded(self, outcome: str) -> None:
        """The file of API keys has changed, and was taken or refused."""
        self._key_reloads.labels(outcome).inc()

    def certificate_rules_reloaded(self, outcome: str) -> None:
        """The file of rules about client certificates has changed, and was taken or refused."""
        self._certificate_rule_reloads.labels(outcome).inc()

    def caller_refused(self, why: str) -> None:
        """A caller showed no valid key."""
        self._callers_refused.labels(why).inc()

    def token_reviewed(self, outcome: str) -> None:
        """The API server was asked about a token."""
        self._token_reviews.labels(outcome).inc()

    def issuer_keys_fetched(self, outcome: str) -> None:
        """The keys of the issuer of tokens were fetched, or could not be."""
        self._issuer_key_fetches.labels(outcome).inc()

    def quota_refused(self, name: str) -> None:
        """A request was refused, because a quota was used up."""
        self._quota_refusals.labels(name).inc()

    def quota_kept_alone(self) -> None:
        """A claim was decided without the store that replicas share."""
        self._quotas_local.inc()

    def watch_policies(self, catalogue: Callable[[], Catalogue]) -> None:
        """Show where the policies in force come from."""

        def of_resources() -> int:
            return sum(policy.resource is not None for policy in catalogue().policies.values())

        self._policies.labels("resource").set_function(of_resources)
        self._policies.labels("file").set_function(lambda: len(catalogue().policies) - of_resources())
        self._policies.labels("refused").set_function(lambda: len(catalogue().refused))

    def watch_breakers(self, part: str, breakers: Callable[[], list[Breaker]]) -> None:
        """Show the state of a part's breakers."""
        self._breakers.labels(part).set_function(
            lambda: max((breaker.state.value for breaker in breakers()), default=0)
        )

    def waited(self, tier: str, outcome: Outcome, seconds: float) -> None:
        """A request's wait for a tier has ended."""
        self._waits.labels(tier, outcome.name).observe(seconds)

    def watch_room(self, room: WaitingRoom) -> None:
        """Show what is in the waiting room."""
        self._waiting_requests.set_function(lambda: room.requests)
        self._waiting_bytes.set_function(lambda: room.size)

    def watch_demand(self, demand: Demand, tiers: list[str]) -> None:
        """Show demand for the router, the classifier and tiers."""
        parts = {"router": demand.router, "classifier": demand.classifier}
        parts |= {f"tier {name}": demand.tiers[name] for name in tiers}
        for part, gauge in parts.items():
            for state in ("waiting", "running"):
                self._demand.labels(part, state).set_function(partial(getattr, gauge, state))

    def _count(self, record: Record, decision: Decision) -> None:
        scored = decision.scored
        self._decisions.labels(
            decision.policy.name, decision.tier, decision.reason.name, scored.cache.name
        ).inc()
        if scored.failure is not None:
            self._classifier_failures.labels(scored.failure.name).inc()
        if decision.out_of_domain is not None:
            self._out_of_domain.labels(decision.policy.name).inc()
        if record.first_byte_seconds is not None:
            self._first_byte.labels(decision.tier).observe(record.first_byte_seconds)
        usage = record.usage
        if usage.prompt_tokens or usage.completion_tokens:
            self._tokens.labels(decision.tier, "prompt").inc(usage.prompt_tokens)
            self._tokens.labels(decision.tier, "completion").inc(usage.completion_tokens)
            self._cost.labels(decision.tier).inc(record.usd)
            self._baseline.labels(decision.policy.name).inc(record.strongest_usd)


def attributes(record: Record, decision: Decision) -> dict[str, AttributeValue]:
    """A request's span attributes: OpenTelemetry's GenAI conventions, and our own under `steersman.`."""
    scored, usage = decision.scored, record.usage
    found: dict[str, AttributeValue] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "steersman",
        "gen_ai.request.model": decision.policy.name,
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
        "steersman.decision.id": decision.id,
        "steersman.tier": decision.tier,
        "steersman.wanted_tier": decision.wanted_tier,
        "steersman.reason": decision.reason.name,
        "steersman.cache": scored.cache.name,
        "steersman.policy.version": decision.policy.version,
        "steersman.boundaries": list(decision.boundaries),
        "steersman.retries": record.retries,
        "steersman.overhead_seconds": record.stages.total,
        "steersman.cost_usd": record.usd,
    }
    if record.waited_seconds:
        found["steersman.waited_seconds"] = record.waited_seconds
    if record.served_model:
        found["gen_ai.response.model"] = record.served_model
        found["gen_ai.response.finish_reasons"] = [record.finish_reason]
    if scored.assessment is not None:
        found["steersman.score"] = scored.assessment.score
        found["steersman.novelty"] = scored.assessment.novelty
        found["steersman.out_of_domain"] = decision.out_of_domain is not None
        if not math.isnan(scored.assessment.win_probability):
            found["steersman.win_probability"] = scored.assessment.win_probability
    if scored.classifier is not None:
        found["steersman.classifier.artefact"] = scored.classifier.artefact_digest
    return found
