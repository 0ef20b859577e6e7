"""What each tenant does, as metrics; see `tenant_labels` for who of them is told by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry

from steersman.router.accounting import Record
from steersman.router.tenant_labels import TenantLabels
from steersman.runtime.instruments import Count, Counter

_KINDS: Final = ("prompt", "completion")
_CHOICES: Final = ("weaker", "strongest")


@dataclass(frozen=True, slots=True)
class _Series:
    """The counters of one label, looked up once."""

    requests: Count
    usd: Count
    prompt: Count
    completion: Count
    choices: tuple[Count, Count]


class TenantMetrics:
    """Counts by tenant; implements `steersman.router.accounting.Ledger`.

    Args:
        registry: Where the counters are.
        largest: Tenants with a name of their own.
        clock: Seconds.
    """

    def __init__(
        self, registry: CollectorRegistry, *, largest: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._requests = Counter(
            "steersman_tenant_requests",
            "Requests ended, by tenant; of the smaller ones together as `other`, here and below.",
            ("tenant",),
            registry=registry,
        )
        self._refusals = Counter(
            "steersman_tenant_refusals",
            "Requests that were refused before a decision, by tenant and the reason of the error.",
            ("tenant", "reason"),
            registry=registry,
        )
        self._choices = Counter(
            "steersman_tenant_decisions",
            "Decisions where there was a choice, by tenant; answered by the policy's strongest tier, or a weaker one.",
            ("tenant", "answered_by"),
            registry=registry,
        )
        self._tokens = Counter(
            "steersman_tenant_tokens", "Tokens, by tenant and kind.", ("tenant", "kind"), registry=registry
        )
        self._usd = Counter(
            "steersman_tenant_cost_usd", "Price of the answers, by tenant.", ("tenant",), registry=registry
        )
        self._labels = TenantLabels(largest, self._retire, clock)
        self._series: dict[str, _Series] = {}

    def closed(self, record: Record) -> None:
        """See `steersman.router.accounting.Ledger`."""
        label = self._labels.of(record.caller.tenant)
        series = self._series.get(label) or self._new(label)
        series.requests.inc()
        decision = record.decision
        if decision is None:
            self._refusals.labels(label, record.outcome).inc()
            return
        tiers = decision.policy.tiers
        if len(tiers) > 1:
            series.choices[decision.tier == tiers[-1]].inc()
        if record.usage.prompt_tokens or record.usage.completion_tokens:
            series.prompt.inc(record.usage.prompt_tokens)
            series.completion.inc(record.usage.completion_tokens)
            series.usd.inc(record.usd)

    def _new(self, label: str) -> _Series:
        prompt, completion = (self._tokens.labels(label, kind) for kind in _KINDS)
        weaker, strongest = (self._choices.labels(label, choice) for choice in _CHOICES)
        series = self._series[label] = _Series(
            self._requests.labels(label), self._usd.labels(label), prompt, completion, (weaker, strongest)
        )
        return series

    def _retire(self, label: str) -> None:
        """End the series of a tenant that is told by name no more; its further requests are others'."""
        self._series.pop(label, None)
        for counter in (self._requests, self._refusals, self._choices, self._tokens, self._usd):
            counter.remove("tenant", label)
