"""RoutingPolicy resources of the router's own namespace, as policies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from steersman.router import catalogue
from steersman.router.merging import Offer
from steersman.router.model import PolicyResource, Refusal
from steersman.runtime.kubernetes.api import Object, Resource, Watchable
from steersman.runtime.kubernetes.reflector import Objects, Reflector

ROUTING_POLICIES: Final = Resource("steersman.dev", "v1alpha1", "routingpolicies")


def follow_policies(
    api: Watchable,
    namespace: str,
    *,
    take: Callable[[Sequence[Offer]], Awaitable[None]],
    on_error: Callable[[str], None],
) -> Reflector:
    """A reflector that tells of all resources, in the order of their names, whenever one has changed.

    Args:
        api: Where they are.
        namespace: Whose.
        take: Takes them.
        on_error: Called with one word each time that they cannot be asked for.
    """

    async def tell(objects: Objects) -> None:
        await take([_offer(each) for _, each in sorted(objects.items())])

    return Reflector(api, ROUTING_POLICIES, namespace, tell, on_error)


def _offer(found: Object) -> Offer:
    resource = PolicyResource(found.namespace, found.name, found.uid, found.generation)
    try:
        return catalogue.parse_resource(resource, found.content.get("spec", {}))
    except catalogue.CatalogueError as error:
        return Refusal(resource, str(error))
