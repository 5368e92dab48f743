"""Accounts and declared errors: each promise is seen broken, and kept in a near miss."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from isomodel.engine.world import enter
from isomodel.oracles import judge
from isomodel.schedulers.fifo import Default
from isomodel.search.running.execute import execute
from isomodel.targets.declare import observe, operation, spec_of
from isomodel.targets.factory.account import (
    RUN_BEFORE,
    SAVINGS,
    Account,
    has_arrived,
    refusal_is_due,
)
from isomodel.targets.factory.backends import Event
from isomodel.targets.factory.client import Client
from isomodel.targets.factory.contexts import UserExecutionContext
from isomodel.targets.factory.described import described
from isomodel.targets.factory.errors import (
    ContextExpired,
    Overdrawn,
    RateLimited,
    SessionBusy,
    SessionClosed,
)
from isomodel.targets.factory.memory import MemoryDatabase, MemoryTransport
from isomodel.values.execution import Execution
from isomodel.values.facts import Broken, Fact
from isomodel.values.scenario import Operation, Scenario


@pytest.fixture
def broken() -> Iterator[list[str]]:
    """The promises that are seen broken in the test."""
    found: list[str] = []

    def note(fact: Fact) -> None:
        if isinstance(fact, Broken):
            found.append(fact.promise)

    before = enter(SimpleNamespace(note=note, io=lambda *_: asyncio.sleep(0)))
    try:
        yield found
    finally:
        enter(before)


def failing(block: contextlib.AbstractContextManager[Any], error: Exception) -> None:
    with contextlib.suppress(type(error)), block:
        raise error


def test_what_was_added_is_there_once(broken: list[str]) -> None:
    account = Account()
    with account.adding("row", "a"):
        account.listed("row", [])
        account.listed("row", ["a"])
    account.listed("row", ["a", "b"])
    assert broken == []
    account.listed("row", [])
    account.listed("row", ["a", "a"])
    assert len(broken) == 2


def test_what_failed_may_have_been_added_or_not_but_not_twice(broken: list[str]) -> None:
    account = Account()
    failing(account.adding("row", "a"), OSError())
    account.listed("row", [])
    account.listed("row", ["a"])
    assert broken == []
    account.listed("row", ["a", "a"])
    assert len(broken) == 1


def test_a_question_asked_before_a_write_was_done_need_not_show_it(broken: list[str]) -> None:
    account = Account()
    sure = account.added()
    with account.adding("row", "a"):
        pass
    account.listed("row", [], sure)
    assert broken == []
    account.listed("row", [], account.added())
    assert len(broken) == 1


def test_money_is_neither_made_nor_lost_and_is_where_it_was_moved_to(broken: list[str]) -> None:
    account = Account()
    with account.adding(*SAVINGS, 2):
        pass
    failing(account.adding(*SAVINGS, 1), OSError())
    account.saved(1, 2, 3)
    account.saved(0, 3, 3)
    assert broken == []
    account.saved(1, 3, 3)
    account.saved(2, 1, 3)
    assert broken == ["no money is made or lost", "what was added is there once"]


def test_what_is_there_can_be_moved(broken: list[str]) -> None:
    account = Account()
    with account.moving(2, 3):
        failing(account.moving(2, 3), Overdrawn())
    assert broken == []
    account = Account()
    with account.moving(2, 3):
        pass
    failing(account.moving(1, 3), Overdrawn())
    assert broken == ["what is there can be moved"]


def test_after_a_write_that_no_other_overlapped_nothing_else_is_read(broken: list[str]) -> None:
    account = Account()
    account.holds("taste", None)
    with account.writing("taste", "tea"):
        account.holds("taste", None)
        account.holds("taste", "tea")
    account.holds("taste", "tea")
    assert broken == []
    account.holds("taste", None)
    account.holds("taste", "milk")
    assert len(broken) == 2


def test_of_writes_that_overlap_or_fail_either_may_be_read(broken: list[str]) -> None:
    account = Account()
    with account.writing("taste", "tea"), account.writing("taste", "milk"):
        pass
    failing(account.writing("taste", "water"), OSError())
    for taste in ("tea", "milk", "water"):
        account.holds("taste", taste)
    assert broken == []


def test_only_what_is_too_much_at_once_is_refused(broken: list[str]) -> None:
    account = Account()
    with account.one_of("runs", 1, SessionBusy):
        failing(account.one_of("runs", 1, SessionBusy), SessionBusy())
    first = account.one_of("runs", 1, SessionBusy)
    with contextlib.suppress(SessionBusy), first:
        with account.one_of("runs", 1, SessionBusy):
            pass
        raise SessionBusy
    assert broken == []
    failing(account.one_of("runs", 1, SessionBusy), SessionBusy())
    assert broken == ["only what is too much is refused"]


def test_as_many_calls_are_served_as_a_window_has_room_for(broken: list[str]) -> None:
    account, clock = Account(), SimpleNamespace(now=0.0)

    def call() -> contextlib.AbstractContextManager[None]:
        return account.calling(lambda: clock.now, 1, 10.0)

    with call():
        pass
    failing(call(), RateLimited())
    clock.now = 10.0
    with call():
        pass
    account.left()
    with call():
        pass
    assert broken == []
    with call():
        pass
    clock.now = 20.0
    failing(call(), RateLimited())
    assert broken == ["no limit is passed", "only what is too much is refused"]


def test_a_limit_is_reached_when_all_of_it_is_in_use(broken: list[str]) -> None:
    refusal_is_due(2, 2, SessionBusy())
    assert broken == []
    refusal_is_due(1, 2, SessionBusy())
    assert len(broken) == 1


def test_a_conversation_goes_on_after_a_refresh(broken: list[str]) -> None:
    account = Account()
    account.talks("old", "c1")
    account.refreshed("old", "new")
    account.refreshed("never used", "newer")
    account.talks("new", "c1")
    account.talks("newer", "c2")
    assert broken == []
    account.talks("new", "c2")
    assert len(broken) == 1


def test_what_was_sent_has_arrived(broken: list[str]) -> None:
    inbox = [Event("e", "message", "", "hello")] * 2
    has_arrived(inbox, "message", "hello", 2)
    has_arrived(inbox, "message", "other", 0)
    assert broken == []
    has_arrived(inbox, "message", "hello", 3)
    has_arrived(inbox, "other", "hello", 1)
    assert len(broken) == 2


def test_a_child_is_like_its_parent_and_leaves_it_intact(broken: list[str]) -> None:
    given = {"tags": ["a"], "notes": {"kept": [{"by": "a"}]}}
    context = UserExecutionContext.create_for_user("alice", "s", "r", metadata=given)
    described(context)
    assert broken == []
    child = context.create_child()
    described(child)  # one that is deeper
    assert len(broken) == 1


def test_what_is_over_leaves_no_agent_no_context_and_no_session_beyond_its_time(
    broken: list[str],
) -> None:
    alive, live = SimpleNamespace(agents=SimpleNamespace(alive=0)), {}
    layer: Any = SimpleNamespace(
        workspaces={"alice": alive},
        limits=SimpleNamespace(context_ttl=30.0),
        contexts=SimpleNamespace(live=live),
        sessions=SimpleNamespace(open={"r1": None}),
    )
    live["r1"] = SimpleNamespace(user_id="alice", request_id="r1")
    live["r2"] = SimpleNamespace(user_id="bob", request_id="r2")
    client, session = Client("alice"), Mock(closed=False)
    client.settled(layer, 0.0)
    client.sessions = {session: 5.0}
    client.settled(layer, 35.0)
    assert broken == []
    client.settled(layer, 36.0)
    alive.agents.alive = 1
    session.closed = True
    client.settled(layer, 36.0)
    live["r3"] = SimpleNamespace(user_id="alice", request_id="r3")
    alive.agents.alive = 0
    client.settled(layer, 36.0)
    assert broken == [
        "a session ends in time",
        "a run that is over leaves no agent",
        "a request that is over leaves no context",
    ]


def test_a_context_lives_as_long_as_its_request_unless_its_user_leaves(broken: list[str]) -> None:
    account = Account()
    with account.writing(RUN_BEFORE, "task"):
        pass
    staying = account.staying()
    with contextlib.suppress(ContextExpired), staying:
        account.left()
        raise ContextExpired
    account.holds(RUN_BEFORE, None)
    with account.writing(RUN_BEFORE, "task"):
        account.left()
    account.holds(RUN_BEFORE, "task")
    account.holds(RUN_BEFORE, None)
    assert broken == []
    failing(account.staying(), ContextExpired())
    assert broken.pop() == "a context lives as long as its request"
    account.recorded(0)
    with account.staying():
        pass
    account.recorded(1)
    assert broken == []
    account.recorded(0)
    assert broken == ["requests are recorded"]


@pytest.mark.asyncio
async def test_an_open_session_serves_one_statement_at_a_time(broken: list[str]) -> None:
    client = Client("alice")

    def session(since: float) -> Any:
        opened = Mock(id=f"session {len(client.sessions)}")
        client.sessions[opened] = asyncio.get_running_loop().time() + since
        return opened

    closed, failed, expired, open_ = (session(since) for since in (0.0, 0.0, -30.0, 0.0))
    client.gives_up(closed)
    failing(client.using(failed, 30.0), OSError())
    for each in (closed, failed, expired):
        failing(client.using(each, 30.0), SessionClosed())
    with client.using(open_, 30.0):
        failing(client.using(open_, 30.0), SessionBusy())
    assert broken == []
    failing(client.using(open_, 30.0), SessionBusy())
    failing(client.using(open_, 30.0), SessionClosed())
    assert broken == ["only what is too much is refused", "an open session serves"]


@pytest.mark.asyncio
async def test_a_client_is_sent_what_it_can_take(broken: list[str]) -> None:
    client = MemoryTransport("alice", "c1", [])
    await client.open()
    await client.drain()
    client.write([])
    assert broken == []
    client.write([])
    hasty = MemoryTransport("alice", "c2", [])
    await hasty.drain()
    hasty.write([])
    assert broken == ["a client is sent what it can take"] * 2
    client.close()
    await client.drain()
    assert broken[2:] == ["nobody waits for a client that is gone"]


@pytest.mark.asyncio
async def test_a_connection_is_opened_before_it_is_used(broken: list[str]) -> None:
    connection = MemoryDatabase().connection()
    await connection.ping()
    await connection.rows("alice")
    connection.begin("t1")
    await connection.insert("alice", "text")
    await connection.commit()
    assert broken == []
    await connection.add("alice", "savings", 1)
    assert broken.pop() == "changes are made in transactions"
    await MemoryDatabase().connection().rows("alice")
    assert broken == ["a connection is opened before it is used"]


class Shelf:
    """Says that its users meet LookupError only."""

    errors = (LookupError,)

    @operation
    async def take(self, user: str) -> str:
        return {}[user]

    @operation
    async def drop(self, user: str) -> None:
        raise TypeError("nothing to drop")

    @operation
    async def later(self, user: str) -> None:
        asyncio.get_running_loop().call_later(1.0, [].pop)
        await asyncio.sleep(2.0)

    @observe
    async def count(self, user: str) -> int:
        if user == "bob":
            raise TypeError("no number")
        return 0


class Silent(Shelf):
    """Says nothing about errors."""

    errors = None  # type: ignore[assignment]


def executed(cls: type, user: str, name: str) -> Execution:
    scenario = Scenario((Operation(f"{user}.1", user, name),))
    return execute(spec_of(cls, cls.__name__), scenario, Default(), fidelity="stock")


def test_a_target_that_declares_its_errors_is_held_to_that() -> None:
    assert judge(executed(Shelf, "alice", "take")) == ()
    (dropped,) = judge(executed(Shelf, "alice", "drop"))
    assert (dropped.property, dropped.label) == ("promise", "alice.1")
    assert "TypeError: nothing to drop" in dropped.message
    (counted,) = judge(executed(Shelf, "bob", "take"))
    assert (counted.property, counted.label) == ("promise", "bob.count")


def test_an_error_in_a_callback_is_not_lost_where_errors_are_declared() -> None:
    (late,) = judge(executed(Shelf, "alice", "later"))
    assert (late.property, late.evidence["promise"]) == ("promise", "no callback fails")
    assert judge(executed(Silent, "alice", "later")) == ()


def test_without_a_declaration_every_error_may_be_met() -> None:
    assert judge(executed(Silent, "bob", "drop")) == ()
