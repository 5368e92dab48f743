"""Scenarios up to a bound: all of them, those that differ only in who is who counted once.

Users are interchangeable: a scenario and its image under a renaming of users (in arguments, too)
count as one. Arguments take some values each, the simplest and the extreme ones: which, the
verdict says. Handles are used by the user whose operation made them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from isomodel.search.exploring.generate import Pools, pools_of, secret_for
from isomodel.targets.declare import USERS, OperationSpec, TargetSpec
from isomodel.values.scenario import Operation, Scenario

VALUES = 4
"""Values of one argument, at most."""


class Bound(msgspec.Struct, frozen=True):
    """Scenarios of at most so many users who take at most so many operations together.

    ``together`` leaves out those of fewer than so many users. With ``beside`` a user's operation
    may also start without waiting for the one before it. ``values`` bounds the values of an
    argument; ``only`` names the operations, where not all of them count.
    """

    users: int = 2
    operations: int = 2
    together: int = 1
    beside: bool = True
    values: int = VALUES
    only: tuple[str, ...] = ()


class _Call(msgspec.Struct, frozen=True):
    """One operation of a program before it has a user: ``handles`` are places in the program."""

    name: str
    values: tuple[tuple[str, Any], ...]
    handles: tuple[tuple[str, int], ...]
    beside: bool

    def renamed(self, names: Mapping[str, str]) -> tuple[Any, ...]:
        """For comparison, with users called otherwise."""
        values = tuple((key, repr(_renamed(value, names))) for key, value in self.values)
        return (self.name, values, self.handles, self.beside)


_Program = tuple[_Call, ...]


class Scenarios:
    """The scenarios of a target within a bound, always in the same order.

    Smaller ones come first; of one size, those of more users.
    """

    def __init__(self, spec: TargetSpec, bound: Bound) -> None:
        self.spec = spec
        self.bound = bound
        self.values: Pools = {
            place: _extremes(values, bound.values) for place, values in pools_of(spec).items()
        }
        self._names = [name for name in sorted(spec.operations) if _counts(name, bound)]
        self._programs: dict[int, list[_Program]] = {}

    def __iter__(self) -> Iterator[Scenario]:
        for size in range(1, self.bound.operations + 1):
            for users in range(min(self.bound.users, size), self.bound.together - 1, -1):
                for lengths in _shares(size, users):
                    yield from self._of(lengths)

    def described(self) -> list[str]:
        """Which values each argument takes, where it can take several."""
        return [
            f"{name}({argument}): {', '.join(map(repr, values))}"
            for (name, argument), values in sorted(self.values.items())
            if _counts(name, self.bound)
        ]

    def _of(self, lengths: tuple[int, ...]) -> Iterator[Scenario]:
        users = USERS[: len(lengths)]
        renamings = [
            dict(zip(users, order, strict=True)) for order in itertools.permutations(users)
        ]
        for programs in itertools.product(*(self._of_length(length) for length in lengths)):
            if self._comes_first(users, programs, renamings):
                yield self._scenario(users, programs)

    def _comes_first(
        self,
        users: tuple[str, ...],
        programs: tuple[_Program, ...],
        renamings: list[dict[str, str]],
    ) -> bool:
        """Whether no renaming of this scenario comes before it."""
        mine = None
        for names in renamings:
            image = {
                names[user]: tuple(call.renamed(names) for call in program)
                for user, program in zip(users, programs, strict=True)
            }
            ordered = tuple((-len(image[user]), image[user]) for user in users)
            if mine is None:
                mine = ordered
            elif ordered < mine:
                return False
        return True

    def _scenario(self, users: tuple[str, ...], programs: tuple[_Program, ...]) -> Scenario:
        operations = []
        for user, program in zip(users, programs, strict=True):
            for number, call in enumerate(program, 1):
                arguments: dict[str, Any] = dict(call.values)
                for argument in self.spec.operations[call.name].arguments:
                    if argument.secret:
                        arguments[argument.name] = secret_for(user, number)
                for name, place in call.handles:
                    arguments[name] = {"made": f"{user}.{place + 1}"}
                label = f"{user}.{number}"
                operations.append(Operation(label, user, call.name, arguments, call.beside))
        groups = tuple(g for g in self.spec.together if any(user in users for user in g))
        return Scenario(tuple(operations), 0, groups)

    def _of_length(self, length: int) -> list[_Program]:
        if length not in self._programs:
            shorter = self._of_length(length - 1) if length else []
            self._programs[length] = (
                [(*program, call) for program in shorter for call in self._calls(program)]
                if length
                else [()]
            )
        return self._programs[length]

    def _calls(self, program: _Program) -> Iterator[_Call]:
        """What the same user may do next."""
        for name in self._names:
            spec = self.spec.operations[name]
            for handles in self._handles(spec, program):
                for values in self._arguments(spec):
                    yield _Call(name, values, handles, False)
                    last = len(program) - 1
                    waits = any(place == last or program[place].beside for _, place in handles)
                    if self.bound.beside and program and not spec.makes and not waits:
                        yield _Call(name, values, handles, True)

    def _arguments(self, spec: OperationSpec) -> Iterator[tuple[tuple[str, Any], ...]]:
        drawn = [a.name for a in spec.arguments if not a.secret and not a.made]
        for values in itertools.product(*(self.values[spec.name, name] for name in drawn)):
            yield tuple(zip(drawn, values, strict=True))

    def _handles(
        self, spec: OperationSpec, program: _Program
    ) -> Iterator[tuple[tuple[str, int], ...]]:
        """Each choice of handles that the user has made and not given up."""
        wanted = [argument for argument in spec.arguments if argument.made]
        given_up = {
            (self.spec.operations[call.name].ends, place)
            for call in program
            for name, place in call.handles
            if name == self.spec.operations[call.name].ends
        }
        held = [
            [
                place
                for place, call in enumerate(program)
                if self.spec.operations[call.name].makes == argument.made
                and (argument.made, place) not in given_up
            ]
            for argument in wanted
        ]
        for places in itertools.product(*held):
            yield tuple((a.name, place) for a, place in zip(wanted, places, strict=True))


def _counts(name: str, bound: Bound) -> bool:
    return not bound.only or name in bound.only


def _shares(size: int, users: int) -> Iterator[tuple[int, ...]]:
    """How so many operations can be dealt out to so many users, the most to the first."""

    def deal(left: int, among: int, most: int) -> Iterator[tuple[int, ...]]:
        if among == 1:
            if left <= most:
                yield (left,)
            return
        for first in range(min(most, left - among + 1), 0, -1):
            for rest in deal(left - first, among - 1, first):
                yield (first, *rest)

    return deal(size, users, size)


def _extremes(values: tuple[Any, ...], most: int) -> tuple[Any, ...]:
    """The simplest value, the smallest and the largest, and then others as they came up."""
    distinct = list({repr(value): value for value in values}.values())
    if len(distinct) <= most:
        return tuple(distinct)
    by_size = sorted(distinct, key=_size)
    chosen = [distinct[0], by_size[0], by_size[-1], *distinct]
    return tuple({repr(value): value for value in chosen}.values())[:most]


def _size(value: Any) -> tuple[str, Any, str]:
    number = isinstance(value, int | float)
    size = value if number else len(value) if hasattr(value, "__len__") else 0
    return ("number" if number else type(value).__name__, size, repr(value))


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, list | tuple):
        return [_renamed(item, names) for item in value]
    if isinstance(value, dict):
        return {_renamed(key, names): _renamed(item, names) for key, item in value.items()}
    return value
