"""Fidelity ``portable``: any runnable task next, plain callbacks still first-in first-out.

What trio, other loops and later versions may do. Code that relies on the order in which stock
asyncio happens to run tasks can fail here and not there; findings are labelled accordingly.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from isomodel.engine.handle import Handle
from isomodel.engine.loop import Blocked, ControlledLoop, OutOfSteps
from isomodel.engine.owner import STEP_TYPE, WAKEUP_TYPE, ControlledTask, task_of
from isomodel.values.execution import Arrival
from isomodel.values.trace import Step

copy_context = contextvars.copy_context


class TaskStep(Handle):
    """The next step of a task, as an option to choose."""

    __slots__ = ()

    @property
    def key(self) -> str:
        """The task's name: it has at most one next step."""
        return f"{self.task.name} step"


class PortableLoop(ControlledLoop):
    """One execution in which any runnable task may take the next step."""

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
        if kind is WAKEUP_TYPE or kind is STEP_TYPE:
            task = task_of(callback)
            if task is not None:
                step = TaskStep(callback, args, context)
                # the first step is queued while the task is being made: it has no actor yet
                step.task = task
                step.kind = "step"
                self._steps.append(step)
                return step
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    def close(self) -> None:
        """Forget everything that is still pending."""
        super().close()
        self._steps.clear()

    def _busy(self) -> bool:
        return bool(self._steps) or super()._busy()

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""
        ready = self._ready
        while not done():
            self.steps += 1
            if self.steps > self.max_steps:
                raise OutOfSteps
            if ready:
                handle = ready.popleft()
                if not handle.dead:
                    self._run_handle(handle)
                continue
            self._next()

    def _next(self) -> None:
        steps = self._steps
        for step in steps:
            if step.owner is None:
                task = step.task
                actor = task.actor if type(task) is ControlledTask else self._actor(task)
                step.task, step.owner = actor, actor.owner
        options: list[Any] = [*steps]
        if not steps:
            self.idles += 1
        if self._arrivals or self._timers or self._cancels:
            options += self._options()
        if not options:
            raise Blocked
        option = options[self._choose(options)]
        if type(option) is TaskStep:
            steps.remove(option)
            if not option.dead:
                self._begin_step(option)
                self._run_handle(option)
        else:
            self._ready.extend(self._take(option))

    def _begin_step(self, step: TaskStep) -> None:
        actor = step.task
        if self.log is not None and self.trace is not None:
            self.log.append(Arrival(step.key, actor.owner.user, self.now, actor.owner.part.events))
            self.trace.append(Step(self.now, actor.name, "step"))
        actor.steps += 1
        self.now = actor.owner.part.step(self.now)
        self.last = actor
