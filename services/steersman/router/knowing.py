"""Wires how callers are known: by certificates, API keys from a file or a Secret, ServiceAccounts, or not at all.

What nobody can write is looked at first: a certificate that a rule is about counts, whatever key is shown beside it.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from steersman.identity import certificates, key_file
from steersman.identity.keys import Keyring
from steersman.identity.service_accounts import Rule
from steersman.router import audit
from steersman.router.callers import Anybody, Bearers, Callers, KeyHolders
from steersman.router.certificate_holders import CertificateHolders
from steersman.router.cluster import Cluster
from steersman.router.metrics import RouterMetrics
from steersman.router.service_accounts import ServiceAccounts, Terms
from steersman.router.settings import Identity, ServiceAccounts as ServiceAccountSettings
from steersman.runtime.kubernetes.api import TokenReviewer
from steersman.runtime.watched_file import WatchedFile

log = logging.getLogger(__name__)

TENANT: Final = "default"
"""The one tenant where callers are not told apart."""


@dataclass(slots=True)
class _Keys:
    """Where keys come from: the file, until the Secret that it is a late copy of has been heard of."""

    holders: KeyHolders
    secret_heard: bool = False

    async def take_file(self, keyring: Keyring) -> None:
        if not self.secret_heard:
            await self._take(keyring, "file")

    async def take_secret(self, keyring: Keyring) -> None:
        self.secret_heard = True
        await self._take(keyring, "secret")

    async def _take(self, keyring: Keyring, source: str) -> None:
        before = self.holders.keyring
        await self.holders.take(keyring)
        audit.keys(before, keyring, source=source)


async def known_callers(
    stack: AsyncExitStack, here: Cluster, settings: Identity, metrics: RouterMetrics
) -> Callers:
    """Who is known, as the settings have it, for as long as the stack is.

    Raises:
        OSError: There is no file where there should be one.
        NotUsable: It is not valid.
    """
    accounts, certified = settings.service_accounts, settings.certificate_file is not None
    if settings.key_file is None and not settings.keys_secret and not accounts.rules and not certified:
        log.warning("callers are not told apart: anybody who reaches this router may use it")
        return Anybody(TENANT)
    bearers = await _bearers(stack, here, settings, metrics)
    return await _certificate_holders(here, settings.certificate_file, bearers, metrics)


async def _certificate_holders(
    here: Cluster, file: Path | None, others: Callers, metrics: RouterMetrics
) -> Callers:
    if file is None:
        return others
    holders = CertificateHolders(others)
    rules = WatchedFile(
        "certificate file", file, certificates.parse, holders.take, metrics.certificate_rules_reloaded
    )
    await rules.load()
    here.tasks.start("certificate file", rules.watch)
    return holders


async def _bearers(
    stack: AsyncExitStack, here: Cluster, settings: Identity, metrics: RouterMetrics
) -> Callers:
    accounts = settings.service_accounts
    holders = KeyHolders(metrics.caller_refused)
    await _follow_keys(_Keys(holders), here, settings, metrics)
    reviewer = _reviewer(here, accounts, metrics) if accounts.rules else None
    if reviewer is None:
        return holders
    tokens = ServiceAccounts(
        reviewer, _terms(accounts), refuse=holders.refuse, on_review=metrics.token_reviewed
    )
    stack.push_async_callback(tokens.close)
    return Bearers(holders, tokens)


def _reviewer(
    here: Cluster, settings: ServiceAccountSettings, metrics: RouterMetrics
) -> TokenReviewer | None:
    """Who says whose a token is: the keys of its issuer where that is given, and the API server otherwise."""
    if not settings.issuer.name:
        return here.api
    from steersman.router.adapters.issuer_keys import (  # noqa: PLC0415 - 6 MB of cryptography that others should not pay
        Issuer,
        IssuerKeys,
    )

    keys = IssuerKeys(Issuer(**dict(settings.issuer)), on_fetch=metrics.issuer_keys_fetched)
    here.tasks.start("keys of the issuer of tokens", keys.follow)
    return keys


async def _follow_keys(keys: _Keys, here: Cluster, settings: Identity, metrics: RouterMetrics) -> None:
    if settings.key_file is not None:
        file = WatchedFile(
            "key file", settings.key_file, key_file.parse, keys.take_file, metrics.keys_reloaded
        )
        await file.load()
        here.tasks.start("key file", file.watch)
    await here.follow_keys(settings, take=keys.take_secret, on_reload=metrics.keys_reloaded)


def _terms(settings: ServiceAccountSettings) -> Terms:
    return Terms(
        settings.audience,
        [Rule(rule.namespace, rule.name, rule.tenant) for rule in settings.rules],
        settings.fresh_seconds,
        settings.stale_seconds,
        settings.timeout_seconds,
        settings.entries,
    )
