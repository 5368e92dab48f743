"""What a target may call while it runs: simulated I/O, facts, watched objects, ownership.

All of these work outside a controlled execution too (on an ordinary loop, asyncio's or trio's),
where I/O only waits and the rest does nothing: the same code can run live.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable
from typing import Any, Protocol

from isomodel.engine.core import enter, here, io
from isomodel.values.facts import Fact

__all__ = ["World", "acting_as", "current", "enter", "io", "note", "watch"]


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


def current() -> World | None:
    """The controlled execution under way in this process, if any."""
    world: World | None = here.world
    return world


def note(fact: Fact) -> None:
    """Report a fact about the system's inside to the invariants (see ``isomodel.facts``)."""
    if here.world is not None:
        here.world.note(fact)


def watch(thing: Any, what: str) -> None:
    """Expect that nothing refers to ``thing`` any more once all users have left.

    ``what`` names it in the report. Only a weak reference is kept.
    """
    if here.world is not None:
        here.world.watch(thing, what)


def acting_as(user: str) -> contextlib.AbstractContextManager[None]:
    """Declare the owner of background work: tasks and I/O started in the block are ``user``'s."""
    if here.world is not None:
        return here.world.acting_as(user)  # type: ignore[no-any-return]
    return contextlib.nullcontext()
