"""How to use a running local system: its addresses, and how to call it from where a user is likely to come from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from string import Template
from typing import Final

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table

from steersman.local.addresses import Addresses

_MEANINGS: Final = {
    "router_grpc": "RouterService: Route, Chat, Complete",
    "router_http": "OpenAI's API: /v1/chat/completions, /v1/models",
    "triton_grpc": "Triton, gRPC",
    "triton_http": "Triton, HTTP; with TLS=1 only /v2/health/ready and /v2/health/live",
    "redis": "Valkey",
    "weak_backend": "BackendService of the weak tier",
    "strong_backend": "BackendService of the strong tier",
    "weak_engine": "the weak model's engine",
    "strong_engine": "the strong model's engine",
    "metrics": "the router's Prometheus metrics",
    "traces": "collected traces; /ID/tree draws one",
    "ca_file": "the authority of the certificates; metrics and traces want one too: tls.crt and tls.key beside it",
}

_CURL: Final = Template("""\
curl -i $curl$router_http/v1/chat/completions -H 'content-type: application/json' -d '{
  "model": "auto", "max_tokens": 40, "messages": [{"role": "user", "content": "Why is the sky blue?"}]}'
""")

_OPENAI: Final = Template("""\
${ssl}from openai import ${http_client}OpenAI

client = OpenAI(base_url="$router_http/v1", api_key="none"$verify)
stream = client.chat.completions.create(
    model="auto", max_tokens=40, stream=True, messages=[{"role": "user", "content": "Why is the sky blue?"}]
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="", flush=True)
""")

_GRPC: Final = Template("""\
import grpc
from steersman.api.v1 import chat_pb2, router_service_pb2 as pb, router_service_pb2_grpc as services

${credentials}with $channel as channel:
    router = services.RouterServiceStub(channel)
    message = chat_pb2.ChatMessage(role=chat_pb2.ROLE_USER, content="Why is the sky blue?")
    request = pb.ChatRequest(
        conversation=chat_pb2.Conversation(messages=[message]), options=chat_pb2.GenerationOptions(max_tokens=40)
    )
    for response in router.Chat(request, timeout=60):
        print(response.text, end="", flush=True)
""")

_GRPCURL: Final = Template("""\
grpcurl $grpcurl -d '{"conversation": {"messages": [{"role": "ROLE_USER", "content": "Why is the sky blue?"}]}}' \\
  $router_grpc steersman.api.v1.RouterService/Route
""")


@dataclass(frozen=True, slots=True)
class Example:
    """How to call the router from somewhere.

    Attributes:
        title: From where.
        language: Of the code: bash or python.
        code: What to run, as it is.
    """

    title: str
    language: str
    code: str


def _by_hops(addresses: Addresses) -> dict[str, str]:
    """What is different in examples with TLS and without."""
    rpc, file = addresses.router_grpc, addresses.ca_file
    if file is None:
        empty = dict.fromkeys(("curl", "ssl", "http_client", "verify", "credentials"), "")
        return {**empty, "channel": f'grpc.insecure_channel("{rpc}")', "grpcurl": "-plaintext"}
    return {
        "curl": f"--cacert {file} ",
        "ssl": "import ssl\n\n",
        "http_client": "DefaultHttpxClient, ",
        "verify": f', http_client=DefaultHttpxClient(verify=ssl.create_default_context(cafile="{file}"))',
        "credentials": f'credentials = grpc.ssl_channel_credentials(open("{file}", "rb").read())\n',
        "channel": f'grpc.secure_channel("{rpc}", credentials)',
        "grpcurl": f"-cacert {file}",
    }


def examples(addresses: Addresses) -> list[Example]:
    """An example for each way in."""
    given = {**asdict(addresses), **_by_hops(addresses)}
    return [
        Example(title, language, template.substitute(given))
        for title, language, template in (
            ("curl", "bash", _CURL),
            ("grpcurl, where it is installed", "bash", _GRPCURL),
            ("the openai SDK, with .venv/bin/python", "python", _OPENAI),
            ("a gRPC client, with .venv/bin/python", "python", _GRPC),
        )
    ]


def show(console: Console, addresses: Addresses) -> None:
    """Print the addresses and an example for each way in."""
    table = Table(title="The local system", title_justify="left", show_header=False, box=None)
    for name, address in asdict(addresses).items():
        table.add_row(name, f"[bold]{address or '-'}", f"[dim]{_MEANINGS[name]}")
    console.print(table)
    for example in examples(addresses):
        console.print(f"\n[bold]{example.title}")
        code = Syntax(example.code.rstrip(), example.language, theme="ansi_dark", background_color="default")
        console.print(code, soft_wrap=True)
