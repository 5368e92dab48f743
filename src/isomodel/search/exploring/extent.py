"""Extent: how far operations of each kind go, as executions have shown it.

A fault is planned at a place: after a step, at an I/O, at a timer. Without knowing how many of
them an operation has, seven in ten faults came too late to strike anything.
"""

from __future__ import annotations

import msgspec

from isomodel.values.execution import Execution
from isomodel.values.schedule import OF_IO, STRIKES, FaultKind

NOT_IO = frozenset(("step", "start", "cancel", "jump", "timer", "due", "refusal"))
"""Arrivals of an operation that are no I/O of its own."""


class Reach(msgspec.Struct):
    """The most steps, I/Os and timers that were seen of one operation of a kind."""

    steps: int = 0
    io: int = 0
    timers: int = 0

    def places(self, kind: FaultKind) -> int:
        """At how many places a fault of this kind can strike such an operation.

        After its last step it is over; at 0, before the first, is not counted.
        """
        if kind in STRIKES:
            return max(0, self.steps - 1)
        if kind == "jump":
            return self.timers
        return self.io if kind in OF_IO else 0


class Extent:
    """What is known of one target; a function of the executions that it learned from."""

    def __init__(self) -> None:
        self._reach: dict[str, Reach] = {}

    def of(self, name: str) -> Reach | None:
        """What was seen of operations of this kind, if any were."""
        return self._reach.get(name)

    def may_be_struck(self, name: str) -> bool:
        """Whether such an operation has a place for a fault, as far as is known."""
        reach = self.of(name)
        return reach is None or reach.steps > 1 or reach.io > 0

    def learn(self, execution: Execution) -> None:
        """Take note of how far its operations came."""
        seen = {operation.label: Reach() for operation in execution.scenario.operations}
        for step in execution.trace:
            if step.what == "step" and step.task in seen:
                seen[step.task].steps += 1
        for arrival in execution.arrivals[: execution.operated]:
            label, _, what = arrival.key.partition(" ")
            kind = what.rpartition(" ")[0]
            if label in seen:
                seen[label].timers += kind == "timer"
                seen[label].io += kind not in NOT_IO and what not in NOT_IO
        for operation in execution.scenario.operations:
            most, now = self._reach.setdefault(operation.name, Reach()), seen[operation.label]
            most.steps = max(most.steps, now.steps)
            most.io = max(most.io, now.io)
            most.timers = max(most.timers, now.timers)
