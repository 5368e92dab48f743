"""The simplest schedule under which a scenario fails: best-first search over choices and faults."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, default, is_switch
from isomodel.schedulers.replay import Points, Replay
from isomodel.values.case import Size
from isomodel.values.execution import Execution
from isomodel.values.scenario import Scenario, operation_of
from isomodel.values.schedule import OF_IO, OF_NETWORK, STRIKES, Fault, FaultKind, Schedule, Switch
from isomodel.values.verdict import Finding

ORDER: tuple[FaultKind, ...] = (
    *("cancel", "timeout", "scope", "fail", "slow", "jump"),
    *("refuse", "reset", "split", "partition", "stale"),
)
"""Kinds of faults, the plainest first."""


NETWORK = ("connect ", "request", "reply")
"""How the keys of network events go on after their owner."""

JUMPS = 3
"""Timers of an operation at which a jump of the clock is tried, where none is known to fire."""


class Attempt(msgspec.Struct, frozen=True):
    """A scenario and a schedule under which it fails as wanted."""

    scenario: Scenario
    schedule: Schedule
    execution: Execution
    finding: Finding

    @property
    def cost(self) -> int:
        """Switches and faults."""
        return self.execution.switches + len(self.schedule.faults)

    @property
    def extent(self) -> tuple[int, int]:
        """Users and operations."""
        return len(self.scenario.users), len(self.scenario.operations)

    @property
    def size(self) -> Size:
        """What a person has to follow."""
        return Size(*self.extent, self.execution.switches, len(self.schedule.faults))


class Question(msgspec.Struct, frozen=True):
    """A choice that an execution had, with the alternatives to what it did."""

    after: str
    step: int
    nth: int
    alternatives: tuple[tuple[str, int], ...]
    """Key of each other option, with 1 if it is a context switch, else 0."""
    join: bool = False
    """Whether work is ready, so that an arrival would join an iteration that comes anyway."""


class Probe(Replay):
    """Replays choices, and writes down every later question that could be answered otherwise."""

    def __init__(self, choices: Sequence[Switch]) -> None:
        super().__init__(choices)
        self._at = Points()
        self.questions: list[Question] = []

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The stored option, or the default one."""
        all_made = not self._choices
        chosen = super().choose(options, last)
        after, step, nth = self._at.at(last)
        if all_made:
            usual = default(options, last)
            others = tuple(
                (option.key, int(is_switch(options, index, usual, last)))
                for index, option in enumerate(options)
                if index != chosen
            )
            join = options[usual].kind == "go on"
            self.questions.append(Question(after, step, nth, others, join))
        return chosen


class Node(NamedTuple):
    """A schedule to try: the least effort first, then the oldest."""

    effort: int
    serial: int
    cost: int
    faults: tuple[Fault, ...]
    choices: tuple[Switch, ...]


class Limits(msgspec.Struct, frozen=True):
    """How far to search: executions, faults of these kinds, and below which cost.

    ``first``: any failure will do; otherwise the search goes on for a cheaper one. ``joins``:
    arrivals may join an iteration in which others run. ``departures``: no more than so many from
    the default rule.
    """

    trials: int
    faults: int = 0
    kinds: frozenset[str] = frozenset()
    below: int | None = None
    first: bool = False
    joins: bool = True
    departures: int | None = None


Run = Callable[[Probe, tuple[Fault, ...]], tuple[Execution, Finding | None]]
"""Executes the scenario under a probe with these faults; the finding if it fails as wanted."""


def simplest(scenario: Scenario, run: Run, limits: Limits) -> tuple[Attempt | None, bool]:
    """The cheapest failure found, and whether nothing cheaper is left to find.

    Cost is switches and faults; it never falls as choices are added. Choices that cost nothing
    count as effort, or their combinations would be tried before the first switch. Completeness
    is meant with at most two departures from the default rule, or as many as ``below``.
    """
    best: Attempt | None = None
    below = limits.below
    queue = [Node(0, 0, 0, (), ())]
    serial = trials = 0
    while queue and trials < limits.trials:
        node = heapq.heappop(queue)
        if below is not None and node.cost >= below:
            continue
        trials += 1
        probe = Probe(node.choices)
        execution, finding = run(probe, node.faults)
        if probe.missed or len(execution.schedule.faults) < len(node.faults):
            continue
        if finding is not None:
            best = Attempt(scenario, execution.schedule, execution, finding)
            below = node.cost
            if limits.first:
                return best, False
            continue
        if not limits.first and len(node.choices) >= max(2, below or 0):
            continue
        if limits.departures is not None and len(node.choices) >= limits.departures:
            continue
        for extra, oddity, faults, choices in _next(execution, probe, node, limits):
            if below is None or node.cost + extra < below:
                serial += 1
                effort = 2 * len(choices) + len(faults) + oddity
                heapq.heappush(queue, Node(effort, serial, node.cost + extra, faults, choices))
    return best, not any(below is None or node.cost < below for node in queue)


def _next(
    execution: Execution, probe: Probe, node: Node, limits: Limits
) -> Iterator[tuple[int, int, tuple[Fault, ...], tuple[Switch, ...]]]:
    """One more fault or choice than this execution had: cost, oddity (1 for joining), and all."""
    faults, choices = node.faults, node.choices
    if len(faults) < limits.faults and not choices:
        for fault in possible_faults(execution, limits.kinds):
            if not faults or (fault.task, fault.at) > (faults[-1].task, faults[-1].at):
                yield 1, 0, (*faults, fault), choices
    for question in probe.questions:
        if question.join and not limits.joins:
            continue
        for key, cost in question.alternatives:
            choice = Switch(question.after, question.step, key, question.nth)
            yield cost, int(question.join), faults, (*choices, choice)


def possible_faults(execution: Execution, kinds: AbstractSet[str]) -> Iterator[Fault]:
    """Each fault of these kinds that could strike somewhere in this execution.

    Striking kinds after every step of every operation, those of I/O at every I/O, those of the
    network at every event of it, a jump of the clock at every timer. ``cancel inside``: of every
    task that an operation has started.
    """
    steps: dict[str, int] = {}
    for step in execution.trace:
        if step.what == "step":
            steps[step.task] = steps.get(step.task, 0) + 1
    io: dict[str, int] = {}
    network: dict[str, int] = {}
    timers: dict[str, int] = {}
    for arrival in execution.arrivals:
        label, _, what = operation_of(arrival.key).partition(" ")
        io[label] = io.get(label, 0) + 1
        if what.startswith(NETWORK):
            network[label] = network.get(label, 0) + 1
        if what.startswith("timer "):
            timers[label] = max(timers.get(label, 0), int(what.removeprefix("timer ")) + 1)
    for operation in execution.scenario.operations:
        for kind in _in_order(STRIKES & kinds):
            for at in range(1, steps.get(operation.label, 0) + 1):
                yield Fault(kind, operation.label, at)
        if "cancel inside" in kinds:
            for task in steps:
                if task.startswith(operation.label + "/"):
                    for at in range(steps[task] + 1):
                        yield Fault("cancel", task, at)
        for kind in _in_order(OF_IO & kinds):
            begun = network if kind in OF_NETWORK else io
            for at in range(begun.get(operation.label, 0)):
                yield Fault(kind, operation.label, at)
        if "jump" in kinds:
            for at in range(max(timers.get(operation.label, 0), JUMPS)):
                yield Fault("jump", operation.label, at)


def _in_order(kinds: AbstractSet[FaultKind]) -> list[FaultKind]:
    """Plain kinds before others."""
    return sorted(kinds, key=ORDER.index)
