"""Schedule: every choice that the scenario leaves open, stored as what differs from the default.

The default rule at every point is "go on as before": the task that ran last goes on while it
can; then its operation, its user, and at last whatever has waited longest. Time passes only
when nothing else can happen. A schedule lists where an execution departs from that rule, by
task name and step, never by index; an empty one runs the operations one after another.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Fidelity = Literal["stock", "portable"]
"""``stock``: only orders the stock asyncio loop can produce. ``portable``: any task next."""


RuntimeName = Literal["asyncio", "trio", "threads"]
"""What is under control: the tasks of a library, or threads."""


class Switch(msgspec.Struct, frozen=True, omit_defaults=True):
    """After ``step`` steps of task ``after``, ``to`` happens instead of the default.

    ``after`` is the task that ran last ("" before any has run), ``to`` the key of the chosen
    option ("bob.1 io 0", "clock", "go on"), and ``nth`` counts the questions asked at one
    point, where several arrivals may join one iteration of the loop.
    """

    after: str
    step: int
    to: str
    nth: int = 0


FaultKind = Literal[
    "cancel",
    "fail",
    "timeout",
    "scope",
    "slow",
    "jump",
    "refuse",
    "reset",
    "split",
    "partition",
    "stale",
]

STRIKES: frozenset[FaultKind] = frozenset(("cancel", "timeout", "scope"))
"""Faults that make a task give up, at a moment that is the scheduler's choice."""


OF_NETWORK: frozenset[FaultKind] = frozenset(("refuse", "reset", "split", "partition", "stale"))
"""Faults of one event of the simulated network: a connect, or a delivery of bytes."""

OF_IO: frozenset[FaultKind] = frozenset(("fail", "slow", *OF_NETWORK))
"""Faults of one simulated I/O, which strike when it begins."""


class Fault(msgspec.Struct, frozen=True):
    """An injected failure of one task.

    ``cancel``: the task is cancelled after ``at`` steps, or later where a switch says so; at 0,
    under ``stock``, it is queued while the first step is ready, and strikes right after that.
    ``timeout``: likewise, by a caller's time limit (``asyncio.timeout``) that passes.
    ``scope``: likewise, by a caller that leaves anyio's cancel scope.
    ``fail``: its simulated I/O number ``at`` (from 0) raises what that I/O declares. That of a
    server at the other end of its simulated connection counts apart, and is struck likewise.
    ``slow``: that I/O, or what comes for it over the network under that number, takes longer
    than every timer that is pending when it begins.
    ``jump``: while its timer number ``at`` (from 0) is pending, the clock jumps so far that
    every pending timer is due at once.

    Of what comes for it over the network, the event number ``at`` (from 0):

    ``refuse``: a connect is refused, though somebody listens.
    ``reset``: instead of a delivery, both ends lose the connection with all that is under way.
    ``split``: a delivery comes in three: its first byte, its last byte, and between them the rest.
    ``partition``: from this delivery on nothing comes through, in either direction, and nobody
    is told; who has sent something hears of it when a kernel would have given up.
    ``stale``: instead of a delivery to it, the accepting end closes, as one that was idle for too
    long. Hunts do not draw it; noninterference looks for it in runs alone.
    """

    kind: FaultKind
    task: str
    at: int


class Schedule(msgspec.Struct, frozen=True):
    """The choices of one execution: fidelity, departures from the default rule, faults.

    ``switches`` counts the entries that leave something able to go on; the others settle
    what happens next where the last task could not go on anyway. Less is simpler.
    """

    fidelity: Fidelity = "stock"
    choices: tuple[Switch, ...] = ()
    faults: tuple[Fault, ...] = ()
