"""Fidelity ``portable``: any runnable task next, plain callbacks still first-in first-out.

Plain callbacks that are ready run before the next choice; those that they make ready, after it.
Time passes while a task is ready only if an arrival has just made it so (a result and its
timeout in one moment): no loop lets a task that can go on wait for seconds.

What trio, other loops and later versions may do. Code that relies on the order in which stock
asyncio happens to run tasks can fail here and not there; findings are labelled accordingly.
"""

from __future__ import annotations

import asyncio
from typing import Any

from isomodel.engine.core import PortableCore
from isomodel.engine.fairness import FairTurns
from isomodel.engine.handle import TaskStep
from isomodel.engine.loop import ControlledLoop


class PortableLoop(PortableCore, FairTurns, ControlledLoop):  # type: ignore[misc]
    """One execution in which any runnable task may take the next step."""

    __slots__ = ()

    cancels_queue = False

    overdue_comes_next = False

    plain = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = ("_next", "_choose", "_take", "_run_handle")
        cls.plain = all(getattr(cls, name) is getattr(PortableLoop, name) for name in own)

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

    def _or_wait(self, options: list[Any]) -> list[Any]:
        """The same, but a projected run may wait, for what others' steps gave time to happen."""
        if self._ready and options and (not self._offered_steps() or self._every_choice):
            self._go_on.owner = self.last.owner
            options.insert(0, self._go_on)
        return options

    def _busy(self) -> bool:
        return bool(self._steps) or super()._busy()
