from __future__ import annotations

import time
import uuid

from steersman.router.ids import new_id


def test_an_id_is_a_uuid_of_version_7() -> None:
    made = new_id()
    parsed = uuid.UUID(made)
    assert len(made) == 32
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122


def test_an_id_begins_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    milliseconds = int(new_id()[:12], 16)
    assert before <= milliseconds <= time.time_ns() // 1_000_000


def test_ids_sort_by_time() -> None:
    first = new_id()
    while time.time_ns() // 1_000_000 <= int(first[:12], 16):
        pass
    assert first < new_id()


def test_no_two_ids_are_the_same() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000
