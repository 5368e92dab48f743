"""Small scenarios, smallest first: before a counterexample is whittled down, try the least.

Removing one thing at a time ends in a local minimum; a defect found through a long way round
often has a short one that shares no operation with it. The least scenarios are few enough to
run them all under the default schedule.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator
from typing import Any

from isomodel.search.exploring.generate import Pools, secret_for
from isomodel.targets.declare import USERS, OperationSpec, TargetSpec
from isomodel.values.case import Size
from isomodel.values.scenario import Operation, Scenario

VALUES = 8
"""Values tried for an argument where one operation is all there is."""

SINGLES = 400
PAIRS = 300
"""The most scenarios of one and of two operations."""


def smallest(
    spec: TargetSpec, pools: Pools, below: Size, known: Container[str] | None = None
) -> Iterator[Scenario]:
    """Scenarios of one operation, then of two, of one user and then of two; all below a size.

    With ``known``, only of operations of these names.
    """
    names = [
        name
        for name, operation in spec.operations.items()
        if not _needs_handle(operation) and (known is None or name in known)
    ]
    groups = tuple(group for group in spec.together if any(user in USERS[:2] for user in group))
    if (below.users, below.operations) > (1, 1) or below.faults:
        singles = (
            Scenario((_operation(USERS[0], 1, spec.operations[name], arguments),), 0, ())
            for name in names
            for arguments in arguments_of(spec.operations[name], pools, VALUES)
        )
        yield from itertools.islice(singles, SINGLES)
    for users in ((0, 0), (0, 1)):
        size = (len(set(users)), 2)
        if (below.users, below.operations, below.switches + below.faults) > (*size, 0):
            yield from itertools.islice(_pairs(spec, pools, names, users, groups), PAIRS)


def _pairs(
    spec: TargetSpec,
    pools: Pools,
    names: list[str],
    users: tuple[int, int],
    groups: tuple[tuple[str, ...], ...],
) -> Iterator[Scenario]:
    numbers = (1, 2) if users[0] == users[1] else (1, 1)
    for pair in itertools.product(names, names):
        operations = []
        for user, number, name in zip(users, numbers, pair, strict=True):
            operation = spec.operations[name]
            arguments = next(arguments_of(operation, pools, 1), {})
            operations.append(_operation(USERS[user], number, operation, arguments))
        yield Scenario(tuple(operations), 0, groups)


def _needs_handle(operation: OperationSpec) -> bool:
    return any(argument.made for argument in operation.arguments)


def arguments_of(operation: OperationSpec, pools: Pools, most: int) -> Iterator[dict[str, Any]]:
    """Arguments from the pools, the simplest ``most`` of each, but for secrets."""
    drawn = [argument.name for argument in operation.arguments if not argument.secret]
    choices = [_distinct(pools[operation.name, name])[:most] for name in drawn]
    for combination in itertools.product(*choices):
        yield dict(zip(drawn, combination, strict=True))


def _distinct(values: tuple[Any, ...]) -> list[Any]:
    out: list[Any] = []
    for value in sorted(values, key=lambda v: (len(repr(v)), repr(v))):
        if value not in out:
            out.append(value)
    return out


def _operation(
    user: str, number: int, operation: OperationSpec, arguments: dict[str, Any]
) -> Operation:
    secrets = {a.name: secret_for(user, number) for a in operation.arguments if a.secret}
    return Operation(f"{user}.{number}", user, operation.name, {**arguments, **secrets})
