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

from collections.abc import Callable
from typing import Any

from isomodel.engine.handle import Latency, Timer
from isomodel.engine.loop import FAIR, Blocked, ControlledLoop, OutOfSteps
from isomodel.engine.owner import STEP_TYPE, WAKEUP_TYPE, ControlledTask, task_of
from isomodel.values.trace import Step


class StockLoop(ControlledLoop):
    """One execution in which ready callbacks run first-in first-out."""

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""
        ready = self._ready
        posts = self._posts
        patient = self._patient
        recording = self.log is not None
        turns = 0
        while not done():
            if not ready:
                self.idles += 1
                self._poll()
                if not ready:
                    raise Blocked("; ".join(self.waiting()))
                turns = 0
            elif turns >= FAIR:
                self._poll(hurried=True)
                turns = 0
            elif not patient or self._cancels or self._overdue or self._is_due():
                self._poll()
            turns += 1
            count = len(ready)
            self.steps += count
            if self.steps > self.max_steps:
                raise OutOfSteps
            for _ in range(count):
                handle = ready.popleft()
                callback = handle.callback
                kind = type(callback)
                if kind is WAKEUP_TYPE or kind is STEP_TYPE:
                    self._begin_step(handle)
                elif callback is None:
                    continue
                elif recording:
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
                    self._failed(callback, error)
                if posts and not patient:
                    self._admit_posts()

    def _begin_step(self, handle: Any) -> None:
        task = task_of(handle.callback)
        if task is None:
            if self.log is not None:
                self._count(handle)
            return
        if type(task) is ControlledTask:
            actor = task.actor
        else:
            actor = handle.context.run(self._actor, task)
        actor.steps += 1
        self.last = actor
        if self.trace is not None:
            self.now = actor.owner.part.step(self.now)
            self.trace.append(Step(self.now, actor.name, "step"))

    def _poll(self, *, hurried: bool = False) -> None:
        """Let arrivals join this iteration, one question each, until nothing more shall.

        ``hurried``: at least one has to.
        """
        ready = self._ready
        overdue = self._take_overdue() if self._overdue else []
        timed = False
        while True:
            options = self._later_options() if timed else self._options()
            if ready or overdue:
                if not options:
                    break
                if not hurried:
                    self._go_on.owner = self.last.owner
                    options.insert(0, self._go_on)
            elif not options:
                return
            option = options[self._choose(options)]
            if option is self._go_on:
                break
            if isinstance(option, Timer) and type(option) is not Latency:
                ready.extend(overdue)
                overdue.clear()
                timed = True
            self._take(option)
            hurried = False
            if ready and self._patient and not (self._cancels or self._is_due()):
                break
        ready.extend(overdue)

    def _later_options(self) -> list[Any]:
        """What may still join once a timer has: further timers, and what threads send."""
        options: list[Any] = [*self._live_posts()] if self._posts else []
        options += self._offered_timers()
        return [option for option in options if type(option) is not Latency]

    def _take_overdue(self) -> list[Timer]:
        overdue = [timer for timer in self._overdue if timer.callback is not None]
        overdue.sort(key=_time_of)
        self._overdue.clear()
        if self.trace is not None:
            for timer in overdue:
                self._record_in_trace(timer)
        return overdue

    def _admit_posts(self) -> None:
        """Between two callbacks: let what other threads send arrive, or not yet."""
        while self._live_posts():
            self._go_on.owner = self.last.owner
            options = [self._go_on, *self._posts]
            option: Any = options[self._choose(options)]
            if option is self._go_on:
                return
            self._take(option)


def _time_of(timer: Timer) -> float:
    return timer.time
