"""What Steersman relies on in an address source, asked of the fake one and of static lists and DNS."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import pytest

from fakes.addresses import FakeAddresses
from steersman.runtime.addresses import AddressLookup, AddressSource


def refusing(code: int) -> Callable[..., NoReturn]:
    """A resolver that has only this to say."""

    def getaddrinfo(*_: object) -> NoReturn:
        raise socket.gaierror(code, "so says the resolver")

    return getaddrinfo


@dataclass
class Subject:
    """A source under test, a target that it knows, and one about which it cannot find out anything."""

    source: AddressSource
    known: str
    expected: set[str]
    unknown: str


class AddressSourceContract:
    """The suite; a subclass says which source is the `subject`."""

    async def test_all_addresses_are_found(self, subject: Subject) -> None:
        assert subject.expected <= set(await subject.source.addresses(subject.known))

    async def test_no_address_is_found_twice(self, subject: Subject) -> None:
        found = await subject.source.addresses(subject.known)
        assert len(found) == len(set(found))

    async def test_asking_again_finds_the_same(self, subject: Subject) -> None:
        first, second = [await subject.source.addresses(subject.known) for _ in range(2)]
        assert first == second

    async def test_what_cannot_be_found_out_is_an_os_error(self, subject: Subject) -> None:
        with pytest.raises(OSError, match=r".+"):
            await subject.source.addresses(subject.unknown)


class TestFake(AddressSourceContract):
    @pytest.fixture
    def subject(self) -> Subject:
        class Source(FakeAddresses):
            async def addresses(self, target: str) -> list[str]:
                self.down = target == "unknown"
                return list(await super().addresses(target))

        return Subject(Source(("a:1", "b:1")), "known", {"a:1", "b:1"}, "unknown")


class TestDns(AddressSourceContract):
    @pytest.fixture
    def subject(self) -> Subject:
        return Subject(
            AddressLookup(), "dns:///localhost:9001", {"127.0.0.1:9001"}, f"dns:///{'x' * 64}:9001"
        )

    @pytest.mark.parametrize(
        "target",
        [
            pytest.param("dns:///..:80", id="empty labels"),
            pytest.param("dns:///localhost:no-such-service", id="no such port"),
            pytest.param("dns:///localhost", id="no port"),
        ],
    )
    async def test_a_target_that_makes_no_sense_is_an_os_error_too(
        self, subject: Subject, target: str
    ) -> None:
        with pytest.raises(OSError, match=r".+"):
            await subject.source.addresses(target)

    async def test_an_address_of_version_six_is_written_in_brackets(self, subject: Subject) -> None:
        assert await subject.source.addresses("dns:///::1:9001") == ["[::1]:9001"]

    @pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_NODATA])
    async def test_a_name_without_addresses_has_none(
        self, subject: Subject, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", refusing(code))
        assert await subject.source.addresses(subject.known) == []

    @pytest.mark.parametrize("code", [socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM])
    async def test_silence_of_dns_is_an_os_error_and_not_the_news_that_there_is_nobody(
        self, subject: Subject, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", refusing(code))
        with pytest.raises(OSError, match=r".+"):
            await subject.source.addresses(subject.known)

    def test_a_name_that_is_not_resolved_in_time_is_an_os_error_too(self) -> None:
        assert issubclass(TimeoutError, OSError)


@pytest.mark.parametrize(
    ("target", "addresses"),
    [
        pytest.param("triton:8001", ["triton:8001"], id="one"),
        pytest.param("a:1,b:2", ["a:1", "b:2"], id="several"),
        pytest.param(" a:1 , b:2, ", ["a:1", "b:2"], id="with white space"),
        pytest.param("http://engine:8000/v1", ["http://engine:8000/v1"], id="a URL"),
    ],
)
async def test_a_static_target_is_its_own_answer(target: str, addresses: list[str]) -> None:
    assert await AddressLookup().addresses(target) == addresses
