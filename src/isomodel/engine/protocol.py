"""The one question an engine asks, and the default answer that schedules are written against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from isomodel.engine.core import KINDS, Actor, Owner

__all__ = ["KINDS", "Option", "Scheduler", "default", "is_switch"]


class Option(Protocol):
    """Something that may happen next.

    ``priority`` is a place for the scheduler's own use, below 0 while it has not been used.
    """

    priority: float

    @property
    def key(self) -> str:
        """Stable name: "bob.1 io 0"."""

    @property
    def kind(self) -> str:
        """One of ``KINDS``, or the name of an arrival.

        A "timer" lets time pass; "due" is one whose time has come.
        """

    @property
    def owner(self) -> Owner:
        """Whose work it is."""

    @property
    def actor(self) -> Actor | None:
        """The task whose step it is, or that began what may arrive; None for "go on"."""


class Scheduler(Protocol):
    """Decides what happens next.

    ``options`` is never empty and in the order in which they came up, but for cancellations,
    which come first, and then what threads send and the timer, which come last; ``last`` is the
    task that took the last step. The answer is an index into ``options``. A scheduler serves
    one execution and may keep state. At equal options and equal state it must answer the same.

    One that has an attribute ``patient``, and that is true, always answers "go on" at once
    where only arrivals and timers not yet due could join what is ready; it need not be asked.
    One that has a method ``pick`` may be asked by it, with the options alone, where all of them
    are steps and arrivals: the answer that ``choose`` would give, for less.
    """

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The index of the option that happens next."""


def default(options: Sequence[Option], last: Actor) -> int:
    """The default rule: go on as before (see ``isomodel.values.schedule``).

    A planned cancellation comes at once, and so does a timer that is due; then what is ready;
    then the operation that ran last, its user, and whatever came up first. Time passes only
    when nothing else can happen.
    """
    best, best_rank = 0, 9
    owner = last.owner
    for index, option in enumerate(options):
        kind = option.kind
        if kind == "cancel":
            return index
        if kind == "go on":
            rank = 0
        elif kind == "due":
            rank = -1
        elif kind == "timer":
            rank = 5
        elif option.owner is owner:
            rank = 1 if _is_its_own(option, last) else 2
        else:
            rank = 3 if option.owner.user == owner.user and owner.user else 4
        if rank < best_rank:
            best, best_rank = index, rank
    return best


def _is_its_own(option: Option, last: Actor) -> bool:
    """Whether this is the task's own step, or an arrival for an operation whose main task it is."""
    if option.kind == "step":
        return option.key == f"{last.name} step"
    return option.owner.label == last.name


def is_switch(options: Sequence[Option], chosen: int, usual: int, last: Actor) -> bool:
    """Whether this choice is a context switch: something else, though ``last`` could go on.

    Letting time pass while anything else could happen counts, too. A cancellation does not:
    it is counted as the fault it is.
    """
    if chosen == usual:
        return False
    option, ordinary = options[chosen], options[usual]
    if option.kind == "cancel":
        return False
    if option.kind == "timer":
        return ordinary.kind != "timer"
    if ordinary.kind == "cancel":
        others = [other for other in options if other.kind != "cancel"]
        rest = default(others, last)
        return is_switch(others, others.index(option), rest, last)
    return option.owner is not last.owner and (
        ordinary.kind == "go on" or ordinary.owner is last.owner
    )
