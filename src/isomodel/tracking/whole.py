"""Hooks for accesses to whole objects: their contents, their truth, each time round a loop."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from isomodel.tracking.active import active
from isomodel.tracking.containers import FUTURES, TRAITS, kind_of, looked_into
from isomodel.tracking.recorder import Recorder

Reading = Callable[[list[Any], Iterator[Any]], Iterator[Any]]
"""Goes through an iterator, and notes each time that what it looks into is read."""

_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "Add": operator.iadd,
    "Sub": operator.isub,
    "Mult": operator.imul,
    "MatMult": operator.imatmul,
    "Div": operator.itruediv,
    "FloorDiv": operator.ifloordiv,
    "Mod": operator.imod,
    "Pow": operator.ipow,
    "LShift": operator.ilshift,
    "RShift": operator.irshift,
    "BitOr": operator.ior,
    "BitXor": operator.ixor,
    "BitAnd": operator.iand,
}

REST = "(rest)"
"""Stands for the state of an object that its attributes do not show."""


def value(thing: Any) -> Any:
    """``thing``, all of which may be read."""
    if active.recorder is not None and not TRAITS[type(thing)].silent:
        read_whole(active.recorder, thing)
    return thing


def truth(thing: Any) -> Any:
    """``thing``, which is asked whether there is anything in it."""
    if active.recorder is not None:
        traits = TRAITS[type(thing)]
        if traits.size is not None:
            active.recorder.read_size(thing)
        elif traits.opaque:
            active.recorder.touch(thing, REST, write=False)
    return thing


def writes(thing: Any) -> Any:
    """``thing``, any of which may be written."""
    if active.recorder is not None:
        traits = TRAITS[type(thing)]
        if traits.size is not None:
            active.recorder.write_all(thing)
        elif traits.opaque:
            active.recorder.touch(thing, REST, write=True)
    return thing


def awaited(thing: Any) -> Any:
    """``thing``, for which a task waits: a future that rewritten code has made or touched."""
    if active.recorder is not None and kind_of(thing) in FUTURES and active.recorder.knows(thing):
        active.recorder.touch(thing, REST, write=False)
    return thing


def iterated(thing: Any) -> Any:
    """``thing`` for a loop that waits in between: each time round it is read."""
    if active.recorder is None:
        return thing
    containers = [thing] if TRAITS[type(thing)].size is not None else looked_into(thing)
    return Iterated(thing, containers, _reading) if containers else value(thing)


class Iterated:
    """In the place of what a loop goes through: ``reading`` is told of each time round."""

    def __init__(self, thing: Any, containers: list[Any], reading: Reading) -> None:
        self._thing = thing
        self._containers = containers
        self._reading = reading

    def __iter__(self) -> Iterator[Any]:
        return self._reading(self._containers, iter(self._thing))


def _reading(containers: list[Any], iterator: Iterator[Any]) -> Iterator[Any]:
    for each in iterator:
        for container in containers:
            value(container)
        yield each
    for container in containers:
        value(container)


def born(thing: Any) -> Any:
    """A new container."""
    if active.recorder is not None:
        active.recorder.born(thing)
    return thing


def read_whole(recorder: Recorder, thing: Any) -> None:
    """Tell of a look at all of this."""
    traits = TRAITS[type(thing)]
    if traits.size is not None:
        recorder.read_all(thing)
    elif traits.opaque or traits.kind is not None:
        recorder.touch(thing, REST, write=False)
    elif traits.fields is not None:
        for name in traits.fields(thing):
            recorder.touch(thing, name, write=False)


def changed(before: Any, operand: Any, name_of: str) -> Any:
    """What an augmented assignment makes of a value; a container changes in place."""
    if kind_of(before) is not None:
        writes(before)
    return _OPERATORS[name_of](before, operand)
