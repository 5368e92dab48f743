"""Facts: what a target reports about its inside, for the invariants to judge.

A target notes a fact where it happens (``isomodel.note(Sent(...))``). Facts are plain values;
the invariants read them after the execution. Every ``id`` is a string the target chooses;
equal ids mean the same thing.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Sent(msgspec.Struct, frozen=True, tag=True):
    """Event ``id`` was accepted for user ``to``; ``run`` groups events with a life cycle."""

    id: str
    to: str
    kind: str = ""
    run: str = ""


class Delivered(msgspec.Struct, frozen=True, tag=True):
    """Event ``id`` reached ``connection``, which belongs to user ``to``."""

    id: str
    to: str
    connection: str


class Dropped(msgspec.Struct, frozen=True, tag=True):
    """Event ``id`` was dropped by a declared policy, for ``reason``."""

    id: str
    reason: str


class Connected(msgspec.Struct, frozen=True, tag=True):
    """``connection`` now belongs to ``user``."""

    user: str
    connection: str


class Disconnected(msgspec.Struct, frozen=True, tag=True):
    """``connection`` is closed: nothing may be delivered to it from here on."""

    connection: str


class Issued(msgspec.Struct, frozen=True, tag=True):
    """The system made ``id``, of a kind in which no id may occur twice."""

    kind: str
    id: str


class Used(msgspec.Struct, frozen=True, tag=True):
    """``used`` units of ``limit`` are now in use; more than ``most`` must never be."""

    limit: str
    used: int
    most: int


class Identified(msgspec.Struct, frozen=True, tag=True):
    """The system took whoever presented ``credential`` for user ``as_user``."""

    credential: str
    as_user: str


class Owned(msgspec.Struct, frozen=True, tag=True):
    """``thing`` of this ``kind`` (engine, session, connection) now serves user ``by``.

    An empty ``by`` gives it back: it serves nobody.
    """

    kind: str
    thing: str
    by: str


class Began(msgspec.Struct, frozen=True, tag=True):
    """Transaction ``transaction`` began."""

    transaction: str


class Ended(msgspec.Struct, frozen=True, tag=True):
    """Transaction ``transaction`` ended by a commit or by a rollback."""

    transaction: str
    how: Literal["commit", "rollback"]


class Wrote(msgspec.Struct, frozen=True, tag=True):
    """``transaction`` wrote ``what``; under the name of ``owner``."""

    transaction: str
    what: str
    owner: str


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """The system accepted ``value`` as a ``field`` that only valid values may fill."""

    field: str
    value: str
    valid: bool


class Counted(msgspec.Struct, frozen=True, tag=True):
    """``counter``, which starts at 0, was increased by ``by``."""

    counter: str
    by: int


class Total(msgspec.Struct, frozen=True, tag=True):
    """``counter`` shows ``value``, read while nobody was counting."""

    counter: str
    value: int


class Broken(msgspec.Struct, frozen=True, tag=True):
    """The system broke a ``promise`` of its own; ``why`` says in one line what was seen."""

    promise: str
    why: str


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
    | Counted
    | Total
    | Broken
)


class Noted(msgspec.Struct, frozen=True):
    """A fact with the operation during which it was noted ("" outside any) and its user."""

    fact: Fact
    label: str
    user: str
    time: float
