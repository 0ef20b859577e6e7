"""Counts what each policy decides, for the report to the controller: the observed share of each tier comes from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from steersman.router.accounting import Record
from steersman.router.model import Decision, Policy, Reason


@dataclass(slots=True)
class TierCount:
    """Decisions of a policy for one tier."""

    wanted: int = 0
    """Requests that the policy meant for it."""
    answered: int = 0
    """Requests that went to it."""


@dataclass(slots=True)
class Tally:
    """Counts of the policies in force, each since its version came in force; a ledger."""

    _counts: dict[tuple[str, str], dict[str, TierCount]] = field(default_factory=dict)

    def keep(self, policies: Iterable[Policy]) -> None:
        """These policies are in force now: forget the counts of all others."""
        self._counts = {
            key: self._counts.get(key) or {tier: TierCount() for tier in policy.tiers}
            for policy in policies
            for key in [(policy.name, policy.version)]
        }

    def of(self, policy: Policy) -> dict[str, TierCount]:
        """Counts of a policy, by tier, in order of cost."""
        return self._counts[policy.name, policy.version]

    def closed(self, record: Record) -> None:
        """See `steersman.router.accounting.Ledger`."""
        decision = record.decision
        if decision is None or not _by_its_policy(decision):
            return
        # None where the policy has changed since.
        counts = self._counts.get((decision.policy.name, decision.policy.version))
        if counts is not None:
            counts[decision.wanted_tier].wanted += 1
            counts[decision.tier].answered += 1


def _by_its_policy(decision: Decision) -> bool:
    """Whether it was the policy that decided, not a tier or a threshold that the caller named."""
    return decision.reason is not Reason.OVERRIDE and decision.boundaries == decision.policy.boundaries
