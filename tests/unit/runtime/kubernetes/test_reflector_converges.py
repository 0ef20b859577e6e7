"""Whatever happens to the API server, the copy is right in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from hypothesis import given, strategies as st

from fakes.kubernetes import GONE, POLICIES, FakeKubernetes
from steersman.runtime.backoff import Backoff
from steersman.runtime.kubernetes.api import Rejected
from steersman.runtime.kubernetes.reflector import Objects, Reflector

STEPS: Final[Mapping[str, Callable[[FakeKubernetes], object]]] = {
    "put a": lambda api: api.put("a", {"tiers": ["weak"]}),
    "put b": lambda api: api.put("b", {"tiers": ["weak"]}),
    "remove a": lambda api: api.remove("a") if api.has("a") else None,
    "something elsewhere": FakeKubernetes.bookmark,
    "watches end": FakeKubernetes.end_watches,
    "away": lambda api: api.fail(GONE),
    "refusing": lambda api: api.fail(Rejected("403: may not")),
    "back": lambda api: api.fail(None),
    "the past is forgotten": FakeKubernetes.forget,
}


async def run(steps: list[tuple[str, int]]) -> tuple[Objects, Objects]:
    """What is in the API in the end, and what was told last."""
    api, told, settled = FakeKubernetes(), list[Objects](), asyncio.Event()

    async def tell(objects: Objects) -> None:
        told.append(objects)
        if "last" in objects:
            settled.set()

    async def rest(_: float) -> None:
        await asyncio.sleep(0)

    task = asyncio.create_task(
        Reflector(api, POLICIES, api.namespace, tell, backoff=Backoff(1.0, 1.0), sleep=rest).follow()
    )
    for step, turns in steps:
        STEPS[step](api)
        for _ in range(turns):
            await asyncio.sleep(0)
    api.fail(None)
    api.put("last", {"tiers": ["weak"]})
    async with asyncio.timeout(10):
        await settled.wait()
    task.cancel()
    return api.objects, told[-1]


@given(
    st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(min_value=0, max_value=8)), max_size=25)
)
def test_the_copy_is_what_the_api_server_has(steps: list[tuple[str, int]]) -> None:
    there, here = asyncio.run(run(steps))
    assert here == there
