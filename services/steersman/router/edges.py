"""What the handlers of an edge have in common: what a caller shows there, and bodies and responses over HTTP."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import grpc
import orjson
from aiohttp import web

from steersman.identity.shown import Shown
from steersman.openai_api import errors as openai_errors
from steersman.router import peers
from steersman.runtime.deadline import Deadline
from steersman.runtime.errors import Error, InvalidRequest, TooLarge, TooSlow

log = logging.getLogger(__name__)

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


async def body_of(http: web.Request, deadline: Deadline) -> bytes:
    """The whole body of a request, however many pieces it comes in.

    Raises:
        TooLarge: It is larger than the application takes.
        TooSlow: The deadline passes before all of it has come.
        InvalidRequest: It cannot be read.
    """
    try:
        async with asyncio.timeout(deadline.remaining):
            return await http.read()
    except TimeoutError:
        raise TooSlow("the body has not come in time") from None
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge("the body is larger than this router takes") from None
    except web.RequestPayloadError:  # its chunks or its compression
        raise InvalidRequest("", "the body cannot be read") from None


def json_response(data: object, *, status: int = 200) -> web.Response:
    """A response of JSON."""
    return web.Response(body=orjson.dumps(data), content_type=JSON, status=status)


def error_response(error: Error) -> web.Response:
    """An error in OpenAI's shape."""
    headers = (
        {} if error.retry_after_seconds is None else {"Retry-After": retry_after(error.retry_after_seconds)}
    )
    return web.Response(
        body=openai_errors.to_json(error), status=error.http_status, content_type=JSON, headers=headers
    )


def edge(
    handler: Callable[[web.Request], Awaitable[web.Response]],
) -> Callable[..., Awaitable[web.Response]]:
    """The handler, with its errors in OpenAI's shape."""

    async def handled(http: web.Request) -> web.Response:
        try:
            return await handler(http)
        except Error as error:
            return error_response(error)
        except Exception:  # an edge: logged with its traceback, told without its text
            log.exception("unforeseen failure", extra={"path": handler.__name__})
            return error_response(Error("internal error"))

    return handled


def retry_after(seconds: float) -> str:
    """The header's value, which knows whole seconds alone."""
    return str(max(1, math.ceil(seconds)))
