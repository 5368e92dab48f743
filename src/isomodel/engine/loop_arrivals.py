"""What arrives at an asyncio loop: I/O that completes futures, and timers of ``call_later``."""

# ruff: noqa: D102 - what AbstractEventLoop declares is documented there

from __future__ import annotations

import asyncio
import contextvars
from asyncio import Future
from collections.abc import Callable
from typing import Any

from isomodel.engine.actors import Actors
from isomodel.engine.arrivals import complete, fail
from isomodel.engine.handle import Pending, Timer
from isomodel.engine.owner import OWNER
from isomodel.engine.protocol import KINDS
from isomodel.engine.refusals import NoRealIO

copy_context = contextvars.copy_context


class LoopArrivals(Actors, NoRealIO):
    """The part of the loop that makes arrivals and timers."""

    __slots__ = ()

    def io(
        self, name: str, latency: float, fails: type[BaseException] | None
    ) -> asyncio.Future[None]:
        """A future that the arrival of this I/O completes, or fails where a fault says so."""
        future: asyncio.Future[None] = Future(loop=self)
        owner = OWNER.get(self.root)
        nth = owner.io_count
        owner.io_count = nth + 1
        if name in KINDS:
            name = f"io {name}"
        counts = owner.counts  # owner.count(name), of which this is the busiest caller
        number = counts.get(name, 0)
        counts[name] = number + 1
        handle = Pending(complete, (future,), None, self.last, owner, name, number, future)
        if self._planned:
            if fails is not None and self._strikes("fail", owner.label, nth):
                handle.callback = fail
                handle.args = (future, fails(f"injected failure of {name}"))
            latency += self._delayed(owner, nth)
        if latency > 0:
            self._delay(handle, latency)
        else:
            self._arrivals.append(handle)
        return future

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Timer:
        return self.call_at(self.now + delay, callback, *args, context=context)

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
        timer = Timer(callback, args, context, self.last, owner, "timer", number)
        if when <= self.now and self.overdue_comes_next:
            timer.time = when
            self._overdue.append(timer)
        else:
            self._push(timer, when)
        return timer
