"""What a target may call while it runs: simulated I/O, facts, watched objects, ownership.

All of these work outside a controlled execution too (on an ordinary loop, asyncio's or trio's),
where I/O only waits and the rest does nothing: the same code can run live.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable
from typing import Any, Protocol

from isomodel.values.facts import Fact


class World(Protocol):
    """The controlled execution that these calls reach, while there is one."""

    def io(self, name: str, latency: float, fails: type[BaseException] | None) -> Awaitable[None]:
        """Suspend the caller until the scheduler lets this I/O arrive."""

    def note(self, fact: Fact) -> None:
        """Record a fact for the invariants."""

    def watch(self, thing: Any, what: str) -> None:
        """Expect ``thing`` to be gone after the last operation."""

    def acting_as(self, user: str) -> contextlib.AbstractContextManager[None]:
        """Make ``user`` the owner of what starts inside the block."""


_current: World | None = None


def current() -> World | None:
    """The controlled execution under way in this process, if any."""
    return _current


def enter(world: World | None) -> World | None:
    """Make ``world`` the current execution; returns the one before it, to be entered again."""
    global _current
    before, _current = _current, world
    return before


def io(
    name: str = "io", *, latency: float = 0.0, fails: type[BaseException] | None = None
) -> Awaitable[None]:
    """Wait for simulated I/O: ``await isomodel.io("query")``.

    When it arrives is the scheduler's choice, never before ``latency`` seconds of virtual time.
    With ``fails`` a fault may make it raise that exception instead.
    """
    if _current is not None:
        return _current.io(name, latency, fails)
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.sleep(latency)  # type: ignore[no-any-return]
    return asyncio.sleep(latency)


def note(fact: Fact) -> None:
    """Report a fact about the system's inside to the invariants (see ``isomodel.facts``)."""
    if _current is not None:
        _current.note(fact)


def watch(thing: Any, what: str) -> None:
    """Expect that nothing refers to ``thing`` any more once all users have left.

    ``what`` names it in the report. Only a weak reference is kept.
    """
    if _current is not None:
        _current.watch(thing, what)


def acting_as(user: str) -> contextlib.AbstractContextManager[None]:
    """Declare the owner of background work: tasks and I/O started in the block are ``user``'s."""
    if _current is not None:
        return _current.acting_as(user)
    return contextlib.nullcontext()
