"""Fakes of what takes prompts that are to be labelled, and of where they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fakes.gate import Gate
from steersman.captures.place import Place
from steersman.openai_api.body import ChatBody
from steersman.router.accounting import Record
from steersman.router.ports import SealedPrompt, StoreUnavailable


@dataclass
class FakeCaptures:
    """Implements `steersman.router.accounting.Captures`: keeps all that it is offered."""

    offered: list[tuple[Record, ChatBody, Mapping[str, float]]] = field(default_factory=list)

    def offer(self, record: Record, body: ChatBody, rates: Mapping[str, float]) -> None:
        """See `steersman.router.accounting.Captures.offer`."""
        self.offered.append((record, body, rates))


@dataclass
class FakeCaptureStore:
    """Implements `steersman.router.ports.CaptureStore`; its knobs are plain attributes."""

    most: int = 1000
    """Prompts of a tenant, at most."""
    down: bool = False
    gate: Gate = field(default_factory=Gate)
    """Where writes wait while it is closed."""
    kept: dict[str, list[SealedPrompt]] = field(default_factory=dict)

    async def add(self, tenant: str, prompts: Sequence[SealedPrompt]) -> int:
        """See `steersman.router.ports.CaptureStore.add`."""
        await self.gate.passed()
        if self.down:
            raise StoreUnavailable
        kept = self.kept.setdefault(tenant, [])
        known = {each.place for each in kept}
        new = [each for each in prompts if each.place not in known][: max(0, self.most - len(kept))]
        kept += new
        return len(new) + sum(each.place in known for each in prompts)


@dataclass
class FakeSealer:
    """Seals by writing the place before the content, so that a test can read both."""

    name: str = "fake"

    def seal(self, content: bytes, place: Place) -> bytes:
        """See `steersman.router.capturing.Sealer.seal`."""
        return self.name.encode() + b" " + place.bound + b" " + content
