"""The members of a crew, what ends an execution, and the words that several parts use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isomodel.engine.owner import Actor, Owner
from isomodel.engine.threads.locals import Locals

LOCKED = "waits for a lock"

OUTSIDE = "outside"
"""The owner in labels of what is no object of the program's."""


class Ended(BaseException):
    """Raised in a thread that still waits when its execution is over."""


class Deadlock(Exception):
    """No thread can ever run again; tells where each waits, and who has what it waits for."""


class Alarm(Exception):
    """A thread left control: it blocks in something that is not under control, or never yields."""


class Timer:
    """An option: that time passes until a thread's time limit."""

    __slots__ = ("actor", "key", "kind", "live", "owner", "priority", "thread", "when")

    def __init__(self, thread: ControlledThread, when: float) -> None:
        self.thread = thread
        self.actor = thread.actor
        self.owner = thread.owner
        self.key = f"{thread.owner.label} timer {thread.owner.count('timer')}"
        self.kind = "timer"
        self.priority = -1.0
        self.when = when
        self.live = True


class ControlledThread:
    """One thread, and at the same time the option that it takes its next step.

    ``since`` is when its last wait ended. ``awaits`` is what it is blocked on, ``why`` that in
    words, ``timed_out`` whether its time limit ended the last wait. ``paused`` is where it goes on.
    ``alone``: its next step is known to touch nothing that others do. ``begun`` and ``over`` are
    its first step and its last.
    """

    __slots__ = (
        "actor",
        "alone",
        "awaits",
        "begun",
        "daemon",
        "greenlet",
        "ident",
        "key",
        "kind",
        "locals",
        "on_end",
        "over",
        "owner",
        "paused",
        "priority",
        "sentinel",
        "since",
        "timed_out",
        "timer",
        "why",
    )

    def __init__(
        self, name: str, owner: Owner, number: int, ident: int, locals_: Locals, now: float
    ) -> None:
        self.actor = Actor(name, owner, number)
        self.owner = owner
        self.key = f"{name} step"
        self.kind = "step"
        self.priority = -1.0
        self.ident = ident
        self.daemon = False
        self.alone = False
        self.begun = False
        self.over = False
        self.since = now
        self.greenlet: Any = None
        self.paused: Any = None
        self.locals = locals_
        self.sentinel: Any = None
        self.on_end: list[Callable[[], object]] = []
        self.awaits: object = None
        self.why = ""
        self.timed_out = False
        self.timer: Timer | None = None

    @property
    def name(self) -> str:
        """Its stable name."""
        return self.actor.name
