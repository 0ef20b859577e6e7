"""Wires the router: the only module that knows every adapter.

Things are opened from the outside in and closed in reverse. On the way down the listeners go first, so that requests
in progress finish while everything that they need still works.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from steersman import __version__
from steersman.router import audit, strain
from steersman.router.accounting import Captures, Ledger, Ledgers
from steersman.router.adapters.backend import BackendUpstream
from steersman.router.adapters.decision_file import DecisionFile, StandardOutput
from steersman.router.adapters.direct import DirectUpstream
from steersman.router.adapters.policy_file import policy_file
from steersman.router.adapters.triton import TritonClassifier, TritonOptions
from steersman.router.capture_metrics import CaptureMetrics
from steersman.router.cluster import Cluster, cluster_api
from steersman.router.decision_log import DecisionLog
from steersman.router.decision_servicer import DecisionServicer
from steersman.router.decisions import Decisions
from steersman.router.delivery import Delivery
from steersman.router.demand import Demand
from steersman.router.demand_servicer import DemandServicer
from steersman.router.dispatch import Dispatcher
from steersman.router.fairness import FairShares
from steersman.router.fleet import Fleet
from steersman.router.http_decisions import DecisionHandlers
from steersman.router.ids import new_id
from steersman.router.keeping import prompt_capture
from steersman.router.knowing import known_callers
from steersman.router.limiting import Limiter, LocalQuotas
from steersman.router.listeners import Served, Told, grpc_api, http_api
from steersman.router.metrics import RouterMetrics
from steersman.router.model import Catalogue, UpstreamSpec
from steersman.router.normalise import Limits
from steersman.router.policy_servicer import PolicyServicer
from steersman.router.policy_sources import PolicySources
from steersman.router.ports import LineSink, Upstream
from steersman.router.prospects import Patience
from steersman.router.retry import RetryBudget
from steersman.router.routing import Routing
from steersman.router.scoring import Key, Scorer
from steersman.router.sessions import SessionKeys, Sessions
from steersman.router.settings import DecisionLogging, Dispatching, RouterSettings
from steersman.router.shedding import Shedder
from steersman.router.stores import Stores, open_stores
from steersman.router.tally import Tally
from steersman.router.tenant_metrics import TenantMetrics
from steersman.router.upstreams import Upstreams
from steersman.router.waiting import Bounds, WaitingRoom
from steersman.runtime import plaintext, telemetry
from steersman.runtime.addresses import AddressSource, name_of
from steersman.runtime.breaker import Breaker
from steersman.runtime.health import Health
from steersman.runtime.kubernetes.metrics import KubernetesMetrics
from steersman.runtime.metrics import ProcessMetrics, metrics_server
from steersman.runtime.server import health_server
from steersman.runtime.tasks import BackgroundTasks
from steersman.runtime.tls import Wire, opened


@asynccontextmanager
async def app(settings: RouterSettings) -> AsyncIterator[None]:
    """A router that serves as long as the context lasts, and drains when it is left."""
    process, demand, tally = ProcessMetrics(), Demand(), Tally()
    metrics, health = RouterMetrics(process), Health()
    by_tenant = TenantMetrics(process.registry, largest=settings.tenant_metrics.largest)
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(opened(settings.tls, on_reload=process.certificates_reloaded))
        await stack.enter_async_context(
            telemetry.tracing(
                service="steersman-router",
                version=__version__,
                on_dropped=process.spans_dropped.inc,
                on_reload=process.certificates_reloaded,
                tls=settings.tls,
                wire=wire,
            )
        )
        await stack.enter_async_context(
            metrics_server(settings.metrics.address, process, health=health, wire=wire)
        )
        await stack.enter_async_context(health_server(settings.health, health))
        api = await stack.enter_async_context(cluster_api(settings.kubernetes, settings.identity))
        logged = await _decision_log(stack, settings.decision_log, metrics)
        kept = await prompt_capture(stack, settings, CaptureMetrics(process.registry), wire=wire)
        tasks = await stack.enter_async_context(
            BackgroundTasks(on_failure=lambda name: process.background_failures.labels(name).inc())
        )
        here = Cluster(api, settings.kubernetes, tasks, KubernetesMetrics(process.registry))
        source = await here.addresses()
        if logged is not None:
            tasks.start("decision log", logged.write)
        kept.start(tasks)
        replica = new_id()
        stores = await open_stores(stack, tasks, settings, metrics, replica=replica, wire=wire)
        classifier = await _classifier(stack, tasks, settings, metrics, source, wire=wire)
        decisions = _decisions(settings, stores, metrics, logged)
        room = _room(settings, metrics)
        upstreams = await stack.enter_async_context(
            Upstreams(partial(_fleet, settings.dispatch, source, wire, process.certificates_reloaded), room)
        )
        limiter = await stack.enter_async_context(
            Limiter(
                store=stores.quotas,
                local=LocalQuotas(),
                on_refused=metrics.quota_refused,
                on_local=metrics.quota_kept_alone,
            )
        )
        tasks.start("settling of quotas", limiter.keep_told)
        routing = _routing(
            settings,
            limiter=limiter,
            stores=stores,
            metrics=metrics,
            classifier=classifier,
            upstreams=upstreams,
            demand=demand,
            ledger=Ledgers((metrics, by_tenant, tally, decisions, *([] if logged is None else [logged]))),
            captures=kept.captures,
        )
        shedder = Shedder()
        tasks.start("load of the loop", partial(strain.watch, shedder.tick, routing.shares.tick))
        await _follow_policies(
            here, settings, routing=routing, upstreams=upstreams, metrics=metrics, tally=tally
        )
        tasks.start("addresses of tiers", partial(upstreams.keep_fresh, settings.dispatch.refresh_seconds))
        tasks.start("loads of tiers", upstreams.keep_loads_fresh)
        metrics.watch_breakers("tiers", lambda: upstreams.breakers)
        callers = await known_callers(stack, here, settings.identity, metrics)
        http = await stack.enter_async_context(AsyncExitStack())
        rpc = await stack.enter_async_context(AsyncExitStack())
        handlers = DecisionHandlers(decisions, callers)
        await http.enter_async_context(
            http_api(settings, routing, handlers, classifier, metrics, shedder=shedder, wire=wire)
        )
        draining = asyncio.Event()
        told = Told(
            DecisionServicer(decisions, callers),
            DemandServicer(demand, replica, draining),
            PolicyServicer(lambda: routing.catalogue, lambda: classifier.identity, tally, replica),
        )
        await rpc.enter_async_context(
            grpc_api(settings, routing, callers, told, Served(process, health, wire, demand.never_came_in))
        )
        try:
            yield
        finally:
            draining.set()
            room.close()
            await asyncio.gather(http.aclose(), rpc.aclose())  # both drain in the same time


async def _decision_log(
    stack: AsyncExitStack, settings: DecisionLogging, metrics: RouterMetrics
) -> DecisionLog | None:
    """The decision log, where there is one. Entered before the task that writes it, so that it is closed after."""
    if not settings.path:
        return None
    sink: LineSink = (
        StandardOutput()
        if settings.path == "-"
        else DecisionFile(Path(settings.path), settings.max_bytes, settings.files)
    )
    return await stack.enter_async_context(
        DecisionLog(
            sink, sample_rate=settings.sample_rate, queue=settings.queue, on_lines=metrics.decisions_logged
        )
    )


def _decisions(
    settings: RouterSettings, stores: Stores, metrics: RouterMetrics, logged: DecisionLog | None
) -> Decisions:
    """What explains decisions afterwards."""
    return Decisions(
        secret=settings.cache.hmac_key.get_secret_value().encode(),
        store=stores.decisions,
        entries=settings.decisions.local_entries,
        ttl_seconds=settings.decisions.ttl_seconds,
        on_feedback=[metrics.rated, *([] if logged is None else [logged.rated])],
    )


async def _classifier(
    stack: AsyncExitStack,
    tasks: BackgroundTasks,
    settings: RouterSettings,
    metrics: RouterMetrics,
    source: AddressSource,
    *,
    wire: Wire,
) -> TritonClassifier:
    server = settings.classifier
    classifier = TritonClassifier(
        TritonOptions(
            server.target,
            server.model,
            server.version,
            server.timeout_seconds,
            server.queue,
            settings.dispatch.refresh_seconds,
        ),
        source=source,
        breaker=partial(Breaker, threshold=server.breaker_failures, cooldown=server.breaker_cooldown_seconds),
        wire=wire,
    )
    await stack.enter_async_context(classifier)
    tasks.start("addresses of the classifier", classifier.keep_addresses_fresh)
    tasks.start("identity of the classifier", classifier.keep_identity_fresh)
    for number in range(server.lanes):
        tasks.start(f"classifier lane {number}", classifier.serve_lane)
    metrics.watch_breakers("classifier", lambda: classifier.breakers)
    return classifier


def _room(settings: RouterSettings, metrics: RouterMetrics) -> WaitingRoom:
    waiting = settings.waiting_room
    bounds = Bounds(waiting.max_requests, waiting.max_bytes, waiting.longest_seconds, waiting.at_once)
    room = WaitingRoom(bounds, on_end=metrics.waited)
    metrics.watch_room(room)
    return room


def _routing(
    settings: RouterSettings,
    *,
    limiter: Limiter,
    stores: Stores,
    metrics: RouterMetrics,
    classifier: TritonClassifier,
    upstreams: Upstreams,
    demand: Demand,
    ledger: Ledger,
    captures: Captures,
) -> Routing:
    cache, dispatch, requests = settings.cache, settings.dispatch, settings.requests
    secret = cache.hmac_key.get_secret_value().encode()
    scorer = Scorer(
        classifier=classifier,
        store=stores.scores,
        key=Key(secret, requests.text_characters),
        demand=demand,
        entries=cache.local_entries,
        ttl_seconds=cache.local_ttl_seconds,
    )
    dispatcher = Dispatcher(
        fleets=upstreams.fleets,
        patience=Patience(
            first_byte=dispatch.first_byte_timeout_seconds,
            whole=dispatch.whole_timeout_seconds,
            idle=dispatch.idle_timeout_seconds,
            attempts=dispatch.attempts,
        ),
        budget=RetryBudget(ratio=dispatch.retry_ratio, per_second=dispatch.retries_per_second),
        on_retry=metrics.retried,
    )
    return Routing(
        catalogue=Catalogue({}, {}, ""),
        scorer=scorer,
        sessions=Sessions(
            keys=SessionKeys(secret),
            store=stores.sessions,
            entries=settings.sessions.local_entries,
            ttl_seconds=settings.sessions.ttl_seconds,
            on_look=metrics.session_looked_for,
        ),
        limiter=limiter,
        delivery=Delivery(dispatcher, upstreams.room, upstreams.look),
        demand=demand,
        ledger=ledger,
        limits=Limits(requests.text_characters, requests.context_characters),
        shares=FairShares(requests.max_in_flight),
        captures=captures,
    )


async def _follow_policies(
    here: Cluster,
    settings: RouterSettings,
    *,
    routing: Routing,
    upstreams: Upstreams,
    metrics: RouterMetrics,
    tally: Tally,
) -> None:
    async def apply(catalogue: Catalogue) -> None:
        await upstreams.apply({name: tier.upstream for name, tier in catalogue.tiers.items()})
        metrics.watch_demand(routing.demand, list(catalogue.tiers))
        tally.keep(catalogue.policies.values())
        before, routing.catalogue = routing.catalogue, catalogue
        audit.policies(before, catalogue)

    metrics.watch_policies(lambda: routing.catalogue)
    sources = PolicySources(apply)
    refused = partial(plaintext.refusal, settings=settings.tls)
    policies = policy_file(settings.policy_file, sources.take_file, metrics.reloaded, refused=refused)
    await policies.load()
    here.tasks.start("policy file", policies.watch)
    await here.follow_policies(sources.take_resources)


def _fleet(
    settings: Dispatching,
    source: AddressSource,
    wire: Wire,
    on_reload: Callable[[str], None],
    spec: UpstreamSpec,
) -> Fleet[Upstream]:
    breaker = partial(
        Breaker, threshold=settings.breaker_failures, cooldown=settings.breaker_cooldown_seconds
    )
    if spec.kind == "backend":
        connect = partial(BackendUpstream.connect, wire=wire, name=name_of(spec.target))
        return Fleet(spec.target, source, connect, breaker, edition=lambda: wire.edition)
    return Fleet(
        spec.target,
        source,
        partial(DirectUpstream.connect, api_key=spec.api_key, ca_file=spec.ca_file, on_reload=on_reload),
        breaker,
    )
