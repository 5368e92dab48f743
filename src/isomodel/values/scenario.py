"""Scenario: who does what, with which arguments."""

from __future__ import annotations

from typing import Any

import msgspec


class Operation(msgspec.Struct, frozen=True):
    """One operation of one user.

    ``label`` names it for good ("alice.1"): keys, schedules and reports refer to it, and it
    stays the same while other operations are removed. ``args`` holds JSON values; a handle
    that another operation made is ``{"made": "<label>"}``. With ``beside`` the operation
    starts without waiting for this user's previous one to end.
    """

    label: str
    user: str
    name: str
    args: dict[str, Any] = {}
    beside: bool = False


class Scenario(msgspec.Struct, frozen=True):
    """The operations of all users, each user's in program order.

    ``seed`` feeds the users' streams of random numbers and ids. ``groups`` lists the users
    that share something by design (a room) and are therefore judged together.
    """

    operations: tuple[Operation, ...]
    seed: int = 0
    groups: tuple[tuple[str, ...], ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """The users, in order of their first operation."""
        return tuple(dict.fromkeys(operation.user for operation in self.operations))

    def group_of(self, user: str) -> tuple[str, ...]:
        """The users judged together with ``user``, itself included."""
        for group in self.groups:
            if user in group:
                return group
        return (user,)

    def parts(self) -> tuple[tuple[str, ...], ...]:
        """The users, split into the groups that are judged together."""
        return tuple(dict.fromkeys(self.group_of(user) for user in self.users))

    def only(self, users: tuple[str, ...]) -> Scenario:
        """This scenario with the operations of ``users`` alone."""
        mine = tuple(operation for operation in self.operations if operation.user in users)
        return msgspec.structs.replace(self, operations=mine)


def made_by(value: Any) -> str | None:
    """The label of the operation that made this argument's handle, if it is one."""
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("made"), str):
        return str(value["made"])
    return None


SERVER = "@"
"""Before the label of an operation: what the other end of a simulated connection does for it."""


def operation_of(label: str) -> str:
    """The label of the operation that this work is for, its own or that of a server."""
    return label.lstrip(SERVER)
