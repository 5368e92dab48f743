"""Fidelity ``stock``: only orders that the stock asyncio loop can produce.

Callbacks run first-in first-out. Between iterations, where the stock loop polls its selector,
arrivals enter behind what is already ready: any that are pending, in any order; then timers, in
the order of their times. What comes from threads may enter after any callback, as
``call_soon_threadsafe`` does.

Two timers set to one time may come together or apart: on a real clock, whatever set the second
took some time after the first. But a timer that was set to no later than now is due at the very
next poll.
"""

from __future__ import annotations

from typing import Any

from isomodel.engine.core import StockCore
from isomodel.engine.loop import ControlledLoop
from isomodel.engine.owner import (
    task_of,
)


class StockLoop(StockCore, ControlledLoop):  # type: ignore[misc]
    """One execution in which ready callbacks run first-in first-out."""

    __slots__ = ()

    plain = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.plain = cls._admit_one is StockLoop._admit_one and cls._choose is StockLoop._choose

    def _look_closer(self, handle: Any) -> None:
        """Count a step of a task that is not of our making, or a callback like one of a task."""
        task = task_of(handle.callback)
        if task is not None:
            actor = self.last = handle.context.run(self._actor, task)
            actor.steps += 1
            if self.log is not None:
                self._record_step(actor)
        elif self.log is not None:
            self._count(handle)

    def _admit_posts(self) -> None:
        """Between two callbacks: let what other threads send arrive, or not yet."""
        while self._live_posts():
            self._go_on.owner = self.last.owner
            options = [self._go_on, *self._posts]
            option: Any = options[self._choose(options)]
            if option is self._go_on:
                return
            self._take(option)
