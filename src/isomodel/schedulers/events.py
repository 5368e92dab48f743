"""Events: which thread of control an option belongs to, and what it is going to touch.

The papers behind the policies speak of threads, of their next events and of shared variables.
Here an *event* is what happens when an option is chosen, up to the next question. A *thread* is a
task, by its stable name; what arrives from outside belongs to the task that waits for it, or, where
no task waits for it directly, to its operation, by its label. The events of one *stream* are
numbered: event n of a task's stream is its step n, or under ``stock``, where steps are not chosen,
the arrival that leads to it.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Mapping
from typing import Any

from isomodel.engine.owner import Actor, ControlledTask, task_of
from isomodel.engine.portable import PortableLoop
from isomodel.engine.protocol import Option

Accesses = frozenset[tuple[str, bool]]
"""Labels of shared things, each with whether it is written."""

Touches = Callable[[str, int, str], Accesses | None]
"""What an event touches, by its stream, its number there from 0, and the kind of option it is.

The kind is "" if it was none, because nobody was asked. Declared by the program, or learned from
earlier executions of the same scenario. None: not known; an empty set: nothing that is shared."""

NOT_EVENTS = ("go on", "timer", "due")
"""Kinds of options that belong to no thread: that nothing arrives, or that time passes."""

NAMELESS = ("", "step", "start", "cancel", "io")
"""Kinds that say nothing of what they are about."""


def unknown(stream: str, number: int, kind: str) -> Accesses | None:
    """The ``Touches`` of those who know nothing."""
    return None


def by_kind(stream: str, number: int, kind: str) -> Accesses | None:
    """A guess where nothing better is known: I/O of one name is work on one thing.

    ``await isomodel.io("users")`` then says that what follows writes "users".
    """
    return None if kind in NAMELESS else frozenset(((kind, True),))


def recorded(log: Mapping[tuple[str, int], Accesses]) -> Touches:
    """What each step touched when it was recorded, by its task and its number there, from 0.

    ``log`` may still grow. What is not in it is not known.
    """

    def touches(stream: str, number: int, kind: str) -> Accesses | None:
        return log.get((stream, number))

    return touches


def race(one: Accesses | None, other: Accesses | None) -> bool:
    """Whether the order of two events may matter: they touch one thing, and one writes it.

    Of events about which nothing is known this says no: see ``pos`` for why.
    """
    if not one or not other:
        return False
    for label, writes in one:
        for label_too, writes_too in other:
            if label == label_too and (writes or writes_too):
                return True
    return False


def actor_of(option: Option) -> Actor | None:
    """The task whose next step this is, or that waits for just this arrival."""
    if option.kind == "step":
        return option.actor
    future: Any = getattr(option, "future", None)
    if future is not None and not isinstance(future, Future):
        return future.actor  # type: ignore[no-any-return]
    for callback, _ in (future is not None and future._callbacks) or ():
        task = task_of(callback)
        if type(task) is ControlledTask:
            return task.actor
    return None


def thread_of(option: Option) -> str:
    """Whose next event this is; a planned cancellation is a thread of its own."""
    if option.kind == "cancel":
        return option.key
    actor = actor_of(option)
    return option.owner.label if actor is None else actor.name


def stream_of(option: Option) -> tuple[str, int]:
    """The stream of this event and its number in it.

    Under ``portable`` an arrival only makes a step possible, which is an event of its own.
    """
    actor = actor_of(option)
    if actor is None:
        stream, _, number = option.key.rpartition(" ")
        return stream, int(number)
    if option.kind != "step" and _is_portable(option):
        return f"{actor.name} {option.kind}", actor.steps
    return actor.name, actor.steps


def _is_portable(option: Any) -> bool:
    loop = option.future.get_loop()
    return isinstance(loop, PortableLoop) or getattr(loop, "chooses_steps", False)
