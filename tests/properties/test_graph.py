"""The object graph: what two users share is found, named, and nothing else is."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import enum
import functools
import logging
import threading
import types
import weakref
from collections import OrderedDict, deque
from typing import Any, ClassVar, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomodel.engine.graph import class_state, own_classes, shared_objects


class Box:
    """An ordinary mutable object."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Slotted:
    __slots__ = ("__hidden", "state")

    def __init__(self, state: Any, hidden: Any = None) -> None:
        self.state = state
        self.__hidden = hidden


@dataclasses.dataclass(frozen=True)
class Frozen:
    name: str = "x"
    inner: Any = ()


@dataclasses.dataclass
class Plain:
    inner: Any


class FrozenStruct(msgspec.Struct, frozen=True):
    inner: Any = ()


class Pair(NamedTuple):
    left: Any
    right: Any


class Color(enum.Enum):
    RED = enum.auto()


class Agent:
    history: ClassVar[list[Any]] = []
    settings: ClassVar[dict[str, Any]] = {"retries": [1, 2]}


class Specialist(Agent):
    pass


class Recluse(Agent):
    def __init__(self) -> None:
        self.history: list[Any] = []  # type: ignore[misc]


def look(alice: Any, bob: Any, *common: Any, **options: Any) -> tuple[Any, ...]:
    return shared_objects({"alice": {"context": alice}, "bob": {"context": bob}}, common, **options)


def paths(alice: Any, bob: Any) -> list[tuple[str, str, str]]:
    return [(*found.paths, found.type) for found in look(alice, bob)]


def test_a_dict_that_two_contexts_hold_is_named_by_a_path_from_each() -> None:
    state: dict[str, Any] = {}
    assert paths(Box(_state=state), Box(agent=Box(memory=state))) == [
        ("alice.context._state", "bob.context.agent.memory", "dict")
    ]


def test_equal_but_separate_state_is_silent() -> None:
    assert look(Box(state={"a": [1]}), Box(state={"a": [1]})) == ()


class Hashed:
    def __init__(self, state: Any) -> None:
        self.state = state


def with_default(state: Any) -> Any:
    def run(first: int, history: Any = state) -> None: ...

    return run


def with_keyword(state: Any) -> Any:
    def run(*, history: Any = state) -> None: ...

    return run


class TestEveryWayToAnObjectHasAName:
    def both(self, make: Any) -> tuple[str, str]:
        state: list[Any] = []
        (found,) = paths(make(state), Box(state=state))
        assert found[1:] == ("bob.context.state", "list")
        return found[0]

    @pytest.mark.parametrize(
        ("make", "path"),
        [
            (lambda s: {"key": s}, "['key']"),
            (lambda s: {("alice", 1): s}, "[('alice', 1)]"),
            (lambda s: {Color.RED: s}, "[<Color>]"),
            (lambda s: OrderedDict(key=s), "['key']"),
            (lambda s: [0, s], "[1]"),
            (lambda s: deque([s]), "[0]"),
            (lambda s: (0, (s,)), "[1][0]"),
            (lambda s: Pair(1, s), ".right"),
            (lambda s: {Frozen(inner=Hashed(s))}, "{...}.inner.state"),
            (lambda s: Box(agent=Slotted(s)), ".agent.state"),
            (lambda s: Slotted(None, s), "._Slotted__hidden"),
            (lambda s: Plain(s), ".inner"),
            (lambda s: Frozen(inner=s), ".inner"),
            (lambda s: FrozenStruct(s), ".inner"),
            (lambda s: lambda: s, ".<closure s>"),
            (with_default, ".<default history>"),
            (with_keyword, ".<default history>"),
            (lambda s: functools.partial(print, s), ".args[0]"),
            (lambda s: Box(state=s).__init__, ".__self__.state"),
            (lambda s: s.append, ".__self__"),
            (lambda s: types.MappingProxyType({"key": s}), "['key']"),
            (lambda s: ValueError(s), ".args[0]"),
        ],
    )
    def test_by_which_two_users_reach_one_list(self, make: Any, path: str) -> None:
        assert self.both(make) == "alice.context" + path


class TestWhatCannotCarryStateIsSilent:
    def test_values_that_cannot_change(self) -> None:
        tools = ("search", ("book", 1.5), frozenset({"pay"}), None, Color.RED, range(3))
        assert look(Box(tools=tools), Box(tools=tools)) == ()

    def test_frozen_records_of_such_values(self) -> None:
        for record in (Frozen(inner=("a",)), FrozenStruct(("a",)), Pair("a", "b")):
            assert look(Box(settings=record), Box(settings=record)) == ()

    def test_a_frozen_record_whose_dict_someone_looked_at(self) -> None:
        settings = Frozen()
        assert vars(settings)
        assert look(Box(settings=settings), Box(settings=settings)) == ()

    def test_a_read_only_view_but_not_where_one_user_can_write(self) -> None:
        original = {"a": 1}
        view = types.MappingProxyType(original)
        assert look(Box(settings=view), Box(settings=view)) == ()
        assert [found.type for found in look(Box(settings=view), Box(mine=original))] == ["dict"]
        assert [found.type for found in look(Box(mine=original), Box(settings=view))] == ["dict"]

    def test_infrastructure(self) -> None:
        async def scene() -> None:
            things = [
                asyncio.get_running_loop(),
                asyncio.current_task(),
                asyncio.Lock(),
                threading.Lock(),
                logging.getLogger("shared"),
                contextvars.ContextVar("shared"),
                contextvars.copy_context(),
                weakref.ref(Agent),
                asyncio,
                Agent,
                look,
                with_default,
            ]
            for thing in things:
                assert look(Box(thing=thing), Box(thing=thing)) == (), thing

        asyncio.run(scene())

    def test_an_instance_without_attributes_but_not_an_empty_container(self) -> None:
        strategy = Box()
        assert look(Box(strategy=strategy), Box(strategy=strategy)) == ()
        strategy.cache = {}  # type: ignore[attr-defined]
        (found,) = look(Box(strategy=strategy), Box(strategy=strategy))
        assert found.type == "Box"

    def test_methods_of_one_class_bound_to_each_users_own_object(self) -> None:
        assert look(Box(hook=Recluse().__init__), Box(hook=Recluse().__init__)) == ()


def test_what_is_declared_common_is_silent_and_so_is_all_below_it() -> None:
    pool = Box(connections=[{"open": True}])
    alice, bob = Box(pool=pool), Box(pool=pool)
    assert [found.type for found in look(alice, bob)] == ["Box"]
    assert look(alice, bob, pool) == ()


def test_only_the_topmost_shared_object_is_reported() -> None:
    state = {"deep": [{"deeper": []}]}
    service = Box(state=state)
    alice, bob = Box(service=service, shortcut=state), Box(service=service, shortcut=state)
    assert paths(alice, bob) == [("alice.context.service", "bob.context.service", "Box")]


def test_of_two_shared_objects_that_refer_to_each_other_one_is_reported() -> None:
    one, other = Box(), Box()
    one.peer, other.peer = other, one  # type: ignore[attr-defined]
    assert len(look(Box(a=one), Box(b=other))) == 1


def test_what_a_shared_record_that_cannot_change_leads_to_is_reported() -> None:
    context = Frozen(inner=Box(seen=[1]))
    assert paths(context, context) == [("alice.context.inner", "bob.context.inner", "Box")]


def test_separate_objects_under_no_common_top_are_each_reported() -> None:
    cache: list[Any] = []
    queue: deque[Any] = deque()
    assert [found.type for found in look(Box(a=cache, b=queue), Box(c=queue, d=cache))] == [
        "list",
        "deque",
    ]


def test_users_of_one_group_may_share_but_not_with_a_third() -> None:
    room: list[str] = []
    roots = {user: {"room": room} for user in ("alice", "bob", "carol")}
    users = [found.users for found in shared_objects(roots, groups=[("alice", "bob")])]
    assert users == [("alice", "carol")]
    assert shared_objects(roots, groups=[("alice", "bob", "carol")]) == ()
    assert [found.users for found in shared_objects(roots)] == [
        ("alice", "bob"),
        ("alice", "carol"),
    ]


def test_a_proxy_object_is_never_asked_to_run_code() -> None:
    class Proxy:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

    alice, bob = Box(proxy=Proxy(), state=[]), Box(proxy=Proxy())
    vars(bob)["state"] = vars(alice)["state"]
    assert [found.type for found in look(alice, bob)] == ["list"]


class TestClassAttributes:
    @pytest.fixture(autouse=True)
    def _restore(self) -> Any:
        yield
        Agent.history.clear()
        Agent.settings["retries"] = [1, 2]

    def test_one_that_changed_is_shared_by_the_instances_of_two_users(self) -> None:
        before = class_state([Agent])
        Agent.history.append("secret of alice")
        (found,) = look(Box(agent=Agent()), Box(agent=Specialist()), before=before)
        assert found.paths == ("alice.context.agent.history", "bob.context.agent.history")
        assert found.type == "list of class Agent"

    def test_a_change_within_one_counts(self) -> None:
        before = class_state([Agent])
        Agent.settings["retries"].append(3)
        assert look(Agent(), Agent(), before=before)

    def test_one_that_did_not_change_is_a_constant(self) -> None:
        assert look(Agent(), Agent(), before=class_state([Agent])) == ()

    def test_instances_with_an_attribute_of_their_own_do_not_share_it(self) -> None:
        before = class_state([Agent])
        Agent.history.append("x")
        assert look(Agent(), Recluse(), before=before) == ()

    def test_one_declared_common_is_silent(self) -> None:
        before = class_state([Agent])
        Agent.history.append("x")
        assert look(Agent(), Agent(), Agent.history, before=before) == ()

    def test_a_class_of_one_user_only_is_silent(self) -> None:
        before = class_state([Agent])
        Agent.history.append("x")
        assert look(Agent(), Box(), before=before) == ()

    def test_own_classes_are_those_outside_the_library(self) -> None:
        classes = own_classes()
        assert logging.Logger not in classes
        assert pytest.Item not in classes


values = st.recursive(
    st.integers() | st.text() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.builds(Plain, inner)
        | st.builds(Frozen, st.text(), inner)
        | st.tuples(inner, inner)
    ),
    max_leaves=10,
)


@given(values, values)
def test_separately_built_graphs_share_nothing(alice: Any, bob: Any) -> None:
    assert look(alice, bob) == ()


@given(values, values, st.lists(st.sampled_from(["list", "tuple", "box", "frozen"]), max_size=6))
def test_a_list_held_by_both_is_found_however_deep(alice: Any, bob: Any, wraps: list[str]) -> None:
    state: list[Any] = []
    held: Any = state
    for wrap in wraps:
        held = {
            "list": lambda held=held: [held],
            "tuple": lambda held=held: (held,),
            "box": lambda held=held: Box(held=held),
            "frozen": lambda held=held: Frozen(inner=held),
        }[wrap]()
    found = look([alice, held], [bob, state])
    assert [item.type for item in found] == ["list"]
    assert found[0].paths[1] == "bob.context[1]"
