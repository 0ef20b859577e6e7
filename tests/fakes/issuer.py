"""An issuer of tokens with real keys, which it serves over HTTP as API servers do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from fakes.gate import Gate
from steersman.router.adapters.issuer_keys import Issuer

NAME: Final = "https://kubernetes.default.svc.cluster.local"
AUDIENCE: Final = "steersman"


@cache
def a_key(name: str, *, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key for RS256, made once."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def a_curve_key(name: str) -> ec.EllipticCurvePrivateKey:
    """A key for ES256, made once."""
    del name
    return ec.generate_private_key(ec.SECP256R1())


def shown(name: str, **more: Any) -> dict[str, Any]:
    """A key as it stands in the issuer's set."""
    public: dict[str, Any] = RSAAlgorithm.to_jwk(a_key(name).public_key(), as_dict=True)
    return {**public, "kid": name, "alg": "RS256", "use": "sig", **more}


def shown_curve(name: str) -> dict[str, Any]:
    """The same of a key for ES256."""
    public: dict[str, Any] = ECAlgorithm.to_jwk(a_curve_key(name).public_key(), as_dict=True)
    return {**public, "kid": name, "alg": "ES256", "use": "sig"}


def signed(*, by: str = "one", key: Any = None, algorithm: str = "RS256", **claims: Any) -> str:
    """A token; claims that are None are left out."""
    now = int(time.time())
    given = {
        "iss": NAME,
        "sub": "system:serviceaccount:models:caller",
        "aud": [AUDIENCE],
        "iat": now,
        "exp": now + 3600,
        **claims,
    }
    payload = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(payload, a_key(by) if key is None else key, algorithm=algorithm, headers={"kid": by})


@dataclass
class FakeIssuer:
    """Serves keys; its knobs are plain attributes.

    Attributes:
        keys: What it serves.
        answer: What it answers in their place.
        status: Of its answers.
        wanted: What has to be shown to it.
        gate: Where requests wait while it is closed.
        asked: How often it was asked.
    """

    keys: list[dict[str, Any]] = field(default_factory=lambda: [shown("one")])
    answer: bytes | None = None
    status: int = 200
    wanted: str = ""
    gate: Gate = field(default_factory=Gate)
    asked: int = 0
    url: str = ""

    def as_told(self, **settings: Any) -> Issuer:
        """What a router is told of it."""
        return Issuer(NAME, self.url, **settings)

    async def serve(self, request: web.Request) -> web.Response:
        """A request for the keys."""
        self.asked += 1
        await self.gate.passed()
        if self.wanted and request.headers.get("Authorization") != f"Bearer {self.wanted}":
            return web.Response(status=401)
        if self.answer is not None:
            return web.Response(body=self.answer, status=self.status)
        return web.json_response({"keys": self.keys}, status=self.status)


@asynccontextmanager
async def fake_issuer() -> AsyncIterator[FakeIssuer]:
    """An issuer that serves as long as the context lasts."""
    issuer = FakeIssuer()
    application = web.Application()
    application.router.add_get("/openid/v1/jwks", issuer.serve)
    runner = web.AppRunner(application, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}/openid/v1/jwks"
    try:
        yield issuer
    finally:
        await runner.cleanup()
