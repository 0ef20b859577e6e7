"""RoutingPolicy resources, their statuses and events about them, in the Kubernetes API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from uuid import uuid4

from steersman.controller.model import (
    Classifier,
    Condition,
    PolicyResource,
    Status,
    TierShare,
    Truth,
)
from steersman.runtime.kubernetes.api import Object, Resource, Watchable, Writable
from steersman.runtime.kubernetes.reflector import Objects, Reflector

POLICIES: Final = Resource("steersman.dev", "v1alpha1", "routingpolicies")
"""Where the resources are in the API."""

_EVENTS: Final = Resource("events.k8s.io", "v1", "events")
_COMPONENT: Final = "steersman.dev/controller"
_LONGEST_NOTE: Final = 1024
"""In bytes; the API server refuses longer ones."""


class Api(Watchable, Writable, Protocol):
    """All that is needed of the Kubernetes API."""


@dataclass(frozen=True, slots=True)
class KubernetesPolicies:
    """Implements `steersman.controller.ports.PolicyResources`.

    Args:
        api: The Kubernetes API.
        namespace: Where the resources are.
        identity: Names this process in the events that it records.
        on_error: Told each time that the resources cannot be watched.
    """

    api: Api
    namespace: str
    identity: str
    on_error: Callable[[], None]

    async def follow(self, apply: Callable[[Sequence[PolicyResource]], None]) -> None:
        """See `steersman.controller.ports.PolicyResources.follow`."""

        async def changed(objects: Objects) -> None:
            apply([_resource(each) for _, each in sorted(objects.items())])

        await Reflector(
            self.api, POLICIES, self.namespace, changed, on_error=lambda _: self.on_error()
        ).follow()

    async def write_status(self, resource: PolicyResource, status: Status) -> None:
        """See `steersman.controller.ports.PolicyResources.write_status`."""
        await self.api.patch_status(POLICIES, resource.namespace, resource.name, _content(status))

    async def announce(self, resource: PolicyResource, *, reason: str, message: str, warning: bool) -> None:
        """See `steersman.controller.ports.PolicyResources.announce`."""
        event = {
            "apiVersion": f"{_EVENTS.group}/{_EVENTS.version}",
            "kind": "Event",
            "metadata": {
                "name": f"{resource.name[:200]}.{uuid4().hex[:16]}",
                "namespace": resource.namespace,
            },
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": _COMPONENT,
            "reportingInstance": self.identity[:128],
            "action": "Reconciling",
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "note": message.encode()[:_LONGEST_NOTE].decode(errors="ignore"),
            "regarding": {
                "apiVersion": f"{POLICIES.group}/{POLICIES.version}",
                "kind": "RoutingPolicy",
                "namespace": resource.namespace,
                "name": resource.name,
                "uid": resource.uid,
                "resourceVersion": resource.version,
            },
        }
        await self.api.create(_EVENTS, resource.namespace, event)


def _resource(stored: Object) -> PolicyResource:
    status = stored.content.get("status")
    return PolicyResource(
        stored.namespace,
        stored.name,
        stored.uid,
        stored.generation,
        stored.version,
        _status(status) if status else None,
    )


def _content(status: Status) -> Mapping[str, Any]:
    """A status as JSON; null removes what was there, as a merge does."""
    classifier = status.classifier
    return {
        "observedGeneration": status.generation,
        "conditions": [_condition_content(each) for each in status.conditions],
        "routers": {"holding": status.holding, "total": status.total},
        "strongShare": status.shares[-1].wanted if status.shares else None,
        "tierShares": [
            {"tier": each.tier, "wanted": each.wanted, "answered": each.answered} for each in status.shares
        ]
        or None,
        "boundaries": list(status.boundaries) or None,
        "classifier": {
            "name": classifier.name,
            "version": classifier.version,
            "artefactDigest": classifier.artefact_digest,
        }
        if classifier
        else None,
        "lastObserved": _written(status.observed_at) if status.observed_at else None,
    }


def _condition_content(condition: Condition) -> Mapping[str, Any]:
    return {
        "type": condition.type,
        "status": condition.truth.value,
        "reason": condition.reason,
        "message": condition.message,
        "observedGeneration": condition.generation,
        "lastTransitionTime": _written(condition.since),
    }


def _status(content: Mapping[str, Any]) -> Status:
    routers, classifier = content.get("routers", {}), content.get("classifier")
    return Status(
        content.get("observedGeneration", 0),
        tuple(_condition(each) for each in content.get("conditions", [])),
        routers.get("holding", 0),
        routers.get("total", 0),
        tuple(
            TierShare(each["tier"], float(each["wanted"]), float(each["answered"]))
            for each in content.get("tierShares", [])
        ),
        tuple(float(each) for each in content.get("boundaries", [])),
        _classifier(classifier) if classifier else None,
        _read(content["lastObserved"]) if content.get("lastObserved") else None,
    )


def _condition(content: Mapping[str, Any]) -> Condition:
    return Condition(
        content["type"],
        Truth(content["status"]),
        content["reason"],
        content["message"],
        content.get("observedGeneration", 0),
        _read(content["lastTransitionTime"]),
    )


def _classifier(content: Mapping[str, Any]) -> Classifier:
    return Classifier(content.get("name", ""), content.get("version", ""), content.get("artefactDigest", ""))


def _written(time: datetime) -> str:
    """A time as Kubernetes' Time, which has whole seconds."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(text: str) -> datetime:
    return datetime.fromisoformat(text)
