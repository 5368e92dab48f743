"""Fidelity ``portable``: any runnable task next, plain callbacks still first-in first-out.

Plain callbacks that are ready run before the next choice; those that they make ready, after it.
Time passes while a task is ready only if an arrival has just made it so (a result and its
timeout in one moment): no loop lets a task that can go on wait for seconds.

What trio, other loops and later versions may do. Code that relies on the order in which stock
asyncio happens to run tasks can fail here and not there; findings are labelled accordingly.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from isomodel.engine.handle import Handle, TaskStep
from isomodel.engine.loop import FAIR, Blocked, ControlledLoop, OutOfSteps
from isomodel.engine.owner import STEP_TYPE, WAKEUP_NAME, WAKEUP_TYPE, ControlledTask, task_of
from isomodel.values.execution import Arrival
from isomodel.values.trace import Step

copy_context = contextvars.copy_context


class PortableLoop(ControlledLoop):
    """One execution in which any runnable task may take the next step."""

    __slots__ = ("_nameless", "_stepped", "_steps", "_turns", "_turns_of_last", "_waiting_steps")

    overdue_comes_next = False

    def _begin(self) -> None:
        super()._begin()
        self._steps: list[TaskStep] = []
        self._nameless: list[TaskStep] = []
        self._turns = 0
        self._turns_of_last = 0
        self._stepped = False
        self._waiting_steps = 0

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        """Queue a plain callback, or make a task's next step an option."""
        if context is None:
            context = copy_context()
        kind = type(callback)
        if kind is WAKEUP_TYPE or kind is STEP_TYPE:
            task = callback.__self__  # type: ignore[attr-defined]
            if type(task) is not ControlledTask:
                if task_of(callback) is not None:
                    return self._queue_foreign(TaskStep(callback, args, context))
            elif kind is STEP_TYPE or callback.__name__ == WAKEUP_NAME:
                actor = task.actor
                step = TaskStep(callback, args, context, actor, actor.owner)
                self._steps.append(step)
                return step
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    def _queue_foreign(self, step: TaskStep) -> TaskStep:
        """Make it an option whose actor is not known yet: its task is still being made."""
        self._steps.append(step)
        self._nameless.append(step)
        return step

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""
        ready = self._ready
        recording = self.log is not None
        batch = len(ready)
        while not done():
            self.steps += 1
            if self.steps > self.max_steps:
                raise OutOfSteps
            if not batch:
                self._next()
                batch = len(ready)
                continue
            batch -= 1
            handle = ready.popleft()
            if handle.callback is not None:
                if recording:
                    self._count(handle)
                self._run_handle(handle)

    def _next(self) -> None:
        """The next step of some task, or an arrival, or neither while callbacks are ready."""
        steps = self._steps
        if not steps:
            self.idles += not self._ready
        elif self._nameless:
            self._find_actors()
        if self._stepped:
            self._waiting_steps = len(steps)
            self._stepped = False
        self._turns += 1
        choose = self._choose
        if self._ready or self._turns > FAIR or self._turns_of_last > FAIR:
            options = self._fair_options()
        elif self._timers or self._posts or self._cancels:
            options = [*steps, *self._others()]
        else:
            options = [*steps, *self._live_arrivals()]
            if len(options) > 1:
                choose = self._pick
        if not options:
            if self._ready or self._threads_sent():
                return
            raise Blocked("; ".join(self.waiting()))
        option = options[choose(options)]
        if type(option) is TaskStep:
            steps.remove(option)
            self._begin_step(option)
            self._run_handle(option)
        elif option is not self._go_on:
            self._turns = 0
            self._take(option)

    def _find_actors(self) -> None:
        """Tell the steps whose they are that were queued last: their tasks are made by now."""
        for step in reversed(self._nameless):
            assert step.context is not None
            step.actor = step.context.run(self._actor, step.callback.__self__)
            step.owner = step.actor.owner
        self._nameless.clear()

    def _others(self) -> list[Any]:
        """What may happen instead of a step."""
        options = self._options()
        if self._waiting_steps and options and options[-1].kind == "timer":
            return [option for option in options if option.kind != "timer"]
        return options

    def _fair_options(self) -> list[Any]:
        """The options, without those that have had their turn often enough while others wait."""
        steps = self._steps
        if self._turns > 5 * FAIR and (others := self._options()):
            return others
        options = [*steps, *self._others()]
        if self._turns_of_last > FAIR and len(options) > 1:
            last = self.last
            return [o for o in options if type(o) is not TaskStep or o.actor is not last]
        if self._ready and options and (not steps or self._every_choice):
            # a projected run waits for what others' steps gave time to happen jointly
            self._go_on.owner = self.last.owner
            options.insert(0, self._go_on)
        return options

    def _begin_step(self, step: TaskStep) -> None:
        actor = step.actor
        if self.log is not None and self.trace is not None:
            self.log.append(Arrival(step.key, actor.owner.user, self.now, actor.owner.part.events))
            self.trace.append(Step(self.now, actor.name, "step"))
            self.now = actor.owner.part.step(self.now)
        actor.steps += 1
        self._stepped = True
        self._turns_of_last = self._turns_of_last + 1 if actor is self.last else 0
        self.last = actor

    def _busy(self) -> bool:
        return bool(self._steps) or super()._busy()

    def _forget(self) -> None:
        super()._forget()
        self._steps.clear()
        self._nameless.clear()
