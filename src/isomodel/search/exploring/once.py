"""Once: how the executions of a program that is a target are scheduled (``targets.program``).

Its scenario is always the same, so what is drawn anew is the schedule, by the search that programs
have. There are no users whose work could meet: who may conflict are its tasks.
"""

from __future__ import annotations

from collections import Counter

from isomodel.search.exploring.observe import Observer
from isomodel.search.exploring.plans import EAGER, ON_THREADS, SELDOM, Plan, ScheduleSearch
from isomodel.targets.declare import TargetSpec
from isomodel.values.execution import Execution
from isomodel.values.schedule import Fault

FAULTS = 8
"""One execution in so many has the faults that a hunt of scenarios would draw, and a walk."""


class Once:
    """Plans one execution after another; a pure function of seed, index and what was learned."""

    def __init__(self, spec: TargetSpec, seed: int) -> None:
        self._any = spec.cancels == "any"
        self._schedules = (
            ScheduleSearch((), seed, policies=ON_THREADS, first="round robin")
            if spec.runtime == "threads"
            else ScheduleSearch((), seed, cancel=True)
        )

    def plan(self, index: int) -> tuple[Plan, tuple[Fault, ...]] | None:
        """The schedule to be tried next, and whom it cancels; None for a draw like any other."""
        if index % FAULTS == FAULTS - 1:
            return None
        return self._schedules.plan(index), self._schedules.cancellation(index)

    def observes(self, index: int, faults: tuple[Fault, ...]) -> bool:
        """Whether to look at what this execution touches: not at the first, which imports."""
        return not faults and (0 < index <= EAGER or not index % SELDOM)

    def learn(self, plan: Plan, observer: Observer, execution: Execution) -> None:
        """Take note of what an execution of this plan showed."""
        self._schedules.learn(plan, observer, self._cancellable(execution))

    def _cancellable(self, execution: Execution) -> list[tuple[str, int]]:
        """The tasks that a cancellation may strike, each with the steps it has taken."""
        steps = Counter(step.task for step in execution.trace if step.what == "step")
        if self._any:
            return [*steps.items()]
        return [(each.label, steps[each.label]) for each in execution.scenario.operations]
