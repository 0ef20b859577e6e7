from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, strategies as st

from fakes.clock import FakeClock
from fakes.shared_store import FakeStore
from steersman.openai_api.body import Turn
from steersman.router.model import Session
from steersman.router.sessions import Outcome, SessionKeys, Sessions, checked_session_id
from steersman.runtime.errors import InvalidRequest

KEYS = SessionKeys(b"secret")
FIRST: list[Turn] = [("system", "Be brief."), ("user", "What is a rhumb line?")]
SECOND: list[Turn] = [*FIRST, ("assistant", "A loxodrome."), ("user", "And that?")]
CALL: list[Turn] = [*FIRST, ("assistant", ""), ("tool", "42"), ("tool", "43")]
STRONG = Session("strong", "10.0.0.7:9000")

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
conversations = st.lists(
    st.tuples(st.sampled_from(["system", "user", "tool"]), texts), min_size=1, max_size=5
)


@dataclass
class Memory:
    """Sessions on a fake store, and what came of each look."""

    store: FakeStore[Session] = field(default_factory=FakeStore[Session])
    looks: list[Outcome] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.sessions = self.another()

    def another(self) -> Sessions:
        """The memory of another replica."""
        return Sessions(
            keys=KEYS,
            store=self.store,
            entries=10,
            ttl_seconds=60.0,
            on_look=self.looks.append,
            clock=self.clock,
        )

    def keep(self, turns: list[Turn], session: Session = STRONG, *, session_id: str = "") -> None:
        self.sessions.remember(self.sessions.of(turns, tenant="team", session_id=session_id), session)

    async def found(
        self, turns: list[Turn], *, at: Sessions | None = None, tenant: str = "team", session_id: str = ""
    ) -> Session | None:
        sessions = at or self.sessions
        return await sessions.recall(sessions.of(turns, tenant=tenant, session_id=session_id))


async def test_a_conversation_is_known_again_by_what_was_asked_before() -> None:
    memory = Memory()
    memory.keep(FIRST)
    assert await memory.found(SECOND) == STRONG
    assert memory.looks == ["known"]


async def test_a_turn_that_brings_tools_results_goes_on_with_the_one_that_asked_for_them() -> None:
    memory = Memory()
    memory.keep(FIRST)
    assert await memory.found(CALL) == STRONG
    assert KEYS.conversation(CALL, tenant="team", session_id="").same_turn
    assert not KEYS.conversation(SECOND, tenant="team", session_id="").same_turn


async def test_a_first_turn_is_nothings_sequel_and_nobody_is_asked() -> None:
    memory = Memory()
    memory.keep(FIRST)
    assert await memory.found(FIRST) is None
    assert memory.store.asked == []
    assert memory.looks == []


@pytest.mark.parametrize("position", [0, 1])
async def test_a_conversation_that_went_otherwise_is_another(position: int) -> None:
    memory = Memory()
    memory.keep(FIRST)
    changed = list(SECOND)
    changed[position] = (changed[position][0], changed[position][1] + "!")
    assert await memory.found(changed) is None
    assert memory.looks == ["unknown"]


async def test_the_same_words_of_another_tenant_are_another_conversation() -> None:
    memory = Memory()
    memory.keep(FIRST)
    memory.keep(FIRST, session_id="chat-1")
    assert await memory.found(SECOND, tenant="other") is None
    assert await memory.found(FIRST, tenant="other", session_id="chat-1") is None


async def test_a_name_that_the_caller_gives_is_the_conversation_whatever_was_said() -> None:
    memory = Memory()
    memory.keep(FIRST, session_id="chat-1")
    assert await memory.found([("user", "something else")], session_id="chat-1") == STRONG
    assert await memory.found(SECOND, session_id="chat-2") is None


async def test_another_replica_knows_it_from_the_shared_store() -> None:
    memory = Memory()
    memory.keep(FIRST)
    assert await memory.found(SECOND, at=memory.another()) == STRONG


async def test_without_the_shared_store_it_is_taken_for_a_new_one() -> None:
    memory = Memory()
    memory.keep(FIRST)
    memory.store.down = True
    assert await memory.found(SECOND, at=memory.another()) is None
    assert await memory.found(SECOND) == STRONG
    assert memory.looks == ["unavailable", "known"]


async def test_what_is_known_already_is_not_written_again() -> None:
    memory = Memory()
    for session in (STRONG, STRONG, Session("weak"), STRONG):
        memory.keep(FIRST, session)
    assert len(memory.store.written) == 3


async def test_a_named_conversation_is_known_for_as_long_as_it_goes_on() -> None:
    memory = Memory()
    for _ in range(12):
        memory.keep(FIRST, session_id="chat-1")
        memory.clock.advance(10)
        assert await memory.found(FIRST, session_id="chat-1") == STRONG
    assert memory.store.asked == []
    assert len(memory.store.written) == 4  # each time that half of its minute is over
    memory.clock.advance(60)
    memory.store.entries.clear()
    assert await memory.found(FIRST, session_id="chat-1") is None


async def test_nothing_of_what_was_said_or_named_is_kept() -> None:
    memory = Memory()
    memory.keep(FIRST)
    memory.keep(FIRST, session_id="chat-1")
    kept = repr(memory.store.entries)
    assert not any(word in kept for word in ("rhumb", "brief", "chat-1", "team"))
    assert all(len(key) == 32 for key in memory.store.entries)


@given(conversations, conversations)
def test_no_two_conversations_have_one_key(one: list[Turn], other: list[Turn]) -> None:
    keys = [KEYS.conversation(turns, tenant="team", session_id="").now for turns in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


@pytest.mark.parametrize("session_id", ["", "chat-1", "x" * 256, "größer"])
def test_what_can_be_a_name_is_taken(session_id: str) -> None:
    assert checked_session_id(session_id, field="session_id") == session_id


@pytest.mark.parametrize("session_id", ["x" * 257, "ü" * 129, "a\0b", "a\nb", "\udcff"])
def test_what_can_be_no_name_is_refused_by_its_field(session_id: str) -> None:
    with pytest.raises(InvalidRequest, match="session_id: must be"):
        checked_session_id(session_id, field="session_id")
