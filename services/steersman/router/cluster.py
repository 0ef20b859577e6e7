"""Wires what a router has only in a cluster: addresses from EndpointSlices, policies and keys as objects.

A router that is ready decides by them; when the API server is away, the policy file decides and DNS finds the pods.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from steersman.identity.keys import Keyring
from steersman.router.adapters.kubernetes_keys import KeysSecret
from steersman.router.adapters.kubernetes_policies import ROUTING_POLICIES, follow_policies
from steersman.router.merging import Offer
from steersman.router.settings import Identity, Kubernetes
from steersman.runtime.addresses import AddressLookup, AddressSource
from steersman.runtime.kubernetes.api import TokenReviewer, Watchable
from steersman.runtime.kubernetes.following import Following, connected
from steersman.runtime.kubernetes.metrics import KubernetesMetrics
from steersman.runtime.tasks import BackgroundTasks


class ClusterApi(Watchable, TokenReviewer, Protocol):
    """All that a router asks the Kubernetes API."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster that a router runs in.

    Args:
        api: Its API; None where the router is told to do without.
        settings: What of it is used.
        tasks: Own what follows it.
        metrics: Tell how it is.
    """

    api: ClusterApi | None
    settings: Kubernetes
    tasks: BackgroundTasks
    metrics: KubernetesMetrics

    async def addresses(self) -> AddressSource:
        """Where the router finds its classifiers and backends."""
        if self.api is None or not self.settings.endpoint_slices:
            return AddressLookup()
        return await self._following.addresses(self.api)

    async def follow_policies(self, take: Callable[[Sequence[Offer]], Awaitable[None]]) -> None:
        """Take the resources now, and whenever one of them changes."""
        if self.api is None or not self.settings.policies:
            return
        on_error = partial(self.metrics.failed, ROUTING_POLICIES)
        await self._following.start(
            follow_policies(self.api, self.settings.namespace, take=take, on_error=on_error)
        )

    async def follow_keys(
        self,
        identity: Identity,
        *,
        take: Callable[[Keyring], Awaitable[None]],
        on_reload: Callable[[str], None],
    ) -> None:
        """Take the keys of the Secret now, and whenever it changes, where there is to be one."""
        if self.api is None or not identity.keys_secret:
            return
        keys = KeysSecret(identity.keys_secret, identity.keys_entry, take, on_reload)
        on_error = partial(self.metrics.failed, keys.resource)
        await self._following.start(keys.reflector(self.api, self.settings.namespace, on_error))

    @property
    def _following(self) -> Following:
        return Following(self.settings.namespace, self.settings.start_seconds, self.tasks, self.metrics)


@asynccontextmanager
async def cluster_api(settings: Kubernetes, identity: Identity) -> AsyncIterator[ClusterApi | None]:
    """A connection to the cluster's API, where the settings want one; to be opened before the tasks that use it.

    Raises:
        OSError: There is no way to it.
    """
    accounts = identity.service_accounts
    of_callers = identity.keys_secret or (accounts.rules and not accounts.issuer.name)
    wanted = bool(settings.policies or settings.endpoint_slices or of_callers)
    async with connected(settings.kubeconfig, wanted=wanted) as api:
        yield api
