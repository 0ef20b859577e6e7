"""A decision, with all that it was made from: a request keeps to that even when the catalogue changes meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from steersman.router.model import Catalogue, Decision, Needs, Rights, Session, Tier
from steersman.router.sessions import Conversation


@dataclass(frozen=True, slots=True)
class Sitting:
    """A request's place in a conversation, and where that stood before it."""

    conversation: Conversation
    before: Session | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for a request."""

    catalogue: Catalogue
    rights: Rights
    """Its tenant's."""
    decision: Decision
    needs: Needs
    sitting: Sitting | None = None

    @property
    def dearest(self) -> Tier:
        """The dearest tier of the policy."""
        return self.catalogue.tiers[self.decision.policy.tiers[-1]]

    @property
    def prefer(self) -> str:
        """Address that has the conversation's tokens already; empty where none has."""
        return self.sitting.before.address if self.sitting and self.sitting.before else ""

    def is_strong(self, tier: str) -> bool:
        """Whether an answer of a tier is a call of the dearest one."""
        return self.catalogue.is_strong(tier, self.decision.policy, self.rights)
