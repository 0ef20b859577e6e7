"""Valid inputs of all that parses, to be changed."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

import orjson
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from externalscaler import externalscaler_pb2
from fakes import upstream
from steersman.api.v1 import backend_service_pb2, chat_pb2, demand_service_pb2, router_service_pb2

MESSAGES: Final[list[dict[str, Any]]] = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "What is a rhumb line?"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
    {"role": "tool", "content": "A loxodrome.", "tool_call_id": "1"},
]
PARTS: Final = [
    {"type": "text", "text": "Describe it."},
    {"type": "image_url", "image_url": {"url": "data:,"}},
]

REQUESTS: Final[list[bytes]] = [
    orjson.dumps({"model": "auto", **fields})
    for fields in (
        {"messages": MESSAGES[1:2]},
        {"messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}},
        {"messages": [{"role": "user", "content": PARTS}], "max_tokens": 64, "model": "strong"},
        {"messages": MESSAGES, "tools": [{"type": "function", "function": {"name": "f"}}], "functions": []},
        {
            "messages": MESSAGES[1:2],
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
            "max_completion_tokens": 10,
            "temperature": 0.7,
            "stop": ["\n"],
        },
    )
]

CHUNKS: Final[list[bytes]] = [each for piece in upstream.hello() for each in piece]
COMPLETION: Final = upstream.completion(
    usage={**upstream.USAGE, "prompt_tokens_details": {"cached_tokens": 3}}
)
ERROR: Final = orjson.dumps({"error": {"message": "no", "type": "server_error", "code": 503}})
STREAM: Final = b"".join(b"data: %b\n\n" % chunk for chunk in (*CHUNKS, b"[DONE]"))
STREAMS: Final = [STREAM, STREAM.replace(b"\n", b"\r\n"), b": hello\n\nevent: x\nid: 3\n" + STREAM]

POLICIES: Final = b"""\
tiers:
  weak:
    model: small
    upstream: {kind: backend, target: "10.0.0.1:9000,10.0.0.2:9000"}
    price: {input_usd_per_million_tokens: 0.02, output_usd_per_million_tokens: 0.02}
    capabilities: {context_window: 8192, images: false, tools: false, json_schema: true}
  middle: {model: medium, upstream: {kind: backend, target: "dns:///middle:9000"}}
  strong:
    model: gpt-5
    upstream: {kind: openai, url: "https://api.openai.com/v1", api_key_env: KEY}
policies:
  auto:
    tiers: [weak, strong]
    threshold: 0.7
    fallback: proportional
    out_of_domain: {novelty: 0.999, rule: strong}
    tier_fallback: true
    when_cold: other
    sticky: {moves: both, hysteresis: 0.1}
  three: {tiers: [weak, middle, strong], boundaries: [0.5, 0.9]}
default_policy: auto
tenants:
  search:
    policies: [auto]
    tiers: [weak, strong]
    default_policy: auto
    limits: {requests_per_minute: 60, usd_per_day: 1.5, when_strong_is_spent: weak}
"""
YAML_TOKENS: Final = (
    b"&a ",
    b"*a",
    b"<<: *a",
    b"!!int ''",
    b"!!bool x",
    b"!!timestamp x",
    b"!!float x",
    b"!!binary x",
    b"!!set {a}",
    b"!!omap [a]",
    b"!!python/name:os.system",
    b"2001-99-99",
    b"2001-01-01T99:00:00Z",
    b"0x",
    b"1:99:99",
    b".inf",
    b"? ",
    b"- ",
    b": ",
    b"|\n",
    b"---\n",
    b"%YAML 9\n",
    b"\xff\xfe",
)
RESOURCE: Final = orjson.dumps(
    {
        "tiers": ["weak", "strong"],
        "threshold": 0.7,
        "fallback": "Proportional",
        "outOfDomain": {"novelty": 0.99, "rule": "Weak"},
        "tierFallback": True,
        "whenCold": "Wait",
        "sticky": {"moves": "Upward", "hysteresis": 0.05},
    }
)

KEY: Final = "sk-steersman-0123456789ab-" + "ab" * 32
KEY_FILE: Final = b"""\
keys:
- id: 0123456789ab
  tenant: search
  sha256: 61ab8ccf9db67ed8a3daafd4ce2ce6ac8ec9b8a1bb1e9c0e37d3eb3b4ebd5e60
  created: '2026-01-01T00:00:00Z'
  expires: 2027-01-01T00:00:00+00:00
  note: a team's
- {id: fedc, tenant: mail, created: 2026-01-01 00:00:00Z,
   sha256: 61ab8ccf9db67ed8a3daafd4ce2ce6ac8ec9b8a1bb1e9c0e37d3eb3b4ebd5e60}
"""

CAPTURE_KEYS: Final = b"""\
keys:
- id: 5b688fd6
  created: '2026-11-30T13:23:08+00:00'
  key: va2kjF0MvbrICBX8nWVuvbCSC81lYAMoYjqjO8iz+hA=
- {id: before, key: z9sU4E9SeMvt2PeKvyV+aF+uV4fUPyqFjtLlACNijYo=}
"""
CAPTURED: Final = bytes.fromhex(
    "0106636f72707573000000000000000000000000b5da7175907511a026dede773b0ed9aa7519"
)
"""Sealed with a key of zeros, whose name is `corpus`, for the place that `fuzz.parsers` opens it in."""

SCORE: Final = struct.pack("<BfffB", 1, 0.5, 0.25, 0.75, 1)
SESSION: Final = b"strong\x0010.0.0.1:9000"

DECISION: Final = orjson.dumps(
    {
        "schema": "steersman.decision/1",
        "id": "0a",
        "policy": "auto",
        "boundaries": [0.7],
        "boundaries_from": "policy",
        "wanted_tier": "strong",
        "tier": "strong",
        "reason": "SCORE",
        "score": 0.8,
        "novelty": None,
        "out_of_domain": None,
        "classifier": {"name": "static_head", "version": "1", "artefact_digest": "ab"},
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "usd": 0.1,
        "sample_rate": 1.0,
    }
)

METADATA: Final[list[bytes]] = [
    orjson.dumps({"part": "tier/strong", "targetPerReplica": "2.5", "activation": "1"}),
    orjson.dumps({"part": "router", "scalerAddress": "scaler:9000"}),
    orjson.dumps({"part": "classifier"}),
]
ADDRESSES: Final = [
    b"10.0.0.1:9000",
    b"10.0.0.1:9000, [::1]:80,pod.svc:1",
    b"dns:///10.0.0.1:9000",
    b"k8s:///127.0.0.1:80",
]

_CONVERSATION: Final = chat_pb2.Conversation(
    messages=[
        chat_pb2.ChatMessage(role=chat_pb2.ROLE_SYSTEM, content="Be terse."),
        chat_pb2.ChatMessage(role=chat_pb2.ROLE_USER, content="What is a rhumb line?"),
    ]
)
_OPTIONS: Final = chat_pb2.GenerationOptions(max_tokens=10, temperature=0.5, top_p=0.9, stop=["\n"])
_TYPED: Final[dict[str, Any]] = {"conversation": _CONVERSATION, "threshold": 0.5, "session_id": "one"}
_RAW: Final[dict[str, Any]] = {"openai_body": REQUESTS[1], "model": "strong"}
RPCS: Final[Mapping[str, list[bytes]]] = {
    "steersman.api.v1.RouterService/Route": [
        router_service_pb2.RouteRequest(**given).SerializeToString() for given in (_TYPED, _RAW)
    ],
    "steersman.api.v1.RouterService/Complete": [
        router_service_pb2.CompleteRequest(**given).SerializeToString()
        for given in ({**_TYPED, "options": _OPTIONS}, _RAW)
    ],
    "steersman.api.v1.RouterService/Chat": [
        router_service_pb2.ChatRequest(**given).SerializeToString()
        for given in ({**_TYPED, "options": _OPTIONS}, _RAW)
    ],
    "externalscaler.ExternalScaler/GetMetricSpec": [
        externalscaler_pb2.ScaledObjectRef(
            name="a", namespace="b", scalerMetadata={"part": "tier/strong", "targetPerReplica": "2"}
        ).SerializeToString()
    ],
    "externalscaler.ExternalScaler/GetMetrics": [
        externalscaler_pb2.GetMetricsRequest(
            scaledObjectRef=externalscaler_pb2.ScaledObjectRef(scalerMetadata={"part": "router"}),
            metricName="steersman-router",
        ).SerializeToString()
    ],
    "steersman.api.v1.BackendService/Generate": [
        backend_service_pb2.GenerateRequest(openai_body=REQUESTS[1]).SerializeToString()
    ],
}
REPORT: Final = demand_service_pb2.StreamDemandResponse(
    replica="a",
    tiers=[
        demand_service_pb2.TierDemand(
            tier="strong", demand=demand_service_pb2.Demand(waiting=1, running=2, unmet_total=3)
        )
    ],
    classifier=demand_service_pb2.Demand(waiting=1),
    router=demand_service_pb2.Demand(running=4),
).SerializeToString()
ANSWER: Final = backend_service_pb2.GenerateResponse(openai_chunks=CHUNKS[:2]).SerializeToString()


def status() -> bytes:
    """The details of a status as a backend sends them for an error of its engine."""
    whole = status_pb2.Status(code=8, message="no room")
    info = error_details_pb2.ErrorInfo(reason="QUEUE_FULL", domain="steersman.dev")
    info.metadata.update({"engine_status": "422", "engine_body": "{}"})
    for detail in (info, error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1))):
        whole.details.add().Pack(detail)
    content: bytes = whole.SerializeToString()
    return content


HTTP_RESPONSES: Final = [
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    % (len(STREAM), STREAM),
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + STREAM,
]
"""Streamed answers of an engine, as they are on the wire."""
HTTP_REQUEST: Final = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: router\r\nContent-Type: application/json\r\n"
    b"X-Steersman-Threshold: 0.5\r\nX-Steersman-Session-Id: one\r\nAuthorization: Bearer x\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(REQUESTS[0]), REQUESTS[0])
)
HTTP_TOKENS: Final = (
    b"Content-Length: 5\r\n",
    b"Content-Length: -1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Content-Encoding: deflate\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: upgrade\r\nUpgrade: x\r\n",
    b"Retry-After: 1e999\r\n",
    b"HTTP/1.1 429 No\r\n",
    b"HTTP/1.1 500 No\r\n",
    b"HTTP/1.1 302 No\r\nLocation: http://[\r\n",
    b"HTTP/1.1 999 \xff\r\n",
    b"0\r\n\r\n",
    b'data: {"error":{}}\n\n',
    b"data: [DONE]\n\n",
    b"data: ",
)
