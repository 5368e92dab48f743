"""Execution: everything one run under one schedule left behind, as plain values."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from isomodel.values.facts import Noted
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import Fault, Schedule
from isomodel.values.trace import Event, Step


class Arrival(msgspec.Struct, frozen=True):
    """One delivery from outside, as the projected alone run replays it.

    ``key`` names it stably (label, kind, count); ``user`` owns it; ``time`` is the virtual
    clock when it was delivered; ``own_events`` how many steps and callbacks of that user's
    group had run by then.
    """

    key: str
    user: str
    time: float
    own_events: int


class Shared(msgspec.Struct, frozen=True):
    """A mutable object that two users' roots both reach, with a path from each."""

    users: tuple[str, str]
    paths: tuple[str, str]
    type: str


class Refusal(msgspec.Struct, frozen=True):
    """A declared shared resource refused ``label``; ``justified`` says whether it was full.

    ``why`` names the holders. ``key`` identifies the request across joint and alone runs.
    ``overdue``: one of these holders is over, so that nothing else can explain the refusal.
    """

    key: str
    resource: str
    label: str
    user: str
    justified: bool
    why: str
    error: str = ""
    spent: dict[str, int] = {}
    """What the request counted up while it waited: timers and I/O, by kind."""
    overdue: bool = False


class Leftover(msgspec.Struct, frozen=True):
    """Something that should be gone after the last operation: a task, session, slot, object."""

    kind: str
    what: str
    owner: str = ""


class Rollback(msgspec.Struct, frozen=True):
    """Durable state of one user before and after an operation that did not succeed."""

    label: str
    user: str
    before: Any
    after: Any


class Issue(msgspec.Struct, frozen=True):
    """A source of nondeterminism that was not under control, by name, with where it was used."""

    source: str
    where: str


class Hit(msgspec.Struct, frozen=True):
    """A fault of the network that struck, and the users of the connection that it struck.

    A connect that was refused or never answered is nobody's yet: ``users`` is empty.
    """

    fault: Fault
    users: tuple[str, ...] = ()


class Execution(msgspec.Struct, frozen=True):
    """One run: its inputs, how it ended, and the evidence the oracles judge.

    ``ended`` is ``done``; ``deadlock`` (nothing can ever happen again, see ``waiting``);
    ``step limit`` (still busy after the allowed number of steps); or ``crash`` (the process
    was about to end, or the target's own code failed outside any operation).
    ``observations`` maps each user to what it saw, in order: (label, outcome, value) of each
    operation and of the final checks. ``switches`` counts departures from a task that could
    have gone on.
    """

    scenario: Scenario
    schedule: Schedule
    ended: Literal["done", "deadlock", "step limit", "crash"]
    history: tuple[Event, ...] = ()
    observations: dict[str, tuple[tuple[str, str, Any], ...]] = {}
    facts: tuple[Noted, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    operated: int = 0
    """How many of them came before the final checks."""
    clocks: dict[str, tuple[float, ...]] = {}
    """For each part, the virtual time at each step of its tasks."""
    refusals: tuple[Refusal, ...] = ()
    shared: tuple[Shared, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    rollbacks: tuple[Rollback, ...] = ()
    uncontrolled: tuple[Issue, ...] = ()
    waiting: tuple[str, ...] = ()
    secrets: dict[str, str] = {}
    """Every marker in the scenario's arguments, with the user it belongs to."""
    invalid: tuple[str, ...] = ()
    """Labels of operations whose arguments the target declares it must refuse."""
    hits: tuple[Hit, ...] = ()
    trace: tuple[Step, ...] = ()
    steps: int = 0
    switches: int = 0
    diverged: int = 0
    """Entries of a replayed schedule or projection that found no counterpart."""
    error: str = ""
    fired: tuple[Fault, ...] = ()
    """The faults that struck: a cancellation of what has just ended does not."""
    places: tuple[tuple[int, str], ...] = ()
    """For each of ``fired``, how many entries the trace had when it struck, and the task that
    was struck or, for one of I/O, that began it."""
