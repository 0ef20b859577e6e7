"""Tokens checked by the keys of their issuer: which are good, and what happens when keys change or cannot be had."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from fakes.clock import FakeClock
from fakes.issuer import AUDIENCE, FakeIssuer, a_curve_key, a_key, fake_issuer, shown, shown_curve, signed
from steersman.router.adapters.issuer_keys import IssuerKeys
from steersman.runtime.kubernetes.api import Unreachable
from steersman.runtime.tasks import BackgroundTasks

USER = "system:serviceaccount:models:caller"


@dataclass
class Subject:
    """The keys of an issuer, in a router."""

    issuer: FakeIssuer
    clock: FakeClock = field(default_factory=FakeClock)
    fetched: Counter[str] = field(default_factory=Counter)
    settings: dict[str, Any] = field(default_factory=dict)
    _keys: IssuerKeys | None = None

    @property
    def keys(self) -> IssuerKeys:
        if self._keys is None:
            self._keys = IssuerKeys(
                self.issuer.as_told(**self.settings), on_fetch=self._count, clock=self.clock
            )
        return self._keys

    async def user(self, token: str) -> str | None:
        return await self.keys.review(token, audience=AUDIENCE)

    async def left(self, token: str) -> None:
        """Ask whose a token is, and leave as soon as the issuer is asked for its keys."""
        leaving = asyncio.create_task(self.user(token))
        await self.issuer.gate.until(waiting=1)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)

    def _count(self, outcome: str) -> None:
        self.fetched[outcome] += 1


@pytest.fixture
async def subject() -> AsyncIterator[Subject]:
    async with fake_issuer() as issuer:
        yield Subject(issuer)


async def test_a_token_that_the_issuer_signed_is_its_accounts(subject: Subject) -> None:
    assert await subject.user(signed()) == USER


async def test_keys_on_a_curve_will_do(subject: Subject) -> None:
    subject.issuer.keys = [shown_curve("curve")]
    assert await subject.user(signed(by="curve", key=a_curve_key("curve"), algorithm="ES256")) == USER


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"aud": ["another"]}, id="for others"),
        pytest.param({"iss": "https://elsewhere"}, id="of another issuer"),
        *(pytest.param({name: None}, id=f"without {name}") for name in ("aud", "iss", "exp", "sub")),
    ],
)
async def test_a_token_that_is_not_for_us_is_nobodys(subject: Subject, claims: dict[str, Any]) -> None:
    assert await subject.user(signed(**claims)) is None


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -60), ("nbf", 60)])
async def test_a_token_that_has_ended_or_not_begun_is_nobodys(
    subject: Subject, claim: str, seconds: int
) -> None:
    claims: dict[str, Any] = {claim: int(time.time()) + seconds}
    assert await subject.user(signed(**claims)) is None


async def test_what_was_signed_otherwise_is_nobodys(subject: Subject) -> None:
    public = a_key("one").public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, payload, signature = signed().split(".")
    for token in (
        signed(by="one", key=a_key("stranger")),
        signed(by="one", key="", algorithm="none"),
        _by_hmac(payload, pem),
        f"{head}.{payload}.{signature[:-4]}AAAA",
        f"{head}.{signed(sub='system:serviceaccount:kube-system:admin').split('.')[1]}.{signature}",
        "eyJ.x.y",
        "",
    ):
        assert await subject.user(token) is None


async def test_a_new_key_is_fetched_when_a_token_names_it(subject: Subject) -> None:
    assert await subject.user(signed()) == USER
    subject.issuer.keys = [shown("two")]
    subject.clock.advance(10)
    assert await subject.user(signed(by="two")) == USER
    assert await subject.user(signed()) is None  # its key is gone


async def test_names_that_are_made_up_have_the_keys_fetched_once_in_a_while(subject: Subject) -> None:
    for number in range(50):
        assert await subject.user(signed(by=f"made up {number % 3}")) is None
    assert subject.issuer.asked == 1
    subject.clock.advance(10)
    assert await subject.user(signed(by="made up")) is None
    assert subject.issuer.asked == 2


async def test_a_fetch_goes_on_when_who_waited_for_it_has_left(subject: Subject) -> None:
    subject.issuer.gate.close()
    await subject.left(signed())
    subject.issuer.gate.open()
    assert await asyncio.gather(*(subject.user(signed()) for _ in range(5))) == [USER] * 5
    assert subject.issuer.asked == 1
    assert subject.fetched == {"taken": 1}


async def test_a_fetch_that_fails_is_counted_when_who_waited_for_it_has_left(subject: Subject) -> None:
    subject.issuer.gate.close()
    subject.issuer.status = 503
    await subject.left(signed())
    subject.issuer.gate.open()
    with pytest.raises(Unreachable):
        await subject.user(signed())
    assert subject.fetched == {"failed": 1}


async def test_a_fetch_ends_with_the_task_that_follows_the_keys(subject: Subject) -> None:
    subject.issuer.gate.close()
    async with BackgroundTasks() as tasks:
        tasks.start("keys", subject.keys.follow)
        await subject.left(signed())
    await subject.issuer.gate.until(waiting=0)
    assert not subject.fetched


async def test_keys_that_were_good_stay_while_the_issuer_is_away(subject: Subject) -> None:
    subject.settings = {"stale_seconds": 100.0}
    assert await subject.user(signed()) == USER
    subject.issuer.status = 503
    subject.clock.advance(90)
    assert await subject.user(signed()) == USER
    with pytest.raises(Unreachable):  # it may be good; nobody can tell
        await subject.user(signed(by="two"))
    subject.clock.advance(20)
    with pytest.raises(Unreachable):
        await subject.user(signed())
    subject.issuer.status = 200
    subject.clock.advance(10)
    assert await subject.user(signed()) == USER
    assert subject.fetched == {"taken": 2, "failed": 2}


async def test_without_any_keys_yet_nobody_is_refused(subject: Subject) -> None:
    subject.issuer.status = 500
    with pytest.raises(Unreachable):
        await subject.user(signed())


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(b"[" * 100_000, id="nested"),
        pytest.param(b'{"keys": 1}', id="no keys"),
        pytest.param(
            b'{"keys": [1, {}, {"kty": "oct", "k": "AAAA", "kid": "one"}]}', id="none to check with"
        ),
        pytest.param(b" " * 300_000, id="too long"),
        pytest.param(json.dumps({"keys": [shown("one", use="enc")]}).encode(), id="for something else"),
    ],
)
async def test_an_answer_that_is_no_set_of_keys_changes_nothing(subject: Subject, answer: bytes) -> None:
    assert await subject.user(signed()) == USER
    subject.issuer.answer = answer
    subject.clock.advance(10)
    with pytest.raises(Unreachable):
        await subject.user(signed(by="two"))
    assert await subject.user(signed()) == USER


async def test_what_the_router_has_to_show_for_the_keys_is_read_anew_each_time(
    subject: Subject, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    subject.settings, subject.issuer.wanted = {"token_file": file}, "first"
    assert await subject.user(signed()) == USER
    file.write_text("second\n")
    subject.issuer.wanted = "second"
    subject.issuer.keys = [shown("two")]
    subject.clock.advance(10)
    assert await subject.user(signed(by="two")) == USER


async def test_a_short_key_is_not_believed(subject: Subject) -> None:
    subject.issuer.keys.append(
        shown("two", n=_number(a_key("short", bits=1024).public_key().public_numbers().n))
    )
    assert await subject.user(signed()) == USER
    subject.clock.advance(10)
    assert await subject.user(signed(by="two")) is None


def _by_hmac(payload: str, secret: bytes) -> str:
    """A token "signed" with what everybody may know, by an algorithm that has no public key."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=").decode()
    digest = hmac.digest(secret, f"{head}.{payload}".encode(), hashlib.sha256)
    return f"{head}.{payload}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(128, "big")).rstrip(b"=").decode()
