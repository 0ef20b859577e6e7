"""Values that tests of the controller begin from."""

from __future__ import annotations

from datetime import UTC, datetime

from steersman.controller.model import Classifier, Decisions, Held, PolicyResource, Refusal, Report, Status

UID = "uid-1"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CLASSIFIER = Classifier("static_head", "1", "sha256:abc")


def held(generation: int = 4, *, weak: int = 0, strong: int = 0, version: str = "v4") -> Held:
    """A policy with a boundary at 0.7, and what was decided by it; what was wanted was had."""
    return Held(
        generation, version, (0.7,), (Decisions("weak", weak, weak), Decisions("strong", strong, strong))
    )


def holds(replica: str, policy: Held | None = None, *, uid: str = UID) -> Report:
    """The report of a router that holds a policy."""
    return Report(replica, CLASSIFIER, {uid: policy or held()})


def refuses(
    replica: str, reason: str = "there is no tier gold", *, generation: int = 4, older: int = 0
) -> Report:
    """The report of a router that cannot use a generation, and may decide by an older one."""
    still = {UID: held(older, version=f"v{older}")} if older else {}
    return Report(replica, CLASSIFIER, still, {UID: Refusal(generation, reason, older)})


def resource(generation: int = 4, status: Status | None = None) -> PolicyResource:
    """A resource, which has or has not got a status yet."""
    return PolicyResource("models", "auto", UID, generation, "100", status)
