"""Facts: what a target reports about its inside, for the invariants to judge.

A target notes a fact where it happens (``isomodel.note(Sent(...))``). Facts are plain values;
the invariants read them after the execution. Every ``id`` is a string the target chooses;
equal ids mean the same thing.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class _Fact(msgspec.Struct, frozen=True, tag=True):
    pass


class Sent(_Fact):
    """Event ``id`` was accepted for user ``to``; ``run`` groups events with a life cycle."""

    id: str
    to: str
    kind: str = ""
    run: str = ""


class Delivered(_Fact):
    """Event ``id`` reached ``connection``, which belongs to user ``to``."""

    id: str
    to: str
    connection: str


class Dropped(_Fact):
    """Event ``id`` was dropped by a declared policy, for ``reason``."""

    id: str
    reason: str


class Connected(_Fact):
    """``connection`` now belongs to ``user``."""

    user: str
    connection: str


class Disconnected(_Fact):
    """``connection`` is closed: nothing may be delivered to it from here on."""

    connection: str


class Issued(_Fact):
    """The system made ``id``, of a kind in which no id may occur twice."""

    kind: str
    id: str


class Used(_Fact):
    """``used`` units of ``limit`` are now in use; more than ``most`` must never be."""

    limit: str
    used: int
    most: int


class Identified(_Fact):
    """The system took whoever presented ``credential`` for user ``as_user``."""

    credential: str
    as_user: str


class Owned(_Fact):
    """``thing`` of this ``kind`` (engine, session, connection) now serves user ``by``."""

    kind: str
    thing: str
    by: str


class Began(_Fact):
    """Transaction ``transaction`` began."""

    transaction: str


class Ended(_Fact):
    """Transaction ``transaction`` ended by a commit or by a rollback."""

    transaction: str
    how: Literal["commit", "rollback"]


class Wrote(_Fact):
    """``transaction`` wrote ``what``; under the name of ``owner``."""

    transaction: str
    what: str
    owner: str


class Accepted(_Fact):
    """The system accepted ``value`` as a ``field`` that only valid values may fill."""

    field: str
    value: str
    valid: bool


Fact = (
    Sent
    | Delivered
    | Dropped
    | Connected
    | Disconnected
    | Issued
    | Used
    | Identified
    | Owned
    | Began
    | Ended
    | Wrote
    | Accepted
)


class Noted(msgspec.Struct, frozen=True):
    """A fact with the operation during which it was noted ("" outside any) and its user."""

    fact: Fact
    label: str
    user: str
    time: float
