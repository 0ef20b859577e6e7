"""What Steersman relies on in the review of tokens, asked of a fake, a real API server and the keys of an issuer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

import pytest

from fakes.issuer import fake_issuer, signed
from fakes.reviewer import FakeReviewer, a_token
from fixtures.real_cluster import Space
from steersman.identity.service_accounts import expiry, is_token
from steersman.router.adapters.issuer_keys import IssuerKeys
from steersman.runtime.kubernetes.api import TokenReviewer
from steersman.runtime.kubernetes.client import KubernetesApi

AUDIENCE = "steersman"


class World(ABC):
    """An API server, and a ServiceAccount `caller` in a namespace of it."""

    reviewer: TokenReviewer
    namespace: str

    @abstractmethod
    def token(self, audience: str) -> str:
        """A new token of the ServiceAccount."""

    @abstractmethod
    def remove(self) -> None:
        """Delete the ServiceAccount."""


class TokenReviewContract:
    """The suite; a subclass says which API server is in the `world`."""

    async def test_a_token_is_its_accounts(self, world: World) -> None:
        user = await world.reviewer.review(world.token(AUDIENCE), audience=AUDIENCE)
        assert user == f"system:serviceaccount:{world.namespace}:caller"

    async def test_a_token_says_itself_when_it_ends_and_for_whom_it_is(self, world: World) -> None:
        token = world.token(AUDIENCE)
        assert is_token(token)
        assert expiry(token, audience=AUDIENCE)
        assert expiry(token, audience="another") is None

    async def test_a_token_for_others_is_nobodys(self, world: World) -> None:
        assert await world.reviewer.review(world.token("another"), audience=AUDIENCE) is None

    async def test_what_was_changed_is_nobodys(self, world: World) -> None:
        head, payload, signature = world.token(AUDIENCE).split(".")
        forged = a_token(audience=AUDIENCE).split(".")[1]
        for token in (
            f"{head}.{forged}.{signature}",
            f"{head}.{payload}.{signature[:-4]}AAAA",
            a_token(),
            "eyJ.x.y",
        ):
            assert await world.reviewer.review(token, audience=AUDIENCE) is None


class RevokingContract(TokenReviewContract):
    """What only an API server knows beside that."""

    async def test_the_token_of_an_account_that_is_gone_is_nobodys(self, world: World) -> None:
        token = world.token(AUDIENCE)
        world.remove()
        assert await world.reviewer.review(token, audience=AUDIENCE) is None


class FakeWorld(World):
    def __init__(self) -> None:
        self.reviewer: FakeReviewer = FakeReviewer()
        self.namespace = "models"
        self._made = 0

    def token(self, audience: str) -> str:
        self._made += 1
        token = a_token(audience=audience, jti=self._made)
        self.reviewer.users[token] = f"system:serviceaccount:{self.namespace}:caller"
        return token

    def remove(self) -> None:
        self.reviewer.users.clear()


class RealWorld(World):
    def __init__(self, reviewer: KubernetesApi, space: Space) -> None:
        self.reviewer = reviewer
        self.namespace = space.name
        self._space = space
        self.remove()
        self._do("create", "serviceaccount", "caller")

    def token(self, audience: str) -> str:
        return self._do("create", "token", "caller", f"--audience={audience}")

    def remove(self) -> None:
        self._space.kubectl("delete", "serviceaccount", "caller", "--ignore-not-found")

    def _do(self, *arguments: str) -> str:
        done = self._space.kubectl(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


class IssuerWorld(World):
    """Keys of an issuer, which knows nothing of accounts that are gone."""

    def __init__(self, keys: IssuerKeys) -> None:
        self.reviewer: IssuerKeys = keys
        self.namespace = "models"

    def token(self, audience: str) -> str:
        return signed(aud=[audience])

    def remove(self) -> None:
        raise NotImplementedError


class TestIssuerKeys(TokenReviewContract):
    @pytest.fixture
    async def world(self) -> AsyncIterator[World]:
        async with fake_issuer() as issuer:
            yield IssuerWorld(IssuerKeys(issuer.as_told(), on_fetch=lambda _: None))


class TestFakeTokenReview(RevokingContract):
    @pytest.fixture
    def world(self) -> World:
        return FakeWorld()


@pytest.mark.cluster
class TestRealTokenReview(RevokingContract):
    @pytest.fixture
    def world(self, real_api: KubernetesApi, space: Space) -> World:
        return RealWorld(real_api, space)
