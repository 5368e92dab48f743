"""The factory layer on the ordinary loop, a guarantee a test."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from isomodel.targets.factory.agents import AgentFactory
from isomodel.targets.factory.backends import Audit, Event
from isomodel.targets.factory.contexts import TAGS, UserExecutionContext, is_valid_id
from isomodel.targets.factory.errors import (
    AccessDenied,
    ContextExpired,
    DatabaseError,
    IllegalEvent,
    InvalidId,
    InvalidToken,
    LayerError,
    NoConnection,
    Overdrawn,
    PoolExhausted,
    RateLimited,
    SessionBusy,
    SessionClosed,
    StoreError,
    TooManyAgents,
    TooManyConnections,
    TransportLost,
    UnknownAgent,
)
from isomodel.targets.factory.events import LIFE_CYCLE
from isomodel.targets.factory.identity import RateLimiter
from isomodel.targets.factory.layer import Layer, Limits, Parts
from isomodel.targets.factory.logs import RequestLog
from isomodel.targets.factory.memory import MemoryLog, MemoryTransport, memory_backends
from isomodel.targets.factory.target import FactoryLayer
from isomodel.targets.factory.tools import ToolDispatcherFactory, ToolGuide
from isomodel.values.facts import Dropped

pytestmark = pytest.mark.timeout(60)
HOME = "home"


def layer(**limits: Any) -> Layer:
    return Layer(memory_backends(), Parts(), Limits(**limits))


def connected(system: Layer, user: str, connection: str) -> list[Event]:
    """What arrives over this new connection of the user."""
    inbox: list[Event] = []
    transport = MemoryTransport(user, connection, inbox)
    system.connections.register_connection(user, connection, transport)
    return inbox


# Contexts


@pytest.mark.parametrize("wrong", ["", "   ", "placeholder", "NONE", "default"])
def test_empty_blank_and_placeholder_ids_are_refused(wrong: str) -> None:
    assert not is_valid_id(wrong)
    for place in range(4):
        ids = ["alice", "s", "r", "c"]
        ids[place] = wrong
        with pytest.raises(InvalidId):
            UserExecutionContext.create_for_user(*ids)


def test_a_context_cannot_be_changed_and_copies_its_metadata() -> None:
    tags = ["a"]
    context = UserExecutionContext.create_for_user("alice", "s", "r", metadata={"tags": tags})
    tags.append("b")
    assert context.metadata == {"tags": ("a",)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        context.user_id = "bob"  # type: ignore[misc]
    with pytest.raises(TypeError):
        context.metadata["tags"] = ()  # type: ignore[index]


def test_a_child_is_one_deeper_inherits_metadata_and_leaves_its_parent_intact() -> None:
    parent = UserExecutionContext.create_for_user("alice", "s", "r", metadata={"a": 1})
    child = parent.create_child(b=2)
    assert (child.depth, child.metadata, child.user_id) == (1, {"a": 1, "b": 2}, "alice")
    assert child.request_id != parent.request_id
    child.lifetime.end()
    parent.check_live()
    assert parent.metadata == {"a": 1}


def test_a_parent_takes_its_children_along() -> None:
    parent = UserExecutionContext.create_for_user("alice", "s", "r")
    child = parent.create_child()
    parent.lifetime.end()
    with pytest.raises(ContextExpired):
        child.check_live()


def test_clean_up_runs_last_in_first_out_and_goes_on_after_an_error() -> None:
    context = UserExecutionContext.create_for_user("alice", "s", "r")
    seen: list[int] = []
    context.lifetime.on_end(lambda: seen.append(1))
    context.lifetime.on_end(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    context.lifetime.on_end(lambda: seen.append(3))
    with pytest.raises(ExceptionGroup):
        context.lifetime.end()
    context.lifetime.end()
    assert seen == [3, 1]


def test_after_the_end_of_a_context_clean_up_runs_at_once_and_it_has_no_children() -> None:
    context = UserExecutionContext.create_for_user("alice", "s", "r")
    context.lifetime.end()
    seen: list[int] = []
    context.lifetime.on_end(lambda: seen.append(1))
    assert seen == [1]
    with pytest.raises(ContextExpired):
        context.create_child()


@pytest.mark.asyncio
async def test_a_user_who_leaves_ends_its_own_contexts_only() -> None:
    system = layer()
    alice = await system.open_session("alice", HOME)
    bob = await system.open_session("bob", HOME)
    await system.leave("alice")
    assert (alice.closed, bob.closed) == (True, False)


@pytest.mark.asyncio
async def test_expiry_frees_everything() -> None:
    system = layer(context_ttl=0.01)
    session = await system.open_session("alice", HOME)
    await asyncio.sleep(0.05)
    assert session.closed
    assert not system.contexts.live
    assert not system.sessions.open
    assert not system.pool.slots.taken


# Agents and tools


@pytest.mark.asyncio
async def test_a_run_hands_over_to_a_specialist_and_emits_the_five_events_in_order() -> None:
    system = layer()
    inbox = connected(system, "alice", "c1")
    result = await system.run_agent("alice", HOME, "task")
    assert result["answer"] == "research: search(task)"
    assert result["tools"] == ["search: search(task)"]
    assert [event.kind for event in inbox] == list(LIFE_CYCLE)
    assert len({event.run for event in inbox}) == 1


@pytest.mark.asyncio
async def test_each_run_has_a_new_agent_and_each_user_a_factory_and_an_engine_of_its_own() -> None:
    system = layer()
    results = [await system.run_agent(user, HOME, user) for user in ("alice", "bob", "alice")]
    assert len({result["agent"] for result in results}) == 3
    assert [result["previous"] for result in results] == ["", "", "alice"]
    alice, bob = system.workspace("alice"), system.workspace("bob")
    assert alice.agents is not bob.agents
    assert alice.engine is not bob.engine
    assert alice.agents.alive == bob.agents.alive == 0


@pytest.mark.asyncio
async def test_agents_are_limited_for_each_user_and_their_names_known() -> None:
    system = layer()
    async with system.request("alice", HOME) as context:
        agents = system.workspace("alice").agents
        await agents.create_agent("triage", context)
        with pytest.raises(TooManyAgents):
            await agents.create_agent("triage", context)
        with pytest.raises(UnknownAgent):
            await agents.create_agent("oracle", context)
    await system.run_agent("bob", HOME, "not held up")


@pytest.mark.asyncio
async def test_a_cancelled_run_leaves_no_agent_and_no_context() -> None:
    system = layer()
    for steps in range(12):
        task = asyncio.create_task(system.run_agent("alice", HOME, "task"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert system.workspace("alice").agents.alive == 0
        assert not system.contexts.live


@pytest.mark.asyncio
async def test_tools_have_a_history_for_each_context_and_stop_with_it() -> None:
    system = layer()
    async with system.request("alice", HOME) as one, system.request("bob", HOME) as two:
        first, second = system.tools.create_for_user(one), system.tools.create_for_user(two)
        await asyncio.gather(first.execute_tool("a", "1"), second.execute_tool("b", "2"))
        assert (first.history, second.history) == (["a: a(1)"], ["b: b(2)"])
    with pytest.raises(ContextExpired):
        await first.execute_tool("a", "2")


@pytest.mark.asyncio
async def test_a_tool_whose_context_ends_meanwhile_has_no_result() -> None:
    system = layer()
    async with system.request("alice", HOME) as context:
        tools = system.tools.create_for_user(context)
        calling = asyncio.create_task(tools.execute_tool("a", "1"))
        await asyncio.sleep(0)
    with pytest.raises(ContextExpired):
        await calling
    assert tools.history == []


# Events


@pytest.mark.asyncio
async def test_events_reach_all_connections_of_their_user_and_nobody_else() -> None:
    system = layer()
    inboxes = [connected(system, user, f"c{n}") for n, user in enumerate(("alice", "alice", "bob"))]
    assert await system.send("alice", HOME, "hello") == 2
    assert [[event.payload for event in inbox] for inbox in inboxes] == [["hello"], ["hello"], []]


@pytest.mark.asyncio
async def test_a_full_queue_makes_the_sender_wait_and_loses_nothing() -> None:
    system = layer(queue_capacity=2)
    inbox = connected(system, "alice", "c1")
    assert await system.send("alice", HOME, "hello", 9) == 9
    assert len(inbox) == 9


@pytest.mark.asyncio
async def test_events_out_of_order_and_after_the_end_of_the_context_are_refused() -> None:
    system = layer()
    connected(system, "alice", "c1")
    async with system.request("alice", HOME) as context:
        emitter = system.connections.create_emitter(context)
        with pytest.raises(IllegalEvent):
            await emitter.emit("tool_executing", "")
        await emitter.emit("agent_started", "")
    with pytest.raises(ContextExpired):
        await emitter.emit("agent_thinking", "")


class Silent:
    """A client that never takes anything, or breaks as soon as it is asked to."""

    def __init__(self, breaks: bool) -> None:
        self.breaks = breaks
        self.closed = False

    async def open(self) -> None: ...

    async def drain(self) -> None:
        if self.breaks:
            raise TransportLost("gone")
        await asyncio.Event().wait()

    def write(self, batch: object) -> None: ...

    def close(self) -> None:
        self.closed = True


@pytest.mark.asyncio
@pytest.mark.parametrize("breaks", [True, False])
async def test_what_is_queued_when_a_connection_ends_is_declared_dropped(breaks: bool) -> None:
    noted: list[Any] = []
    backends = dataclasses.replace(memory_backends(), audit=Audit(note=noted.append))
    system, client = Layer(backends), Silent(breaks)
    system.connections.register_connection("alice", "c1", client)
    sending = asyncio.create_task(system.send("alice", HOME, "hello", 2))
    await asyncio.sleep(0.01)
    system.connections.disconnect("alice", "c1")
    await sending
    assert client.closed
    assert sum(isinstance(fact, Dropped) for fact in noted) == 2
    assert not system.connections.users()


@pytest.mark.asyncio
async def test_who_waits_for_room_learns_that_the_connection_has_ended() -> None:
    noted: list[Any] = []
    backends = dataclasses.replace(memory_backends(), audit=Audit(note=noted.append))
    system = Layer(backends, limits=Limits(queue_capacity=2))
    system.connections.register_connection("alice", "c1", Silent(breaks=False))
    [channel] = system.connections.channels("alice")
    sending = asyncio.create_task(system.send("alice", HOME, "hello", 4))
    await asyncio.sleep(0.01)
    channel.close("disconnected")
    channel.close("again")
    assert await sending == 2
    assert not await channel.put("alice", Event("e", "message", "", "late"))
    assert [fact.reason for fact in noted if isinstance(fact, Dropped)] == ["disconnected"] * 2


@pytest.mark.asyncio
async def test_a_late_disconnect_does_not_remove_a_newer_connection() -> None:
    system = layer()
    connected(system, "alice", "c1")
    [old] = system.connections.channels("alice")
    inbox = connected(system, "alice", "c1")
    old.close("late")
    assert await system.send("alice", HOME, "hello") == 1
    assert len(inbox) == 1


class Slow(MemoryTransport):
    """A client that takes its time over the handshake, and over every delivery."""

    async def open(self) -> None:
        await asyncio.sleep(0.01)

    async def drain(self) -> None:
        await asyncio.sleep(0.02)


@pytest.mark.asyncio
async def test_a_resumed_connection_gets_what_was_queued_and_what_is_sent_from_then_on() -> None:
    system, inbox = layer(queue_capacity=2), []
    system.connections.register_connection("alice", "c1", Slow("alice", "t1", inbox))
    sending = asyncio.create_task(system.send("alice", HOME, "hello", 4))
    await asyncio.sleep(0)
    await system.connections.resume("alice", "c1", Slow("alice", "t2", inbox))
    assert await sending == 4
    assert len({event.id for event in inbox}) == len(inbox) == 4
    assert system.connections.connections("alice") == ["c1"]


@pytest.mark.asyncio
async def test_only_a_living_connection_is_resumed_and_a_failed_handshake_leaves_it() -> None:
    system, late = layer(), MemoryTransport("alice", "t1", [])
    with pytest.raises(NoConnection):
        await system.connections.resume("alice", "c1", late)
    assert late.closed
    inbox = connected(system, "alice", "c1")
    resuming = asyncio.create_task(
        system.connections.resume("alice", "c1", client := Slow("alice", "t2", []))
    )
    await asyncio.sleep(0)
    resuming.cancel()
    await asyncio.gather(resuming, return_exceptions=True)
    assert client.closed
    await system.send("alice", HOME, "hello")
    assert len(inbox) == 1


@pytest.mark.asyncio
async def test_connections_are_limited_for_each_user_those_in_the_handshake_included() -> None:
    system = layer(connections_per_user=2)
    clients = [Slow("alice", f"t{n}", []) for n in range(3)]
    outcomes = await asyncio.gather(
        *(system.connections.connect("alice", client.connection, client) for client in clients),
        system.connections.connect("bob", "b1", Slow("bob", "b1", [])),
        return_exceptions=True,
    )
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == 1
    assert isinstance(refused[0], TooManyConnections)
    assert [client.closed for client in clients] == [False, False, True]
    system.connections.disconnect_all("alice")
    await system.connections.connect("alice", "t4", Slow("alice", "t4", []))


# Sessions


@pytest.mark.asyncio
async def test_sessions_see_rows_of_their_own_user_only() -> None:
    system = layer()
    alice = await system.open_session("alice", HOME)
    bob = await system.open_session("bob", HOME)
    await asyncio.gather(alice.write("a"), bob.write("b"))
    assert (await alice.query(), await bob.query()) == (["a"], ["b"])


@pytest.mark.asyncio
async def test_an_exhausted_pool_refuses_after_a_while_and_recovers() -> None:
    system = layer(pool_patience=0.01)
    first = await system.open_session("alice", HOME)
    await system.open_session("alice", HOME)
    with pytest.raises(PoolExhausted):
        await system.open_session("bob", HOME)
    system.close_session(first)
    await system.open_session("bob", HOME)


@pytest.mark.asyncio
async def test_who_waits_for_a_connection_gets_the_first_that_becomes_free() -> None:
    system = layer(pool_size=1)
    first = await system.open_session("alice", HOME)
    waiting = asyncio.create_task(system.open_session("bob", HOME))
    await asyncio.sleep(0.01)
    system.close_session(first)
    assert not (await waiting).closed


@pytest.mark.asyncio
async def test_a_transfer_that_fails_is_as_if_it_never_ran() -> None:
    system = layer()
    target = FactoryLayer()
    target.layer = system
    before = target.state("alice")
    with pytest.raises(Overdrawn):
        await system.transfer("alice", HOME, 99)
    assert target.state("alice") == before
    assert await system.transfer("alice", HOME, 2) == 2
    assert (target.state("alice")["checking"], target.state("alice")["savings"]) == (1, 2)


@pytest.mark.asyncio
async def test_a_transfer_cancelled_anywhere_is_done_wholly_or_not_at_all() -> None:
    for steps in range(10):
        system = layer()
        target = FactoryLayer()
        target.layer = system
        task = asyncio.create_task(system.transfer("alice", HOME, 1))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        state = target.state("alice")
        assert (state["checking"], state["savings"]) in [(3, 0), (2, 1)]
        assert not system.pool.slots.taken


@pytest.mark.asyncio
async def test_a_session_serves_one_statement_at_a_time_and_none_after_its_end() -> None:
    system = layer()
    session = await system.open_session("alice", HOME)
    results = await asyncio.gather(session.query(), session.write("a"), return_exceptions=True)
    assert isinstance(results[1], SessionBusy)
    system.close_session(session)
    with pytest.raises(SessionClosed):
        await session.query()


# Identity, state, analytics


@pytest.mark.asyncio
async def test_a_token_stands_for_one_user_and_a_refresh_keeps_the_conversation() -> None:
    system = layer()
    old = await system.tokens.login("alice")
    other = await system.tokens.login("bob")
    fresh = await system.tokens.refresh(old)
    first, then = await system.call(old), await system.call(fresh)
    assert first == then
    assert then["user"] == "alice"
    assert (await system.call(other))["user"] == "bob"
    newest = await system.tokens.refresh(fresh)
    with pytest.raises(InvalidToken):
        await system.call(old)
    await system.tokens.logout("alice")
    with pytest.raises(InvalidToken):
        await system.call(newest)


@pytest.mark.asyncio
async def test_the_burst_of_one_user_takes_nothing_from_another() -> None:
    system = layer(calls_per_user=2)
    alice, bob = await system.tokens.login("alice"), await system.tokens.login("bob")
    await system.call(alice)
    await system.call(alice)
    with pytest.raises(RateLimited):
        await system.call(alice)
    await system.call(bob)


@pytest.mark.asyncio
async def test_only_its_owner_reads_and_writes_saved_state() -> None:
    system = layer()
    await system.state.save("alice", "alice", "memory", "mine")
    assert await system.state.load("alice", "alice", "memory") == "mine"
    with pytest.raises(AccessDenied):
        await system.state.load("bob", "alice", "memory")
    with pytest.raises(AccessDenied):
        await system.state.save("bob", "alice", "memory", "ours")


@pytest.mark.asyncio
async def test_analytics_lose_nothing_and_show_the_own_events_only() -> None:
    system = layer()
    track = system.analytics.track_event
    await asyncio.gather(*(track(user, f"{user}{n}") for n in range(5) for user in ("a", "b")))
    assert sorted(await system.analytics.query_events("a")) == [f"a{n}" for n in range(5)]


@pytest.mark.asyncio
async def test_nothing_is_left_of_a_user_who_leaves() -> None:
    target = FactoryLayer()
    await target.start()
    await target.run_agent("alice", "task")
    session = await target.open_session("alice")
    await target.connect("alice")
    await target.call("alice")
    await target.leave("alice")
    assert session.closed
    assert target.leftovers() == []


@pytest.mark.asyncio
async def test_an_analytics_row_is_stored_again_once_and_under_the_name_of_its_user() -> None:
    system = layer()
    store = system.backends.analytics
    stored, failures = store.append, iter([True, False, True, True])

    async def failing(key: Any, item: Any) -> None:
        if next(failures):
            raise StoreError("lost")
        await stored(key, item)

    store.append = failing  # type: ignore[method-assign]
    await system.analytics.track_event("alice", "one")
    assert await system.analytics.query_events("alice") == ["one"]
    with pytest.raises(StoreError):
        await system.analytics.track_event("alice", "two")


# Preferences, the guide, the log


@pytest.mark.asyncio
async def test_preferences_are_read_once_and_a_write_is_seen_at_once() -> None:
    system = layer()
    await system.profiles.prefer("alice", "tea")
    assert await system.profiles.preferences("alice") == "tea"
    await system.backends.state.put(("alice", "preferences"), "behind the back")
    assert await system.profiles.preferences("alice") == "tea"
    await system.profiles.prefer("alice", "milk")
    assert await system.profiles.preferences("alice") == "milk"
    assert await system.profiles.preferences("bob") is None


@pytest.mark.asyncio
async def test_a_read_that_a_write_overtakes_does_not_bring_the_old_value_back() -> None:
    system = layer()
    store = system.backends.state
    read = store.get

    async def late(key: Any) -> Any:
        value = await read(key)
        await asyncio.sleep(0.01)
        return value

    store.get = late  # type: ignore[method-assign]
    reading = asyncio.create_task(system.profiles.preferences("alice"))
    await asyncio.sleep(0)
    await system.profiles.prefer("alice", "tea")
    assert await reading is None
    assert await system.profiles.preferences("alice") == "tea"


class Reader:
    """Prompts that take a while, and fail at first."""

    def __init__(self, failures: int) -> None:
        self.loads = 0
        self.failures = failures

    async def load(self, name: str) -> str:
        self.loads += 1
        await asyncio.sleep(0.01)
        if self.loads <= self.failures:
            raise StoreError("lost")
        return f"about {name}"


@pytest.mark.asyncio
async def test_the_guide_is_loaded_once_whoever_is_cancelled_meanwhile() -> None:
    prompts = Reader(failures=0)
    guide = ToolGuide(prompts, Audit())
    waiting = [asyncio.create_task(guide.text()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    texts = await asyncio.gather(*waiting, return_exceptions=True)
    assert texts[1:] == ["about tools"] * 2
    assert prompts.loads == 1


@pytest.mark.asyncio
async def test_a_guide_that_could_not_be_loaded_is_loaded_again() -> None:
    guide = ToolGuide(Reader(failures=1), Audit())
    with pytest.raises(StoreError):
        await guide.text()
    assert await guide.text() == "about tools"


def test_the_log_is_written_for_whom_the_block_serves_and_for_nobody_after_it() -> None:
    log = MemoryLog()
    requests = RequestLog(log)
    with requests.serving("alice"):
        with requests.serving("bob"):
            requests.write("inner")
        requests.write("outer")
    requests.write("after")
    assert log.lines == {"bob": ("inner",), "alice": ("outer",), "": ("after",)}


@pytest.mark.asyncio
async def test_contexts_have_the_tags_of_all_and_their_own() -> None:
    system = layer()
    first = await system.contexts.open("alice", HOME, metadata={"tags": ["a"], "step": 1})
    second = await system.contexts.open("bob", HOME, metadata={"tags": ["b"]})
    assert first.metadata == {"tags": (*TAGS, "a"), "step": 1}
    assert second.metadata == {"tags": (*TAGS, "b")}


# What only shows at an edge


def test_a_context_keeps_the_connection_it_was_made_for() -> None:
    made = UserExecutionContext.create_for_user
    assert made("alice", "s", "r", "c").create_child().websocket_connection_id == "c"
    assert made("alice", "s", "r").websocket_connection_id == ""


def test_a_call_is_forgotten_when_its_window_is_over_and_no_sooner() -> None:
    now = 0.0
    limiter = RateLimiter(Audit(), lambda: now, most=1, window=10.0)
    limiter.check("alice")
    now = 9.0
    with pytest.raises(RateLimited):
        limiter.check("alice")
    now = 10.0
    limiter.check("alice")
    assert limiter.users() == ["alice"]
    limiter.forget("alice")
    assert limiter.users() == []


@pytest.mark.asyncio
async def test_a_request_has_one_session_and_a_second_one_costs_no_connection() -> None:
    system = layer()
    async with system.request("alice", HOME) as context:
        await system.sessions.create_session(context.request_id, context=context)
        with pytest.raises(LayerError):
            await system.sessions.create_session(context.request_id, context=context)
        assert len(system.pool.slots.taken) == 1
    assert not system.pool.slots.taken


@pytest.mark.asyncio
async def test_no_session_is_made_for_a_context_that_ended_meanwhile() -> None:
    system = layer()
    context = UserExecutionContext.create_for_user("alice", HOME, "r")
    context.lifetime.end()
    with pytest.raises(ContextExpired):
        await system.sessions.create_session("r", context=context)
    assert not system.pool.slots.taken


@pytest.mark.asyncio
async def test_a_write_of_unknown_outcome_forgets_what_was_cached() -> None:
    system = layer()
    store = system.backends.state
    put = store.put
    await system.profiles.prefer("alice", "tea")
    assert await system.profiles.preferences("alice") == "tea"
    entry = system.profiles.cached("alice")
    assert entry is not None
    assert entry.value == "tea"
    assert system.profiles.users() == ["alice"]

    async def lost(key: Any, value: Any) -> None:
        await put(key, value)
        raise StoreError("the answer was lost")

    store.put = lost  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        await system.profiles.prefer("alice", "milk")
    assert await system.profiles.preferences("alice") == "milk"


def test_the_log_is_written_for_nobody_after_a_block_that_failed() -> None:
    log = MemoryLog()
    requests = RequestLog(log)
    with pytest.raises(StoreError), requests.serving("alice"):
        raise StoreError("lost")
    requests.write("after")
    assert log.lines == {"": ("after",)}


@pytest.mark.asyncio
async def test_agents_are_counted_while_they_live() -> None:
    system = layer()
    agents = system.workspace("alice").agents
    context = UserExecutionContext.create_for_user("alice", HOME, "r")
    agent = await agents.create_agent("triage", context)
    assert agents.alive == 1
    agents.retire(agent.id)
    assert agents.alive == 0


@pytest.mark.asyncio
async def test_a_connection_that_does_not_open_is_dropped() -> None:
    system = layer()
    made = system.backends.database.connection()

    async def refuse() -> None:
        raise DatabaseError("refused")

    made.ping = refuse  # type: ignore[method-assign]
    system.backends.database.connection = lambda: made  # type: ignore[method-assign]
    with pytest.raises(DatabaseError):
        await system.pool.acquire()
    assert made.closed
    assert (system.pool.idle, system.pool.slots.taken) == (0, set())


@pytest.mark.asyncio
async def test_nothing_is_begun_for_a_context_that_has_ended() -> None:
    system, begun = layer(), []

    class Noting:
        async def load(self, name: str) -> str:
            begun.append(name)
            return name

        async def call(self, name: str, argument: str) -> str:
            begun.append(name)
            return name

    context = UserExecutionContext.create_for_user("alice", HOME, "r")
    agents = AgentFactory("alice", Noting(), Audit())
    tools = ToolDispatcherFactory(Noting()).create_for_user(context)
    emitter = system.connections.create_emitter(context)
    context.lifetime.end()
    for call in (
        agents.create_agent("triage", context),
        tools.execute_tool("search", "x"),
        emitter.message("hello"),
    ):
        with pytest.raises(ContextExpired):
            await call
    assert begun == []


@pytest.mark.asyncio
async def test_users_are_known_while_they_have_a_connection_or_open_one() -> None:
    system = layer()
    client = Slow("alice", "t1", [])
    opening = asyncio.create_task(system.connections.connect("alice", "t1", client))
    await asyncio.sleep(0)
    assert system.connections.users() == ["alice"]
    await opening
    assert system.connections.users() == ["alice"]
    system.connections.disconnect_all("alice")
    assert system.connections.users() == []
