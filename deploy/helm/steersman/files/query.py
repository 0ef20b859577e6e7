"""What `helm test` runs: one query by gRPC and one by HTTP, through the Services and on to an engine.

Called with the target of the gRPC API, HOST:PORT of the HTTP API, a policy, and the seconds that all of it may take.
An API key is taken from the variable API_KEY; where TLS_FOLDER names a folder of certificates, both are asked by TLS.
What is not available yet, as right after an install, is asked for again, as callers should.
"""

import http.client
import json
import os
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc
from google.protobuf import json_format

from steersman.api.v1 import chat_pb2, router_service_pb2, router_service_pb2_grpc

QUESTION = "Say hello in one word."
LONGEST = 16
PAUSE = 1.0


class Unavailable(Exception):
    """Nobody could answer now."""


def authorization() -> dict[str, str]:
    """What shows who asks, as gRPC metadata or as an HTTP header."""
    key = os.environ.get("API_KEY")
    return {"authorization": f"Bearer {key}"} if key else {}


def certificates() -> Path | None:
    """Folder of what this end shows, and of whom it trusts; None in the clear."""
    folder = os.environ.get("TLS_FOLDER")
    return Path(folder) if folder else None


def channel(target: str) -> grpc.Channel:
    """A channel to the gRPC API."""
    folder = certificates()
    if folder is None:
        return grpc.insecure_channel(target)
    files = [(folder / name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt")]
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(*files))


def connection(address: str, timeout: float) -> http.client.HTTPConnection:
    """A connection to the HTTP API."""
    folder = certificates()
    if folder is None:
        return http.client.HTTPConnection(address, timeout=timeout)
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return http.client.HTTPSConnection(address, timeout=timeout, context=context)


def by_grpc(target: str, policy: str, timeout: float) -> None:
    """Ask over gRPC; ends with the status of the RPC, or where the answer is empty."""
    message = chat_pb2.ChatMessage(role=chat_pb2.ROLE_USER, content=QUESTION)
    request = router_service_pb2.CompleteRequest(
        model=policy,
        conversation=chat_pb2.Conversation(messages=[message]),
        options=chat_pb2.GenerationOptions(max_tokens=LONGEST),
    )
    with channel(target) as opened:
        stub = router_service_pb2_grpc.RouterServiceStub(opened)
        try:
            answer = stub.Complete(
                request, timeout=timeout, wait_for_ready=True, metadata=tuple(authorization().items())
            )
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                raise Unavailable(f"gRPC: {error.details()}") from None
            raise
    sys.stdout.write(f"gRPC: {json_format.MessageToJson(answer.decision, indent=None)}\n")
    if not answer.text:
        sys.exit("gRPC: the answer is empty")


def by_http(address: str, policy: str, timeout: float) -> None:
    """Ask over OpenAI's API; ends with the response, or where the answer is empty."""
    body = {"model": policy, "max_tokens": LONGEST, "messages": [{"role": "user", "content": QUESTION}]}
    opened = connection(address, timeout)
    headers = {"content-type": "application/json", **authorization()}
    opened.request("POST", "/v1/chat/completions", json.dumps(body), headers=headers)
    response = opened.getresponse()
    text = response.read().decode()
    if response.status == http.client.SERVICE_UNAVAILABLE:
        raise Unavailable(f"HTTP: {text}")
    if response.status != http.client.OK:
        sys.exit(f"HTTP: {response.status} {text}")
    decision = {name: value for name, value in response.getheaders() if name.startswith("x-steersman-")}
    sys.stdout.write(f"HTTP: {json.dumps(decision)}\n")
    if not json.loads(text)["choices"][0]["message"]["content"]:
        sys.exit("HTTP: the answer is empty")


def until(end: float, ask: Callable[[float], None]) -> None:
    """Ask, and ask again what is not available, until this time."""
    while True:
        try:
            return ask(max(end - time.monotonic(), PAUSE))
        except Unavailable as error:
            if time.monotonic() > end:
                sys.exit(str(error))
            sys.stdout.write(f"{error}; asking again\n")
            time.sleep(PAUSE)


def main() -> None:
    """Ask both ways within the time."""
    target, address, policy, seconds = sys.argv[1:]
    end = time.monotonic() + float(seconds)
    until(end, lambda left: by_grpc(target, policy, left))
    until(end, lambda left: by_http(address, policy, left))


if __name__ == "__main__":
    main()
