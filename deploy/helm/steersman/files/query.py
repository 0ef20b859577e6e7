"""What `helm test` runs: one query by gRPC and one by HTTP, through the Services and on to an engine.

Called with the target of the gRPC API, HOST:PORT of the HTTP API, a policy, and the seconds that all of it may take.
"""

import http.client
import json
import sys
import time

import grpc
from google.protobuf import json_format

from steersman.api.v1 import chat_pb2, router_service_pb2, router_service_pb2_grpc

QUESTION = "Say hello in one word."
LONGEST = 16


def by_grpc(target: str, policy: str, timeout: float) -> None:
    """Ask over gRPC; ends with the status of the RPC, or where the answer is empty."""
    message = chat_pb2.ChatMessage(role=chat_pb2.ROLE_USER, content=QUESTION)
    request = router_service_pb2.CompleteRequest(
        model=policy,
        conversation=chat_pb2.Conversation(messages=[message]),
        options=chat_pb2.GenerationOptions(max_tokens=LONGEST),
    )
    with grpc.insecure_channel(target) as channel:
        stub = router_service_pb2_grpc.RouterServiceStub(channel)
        answer = stub.Complete(request, timeout=timeout, wait_for_ready=True)
    sys.stdout.write(f"gRPC: {json_format.MessageToJson(answer.decision, indent=None)}\n")
    if not answer.text:
        sys.exit("gRPC: the answer is empty")


def by_http(address: str, policy: str, timeout: float) -> None:
    """Ask over OpenAI's API; ends with the response, or where the answer is empty."""
    body = {"model": policy, "max_tokens": LONGEST, "messages": [{"role": "user", "content": QUESTION}]}
    connection = http.client.HTTPConnection(address, timeout=timeout)
    connection.request(
        "POST", "/v1/chat/completions", json.dumps(body), headers={"content-type": "application/json"}
    )
    response = connection.getresponse()
    text = response.read().decode()
    if response.status != http.client.OK:
        sys.exit(f"HTTP: {response.status} {text}")
    decision = {name: value for name, value in response.getheaders() if name.startswith("x-steersman-")}
    sys.stdout.write(f"HTTP: {json.dumps(decision)}\n")
    if not json.loads(text)["choices"][0]["message"]["content"]:
        sys.exit("HTTP: the answer is empty")


def main() -> None:
    """Ask both ways within the time."""
    target, address, policy, seconds = sys.argv[1:]
    end = time.monotonic() + float(seconds)
    by_grpc(target, policy, end - time.monotonic())
    by_http(address, policy, end - time.monotonic())


if __name__ == "__main__":
    main()
