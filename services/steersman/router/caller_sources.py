"""Wires what callers are known by: the file of API keys, and the rules about client certificates."""

from __future__ import annotations

import logging

from steersman.identity import certificates, key_file
from steersman.router.callers import Anybody, Callers, KeyHolders
from steersman.router.certificate_holders import CertificateHolders
from steersman.router.metrics import RouterMetrics
from steersman.router.settings import Identity
from steersman.runtime.tasks import BackgroundTasks
from steersman.runtime.watched_file import WatchedFile

log = logging.getLogger(__name__)

TENANT = "default"
"""The one tenant where callers are not told apart."""


async def known_callers(tasks: BackgroundTasks, settings: Identity, metrics: RouterMetrics) -> Callers:
    """Who knows callers, by these settings; what it goes by is followed by the tasks.

    Raises:
        OSError: A file cannot be read.
        NotUsable: It is not valid.
    """
    if settings.certificate_file is None:
        return await _key_holders(tasks, settings, metrics)
    holders = CertificateHolders(await _key_holders(tasks, settings, metrics))
    rules = WatchedFile(
        "certificate file",
        settings.certificate_file,
        certificates.parse,
        holders.take,
        metrics.certificate_rules_reloaded,
    )
    await rules.load()
    tasks.start("certificate file", rules.watch)
    return holders


async def _key_holders(tasks: BackgroundTasks, settings: Identity, metrics: RouterMetrics) -> Callers:
    holders = KeyHolders(metrics.caller_refused)
    if settings.key_file is None and settings.certificate_file is not None:
        return holders
    if settings.key_file is None:
        log.warning("callers are not told apart: anybody who reaches this router may use it")
        return Anybody(TENANT)
    keys = WatchedFile("key file", settings.key_file, key_file.parse, holders.take, metrics.keys_reloaded)
    await keys.load()
    tasks.start("key file", keys.watch)
    return holders
