"""Both edges before a router on fakes: how a caller names its conversation."""

from __future__ import annotations

import grpc
import orjson

from fakes.router import RouterOnFakes
from fakes.served import over_grpc, over_http
from fixtures.callers import body, calling, conversation, failure, fetch
from steersman.api.v1 import decision_pb2, router_service_pb2 as pb
from steersman.router.http import SESSION_HEADER


def hard_at_first(router: RouterOnFakes) -> None:
    router.classifier.score = lambda text: 0.9 if text.endswith("theorem") else 0.1


async def test_over_http_a_header_names_the_conversation(router: RouterOnFakes) -> None:
    hard_at_first(router)
    async with over_http(router) as served:
        url, named = f"{served.url}/v1/chat/completions", {SESSION_HEADER: "chat-1"}
        await fetch(url, data=body("Prove the theorem"), headers=named)
        sequel = await fetch(url, data=body("Thanks"), headers=named)
        other = await fetch(url, data=body("Thanks"), headers={SESSION_HEADER: "chat-2"})
    assert (sequel.headers["x-steersman-tier"], sequel.headers["x-steersman-reason"]) == ("strong", "SESSION")
    assert other.headers["x-steersman-tier"] == "weak"


async def test_over_grpc_a_field_names_the_conversation(router: RouterOnFakes) -> None:
    hard_at_first(router)
    async with over_grpc(router) as address, calling(address) as caller:
        first = pb.RouteRequest(conversation=conversation("Prove the theorem"), session_id="chat-1")
        await caller.stub.Route(first, timeout=10)
        sequel = pb.CompleteRequest(conversation=conversation("Thanks"), session_id="chat-1")
        decision = (await caller.stub.Complete(sequel, timeout=10)).decision
    assert (decision.tier, decision.reason) == ("strong", decision_pb2.DECISION_REASON_SESSION)


async def test_over_http_a_name_that_is_none_is_400_and_says_which_header(router: RouterOnFakes) -> None:
    async with over_http(router) as served:
        answer = await fetch(
            f"{served.url}/v1/chat/completions", data=body(), headers={SESSION_HEADER: "x" * 300}
        )
    assert answer.status == 400
    assert orjson.loads(answer.body)["error"]["param"] == SESSION_HEADER


async def test_over_grpc_a_name_that_is_none_is_an_invalid_argument(router: RouterOnFakes) -> None:
    request = pb.RouteRequest(conversation=conversation("Hello"), session_id="a\nb")
    async with over_grpc(router) as address, calling(address) as caller:
        told = await failure(caller.stub.Route(request, timeout=10))
    assert (told.code, told.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("session_id",))
