"""Addresses: ``id()`` says the same in every execution, and says a dead thing's address again."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

from isomodel.engine.control.control import Control
from isomodel.values.execution import Issue


class Thing:
    def __init__(self, name: str = "") -> None:
        self.name = name


class Other:
    pass


def told(body: Callable[[], Any], owner: str = "alice.1") -> tuple[Any, tuple[Issue, ...]]:
    """What the body returns in an execution, and what was reported."""
    control = Control()
    with control.installed():
        control.begin(1, lambda: 0.0, lambda: owner)
        try:
            result = body()
        finally:
            issues = control.end()
    return result, issues


def test_a_later_thing_of_the_same_class_lies_where_a_dead_one_lay() -> None:
    def body() -> bool:
        before = id(Thing())
        return id(Thing()) == before

    assert told(body) == (True, ())


def test_things_that_live_lie_apart_whatever_their_class() -> None:
    def body() -> int:
        dead = id(Thing())
        things = [Thing(), Thing(), Other(), Other()]
        again = [id(thing) for thing in things]
        assert dead in again
        assert again == [id(thing) for thing in things]
        return len(set(again))

    assert told(body)[0] == 4


def test_another_class_gets_no_address_of_a_dead_thing() -> None:
    def body() -> bool:
        before = id(Thing())
        return id(Other()) == before

    assert told(body)[0] is False


def test_addresses_are_the_same_in_every_execution_and_of_its_own_for_every_operation() -> None:
    def body() -> list[int]:
        return [id(thing) for thing in (Thing(), Other(), Thing())]

    first, _ = told(body)
    kept = [Thing() for _ in range(100)]
    second, _ = told(body)
    third, _ = told(body, "bob.1")

    assert kept
    assert first == second
    assert set(first).isdisjoint(third)


def test_what_nothing_can_watch_die_is_reported_and_keeps_its_address_while_it_lives() -> None:
    def body() -> bool:
        held: list[int] = []
        return id(held) == id(held)

    same, issues = told(body)

    assert same
    assert [issue.source for issue in issues] == ["id() of what nothing can watch die"]


def test_the_standard_library_and_everything_afterwards_ask_the_interpreter() -> None:
    module = sys.modules[__name__]

    def body() -> tuple[bool, bool]:
        assert copy.deepcopy([Thing("a")])[0].name == "a"
        return "id" in vars(module), "id" in vars(copy)

    assert told(body)[0] == (True, False)
    assert "id" not in vars(module)
