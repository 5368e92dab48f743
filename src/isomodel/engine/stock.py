"""Fidelity ``stock``: only orders that the stock asyncio loop can produce.

Callbacks run first-in first-out. Arrivals and timers enter between iterations, where the stock
loop polls its selector: any that are pending, in any order, behind what is already ready.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isomodel.engine.handle import GoOn, Handle
from isomodel.engine.loop import Blocked, ControlledLoop, OutOfSteps
from isomodel.engine.owner import STEP_TYPE, WAKEUP_TYPE, ControlledTask, task_of
from isomodel.values.trace import Step


class StockLoop(ControlledLoop):
    """One execution in which ready callbacks run first-in first-out."""

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""
        ready = self._ready
        while not done():
            if not ready:
                self.idles += 1
            if self._arrivals or self._timers or self._cancels:
                self._poll()
            if not ready:
                raise Blocked
            count = len(ready)
            self.steps += count
            if self.steps > self.max_steps:
                raise OutOfSteps
            for _ in range(count):
                handle = ready.popleft()
                if handle.dead:
                    continue
                callback = handle.callback
                kind = type(callback)
                if kind is WAKEUP_TYPE or kind is STEP_TYPE:
                    self._begin_step(handle)
                elif self.log is not None:
                    self._count(handle)
                context = handle.context
                try:
                    if context is None:
                        callback(*handle.args)
                    else:
                        context.run(callback, *handle.args)
                except (KeyboardInterrupt, SystemExit):
                    raise
                except BaseException as error:
                    self.call_exception_handler(
                        {"message": f"exception in callback {callback!r}", "exception": error}
                    )

    def _begin_step(self, handle: Handle) -> None:
        task = task_of(handle.callback)
        if task is None:
            self._count(handle)
            return
        actor = task.actor if type(task) is ControlledTask else self._actor(task)
        actor.steps += 1
        self.now = actor.owner.part.step(self.now)
        self.last = actor
        if self.trace is not None:
            self.trace.append(Step(self.now, actor.name, "step"))

    def _poll(self) -> None:
        """Let arrivals join this iteration, one question each, until nothing more shall."""
        ready = self._ready
        while True:
            options: list[Any] = self._options()
            if ready:
                if not options:
                    return
                options.insert(0, GoOn(self.last.owner))
            elif not options:
                return
            option = options[self._choose(options)]
            if type(option) is GoOn:
                return
            ready.extend(self._take(option))
