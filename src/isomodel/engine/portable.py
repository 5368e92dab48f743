"""Fidelity ``portable``: any runnable task next, plain callbacks still first-in first-out.

Plain callbacks that are ready run before the next choice; those that they make ready, after it.
Time passes while a task is ready only if an arrival has just made it so (a result and its
timeout in one moment): no loop lets a task that can go on wait for seconds.

What trio, other loops and later versions may do. Code that relies on the order in which stock
asyncio happens to run tasks can fail here and not there; findings are labelled accordingly.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

from isomodel.engine.core import FAIR, PortableCore
from isomodel.engine.handle import TaskStep
from isomodel.engine.loop import ControlledLoop

copy_context = contextvars.copy_context


class PortableLoop(PortableCore, ControlledLoop):  # type: ignore[misc]
    """One execution in which any runnable task may take the next step."""

    __slots__ = ()

    cancels_queue = False

    overdue_comes_next = False

    def _queue_foreign(self, step: TaskStep) -> TaskStep:
        """Make it an option whose actor is not known yet: its task is still being made."""
        self._steps.append(step)
        self._nameless.append(step)
        return step

    def _find_actors(self) -> None:
        """Tell the steps whose they are that were queued last: their tasks are made by now."""
        for step in reversed(self._nameless):
            assert step.context is not None
            step.actor = step.context.run(self._actor, step.callback.__self__)
            step.owner = step.actor.owner
        self._nameless.clear()

    def comes_first(self, task: asyncio.Task[Any]) -> None:
        """Whoever runs now is about to cancel ``task``, which learns of it before anyone else acts
        on the one who runs: ``helpers`` tells why."""
        helper = self._actor(task)
        self._behind.append((self.last, helper, helper.steps))

    def _offered_steps(self) -> list[TaskStep]:
        """The steps that may come next, without those whose turn is after another's."""
        if not self._behind:
            return self._steps
        self._behind = [each for each in self._behind if each[1].steps == each[2]]
        ready = {id(step.actor) for step in self._steps}
        behind = {id(last) for last, helper, _ in self._behind if id(helper) in ready}
        return [step for step in self._steps if id(step.actor) not in behind]

    def _others(self) -> list[Any]:
        """What may happen instead of a step."""
        options = self._options()
        if self._waiting_steps and options and options[-1].kind == "timer":
            return [option for option in options if option.kind != "timer"]
        return options

    def _fair_options(self) -> list[Any]:
        """The options, without those that have had their turn often enough while others wait."""
        steps = self._offered_steps()
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

    def _busy(self) -> bool:
        return bool(self._steps) or super()._busy()
