"""Both edges before a router on fakes that knows its callers by API keys."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import grpc
import orjson
import pytest

from fakes.catalogue import a_catalogue
from fakes.router import RouterOnFakes, router_on_fakes
from fakes.served import over_grpc, over_http
from fixtures.callers import Answer, body, calling, conversation, failure, fetch, responses
from steersman.api.v1 import router_service_pb2 as pb
from steersman.identity.keys import Keyring, make
from steersman.identity.shown import Shown
from steersman.router.callers import KeyHolders
from steersman.router.model import Caller, Rights

TEXT, KEY = make("team", created=datetime(2026, 11, 24, tzinfo=UTC))
BEARER = f"Bearer {TEXT}"
WRONG = [
    pytest.param(None, id="nothing"),
    pytest.param("Bearer wrong", id="no key"),
    pytest.param(f"Bearer {TEXT[:-1]}", id="cut"),
    pytest.param(f"Token {TEXT}", id="another scheme"),
]


@dataclass
class Guarded:
    """A router behind keys."""

    router: RouterOnFakes
    refused: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.callers = KeyHolders(self._count, keyring=Keyring.of([KEY]))

    def _count(self, why: str) -> None:
        self.refused[why] += 1

    @property
    def asked(self) -> int:
        """Requests that got past the edge."""
        return len(self.router.ledger.outcomes)


@pytest.fixture
async def guarded() -> Guarded:
    catalogue = replace(a_catalogue(), tenants={"team": Rights(tiers=frozenset({"weak", "strong"}))})
    return Guarded(await router_on_fakes(catalogue))


async def get(url: str, shown: str | None, data: bytes | None = None) -> Answer:
    headers = {} if shown is None else {"Authorization": shown}
    return await fetch(url, data=data, headers=headers)


@pytest.mark.parametrize("shown", WRONG)
async def test_http_refuses_whom_it_does_not_know_in_openais_shape(
    guarded: Guarded, shown: str | None
) -> None:
    async with over_http(guarded.router, callers=guarded.callers) as served:
        for path, data in (("chat/completions", body()), ("models", None), ("models/auto", None)):
            answer = await get(f"{served.url}/v1/{path}", shown, data)
            assert answer.status == 401
            error = orjson.loads(answer.body)["error"]
            assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
    assert guarded.asked == 0
    assert guarded.refused.total() == 3


class Faulty:
    """Callers that cannot be told because of a bug."""

    async def identify(self, _shown: Shown) -> Caller:
        raise ZeroDivisionError("a secret")


@pytest.mark.parametrize("path", ["chat/completions", "models", "models/auto", "decisions/any", "feedback"])
async def test_http_tells_a_bug_on_every_path_in_openais_shape_and_without_its_text(
    guarded: Guarded, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    async with over_http(guarded.router, callers=Faulty()) as served:
        data = body() if path in {"chat/completions", "feedback"} else None
        answer = await get(f"{served.url}/v1/{path}", None, data)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["message"]) == (500, "internal", "internal error")
    assert [str(each.exc_info[1]) for each in caplog.records if each.exc_info] == ["a secret"]


async def test_http_refuses_before_it_reads_the_body(guarded: Guarded) -> None:
    async with over_http(guarded.router, callers=guarded.callers) as served:
        answer = await get(f"{served.url}/v1/chat/completions", None, b"no JSON")
    assert answer.status == 401


async def test_http_answers_whom_it_knows_as_their_tenant(guarded: Guarded) -> None:
    async with over_http(guarded.router, callers=guarded.callers) as served:
        answer = await get(f"{served.url}/v1/chat/completions", BEARER, body())
        models = await get(f"{served.url}/v1/models", BEARER)
    assert (answer.status, models.status) == (200, 200)
    assert [each["id"] for each in orjson.loads(models.body)["data"]] == ["auto", "weak", "strong"]
    assert guarded.router.ledger.records[-1].caller.tenant == "team"


async def test_health_needs_no_key(guarded: Guarded) -> None:
    async with over_http(guarded.router, callers=guarded.callers) as served:
        for path in ("healthz", "readyz"):
            assert (await get(f"{served.url}/{path}", None)).status == 200


@pytest.mark.parametrize("shown", WRONG)
@pytest.mark.parametrize("method", ["Route", "Chat", "Complete"])
async def test_grpc_refuses_whom_it_does_not_know(guarded: Guarded, shown: str | None, method: str) -> None:
    request = getattr(pb, f"{method}Request")(conversation=conversation("Hello"))
    metadata = None if shown is None else (("authorization", shown),)
    async with over_grpc(guarded.router, callers=guarded.callers) as address, calling(address) as caller:
        call = getattr(caller.stub, method)(request, timeout=10, metadata=metadata)
        told = await failure(responses(call) if method == "Chat" else call)
    assert (told.code, told.reason) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY")
    assert guarded.asked == 0


async def test_grpc_answers_whom_it_knows_as_their_tenant(guarded: Guarded) -> None:
    request = pb.RouteRequest(conversation=conversation("Hello"))
    async with over_grpc(guarded.router, callers=guarded.callers) as address, calling(address) as caller:
        await caller.stub.Route(request, timeout=10, metadata=(("authorization", BEARER),))
    assert guarded.router.ledger.records[-1].caller.key == KEY.id
