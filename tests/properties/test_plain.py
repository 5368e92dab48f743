"""What a user observes becomes plain data: equal where a user sees the same, and only there."""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomodel.targets.declare import Opaque, Ranked
from isomodel.targets.plain import plain


@dataclasses.dataclass
class Row:
    owner: str
    tags: set[str]


class Point(msgspec.Struct):
    x: int
    inner: Any = None


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


class Name(str):
    """A string with a class of its own, as libraries return them."""

    def __str__(self) -> str:
        return "hidden"


class Count(int):
    """So is this, and its text says something else."""

    def __str__(self) -> str:
        return "many"


class Seconds(float):
    """And this."""


class Model:
    """What pydantic's models look like."""

    def model_dump(self) -> dict[str, Any]:
        return {"a": (1, 2)}


class Handle:
    """An object without a plain form; its ``repr`` holds an address."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Row("alice", {"b", "a"}), {"owner": "alice", "tags": ["a", "b"]}),
        (Point(1, (2, 3)), {"x": 1, "inner": [2, 3]}),
        (Colour.RED, "RED"),
        (Level.HIGH, "HIGH"),
        (Name("x"), "x"),
        (Count(3), 3),
        ({Name("k"): Seconds(1.5)}, {"k": 1.5}),
        (Model(), {"a": [1, 2]}),
        (b"\xffok", "\\xffok"),
        (bytearray(b"ok"), "ok"),
        (ValueError("no"), {"error": "ValueError", "message": "no"}),
        (Ranked(7), {"ranked": 7}),
        (Opaque("id-1"), {"opaque": "id-1"}),
        ({1: {"deep": [Handle()]}}, {"1": {"deep": ["<Handle>"]}}),
        (frozenset({3, 1, 2}), [1, 2, 3]),
    ],
)
def test_each_kind_of_object_has_its_plain_form(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_what_had_a_class_of_its_own_can_be_written_as_json() -> None:
    assert json.dumps(plain([Name("x"), Count(3), Seconds(1.5)])) == '["x", 3, 1.5]'
    assert {type(each) for each in plain([Name("x"), Count(3)])} == {str, int}


def test_two_objects_that_differ_only_in_their_address_are_the_same() -> None:
    assert plain(Handle()) == plain(Handle())
    assert "0x" not in json.dumps(plain([Handle(), object(), Handle]))


def test_what_a_user_can_tell_apart_stays_apart() -> None:
    assert plain("1") != plain(1)
    assert plain(None) != plain("None")
    assert plain(Ranked(1)) != plain(1)
    assert plain(Opaque("a")) != plain("a")
    assert plain(ValueError("a")) != plain(KeyError("a"))
    assert plain([1, 2]) != plain([2, 1])


def test_the_order_in_which_a_set_was_filled_does_not_show() -> None:
    assert plain({"a", "b", "c"}) == plain({"c", "b", "a"})
    assert plain({(2, "x"), (1, "y")}) == plain({(1, "y"), (2, "x")})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_plain_data_stays_what_it_is_and_is_json(value: Any) -> None:
    assert plain(value) == value
    assert json.loads(json.dumps(plain(value))) == value


@given(st.lists(VALUES, max_size=3))
def test_a_plain_form_is_its_own_plain_form(values: list[Any]) -> None:
    once = plain({"row": Row("alice", set()), "values": tuple(values)})

    assert plain(once) == once
