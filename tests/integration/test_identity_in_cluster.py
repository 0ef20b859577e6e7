"""Callers of a router in a real cluster, which has the rights that the chart gives it: keys of a Secret, and tokens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import render
from fixtures.callers import fetch, metric, until
from fixtures.cut_line import CutLine
from fixtures.real_cluster import Space
from fixtures.router_in_cluster import RouterInCluster, router_in_cluster
from steersman.cli.__main__ import main
from steersman.identity import key_file
from steersman.router.settings import Identity, ServiceAccountRule, ServiceAccounts

pytestmark = pytest.mark.cluster

SECRET = "steersman-keys"  # noqa: S105 - its name
ROUTER = "steersman-router"
SECONDS = 5
"""In which a change has to be in force; the kubelet would need a minute."""


@dataclass
class World:
    """A router, the Secret that it follows, and the line between it and the API server."""

    router: RouterInCluster
    space: Space
    line: CutLine
    file: Path
    capsys: pytest.CaptureFixture[str]

    def make(self, tenant: str) -> str:
        assert main(["keys", "create", "--file", str(self.file), "--tenant", tenant]) == 0
        text = self.capsys.readouterr().out.strip()
        apply_keys(self.space, self.file)
        return text

    def revoke(self, text: str) -> None:
        key = key_file.parse(self.file.read_bytes()).owner(text)
        assert key is not None
        assert main(["keys", "revoke", key.id, "--file", str(self.file)]) == 0
        apply_keys(self.space, self.file)

    async def status(self, shown: str) -> int:
        return (
            await fetch(f"{self.router.http}/v1/models", headers={"Authorization": f"Bearer {shown}"})
        ).status

    async def until(self, shown: str, status: int, *, seconds: float = SECONDS) -> None:
        async def holds() -> bool:
            return await self.status(shown) == status

        await until(holds, seconds=seconds)

    def token(self, account: str, audience: str = "steersman") -> str:
        return did(self.space, "create", "token", account, f"--audience={audience}")


def did(space: Space, *arguments: str, content: Any = None) -> str:
    done = space.kubectl(*arguments, content=content)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def apply_keys(space: Space, file: Path) -> None:
    text = file.read_text(encoding="utf-8") if file.exists() else "keys: []\n"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET},
        "stringData": {"keys.yaml": text},
    }
    did(space, "apply", "--filename=-", content=secret)


def give_rights(space: Space) -> None:
    """What the chart gives the router, in this namespace."""
    rules = [{"namespace": space.name}]
    release = render({"router": {"identity": {"keysSecret": SECRET, "serviceAccounts": {"rules": rules}}}})
    kinds = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    for manifest in release.of(*kinds):
        if manifest["metadata"]["name"].endswith((ROUTER, "tokenreviews")):
            moved = json.loads(
                json.dumps(manifest)
                .replace('"models"', f'"{space.name}"')
                .replace(":models:", f":{space.name}:")
            )
            did(space, "apply", "--filename=-", content=moved)


@pytest.fixture
async def world(
    space: Space, line: tuple[CutLine, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[World]:
    give_rights(space)
    did(space, "delete", "serviceaccount", "web", "--ignore-not-found")
    did(space, "create", "serviceaccount", "web")
    file = tmp_path / "keys.yaml"
    apply_keys(space, file)
    config = yaml.safe_load(line[1].read_text(encoding="utf-8"))
    config["users"] = [
        {"name": each["name"], "user": {"token": did(space, "create", "token", ROUTER)}}
        for each in config["users"]
    ]
    line[1].write_text(yaml.safe_dump(config), encoding="utf-8")
    identity = Identity(
        keys_secret=SECRET,
        service_accounts=ServiceAccounts(
            rules=(ServiceAccountRule(namespace=space.name, name="web", tenant="search"),), fresh_seconds=1
        ),
    )
    async with router_in_cluster(space, tmp_path, kubeconfig=line[1], identity=identity) as router:
        yield World(router, space, line[0], file, capsys)
    of_cluster = f"steersman:{space.name}:{ROUTER}:tokenreviews"  # what goes with no namespace
    did(space, "delete", "clusterrole,clusterrolebinding", of_cluster)


async def test_a_key_is_made_and_revoked_within_seconds(world: World) -> None:
    first, second = world.make("search"), world.make("mail")
    await world.until(first, 200)
    await world.until(second, 200)
    world.revoke(first)
    await world.until(first, 401)
    assert await world.status(second) == 200


async def test_a_pod_is_known_by_its_token_for_this_audience_until_its_account_is_gone(world: World) -> None:
    token = world.token("web")
    assert await world.status(token) == 200
    assert await world.status(world.token("web", audience="another")) == 401
    assert await world.status(world.token(ROUTER)) == 401
    did(world.space, "delete", "serviceaccount", "web")
    await world.until(token, 401, seconds=30)  # the API server itself remembers for ten


async def test_while_the_api_server_is_away_who_is_known_stays_known(world: World) -> None:
    key, token, another = world.make("search"), world.token("web"), world.token("web")
    await world.until(key, 200)
    assert await world.status(token) == 200
    world.line.cut()

    async def stands_in() -> bool:
        assert await world.status(token) == 200
        return await metric(world.router.metrics, "steersman_token_reviews_total", outcome="stale") > 0

    await until(stands_in)
    assert await world.status(key) == 200
    assert await world.status(another) == 503
    world.line.mend()
    await world.until(another, 200)


@pytest.mark.parametrize(
    ("verb", "what", "allowed"),
    [
        ("watch", f"secrets/{SECRET}", "yes"),
        ("list", "secrets", "no"),
        ("get", "secrets/another", "no"),
        ("update", f"secrets/{SECRET}", "no"),
        ("create", "tokenreviews.authentication.k8s.io", "yes"),
        ("create", "serviceaccounts/token", "no"),
    ],
)
async def test_the_router_may_do_no_more_than_it_has_to(
    world: World, verb: str, what: str, allowed: str
) -> None:
    who = f"--as=system:serviceaccount:{world.space.name}:{ROUTER}"
    assert world.space.kubectl("auth", "can-i", verb, what, who).stdout.strip() == allowed
