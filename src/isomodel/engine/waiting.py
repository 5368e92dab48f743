"""Where a suspended task waits: its chain of awaits, as functions and lines; or whether it does."""

from __future__ import annotations

import asyncio
import gc
from types import AsyncGeneratorType
from typing import Any

_FRAMES = ("cr_frame", "ag_frame", "gi_frame")
_AWAITED = ("cr_await", "ag_await", "gi_yieldfrom")

_OURS = (
    "isomodel/search/running/run.py",
    "isomodel/engine/giving_up.py",
    "isomodel/engine/threads/target.py",
    "isomodel/engine/trio/tasks.py",
    "trio/_core/_traps.py",
)
"""What calls operations, or takes a task out of trio's loop, and is no part of the system."""


def frames(task: asyncio.Task[Any]) -> list[str]:
    """The functions a suspended task is in, outermost first, as name:line."""
    return frames_of(task.get_coro())


def frames_of(coroutine: Any) -> list[str]:
    """The same of what a task runs."""
    out = []
    awaited = coroutine
    while awaited is not None:
        frame = _first(awaited, _FRAMES)
        if frame is not None:
            if not frame.f_code.co_filename.endswith(_OURS):
                out.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
            awaited = _first(awaited, _AWAITED)
        else:
            awaited = _generator_of(awaited)
    return out or ["its start"]


def can_go_on(task: asyncio.Task[Any]) -> bool:
    """Whether nothing keeps this task, nor one that it awaits, from its next step."""
    awaited: Any = task
    while isinstance(awaited, asyncio.Task) and not awaited.done():
        awaited = getattr(awaited, "_fut_waiter", None)
    return awaited is None or bool(awaited.done())


def _first(thing: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        value = getattr(thing, name, None)
        if value is not None:
            return value
    return None


def _generator_of(thing: Any) -> Any:
    """What a step of an asynchronous generator (``__anext__``, ``aclose``) is a step of."""
    if not type(thing).__name__.startswith("async_generator_"):
        return None
    for referred in gc.get_referents(thing):
        if isinstance(referred, AsyncGeneratorType):
            return referred
    return None
