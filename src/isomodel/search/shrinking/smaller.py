"""Smaller scenarios than a given one, and others that may do with less: what shrinking tries.

Each comes with the name of the edit, so that a pass over them can go on where it was after one
has succeeded.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import msgspec

from isomodel.search.exploring.generate import Pools, secret_for
from isomodel.search.shrinking.edit import relabelled, replaced, without
from isomodel.search.shrinking.smallest import arguments_of
from isomodel.targets.declare import USERS, TargetSpec
from isomodel.values.scenario import Operation, Scenario, made_by

Edited = tuple[str, Scenario, dict[str, str]]
"""The name of an edit, the scenario after it, and the new labels of operations that have others."""

Edits = Callable[[Scenario], Iterator[Edited]]


VALUES = 3
"""Values tried for each argument of an operation that takes another's place."""


class Smaller:
    """The edits of scenarios of one target."""

    def __init__(self, spec: TargetSpec, pools: Pools) -> None:
        self._spec = spec
        self._pools = pools

    def without_user(self, scenario: Scenario) -> Iterator[Edited]:
        """Without one of its users."""
        if len(scenario.users) > 1:
            for user in reversed(scenario.users):
                yield user, scenario.only(tuple(u for u in scenario.users if u != user)), {}

    def without_operation(self, scenario: Scenario) -> Iterator[Edited]:
        """Without one of its operations, the last first."""
        for operation in reversed(scenario.operations):
            yield operation.label, without(scenario, operation.label), {}

    def merged(self, scenario: Scenario) -> Iterator[Edited]:
        """With one user who does side by side what two did."""
        for user in reversed(scenario.users):
            for other in scenario.users:
                if other != user:
                    yield f"{user} as {other}", *self._merged(scenario, user, other)

    def simpler(self, scenario: Scenario) -> Iterator[Edited]:
        """With simpler arguments, less side by side, or the simplest seed."""
        for operation in scenario.operations:
            for changed in self._simpler(operation):
                name = f"{operation.label} {msgspec.json.encode(changed.args).decode()}"
                yield f"{name} {changed.beside}", replaced(scenario, changed), {}
        if scenario.seed:
            yield "seed", msgspec.structs.replace(scenario, seed=0), {}

    def with_other_arguments(self, scenario: Scenario) -> Iterator[Scenario]:
        """With an argument changed to another of the values drawn for it.

        In one operation, and in all operations of its name: what takes two of them to fail
        often cannot be reached by changing one.
        """
        for operation in scenario.operations:
            for name, old in operation.args.items():
                for value in self._pools.get((operation.name, name), ()):
                    if value != old:
                        yield replaced(scenario, _with_argument(operation, name, value))
                        yield _everywhere(scenario, operation.name, name, value)

    def exchanged(self, scenario: Scenario) -> Iterator[Scenario]:
        """With an operation of another kind in place of one whose handle nobody uses."""
        used = {made_by(value) for each in scenario.operations for value in each.args.values()}
        for operation in scenario.operations:
            if operation.label in used:
                continue
            for kind in self._spec.operations.values():
                if kind.name == operation.name or any(a.made for a in kind.arguments):
                    continue
                secrets = {a.name: "" for a in kind.arguments if a.secret}
                for args in arguments_of(kind, self._pools, VALUES):
                    other = msgspec.structs.replace(
                        operation, name=kind.name, args={**args, **secrets}
                    )
                    yield replaced(
                        scenario, msgspec.structs.replace(other, args=self._remarked(other))
                    )

    def pairs(self, scenario: Scenario) -> Iterator[Scenario]:
        """Two of its operations alone: of one user side by side, or of two users."""
        kinds = {each.name: each for each in scenario.operations if not _uses_handle(each)}
        users = scenario.users[:2]
        for one, other in itertools.product(kinds.values(), kinds.values()):
            for user in users:
                label = f"{user}.{2 if user == users[0] else 1}"
                beside = user == users[0]
                first = msgspec.structs.replace(
                    one, label=f"{users[0]}.1", user=users[0], beside=False
                )
                second = msgspec.structs.replace(other, label=label, user=user, beside=beside)
                operations = tuple(
                    msgspec.structs.replace(each, args=self._remarked(each))
                    for each in (first, second)
                )
                yield msgspec.structs.replace(scenario, operations=operations)

    def repeated(self, scenario: Scenario) -> Iterator[Scenario]:
        """With another of its operations once more, in place of one and those that need it.

        What takes a handle, and then its use, to go wrong may go wrong without one as well.
        """
        for operation in scenario.operations:
            fewer = without(scenario, operation.label)
            if len(fewer.operations) > len(scenario.operations) - 2:
                continue
            kept = {other.label for other in fewer.operations}
            for other in fewer.operations:
                copy = msgspec.structs.replace(other, label=operation.label, user=operation.user)
                copy = msgspec.structs.replace(copy, args=self._remarked(copy))
                operations = tuple(
                    copy if each is operation else each
                    for each in scenario.operations
                    if each is operation or each.label in kept
                )
                yield msgspec.structs.replace(scenario, operations=operations)

    def rearranged(self, scenario: Scenario) -> Iterator[Scenario]:
        """With another user first, or two neighbouring operations of one in the other order."""
        for user in scenario.users[1:]:
            mine = [operation for operation in scenario.operations if operation.user == user]
            rest = [operation for operation in scenario.operations if operation.user != user]
            yield msgspec.structs.replace(scenario, operations=(*mine, *rest))
        for user in scenario.users:
            mine = [operation for operation in scenario.operations if operation.user == user]
            for first, second in pairwise(mine):
                if first.label not in [made_by(value) for value in second.args.values()]:
                    operations = tuple(_swapped(o, first, second) for o in scenario.operations)
                    yield msgspec.structs.replace(scenario, operations=operations)

    def numbered_anew(self, scenario: Scenario) -> tuple[Scenario, dict[str, str]]:
        """With users and operations numbered from the start, and the new label of each old one."""
        users = dict(zip(scenario.users, USERS, strict=False))
        labels: dict[str, str] = {}
        for user in scenario.users:
            mine = [o.label for o in scenario.operations if o.user == user]
            labels.update({label: f"{users[user]}.{i + 1}" for i, label in enumerate(mine)})
        renamed = relabelled(scenario, users, labels)
        operations = tuple(
            msgspec.structs.replace(operation, args=self._remarked(operation))
            for operation in renamed.operations
        )
        return msgspec.structs.replace(renamed, operations=operations), labels

    def _merged(self, scenario: Scenario, user: str, into: str) -> tuple[Scenario, dict[str, str]]:
        """The scenario in which ``into`` does beside its own what ``user`` did, and its labels."""
        taken = max(_number(o.label) for o in scenario.operations if o.user == into)
        mine = [operation.label for operation in scenario.operations if operation.user == user]
        labels = {operation.label: operation.label for operation in scenario.operations}
        labels.update({label: f"{into}.{taken + 1 + i}" for i, label in enumerate(mine)})
        users = {other: into if other == user else other for other in scenario.users}
        moved = {labels[label] for label in mine}
        scenario = relabelled(scenario, users, labels)
        operations = tuple(
            msgspec.structs.replace(
                operation,
                args=self._remarked(operation),
                beside=operation.beside or operation.label == labels[mine[0]],
            )
            if operation.label in moved
            else operation
            for operation in scenario.operations
        )
        return msgspec.structs.replace(scenario, operations=operations), labels

    def _remarked(self, operation: Operation) -> dict[str, Any]:
        """The arguments with secrets that belong to the operation's user."""
        number = _number(operation.label)
        secret = {a.name for a in self._spec.operations[operation.name].arguments if a.secret}
        return {
            name: secret_for(operation.user, number) if name in secret else value
            for name, value in operation.args.items()
        }

    def _simpler(self, operation: Operation) -> Iterator[Operation]:
        if operation.beside:
            yield msgspec.structs.replace(operation, beside=False)
        for name, value in operation.args.items():
            values = self._pools.get((operation.name, name), ())
            rank = values.index(value) if value in values else len(values)
            for simpler in sorted(values[:rank][:3], key=lambda v: len(repr(v))):
                if simpler != value and len(repr(simpler)) <= len(repr(value)):
                    yield _with_argument(operation, name, simpler)


def _swapped(operation: Operation, first: Operation, second: Operation) -> Operation:
    """What stands in the place of ``operation`` once two are swapped; ``beside`` stays there."""
    other = {first.label: second, second.label: first}.get(operation.label, operation)
    return msgspec.structs.replace(other, beside=operation.beside)


def _uses_handle(operation: Operation) -> bool:
    return any(made_by(value) for value in operation.args.values())


def _number(label: str) -> int:
    return int(label.rpartition(".")[2])


def _with_argument(operation: Operation, name: str, value: Any) -> Operation:
    return msgspec.structs.replace(operation, args={**operation.args, name: value})


def _everywhere(scenario: Scenario, operation_name: str, name: str, value: Any) -> Scenario:
    operations = tuple(
        _with_argument(operation, name, value) if operation.name == operation_name else operation
        for operation in scenario.operations
    )
    return msgspec.structs.replace(scenario, operations=operations)
