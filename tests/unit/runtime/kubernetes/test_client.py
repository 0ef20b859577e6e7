"""The Kubernetes API over the wire: what is asked for, and what answers and silence come to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes.aio.client import ApiException

from fakes.api_server import TOKEN, FakeApiServer, fake_api_server, kubeconfig
from fakes.kubernetes import POLICIES
from steersman.runtime.kubernetes import client
from steersman.runtime.kubernetes.api import (
    ApiError,
    Change,
    Conflict,
    Event,
    Expired,
    Missing,
    Rejected,
    Unreachable,
)
from steersman.runtime.kubernetes.client import KubernetesApi, kubernetes_api

PATH = "/apis/steersman.dev/v1alpha1/namespaces/models/routingpolicies"
FOUND: dict[str, Any] = {
    "metadata": {
        "name": "auto",
        "namespace": "models",
        "uid": "uid-1",
        "generation": 2,
        "resourceVersion": "7",
    },
    "spec": {"tiers": ["weak"]},
}


@pytest.fixture
async def server_and_api(tmp_path: Path) -> AsyncIterator[tuple[FakeApiServer, KubernetesApi]]:
    async with fake_api_server(tmp_path) as (server, path), kubernetes_api(path) as api:
        yield server, api


@pytest.fixture
def server(server_and_api: tuple[FakeApiServer, KubernetesApi]) -> FakeApiServer:
    return server_and_api[0]


@pytest.fixture
def api(server_and_api: tuple[FakeApiServer, KubernetesApi]) -> KubernetesApi:
    return server_and_api[1]


def line(change: str, content: dict[str, Any]) -> bytes:
    return json.dumps({"type": change, "object": content}).encode() + b"\n"


async def watched(api: KubernetesApi) -> list[Event]:
    return [event async for event in api.watch(POLICIES, "models", version="5")]


async def test_a_list_is_asked_for_with_the_callers_token_and_read(
    server: FakeApiServer, api: KubernetesApi
) -> None:
    server.pieces = [json.dumps({"metadata": {"resourceVersion": "9"}, "items": [FOUND]}).encode()]
    listing = await api.list(POLICIES, "models")
    (found,) = listing.objects
    assert (listing.version, found.name, found.uid, found.generation) == ("9", "auto", "uid-1", 2)
    assert found.content == FOUND
    assert server.asked == [("GET", PATH, "")]
    assert server.tokens == [f"Bearer {TOKEN}"]


async def test_a_watch_is_asked_for_from_a_version_with_bookmarks_and_for_a_time(
    server: FakeApiServer, api: KubernetesApi
) -> None:
    server.pieces = [line("ADDED", FOUND), line("BOOKMARK", {"metadata": {"resourceVersion": "12"}})]
    events = await watched(api)
    assert [(event.change, event.object.version) for event in events] == [
        (Change.ADDED, "7"),
        (Change.BOOKMARK, "12"),
    ]
    ((_, asked, _),) = server.asked
    assert asked.startswith(f"{PATH}?watch=true&resourceVersion=5&allowWatchBookmarks=true&timeoutSeconds=")


async def test_an_event_may_come_in_pieces(server: FakeApiServer, api: KubernetesApi) -> None:
    whole = line("MODIFIED", FOUND)
    server.pieces = [whole[:20], whole[20:50], whole[50:]]
    assert [event.change for event in await watched(api)] == [Change.MODIFIED]


async def test_an_error_in_a_watch_is_told_by_its_code(server: FakeApiServer, api: KubernetesApi) -> None:
    server.pieces = [line("ERROR", {"code": 410, "message": "too old resource version: 5 (9)"})]
    with pytest.raises(Expired, match="410: too old resource version"):
        await watched(api)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        pytest.param(404, Missing, id="missing"),
        pytest.param(409, Conflict, id="conflict"),
        pytest.param(410, Expired, id="expired"),
        pytest.param(403, Rejected, id="forbidden"),
        pytest.param(500, Rejected, id="broken"),
    ],
)
async def test_an_answer_that_is_an_error_says_what_the_api_server_said(
    server: FakeApiServer, api: KubernetesApi, status: int, error: type[ApiError]
) -> None:
    server.status, server.pieces = status, [b'{"kind": "Status", "message": "because"}']
    with pytest.raises(ApiError, match=f"{status}: because") as listing:
        await api.list(POLICIES, "models")
    with pytest.raises(ApiError, match=f"{status}: because") as watch:
        await watched(api)
    assert {type(listing.value), type(watch.value)} == {error}


async def test_of_an_error_that_is_no_json_only_the_beginning_is_told(
    server: FakeApiServer, api: KubernetesApi
) -> None:
    server.status, server.pieces = 502, [b"x" * 10_000]
    with pytest.raises(Rejected) as caught:
        await api.list(POLICIES, "models")
    assert len(str(caught.value)) < 600


async def test_a_connection_that_is_lost_is_told_after_the_events_that_came(
    server: FakeApiServer, api: KubernetesApi
) -> None:
    server.pieces, server.breaks_off = [line("ADDED", FOUND), b'{"type": "MOD'], True
    events = api.watch(POLICIES, "models", version="5")
    assert (await anext(events)).change is Change.ADDED
    with pytest.raises(Unreachable):
        await anext(events)


async def test_nobody_who_listens_is_unreachable(tmp_path: Path) -> None:
    async with kubernetes_api(kubeconfig(tmp_path, "http://127.0.0.1:9")) as api:
        with pytest.raises(Unreachable):
            await api.list(POLICIES, "models")


async def test_an_answer_that_does_not_come_in_time_is_unreachable(
    server: FakeApiServer, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_ANSWER_SECONDS", 0.000_1)
    with pytest.raises(Unreachable):
        await api.list(POLICIES, "models")
    assert len(server.asked) <= 1


async def test_a_status_is_patched_where_status_is(server: FakeApiServer, api: KubernetesApi) -> None:
    server.pieces = [json.dumps(FOUND).encode()]
    await api.patch_status(POLICIES, "models", "auto", {"strongShare": 0.5})
    assert server.asked == [("PATCH", f"{PATH}/auto/status", '{"status": {"strongShare": 0.5}}')]


async def test_without_a_kubeconfig_or_a_service_account_there_is_no_way_to_the_api(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no way to the Kubernetes API is known"):
        async with kubernetes_api(tmp_path / "nothing"):
            pass
    with pytest.raises(OSError, match="no way to the Kubernetes API is known"):
        async with kubernetes_api():
            pass


def test_no_error_of_the_libraries_is_one_of_ours() -> None:
    assert not issubclass(ApiError, (aiohttp.ClientError, ApiException))


async def test_one_object_is_selected_by_its_name(server: FakeApiServer, api: KubernetesApi) -> None:
    server.pieces = [json.dumps({"metadata": {"resourceVersion": "9"}, "items": []}).encode()]
    await api.list(replace(POLICIES, name="auto"), "models")
    ((_, path, _),) = server.asked
    assert path == f"{PATH}?fieldSelector=metadata.name%3Dauto"


def reviewed(**status: Any) -> bytes:
    return json.dumps({"kind": "TokenReview", "status": status}).encode()


USER = {"username": "system:serviceaccount:search:web"}


async def test_a_token_is_reviewed_for_its_audience(server: FakeApiServer, api: KubernetesApi) -> None:
    server.pieces = [reviewed(authenticated=True, user=USER, audiences=["steersman"])]
    assert await api.review("a.b.c", audience="steersman") == USER["username"]
    ((method, path, sent),) = server.asked
    assert (method, path) == ("POST", "/apis/authentication.k8s.io/v1/tokenreviews")
    assert json.loads(sent)["spec"] == {"token": "a.b.c", "audiences": ["steersman"]}


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"error": "invalid bearer token"}, id="refused"),
        pytest.param({"authenticated": True, "user": USER}, id="by one that knows no audiences"),
        pytest.param({"authenticated": True, "user": USER, "audiences": ["another"]}, id="for others"),
        pytest.param({}, id="without a word"),
    ],
)
async def test_a_token_that_is_not_for_the_audience_is_nobodys(
    server: FakeApiServer, api: KubernetesApi, status: dict[str, Any]
) -> None:
    server.pieces = [reviewed(**status)]
    assert await api.review("a.b.c", audience="steersman") is None


async def test_who_may_not_review_is_told_so_without_the_token(
    server: FakeApiServer, api: KubernetesApi
) -> None:
    server.status, server.pieces = 403, [b'{"message": "tokenreviews is forbidden"}']
    with pytest.raises(Rejected, match="403: tokenreviews is forbidden"):
        await api.review("a.secret.token", audience="steersman")
