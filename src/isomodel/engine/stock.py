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

from isomodel.engine.arrivals import complete
from isomodel.engine.handle import Jump, Latency, Timer
from isomodel.engine.loop import FAIR, Blocked, ControlledLoop, OutOfSteps
from isomodel.engine.owner import (
    STEP_TYPE,
    WAKEUP_NAME,
    WAKEUP_TYPE,
    Actor,
    ControlledTask,
    task_of,
)
from isomodel.values.trace import Step


class StockLoop(ControlledLoop):
    """One execution in which ready callbacks run first-in first-out."""

    __slots__ = ()

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""
        ready, arrivals, posts = self._ready, self._arrivals, self._posts
        timers, overdue, cancels = self._timers, self._overdue, self._cancels
        patient = self._patient
        recording = self.log is not None
        limit = self.max_steps
        turns = 0
        while not done():
            if not ready:
                self.idles += 1
                turns = 0
                if not patient or timers or posts or cancels or overdue:
                    self._poll()
                elif arrivals and self._admit_one() and not ready:
                    continue
                if not ready:
                    if self._threads_sent():
                        continue
                    raise Blocked("; ".join(self.waiting()))
            elif turns >= FAIR:
                self._poll(hurried=True)
                turns = 0
            elif not patient or cancels or overdue or (timers and timers[0][0] <= self.now):
                self._poll()
            turns += 1
            batch = len(ready)
            self.steps += batch
            if self.steps > limit:
                raise OutOfSteps
            while batch:
                batch -= 1
                handle = ready.popleft()
                callback = handle.callback
                kind = type(callback)
                if kind is WAKEUP_TYPE or kind is STEP_TYPE:
                    task = callback.__self__
                    if type(task) is ControlledTask and (
                        kind is STEP_TYPE or callback.__name__ == WAKEUP_NAME
                    ):
                        actor = self.last = task.actor
                        actor.steps += 1
                        if recording:
                            self._record_step(actor)
                    else:
                        self._look_closer(handle)
                elif callback is None:
                    continue
                elif recording:
                    self._count(handle)
                context, args = handle.context, handle.args
                try:
                    if context is None:
                        callback(*args)
                    elif len(args) == 1:  # nearly always, and unpacking is slow
                        context.run(callback, args[0])
                    else:
                        context.run(callback, *args)
                except (KeyboardInterrupt, SystemExit):
                    raise
                except BaseException as error:
                    self._failed(callback, error)
                if posts and not patient:
                    self._admit_posts()

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

    def _record_step(self, actor: Actor) -> None:
        self.now = actor.owner.part.step(self.now)
        assert self.trace is not None
        self.trace.append(Step(self.now, actor.name, "step"))

    def _admit_one(self) -> bool:
        """What ``_poll`` does where only arrivals are pending and one of them is enough.

        Simulated I/O, which would be alone in its iteration, happens at once.
        """
        arrivals = self._live_arrivals()
        if len(arrivals) > 1:
            option = arrivals.pop(self._pick(arrivals))
        elif arrivals:
            option = arrivals.pop()
        else:
            return False
        if self.log is not None:
            self._record(option)
        if option.callback is complete:
            self.steps += 1
            if self.log is not None:
                option.owner.part.events += 1
            option.args[0].set_result(None)
        else:
            self._ready.append(option)
        return True

    def _poll(self, *, hurried: bool = False) -> None:
        """Let arrivals join this iteration, one question each, until nothing more shall.

        ``hurried``: at least one has to.
        """
        ready = self._ready
        if ready and self._cancels and not self._every_choice:
            self._cancel_behind_first_steps()
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
            if isinstance(option, Timer | Jump) and type(option) is not Latency:
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
