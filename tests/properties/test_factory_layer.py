"""The factory layer on the ordinary loop, a guarantee a test; then its defects at their minima."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from functools import partial
from typing import Any

import pytest

from isomodel.oracles import judge
from isomodel.search.execute import replay, session
from isomodel.search.isolate import Isolation
from isomodel.targets.declare import spec_of
from isomodel.targets.factory.backends import Audit, Event
from isomodel.targets.factory.contexts import UserExecutionContext, is_valid_id
from isomodel.targets.factory.defects import DEFECTS
from isomodel.targets.factory.errors import (
    AccessDenied,
    ContextExpired,
    IllegalEvent,
    InvalidId,
    InvalidToken,
    Overdrawn,
    PoolExhausted,
    RateLimited,
    SessionBusy,
    SessionClosed,
    TooManyAgents,
    TransportLost,
    UnknownAgent,
)
from isomodel.targets.factory.events import LIFE_CYCLE
from isomodel.targets.factory.layer import Layer, Limits, Parts
from isomodel.targets.factory.memory import MemoryTransport, memory_backends
from isomodel.targets.factory.target import FactoryLayer
from isomodel.values.execution import Execution
from isomodel.values.facts import Dropped
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import Schedule, Switch

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
async def test_a_late_disconnect_does_not_remove_a_newer_connection() -> None:
    system = layer()
    connected(system, "alice", "c1")
    [old] = system.connections.channels("alice")
    inbox = connected(system, "alice", "c1")
    old.close("late")
    assert await system.send("alice", HOME, "hello") == 1
    assert len(inbox) == 1


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


# The defects, each at its minimum

SPEC = spec_of(FactoryLayer)
ARGUMENTS: dict[str, dict[str, Any]] = {
    "run_agent": {"task": "{user}'s secret"},
    "send": {"message": "{user}'s secret", "times": 2},
    "track": {"what": "{user}'s secret"},
    "transfer": {"amount": 1},
    "overdraw": {"amount": 9},
    "burst": {"message": "{user}'s secret", "times": 4},
    "create_context": {"user_id": "me"},
    "create_no_context": {"user_id": ""},
    "write": {"session": {"made": "alice.1"}, "text": "{user}'s secret"},
}
CALLED = {"overdraw": "transfer", "burst": "send", "create_no_context": "create_context"}
STORIES: dict[str, dict[str, str]] = {
    "414-01": {
        "": "alice.open_session bob.transfer",
        "no shared state": "alice.open_session bob.open_session",
        "no leaked secret": "bob.open_session alice.open_session alice.write",
        "cleanup": "alice.open_session",
    },
    "414-02": {
        "liveness": "alice.overdraw alice.overdraw alice.transfer",
        "cleanup": "alice.overdraw",
        "noninterference": "alice.overdraw alice.overdraw bob.transfer",
    },
    "414-03": {"": "alice.open_session"},
    "414-04": {"rollback": "alice.overdraw", "noninterference": "alice.overdraw bob.transfer"},
    "414-05": {"": "alice.run_agent bob.run_agent"},
    "414-06": {"": "alice.create_context"},
    "414-07": {
        "": "alice.run_agent alice+run_agent",
        "noninterference": "alice.run_agent bob.run_agent",
    },
    "414-08": {
        "validation": "alice.create_context alice+create_no_context",
        "noninterference": "alice.create_context bob.create_no_context",
    },
    "414-09": {"": "alice.run_agent bob.run_agent"},
    "414-10": {"": "alice.send bob.send"},
    "414-11": {"": "alice.run_agent bob.run_agent"},
    "414-12": {
        "conservation": "alice.track alice+track",
        "noninterference": "alice.track bob.track",
    },
    "414-13": {
        "": "alice.disconnect bob.send alice.send",
        "no shared state": "alice.disconnect bob.connect",
        "noninterference": "alice.disconnect bob.send",
    },
    "414-14": {"": "alice.send bob.send"},
    "414-15": {"conservation": "alice.burst", "noninterference": "alice.send bob.send"},
    "414-16": {"": "alice.login bob.login", "uniqueness": "alice.login alice+login"},
}
"""For each defect and property ("" for the others) the operations; "+" starts one beside."""
CASES = [(defect, name) for defect, each in DEFECTS.items() for name in each.noticed_by]


def scenario(story: str) -> Scenario:
    operations: list[Operation] = []
    for word in story.split():
        user, name = word.replace("+", ".").split(".")
        args = {
            key: value.format(user=user) if isinstance(value, str) else value
            for key, value in ARGUMENTS.get(name, {}).items()
        }
        number = 1 + sum(operation.user == user for operation in operations)
        called = CALLED.get(name, name)
        operations.append(Operation(f"{user}.{number}", user, called, args, "+" in word))
    return Scenario(tuple(operations))


def noticed(name: str, schedule: Schedule, story: Scenario, *armed: str) -> Execution | None:
    """The execution under this schedule, if this property is broken ("" for any)."""
    run = partial(replay, SPEC, story, schedule, armed=armed)
    execution = run()
    if any(name in ("", finding.property) for finding in judge(execution)):
        return execution
    if name in ("", "noninterference"):
        judged = Isolation(SPEC, armed).judge(execution, run)
        return execution if judged.status == "interference" else None
    return None


def schedules(story: Scenario) -> list[Schedule]:
    """The default schedule, and all that leave the first operation once for another one."""
    first, *others = (operation.label for operation in story.operations)
    return [
        Schedule(),
        *(
            Schedule(choices=(Switch(first, step, f"{other} start 0", nth),))
            for other in others
            for step in range(1, 16)
            for nth in range(2)
        ),
    ]


@pytest.mark.parametrize(("defect", "name"), CASES)
def test_the_defect_is_noticed_at_its_minimum(defect: str, name: str) -> None:
    minimum = DEFECTS[defect].minimum[name]
    story = scenario(STORIES[defect].get(name) or STORIES[defect][""])
    assert (len(story.users), len(story.operations)) == (minimum.users, minimum.operations)
    with session():
        runs = (noticed(name, schedule, story, defect) for schedule in schedules(story))
        found = [run.switches for run in itertools.islice(filter(None, runs), 3)]
    assert min(found) == minimum.switches


@pytest.mark.parametrize("story", sorted({s for each in STORIES.values() for s in each.values()}))
def test_the_sound_layer_is_silent_in_every_such_story(story: str) -> None:
    told = scenario(story)
    with session():
        assert not any(noticed("", schedule, told) for schedule in schedules(told))
