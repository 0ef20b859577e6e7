"""Bodies of responses over HTTP, read to their end unless they are too long."""

from __future__ import annotations

import aiohttp


async def whole(response: aiohttp.ClientResponse, *, longest: int) -> bytes:
    """The body of a response, however many pieces it comes in.

    Args:
        response: Whose body has not been read yet.
        longest: Bytes that it may have.

    Raises:
        ValueError: It has more.
    """
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > longest:
            raise ValueError("the answer is too long")
    return bytes(body)
