"""What arrives at an asyncio loop: I/O that completes futures, and timers of ``call_later``."""

# ruff: noqa: D102 - what AbstractEventLoop declares is documented there

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from isomodel.engine.actors import Actors
from isomodel.engine.handle import Timer
from isomodel.engine.owner import OWNER
from isomodel.engine.refusals import NoRealIO

copy_context = contextvars.copy_context


class LoopArrivals(Actors, NoRealIO):  # type: ignore[misc]
    """The part of the loop that makes arrivals and timers."""

    __slots__ = ()

    timer_type: type[Timer] = Timer
    """What the program's own timers are made as."""

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Timer:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Timer:
        if context is None:
            context = copy_context()
        owner = context.get(OWNER) or OWNER.get(self.root)
        number = owner.count("timer")
        timer = self.timer_type(callback, args, context, self.last, owner, "timer", number)
        self._set_timer(timer, when)
        return timer
