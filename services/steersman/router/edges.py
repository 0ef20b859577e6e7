"""What the handlers of an edge have in common: what a caller shows there, and responses over HTTP."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import grpc
import orjson
from aiohttp import web

from steersman.identity.shown import Shown
from steersman.openai_api import errors as openai_errors
from steersman.router import peers
from steersman.runtime.errors import Error

JSON: Final = "application/json"


def shown_by_call(context: grpc.aio.ServicerContext[Any, Any]) -> Shown:
    """What a call over gRPC shows of its caller."""
    peer = partial(peers.of_rpc, context)
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return Shown(str(value), peer)
    return Shown(peer=peer)


def shown_by_request(http: web.Request) -> Shown:
    """What a request over HTTP shows of its caller."""
    return Shown(http.headers.get("Authorization"), partial(peers.of_request, http))


def json_response(data: object, *, status: int = 200) -> web.Response:
    """A response of JSON."""
    return web.Response(body=orjson.dumps(data), content_type=JSON, status=status)


def error_response(error: Error) -> web.Response:
    """An error in OpenAI's shape."""
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_seconds)))
    return web.Response(
        body=openai_errors.to_json(error), status=error.http_status, content_type=JSON, headers=headers
    )
