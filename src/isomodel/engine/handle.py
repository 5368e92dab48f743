"""What waits to run: callbacks, and arrivals from outside with their stable keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

from isomodel.engine.owner import Owner


class Handle:
    """A callback that is to be called, as asyncio's Handle and TimerHandle.

    ``context`` None calls it as it is. For an arrival or a timer, ``owner``, ``kind`` and
    ``number`` make its key; ``future`` is what it completes, and an arrival whose future is
    done (its waiter was cancelled) never happens. ``time`` is when it is due.
    """

    __slots__ = (
        "__weakref__",
        "args",
        "callback",
        "context",
        "dead",
        "future",
        "kind",
        "number",
        "owner",
        "priority",
        "serial",
        "task",
        "time",
    )
    owner: Owner | None
    kind: str
    number: int
    time: float
    serial: int
    task: Any

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.dead = False
        self.owner = None
        self.priority = -1.0
        self.future: asyncio.Future[Any] | None = None

    @property
    def key(self) -> str:
        """The stable name of this option: whose, of which kind, which of them."""
        label = self.owner.label if self.owner is not None else ""
        return f"{label} {self.kind} {self.number}"

    def cancel(self) -> None:
        """Never call it."""
        self.dead = True

    def cancelled(self) -> bool:
        """Whether it will never be called."""
        return self.dead

    def when(self) -> float:
        """The virtual time at which it is due, in seconds."""
        return self.time

    def __lt__(self, other: Handle) -> bool:
        return (self.time, self.serial) < (other.time, other.serial)


class GoOn:
    """The option that nothing arrives now: what is ready runs."""

    __slots__ = ("kind", "owner")
    key = "go on"
    priority = -1.0

    def __init__(self, owner: Owner) -> None:
        self.kind = "go on"
        self.owner = owner
