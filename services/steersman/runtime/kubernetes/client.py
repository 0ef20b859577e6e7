"""The Kubernetes API over the official client: the only module that imports it, because it takes a second to load.

Objects are taken as JSON: the client's generated classes know nothing of resources that Steersman brings itself.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from steersman import __version__
from steersman.runtime.kubernetes.api import (
    Change,
    Conflict,
    Event,
    Expired,
    Listing,
    Missing,
    Object,
    Rejected,
    Resource,
    Unreachable,
)

_ANSWER_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 5.0
_WATCH_SECONDS: Final = (40, 60)
"""For how long the API server is asked to keep a watch: short, because one that has died looks like a quiet one."""
_GRACE_SECONDS: Final = 10.0
"""How much later than it promised the API server may end a watch before it counts as dead."""
_LONGEST_MESSAGE: Final = 512
_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_REJECTIONS: Final = {404: Missing, 409: Conflict, 410: Expired}


class KubernetesApi:
    """Implements `Watchable`, `Writable` and `TokenReviewer` of `steersman.runtime.kubernetes.api`.

    Every call has a deadline.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def list(self, resource: Resource, namespace: str) -> Listing:
        """See `Watchable`."""
        body = await self._ask("GET", _path(resource, namespace), query=_selected(resource))
        return Listing(tuple(_object(item) for item in body["items"]), body["metadata"]["resourceVersion"])

    async def watch(self, resource: Resource, namespace: str, *, version: str) -> AsyncGenerator[Event, None]:
        """See `Watchable`."""
        seconds = random.randint(*_WATCH_SECONDS)  # noqa: S311 - no secret
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
            **_selected(resource),
        }
        with _translated():
            response = await self._send(
                "GET", _path(resource, namespace), query=query, seconds=seconds + _GRACE_SECONDS
            )
            try:
                await _check(response)
                async for line in response.content:
                    yield _event(json.loads(line))
            finally:
                _hang_up(response)

    async def review(self, token: str, *, audience: str) -> str | None:
        """See `TokenReviewer`."""
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        status = (await self._ask("POST", _REVIEWS, body=review)).get("status") or {}
        # An API server that knows nothing of audiences names none, and has checked none.
        if not status.get("authenticated") or audience not in (status.get("audiences") or ()):
            return None
        return str(status["user"]["username"])

    async def read(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Writable`."""
        return _object(await self._ask("GET", _path(resource, namespace, name)))

    async def create(self, resource: Resource, namespace: str, content: Mapping[str, Any]) -> Object:
        """See `Writable`."""
        return _object(await self._ask("POST", _path(resource, namespace), body=content))

    async def replace(self, resource: Resource, namespace: str, content: Mapping[str, Any]) -> Object:
        """See `Writable`."""
        path = _path(resource, namespace, content["metadata"]["name"])
        return _object(await self._ask("PUT", path, body=content))

    async def patch_status(
        self, resource: Resource, namespace: str, name: str, status: Mapping[str, Any]
    ) -> Object:
        """See `Writable`."""
        path = _path(resource, namespace, name, "status")
        return _object(await self._ask("PATCH", path, body={"status": status}))

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        with _translated():
            response = await self._send(method, path, query=query, body=body, seconds=_ANSWER_SECONDS)
            try:
                await _check(response)
                return json.loads(await response.read())
            finally:
                response.release()

    async def _send(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> aiohttp.ClientResponse:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        method, url, headers, sent, form = await self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": kind},
            body=body,
            auth_settings=["BearerToken"],
        )
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)
        answer = await self._client.call_api(method, url, headers, sent, form, _request_timeout=timeout)
        response: aiohttp.ClientResponse = answer.response
        return response


@asynccontextmanager
async def kubernetes_api(kubeconfig: Path | None = None) -> AsyncIterator[KubernetesApi]:
    """A connection to the API server.

    Args:
        kubeconfig: Says where it is and who asks; the pod's ServiceAccount does where none is given.

    Raises:
        OSError: There is no such file, or no ServiceAccount's token.
    """
    configuration = Configuration()
    try:
        if kubeconfig is None:
            load_incluster_config(configuration)
        else:
            await load_kube_config(str(kubeconfig), client_configuration=configuration)
    except ConfigException as error:
        raise OSError(f"no way to the Kubernetes API is known: {error}") from error
    async with ApiClient(configuration) as client:
        client.user_agent = (
            f"steersman/{__version__}"  # names us in audit logs, and in what says who wrote a field
        )
        yield KubernetesApi(client)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
        raise Unreachable(str(error) or type(error).__name__) from error
    except (
        ConfigException,
        ValueError,
    ) as error:  # a token file that is being replaced, a line that broke off
        raise Unreachable(f"what was read makes no sense: {error}") from error


def _hang_up(response: aiohttp.ClientResponse) -> None:
    """End a watch at once: the API server has no reason to, so that a polite end would be waited for in vain."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


async def _check(response: aiohttp.ClientResponse) -> None:
    if response.ok:
        return
    text = (await response.read()).decode(errors="replace")
    try:
        message = json.loads(text)["message"]
    except (ValueError, LookupError, TypeError):
        message = text
    raise _rejection(response.status, message)


def _rejection(status: int, message: str) -> Rejected:
    return _REJECTIONS.get(status, Rejected)(f"{status}: {message[:_LONGEST_MESSAGE]}")


def _event(event: Mapping[str, Any]) -> Event:
    if event["type"] == "ERROR":
        raise _rejection(event["object"].get("code", 0), event["object"].get("message", ""))
    return Event(Change(event["type"]), _object(event["object"]))


def _object(content: Mapping[str, Any]) -> Object:
    meta = content["metadata"]
    return Object(
        meta.get("namespace", ""),
        meta.get("name", ""),
        meta.get("uid", ""),
        meta.get("generation", 0),
        meta["resourceVersion"],
        content,
    )


def _selected(resource: Resource) -> dict[str, str]:
    return {"fieldSelector": f"metadata.name={resource.name}"} if resource.name else {}


def _path(resource: Resource, namespace: str, *rest: str) -> str:
    root = f"/apis/{resource.group}" if resource.group else "/api"
    return "/".join((f"{root}/{resource.version}/namespaces/{namespace}/{resource.plural}", *rest))
