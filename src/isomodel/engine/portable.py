"""Fidelity ``portable``: any runnable task next, plain callbacks still first-in first-out.

What trio, other loops and later versions may do. Code that relies on the order in which stock
asyncio happens to run tasks can fail here and not there; findings are labelled accordingly.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from isomodel.engine.handle import Handle, TaskStep
from isomodel.engine.loop import Blocked, ControlledLoop, OutOfSteps
from isomodel.engine.owner import STEP_TYPE, WAKEUP_TYPE, ControlledTask, task_of
from isomodel.values.execution import Arrival
from isomodel.values.trace import Step

copy_context = contextvars.copy_context


class PortableLoop(ControlledLoop):
    """One execution in which any runnable task may take the next step."""

    overdue_comes_next = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._steps: list[TaskStep] = []

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
        if (kind is WAKEUP_TYPE or kind is STEP_TYPE) and task_of(callback) is not None:
            step = TaskStep(callback, args, context)
            self._steps.append(step)
            return step
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""
        ready = self._ready
        recording = self.log is not None
        while not done():
            self.steps += 1
            if self.steps > self.max_steps:
                raise OutOfSteps
            if ready:
                handle = ready.popleft()
                if handle.callback is not None:
                    if recording:
                        self._count(handle)
                    self._run_handle(handle)
            else:
                self._next()

    def _next(self) -> None:
        steps = self._steps
        for step in reversed(steps):
            if hasattr(step, "actor"):
                break
            task: Any = step.callback.__self__
            if type(task) is ControlledTask:
                step.actor = task.actor
            else:
                assert step.context is not None
                step.actor = step.context.run(self._actor, task)
            step.owner = step.actor.owner
        if not steps:
            self.idles += 1
        options: list[Any] = [*steps, *self._options()]
        if not options:
            raise Blocked("; ".join(self.waiting()))
        option = options[self._choose(options)]
        if type(option) is TaskStep:
            steps.remove(option)
            self._begin_step(option)
            self._run_handle(option)
        else:
            self._take(option)

    def _begin_step(self, step: TaskStep) -> None:
        actor = step.actor
        if self.log is not None and self.trace is not None:
            self.log.append(Arrival(step.key, actor.owner.user, self.now, actor.owner.part.events))
            self.trace.append(Step(self.now, actor.name, "step"))
            self.now = actor.owner.part.step(self.now)
        actor.steps += 1
        self.last = actor

    def _busy(self) -> bool:
        return bool(self._steps) or super()._busy()

    def _forget(self) -> None:
        super()._forget()
        self._steps.clear()
