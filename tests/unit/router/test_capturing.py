from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest

from fakes.captures import FakeCaptureStore, FakeSealer
from fakes.catalogue import a_catalogue
from fakes.router import RouterOnFakes, a_request, router_on_fakes
from steersman.captures.place import Place, mark_of
from steersman.router.capturing import Capturing
from steersman.router.model import Caller, Rights
from steersman.router.routing import Request
from steersman.runtime.errors import InvalidRequest, Unavailable
from steersman.runtime.tasks import BackgroundTasks

ALL: Mapping[str, float] = {"auto": 1.0}
TENANTS = {"search": Rights(captured=ALL), "mail": Rights()}


@dataclass
class Subject:
    """A router that captures, on a fake store."""

    router: RouterOnFakes
    store: FakeCaptureStore = field(default_factory=FakeCaptureStore)
    counted: Counter[str] = field(default_factory=Counter)

    def capturing(self, *, longest: int = 10_000, queue: int = 10) -> Capturing:
        def count(outcome: str, number: int) -> None:
            self.counted[outcome] += number

        capturing = Capturing(
            store=self.store, sealer=FakeSealer(), longest=longest, queue=queue, on_prompts=count
        )
        self.router.routing.captures = capturing
        return capturing

    async def ask(self, text: str = "Where is the sextant?", **fields: Any) -> str:
        """Have a query decided; its decision's id."""
        return (await self.router.decided(a_request(text, **{"tenant": "search", **fields}))).id

    def lines(self, tenant: str = "search") -> list[dict[str, Any]]:
        return [
            orjson.loads(each.sealed.removeprefix(b"fake " + each.place.bound + b" "))
            for each in self.store.kept.get(tenant, [])
        ]


@pytest.fixture
async def subject() -> Subject:
    return Subject(await router_on_fakes(replace(a_catalogue(), tenants=TENANTS)))


async def test_a_prompt_is_kept_with_the_line_of_its_decision(subject: Subject) -> None:
    async with subject.capturing():
        decision_id = await subject.ask(user="hush", tools=[])
    (line,) = subject.lines()
    assert line["messages"] == [{"role": "user", "content": "Where is the sextant?"}]
    told = {name: line[name] for name in ("schema", "id", "tenant", "policy", "sample_rate")}
    assert told == {
        "schema": "steersman.decision/1",
        "id": decision_id,
        "tenant": "search",
        "policy": "auto",
        "sample_rate": 1.0,
    }
    assert "hush" not in str(line)
    assert subject.store.kept["search"][0].place == Place("search", mark_of(""), decision_id)
    assert +subject.counted == {"written": 1}


async def test_a_tenant_without_a_rate_is_not_even_offered(subject: Subject) -> None:
    await subject.ask(tenant="mail")
    assert not subject.router.captures.offered
    await subject.ask()
    assert len(subject.router.captures.offered) == 1


async def test_what_a_policy_without_a_rate_decided_is_not_kept(subject: Subject) -> None:
    async with subject.capturing():
        await subject.ask(model="weak")  # a tier, asked for by its name
    assert not subject.store.kept


async def test_a_rate_is_a_part_of_the_prompts_by_the_decisions_id() -> None:
    half = {"search": Rights(captured={"auto": 0.5})}
    subject = Subject(await router_on_fakes(replace(a_catalogue(), tenants=half)))
    async with subject.capturing(queue=400):
        ids = [await subject.ask() for _ in range(400)]
    kept = {line["id"] for line in subject.lines()}
    assert kept == {each for each in ids if int(each[-8:], 16) < 2**31}
    assert 140 < len(kept) < 260


async def test_a_request_that_was_refused_before_it_was_decided_is_not_kept(subject: Subject) -> None:
    async with subject.capturing():
        with pytest.raises(InvalidRequest):
            await subject.router.routing.route(a_request(model="nobody", tenant="search"))
    assert not subject.counted


async def test_a_request_that_failed_after_it_was_decided_is_kept_with_its_outcome(subject: Subject) -> None:
    subject.router.fail(Unavailable("the tier is down"))
    async with subject.capturing():
        with pytest.raises(Unavailable):
            await subject.router.routing.complete(a_request(tenant="search"))
    assert [line["outcome"] for line in subject.lines()] == ["UNAVAILABLE"]


async def test_what_is_too_long_or_has_more_than_text_is_left_out(subject: Subject) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    file = {"type": "file", "file": {"file_id": "file-1"}}
    text = {"type": "text", "text": "What is this?"}
    async with subject.capturing(longest=1500):
        await subject.ask("x" * 2000)
        await subject.ask("é" * 1200)  # short in characters, long in bytes
        await subject.ask(messages=[{"role": "user", "content": [text, image]}], model="auto")
        await subject.ask(messages=[{"role": "user", "content": [file]}], model="auto")
        await subject.ask("x")
    assert subject.counted["too_large"] == 4
    assert [line["messages"][0]["content"] for line in subject.lines()] == ["x"]


async def test_more_than_the_queue_holds_is_dropped_and_counted(subject: Subject) -> None:
    async with subject.capturing(queue=2):
        for _ in range(5):
            await subject.ask()
    assert +subject.counted == {"written": 2, "queue_full": 3}


async def test_what_does_not_fit_into_a_tenants_part_is_counted(subject: Subject) -> None:
    subject.store.most = 1
    async with subject.capturing():
        for _ in range(3):
            await subject.ask()
    assert +subject.counted == {"written": 1, "tenant_full": 2}


async def test_without_the_store_requests_go_on_and_prompts_are_counted_as_lost(subject: Subject) -> None:
    subject.store.down = True
    async with subject.capturing():
        await subject.ask()
    assert +subject.counted == {"not_written": 1}


async def test_the_background_task_writes_and_goes_on_after_a_failure(subject: Subject) -> None:
    subject.store.down = True
    async with subject.capturing() as capturing, BackgroundTasks() as tasks:
        tasks.start("captures", capturing.write)
        await subject.ask()
        await _until(lambda: subject.counted["not_written"] == 1)
        subject.store.down = False
        await subject.ask()
        await _until(lambda: subject.counted["written"] == 1)


async def test_what_was_being_written_at_the_end_is_written_all_the_same(subject: Subject) -> None:
    subject.store.gate.close()
    async with subject.capturing() as capturing:
        async with BackgroundTasks() as tasks:
            tasks.start("captures", capturing.write)
            await subject.ask()
            await subject.store.gate.until(waiting=1)
        subject.store.gate.open()
    assert len(subject.lines()) == 1


async def test_a_key_that_changes_seals_from_then_on(subject: Subject) -> None:
    async with subject.capturing() as capturing:
        await capturing.take(FakeSealer("new"))
        await subject.ask()
    assert subject.store.kept["search"][0].sealed.startswith(b"new ")


async def test_callers_are_told_apart_by_a_mark_that_names_nobody(subject: Subject) -> None:
    async with subject.capturing():
        request: Request = replace(a_request(tenant="search"), caller=Caller("search", "team/ada"))
        await subject.router.decided(request)
    (kept,) = subject.store.kept["search"]
    assert kept.place.mark == mark_of("team/ada")


async def _until(holds: Any) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - the counter tells nobody
            await asyncio.sleep(0.01)
