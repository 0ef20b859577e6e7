"""What parses without a wire, and what each may say of an input that is wrong."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from unittest import mock

import grpc
import orjson

from fakes.catalogue import a_catalogue, a_resource
from fuzz import corpus
from fuzz.target import Check, Target
from steersman.api.v1 import demand_service_pb2
from steersman.backend import openai_body
from steersman.backend.model import ServedModel
from steersman.calibration import decisions
from steersman.captures import key_file as capture_key_file
from steersman.captures.place import Place
from steersman.captures.seals import CannotOpen, SealKey, Seals
from steersman.classifier import json_lines
from steersman.classifier.errors import DataError
from steersman.identity import key_file
from steersman.identity.keys import ApiKey, Keyring
from steersman.identity.shown import Shown
from steersman.openai_api import answer, body, errors as openai_errors, refusals
from steersman.openai_api.client import EngineClient
from steersman.openai_api.sse import EventParser, OversizedEventError
from steersman.router import catalogue, policy
from steersman.router.adapters.backend import BackendUpstream
from steersman.router.adapters.redis import SCORES, SESSIONS
from steersman.router.callers import KeyHolders
from steersman.router.model import ClassifierId, Needs, Scored
from steersman.router.normalise import Limits, routed_text
from steersman.router.scoring import Key
from steersman.router.sessions import SessionKeys
from steersman.runtime import rpc_errors
from steersman.runtime.addresses import AddressLookup
from steersman.runtime.errors import Error, InvalidRequest, Refused, Unauthenticated
from steersman.scaler.adapters import router as router_reports
from steersman.scaler.demand import Demand, Rules
from steersman.scaler.trigger import trigger_of

_SERVED: Final = ServedModel(names=("m",), provider="p", context_window=1, slots=1)
_NOT_JSON: Final = orjson.JSONDecodeError


def _plain(parse: Callable[[bytes], str]) -> Callable[[], AbstractAsyncContextManager[Check]]:
    """A check of something that needs nothing and never waits."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Check]:
        async def check(data: bytes) -> str:
            return parse(data)

        yield check

    return opened


def _refused(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def router_body(data: bytes) -> str:
    """A request's body, as far as the router needs it and to what it makes of it."""
    try:
        chat = body.parse(data, max_messages=100)
        sent = chat.encode("the-model", stream=chat.stream)
    except InvalidRequest as error:
        openai_errors.to_json(error)
        rpc_errors.to_status(error)
        return _refused(error)
    assert body.parse(sent, max_messages=100).turns == chat.turns
    text = routed_text(chat.turns, Limits())
    Key(b"secret", 100).of(text.text, tenant="t", classifier=ClassifierId("c", "1", "ab"))
    SessionKeys(b"secret").conversation(chat.turns, tenant="t", session_id="")
    needs = Needs(chat.tokens, chat.images, chat.tools, chat.json_schema)
    assert 0.0 <= policy.stand_in_of(text.text) < 1.0
    return f"ok {chat.stream} {chat.wants_usage} {needs.images} {needs.tools} {needs.json_schema}"


def backend_body(data: bytes) -> str:
    """The same, in a backend."""
    try:
        request = openai_body.parse(data)
        sent = request.addressed_to(_SERVED)
    except InvalidRequest as error:
        return _refused(error)
    assert isinstance(orjson.loads(sent), dict)
    return f"ok {request.stream}"


def events(data: bytes) -> str:
    """A stream of an engine; however it is cut, it holds the same chunks."""
    whole = _chunks([data])
    cut = 1 + len(data) // 7
    if (pieces := _chunks([data[at : at + cut] for at in range(0, len(data), cut)])) is not None:
        assert whole is None or pieces == whole
    if whole is None:
        return "too large"
    openai_body.ending(whole[-openai_body.TAIL_CHUNKS :] or [b""])
    try:
        shown = answer.StreamReading(show_usage=False).visible(whole)
        text = "".join(map(answer.text_of_chunk, shown))
    except Error as error:
        return _refused(error)
    return f"ok {bool(text)} {len(shown)}"


def _chunks(pieces: list[bytes]) -> list[bytes] | None:
    parser = EventParser(max_event_bytes=4096)
    try:
        found = [chunk for piece in pieces for chunk in parser.feed(piece)]
    except OversizedEventError:
        return None
    parser.end()
    return found


def completion(data: bytes) -> str:
    """A whole answer of an engine, or its error."""
    for status in (200, 400, 429, 500):
        openai_errors.to_json(refusals.from_status(status, data, data[:8].decode("latin-1")))
    found = refusals.in_payload(data)
    if found is not None:
        rpc_errors.to_status(found)
        orjson.loads(openai_errors.to_json(found))
    openai_body.ending([data])
    try:
        reading = answer.Reading()
        reading.of_body(data)
        answer.text_of_completion(data)
    except Error as error:
        return _refused(error)
    return f"ok {reading.finish_reason[:8]!r} {bool(reading.prompt_tokens)} {found is None}"


def policy_file(data: bytes) -> str:
    """A policy file; what is taken can be used."""
    try:
        taken = catalogue.parse(data, environment={"KEY": "secret"})
    except catalogue.CatalogueError as error:
        return _refused(error)
    finally:
        with suppress(catalogue.CatalogueError):
            catalogue.documents(data)
    for tier in taken.tiers.values():
        if tier.upstream.kind == "openai":
            EngineClient(url=tier.upstream.target)
    return f"ok {len(taken.policies)} {taken.tenants is None}"


def policy_resource(data: bytes) -> str:
    """The spec of a resource, which is a JSON object: the API server sees to that."""
    try:
        spec = orjson.loads(data)
    except _NOT_JSON:
        return "not JSON"
    if not isinstance(spec, dict):
        return "no object"
    try:
        catalogue.parse_resource(a_resource(), spec)
    except catalogue.CatalogueError as error:
        return _refused(error)
    return "ok"


def score(data: bytes) -> str:
    """A score as Redis has it."""
    found = SCORES.decode(data)
    if found is None:
        return "nothing"
    _chosen(Scored(assessment=found), None)
    return f"ok {found.truncated}"


def session(data: bytes) -> str:
    """A conversation as Redis has it."""
    found = SESSIONS.decode(data)
    if found is None:
        return "nothing"
    _chosen(Scored(), policy.Before(found.tier, same_turn=False))
    return f"ok {found.tier in a_catalogue().tiers}"


def _chosen(scored: Scored, before: policy.Before | None) -> None:
    known = a_catalogue()
    rule = known.policies[known.default_policy]
    tier, _ = policy.choose(
        rule,
        boundaries=rule.boundaries,
        scored=scored,
        stand_in=lambda: 0.5,
        tiers=known.tiers,
        needs=Needs(1, images=False, tools=False, json_schema=False),
        before=before,
    )
    assert tier in known.tiers


def load_report(data: bytes) -> str:
    """What a router tells the scaler."""
    try:
        response = demand_service_pb2.StreamDemandResponse.FromString(data)
    except Exception as error:  # noqa: BLE001 - protobuf's own, of which gRPC makes nothing at all
        return _refused(error)
    report = router_reports._report(response)
    demand = Demand(Rules())
    demand.found(["a:1"])
    for _ in range(2):
        demand.heard("a:1", report)
    totals = [sums.total for sums in demand.sums().values()]
    assert all(total >= 0 for total in totals)
    return f"ok {len(totals)}"


def decision_log(data: bytes) -> str:
    """A line of the decision log."""
    try:
        lines = json_lines.parse(data, Path("log"))
        found = [decisions._decision(line) for line in lines]
    except DataError as error:
        return _refused(error)
    return f"ok {[each.scored for each in found][:2]}"


def _keyring() -> Keyring:
    secret = corpus.KEY.rpartition("-")[2]
    kept = ApiKey("0123456789ab", "search", sha256(secret.encode()).hexdigest(), datetime.now(UTC))
    return Keyring.of([kept])


@asynccontextmanager
async def _api_key() -> AsyncIterator[Check]:
    """What a caller shows as its key; HTTP lets any bytes through, as surrogates."""
    holders = KeyHolders(lambda _: None, keyring=_keyring())

    async def check(data: bytes) -> str:
        try:
            caller = await holders.identify(Shown(data.decode(errors="surrogateescape")))
        except Unauthenticated as error:
            return _refused(error)
        assert data.lower().startswith(b"bearer ")
        return f"ok {caller.tenant}"

    yield check


def keys(data: bytes) -> str:
    """A file of keys."""
    try:
        ring = key_file.parse(data)
    except key_file.KeyFileError as error:
        return _refused(error)
    assert key_file.parse(key_file.render(ring.keys)).keys == ring.keys
    return f"ok {len(ring.keys)}"


def capture_keys(data: bytes) -> str:
    """A file of keys that seal captured prompts, all of which is secret."""
    try:
        keys = capture_key_file.parse(data)
    except capture_key_file.KeyFileError as error:
        return _refused(error)
    seals, place = Seals(keys), Place("search", "m", "0" * 32)
    assert seals.open(seals.seal(data, place), place) == data
    return f"ok {len(keys)}"


def sealed_prompt(data: bytes) -> str:
    """What stands in Redis in place of a captured prompt."""
    try:
        Seals([SealKey("corpus", bytes(32))]).open(data, Place("search", "m", "0" * 32))
    except CannotOpen:
        return "refused"
    return "ok"


def trigger(data: bytes) -> str:
    """The metadata of a trigger, whose values are texts: protobuf sees to that."""
    try:
        given = orjson.loads(data)
    except _NOT_JSON:
        return "not JSON"
    if not isinstance(given, dict):
        return "no object"
    try:
        found = trigger_of({key: value for key, value in given.items() if isinstance(value, str)})
    except InvalidRequest as error:
        return _refused(error)
    assert found.metric_name
    return f"ok {found.activation > 0}"


def callee_status(data: bytes) -> str:
    """The details of a status that a callee sent."""
    metadata = grpc.aio.Metadata((rpc_errors.DETAILS_KEY, data))
    told = {}
    for code in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED, grpc.StatusCode.UNKNOWN):
        error = rpc_errors.from_rpc_error(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, "no"))
        assert isinstance(error, Error)
        if isinstance(error, Refused):
            assert 400 <= error.http_status < 600
        if (wait := error.retry_after_seconds) is not None:
            assert 0 <= wait < 1e9
        rpc_errors.to_status(error)
        orjson.loads(openai_errors.to_json(error))
        told[code] = f"{type(error).__name__} {wait is None} {error.reason[:3]}"
    return "ok " + ", ".join(sorted(told.values()))


@asynccontextmanager
async def _addresses() -> AsyncIterator[Check]:
    """A target that a policy file would be refused for, or whose addresses can be had and connected to."""
    loop = asyncio.get_running_loop()
    ask = partial(loop.getaddrinfo, flags=socket.AI_NUMERICHOST)  # no name is asked of a server

    async def check(data: bytes) -> str:
        target = data.decode(errors="replace")
        try:
            catalogue._checked_target(target)
        except ValueError as error:
            return _refused(error)
        try:
            with mock.patch.object(loop, "getaddrinfo", ask):
                found = await AddressLookup().addresses(target)
        except OSError as error:
            return _refused(error)
        for address in found[:2]:
            await (await BackendUpstream.connect(address)).close()
        return f"ok {len(found)}"

    yield check


def _target(name: str, parse: Callable[[bytes], str], *inputs: bytes, **more: Any) -> Target:
    return Target(name, inputs, _plain(parse), **more)


TARGETS: Final = (
    _target("router body", router_body, *corpus.REQUESTS, structured=True, weight=3.0),
    _target("backend body", backend_body, *corpus.REQUESTS, structured=True, weight=2.0),
    _target("engine's stream", events, *corpus.STREAMS, tokens=corpus.HTTP_TOKENS, weight=3.0),
    _target("engine's answer", completion, corpus.COMPLETION, structured=True, weight=2.0),
    _target("policy file", policy_file, corpus.POLICIES, tokens=corpus.YAML_TOKENS, weight=0.4),
    _target("policy resource", policy_resource, corpus.RESOURCE, structured=True, weight=1.5),
    _target("score in Redis", score, corpus.SCORE, weight=0.5),
    _target("session in Redis", session, corpus.SESSION, b"gone\x00", tokens=(b"\0",), weight=0.5),
    _target("load report", load_report, corpus.REPORT),
    _target("decision log", decision_log, corpus.DECISION, structured=True),
    Target("API key", (b"Bearer " + corpus.KEY.encode(),), _api_key, tokens=(b"bearer ",)),
    _target("key file", keys, corpus.KEY_FILE, tokens=corpus.YAML_TOKENS, weight=0.4),
    _target("capture keys", capture_keys, corpus.CAPTURE_KEYS, tokens=corpus.YAML_TOKENS, weight=0.4),
    _target("captured prompt", sealed_prompt, corpus.CAPTURED),
    _target("trigger", trigger, *corpus.METADATA, structured=True),
    _target("callee's status", callee_status, corpus.status()),
    Target("addresses", corpus.ADDRESSES, _addresses, tokens=(b"dns:///", b",", b"%"), weight=0.5),
)
