"""The HTTP edge before a router on fakes: statuses, OpenAI's error shape, events, headers, callers that leave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest

from fakes.catalogue import a_catalogue, a_policy
from fakes.router import RouterOnFakes, router_on_fakes
from fakes.served import OverHttp, events, over_http
from fakes.upstream import DOWN, FULL, NO, USAGE, chunk, hello, usage_chunk
from fixtures.callers import body, fetch
from steersman.openai_api.sse import EventParser
from steersman.router.edges import retry_after
from steersman.runtime.errors import (
    BrokenOff,
    DeadlineExceeded,
    Error,
    InvalidRequest,
    TooLarge,
)

CHUNKS = [each for piece in hello()[:3] for each in piece]
"""The chunks of the fakes' answer that are no usage."""


async def test_a_whole_answer_is_the_engines_body(served: OverHttp, router: RouterOnFakes) -> None:
    answer = await served.ask()
    assert (answer.status, answer.body) == (200, router.weak.whole)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert served.statuses == [200]


async def test_a_stream_is_one_event_a_chunk_and_ends_with_done(served: OverHttp) -> None:
    answer = await served.ask(stream=True)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert events(answer) == [*CHUNKS, b"[DONE]"]


@pytest.mark.parametrize("asked", [True, False])
async def test_the_usage_is_in_the_stream_of_who_asked_for_it(served: OverHttp, *, asked: bool) -> None:
    answer = await served.ask(body(stream=True, stream_options={"include_usage": asked}))
    assert (usage_chunk() in events(answer)) == asked
    assert (str(USAGE["prompt_tokens"]).encode() in answer.body) == asked


@pytest.mark.parametrize("stream", [True, False])
async def test_the_headers_tell_the_decision(
    served: OverHttp, router: RouterOnFakes, *, stream: bool
) -> None:
    router.hard()
    headers = (await served.ask(stream=stream)).headers
    told = {name.removeprefix("x-steersman-"): headers[name] for name in headers if "steersman" in name}
    assert told.pop("decision-id")
    assert float(told.pop("overhead-ms")) > 0
    assert told == {
        "tier": "strong",
        "wanted-tier": "strong",
        "reason": "SCORE",
        "policy": "auto",
        "policy-version": "v-of-auto",
        "cache": "MISS",
        "retries": "0",
        "score": "0.8000",
        "novelty": "0.2500",
        "threshold": "0.7",
    }
    assert "classify;dur=" in headers["Server-Timing"]


@pytest.mark.parametrize("stream", [True, False])
async def test_the_headers_tell_which_tier_answered_in_the_end(
    served: OverHttp, router: RouterOnFakes, *, stream: bool
) -> None:
    router.hard()
    router.strong.error = DOWN
    headers = (await served.ask(stream=stream)).headers
    assert (headers["x-steersman-tier"], headers["x-steersman-wanted-tier"]) == ("weak", "strong")
    assert headers["x-steersman-reason"] == "TIER_UNAVAILABLE"


ERRORS: list[Any] = [
    (InvalidRequest("tools[0]", "is odd"), 400, "invalid_request_error", "tools[0]", "invalid_request", None),
    (TooLarge("too long"), 413, "invalid_request_error", None, "request_too_large", None),
    (FULL, 429, "rate_limit_error", None, "queue_full", "4"),
    (DOWN, 503, "server_error", None, "engine_unreachable", "1"),
    (DeadlineExceeded("too late"), 504, "server_error", None, "deadline_exceeded", None),
    (BrokenOff("it died"), 502, "server_error", None, "engine_broke_off", None),
    (Error("internal error"), 500, "server_error", None, "internal", None),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("error", "status", "kind", "param", "code", "retry_after"),
    ERRORS,
    ids=lambda value: type(value).__name__ if isinstance(value, Error) else "",
)
async def test_an_error_before_the_first_byte_has_its_status_and_openais_shape(
    served: OverHttp,
    router: RouterOnFakes,
    *,
    stream: bool,
    error: Error,
    status: int,
    kind: str,
    param: str | None,
    code: str,
    retry_after: str | None,
) -> None:
    router.fail(error)
    answer = await served.ask(stream=stream)
    assert answer.status == status
    assert answer.json == {"error": {"message": error.message, "type": kind, "param": param, "code": code}}
    assert answer.headers.get("Retry-After") == retry_after
    assert served.statuses == [status]
    assert router.idle


async def test_what_the_engine_refuses_is_passed_on_with_its_status(
    served: OverHttp, router: RouterOnFakes
) -> None:
    router.weak.error = NO
    answer = await served.ask()
    assert (answer.status, answer.body) == (422, b"{}")


async def test_an_unknown_model_is_400_with_openais_code(served: OverHttp) -> None:
    answer = await served.ask(body(model="nobody"))
    assert (answer.status, answer.json["error"]["code"]) == (400, "model_not_found")
    assert answer.json["error"]["param"] == "model"


@pytest.mark.parametrize("stream", [True, False])
async def test_an_unforeseen_failure_is_logged_and_its_text_is_not_told(
    served: OverHttp, router: RouterOnFakes, caplog: pytest.LogCaptureFixture, *, stream: bool
) -> None:
    router.classifier.bug = ZeroDivisionError("a secret")
    answer = await served.ask(stream=stream)
    assert (answer.status, answer.json["error"]["message"]) == (500, "internal error")
    assert [str(each.exc_info[1]) for each in caplog.records if each.exc_info] == ["a secret"]
    assert served.statuses == [500]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BrokenOff("it died"), "engine_broke_off"),
        (DOWN, "engine_unreachable"),
        (DeadlineExceeded("late"), "deadline_exceeded"),
    ],
)
async def test_an_error_in_the_middle_of_a_stream_is_an_error_object_and_no_done(
    served: OverHttp, router: RouterOnFakes, error: Error, code: str
) -> None:
    router.fail(error, after=2)
    answer = await served.ask(stream=True)
    *begun, last = events(answer)
    assert (answer.status, begun) == (200, CHUNKS[:3])
    assert orjson.loads(last)["error"]["code"] == code
    assert served.statuses == [200]
    assert router.idle


async def test_an_unforeseen_failure_in_the_middle_of_a_stream_is_an_error_object_too(
    served: OverHttp, router: RouterOnFakes, caplog: pytest.LogCaptureFixture
) -> None:
    router.fail(ZeroDivisionError("a secret"), after=2)
    *begun, last = events(await served.ask(stream=True))
    assert begun == CHUNKS[:3]
    assert orjson.loads(last)["error"]["message"] == "internal error"
    assert [str(each.exc_info[1]) for each in caplog.records if each.exc_info] == ["a secret"]


async def test_a_stream_without_a_visible_chunk_is_complete_all_the_same(
    served: OverHttp, router: RouterOnFakes
) -> None:
    router.weak.pieces = [[usage_chunk()]]
    answer = await served.ask(stream=True)
    assert (answer.status, events(answer)) == (200, [b"[DONE]"])
    assert answer.headers["x-steersman-tier"] == "weak"


@pytest.mark.parametrize(("threshold", "tier"), [("0.4", "strong"), ("0.6", "weak"), ("1", "weak")])
async def test_a_caller_may_bring_a_threshold(served: OverHttp, threshold: str, tier: str) -> None:
    answer = await served.ask(threshold=threshold)
    assert answer.headers["x-steersman-tier"] == tier
    assert answer.headers["x-steersman-threshold"] == threshold


@pytest.mark.parametrize("threshold", ["", "half", "nan", "-inf", "-0.1", "1.01", "0.5,0.6", "1e999"])
async def test_a_threshold_that_is_none_is_400(
    served: OverHttp, router: RouterOnFakes, threshold: str
) -> None:
    answer = await served.ask(threshold=threshold)
    assert answer.status == 400
    assert "threshold" in answer.json["error"]["param"]
    assert router.classifier.asked == []


async def test_a_threshold_for_a_policy_of_one_tier_is_400() -> None:
    router = await router_on_fakes(a_catalogue(a_policy(tiers=["weak"], boundaries=[])))
    async with over_http(router) as served:
        answer = await served.ask(threshold="0.5")
    assert (answer.status, answer.json["error"]["param"]) == (400, "threshold")


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
async def test_a_body_over_the_limit_is_413(router: RouterOnFakes, *, chunked: bool) -> None:
    whole = body("x" * 2000)

    async def pieces() -> AsyncIterator[bytes]:
        yield whole[:900]
        yield whole[900:]

    async with over_http(router, max_bytes=1000) as served, aiohttp.ClientSession() as session:
        url = f"{served.url}/v1/chat/completions"
        async with session.post(url, data=pieces() if chunked else whole) as response:
            assert response.status == 413
            assert (await response.json())["error"]["code"] == "request_too_large"
        assert (await served.ask()).status == 200


async def test_too_many_messages_are_400(router: RouterOnFakes) -> None:
    async with over_http(router, max_messages=2) as served:
        answer = await served.ask(orjson.dumps({"messages": [{"role": "user", "content": "hi"}] * 3}))
    assert (answer.status, answer.json["error"]["param"]) == (400, "messages")


async def test_a_request_that_takes_longer_than_allowed_is_504(router: RouterOnFakes) -> None:
    router.weak.hold_at = 0
    async with over_http(router, seconds=0.05) as served:
        answer = await served.ask()
    assert (answer.status, answer.json["error"]["code"]) == (504, "deadline_exceeded")


async def test_policies_and_tiers_are_models(served: OverHttp) -> None:
    listed = (await fetch(f"{served.url}/v1/models")).json
    assert [model["id"] for model in listed["data"]] == ["auto", "weak", "strong"]
    one = (await fetch(f"{served.url}/v1/models/weak")).json
    assert one == {"id": "weak", "object": "model", "created": 1_700_000_000, "owned_by": "steersman"}
    assert one in listed["data"]


@pytest.mark.parametrize(
    ("path", "code", "param"),
    [("/v1/models/nobody", "model_not_found", "model"), ("/v1/embeddings", "unknown_url", None)],
)
async def test_what_there_is_not_is_404_in_openais_shape(
    served: OverHttp, path: str, code: str, param: str | None
) -> None:
    answer = await fetch(served.url + path)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (404, code, param)
    assert error["type"] == "invalid_request_error"


async def test_a_router_is_ready_without_what_it_can_do_without_and_says_so(served: OverHttp) -> None:
    assert (await fetch(f"{served.url}/healthz")).body == b"ok\n"
    ready = await fetch(f"{served.url}/readyz")
    assert ready.json == {"status": "ready", "parts": {"classifier": "ok"}}
    served.parts["classifier"] = False
    answer = await fetch(f"{served.url}/readyz")
    assert (answer.status, answer.json["parts"]) == (200, {"classifier": "degraded"})


def test_the_first_chunk_of_the_fakes_is_what_these_tests_count_on() -> None:
    assert CHUNKS[0] == chunk("Hello")


async def test_an_event_of_several_lines_stays_one_event(served: OverHttp, router: RouterOnFakes) -> None:
    indented = orjson.dumps(orjson.loads(chunk("Hello")), option=orjson.OPT_INDENT_2)
    router.weak.pieces = [[indented], [chunk(finish_reason="stop")]]
    answer = await served.ask(stream=True)
    parser = EventParser(max_event_bytes=10_000)
    assert parser.feed(answer.body)[0] == indented
    assert parser.done


@pytest.mark.parametrize(("seconds", "told"), [(0.1, "1"), (1.4, "2"), (2.0, "2")])
def test_nobody_is_told_to_come_back_too_early(seconds: float, told: str) -> None:
    assert retry_after(seconds) == told
