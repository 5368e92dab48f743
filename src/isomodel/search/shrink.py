"""Shrinking: the fewest users, operations, faults and switches that still fail the same way.

The scenario shrinks by removing one thing at a time. Whether what is left can still fail is
a search of its own, fewest switches first (``simplest``): a schedule that fitted the larger
scenario rarely fits the smaller one. The result is 1-minimal: nothing single can be removed.
"""

from __future__ import annotations

import heapq
import platform
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from importlib.metadata import version
from typing import Any, NamedTuple

import msgspec

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, default, is_switch
from isomodel.oracles.noninterference import NAME as NONINTERFERENCE
from isomodel.schedulers.random import RandomWalk
from isomodel.schedulers.replay import Points, Replay
from isomodel.search.execute import execute, replay
from isomodel.search.generate import Pools, pools_of, secret_for
from isomodel.search.judge import Judge
from isomodel.targets.declare import USERS, TargetSpec
from isomodel.values.case import Case, Origin, Size
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario, made_by
from isomodel.values.schedule import Fault, Fidelity, Schedule, Switch
from isomodel.values.verdict import Finding

TRIAL = 50
"""Executions spent on whether a smaller scenario still fails, while there is much to remove."""

RETRIAL = 250
"""The same, once the scenario is small and its schedule simple."""

FULL = 1_200
"""Executions spent on the simplest schedule of the smallest scenario."""

WALKS = 12
"""Random schedules tried on a smaller scenario after the systematic ones."""


BETWEEN_USERS = frozenset({NONINTERFERENCE, "no leaked secret", "no shared state"})
"""Properties that one user alone cannot break."""


class Question(msgspec.Struct, frozen=True):
    """A choice that an execution had, with the alternatives to what it did."""

    after: str
    step: int
    nth: int
    alternatives: tuple[tuple[str, int], ...]
    """Key of each other option, with 1 if it is a context switch, else 0."""


class Probe(Replay):
    """Replays choices, and writes down every later question that could be answered otherwise."""

    def __init__(self, choices: Sequence[Switch]) -> None:
        super().__init__(choices)
        self._left = len(choices)
        self._at = Points()
        self.questions: list[Question] = []

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The stored option, or the default one."""
        known = len(self._choices)
        chosen = super().choose(options, last)
        after, step, nth = self._at.at(last)
        if known == 0:
            usual = default(options, last)
            others = tuple(
                (option.key, int(is_switch(options, index, usual, last)))
                for index, option in enumerate(options)
                if index != chosen
            )
            self.questions.append(Question(after, step, nth, others))
        return chosen


class Attempt(msgspec.Struct, frozen=True):
    """A scenario and a schedule under which it fails as wanted."""

    scenario: Scenario
    schedule: Schedule
    execution: Execution
    finding: Finding


class _Node(NamedTuple):
    """A schedule to try: the least effort first, then the oldest."""

    effort: int
    serial: int
    cost: int
    faults: tuple[Fault, ...]
    choices: tuple[Switch, ...]


class Shrinker:
    """Shrinks counterexamples of one target; ``executions`` counts what it took."""

    def __init__(self, spec: TargetSpec, armed: tuple[str, ...] = ()) -> None:
        self.executions = 0
        self._spec = spec
        self._armed = armed
        self._judge = Judge(spec, armed)
        self._pools: Pools = pools_of(spec)

    def shrink(self, execution: Execution, finding: Finding, *, seed: int = 0) -> Case:
        """A 1-minimal case of the same failure, under ``stock`` if it shows there."""
        best = Attempt(execution.scenario, execution.schedule, execution, finding)
        best = self._smaller(best, TRIAL)
        best = self._traded(best)
        best, complete = self._simplest_schedule(best)
        smaller = self._smaller(best, RETRIAL, arguments=False)
        if smaller is not best:
            best, complete = self._simplest_schedule(smaller)
        if best.schedule.fidelity == "portable":
            best = self._as_stock(best) or best
        best = self._renamed(best)
        return self._case(best, complete, seed)

    # The scenario

    def _smaller(self, best: Attempt, trials: int, *, arguments: bool = True) -> Attempt:
        tried: set[bytes] = set()
        progress = True
        while progress:
            progress = False
            for candidate in self._candidates(best.scenario, arguments):
                key = msgspec.json.encode(candidate)
                if key in tried:
                    continue
                tried.add(key)
                attempt = self._fails(candidate, best, trials)
                if attempt is not None:
                    best, progress = attempt, True
                    break
        return best

    def _candidates(self, scenario: Scenario, arguments: bool) -> Iterator[Scenario]:
        """Smaller scenarios, the boldest first: without a user, an operation, an argument."""
        operations = scenario.operations
        for user in reversed(scenario.users):
            if len(scenario.users) > 1:
                yield scenario.only(tuple(u for u in scenario.users if u != user))
        for user in reversed(scenario.users):
            for other in scenario.users:
                if other != user:
                    yield self._merged(scenario, user, other)
        for operation in reversed(operations):
            yield _without(scenario, operation.label)
        if not arguments:
            return
        for operation in operations:
            for simpler in self._simpler(operation):
                yield _replaced(scenario, simpler)
        if scenario.seed:
            yield msgspec.structs.replace(scenario, seed=0)

    def _merged(self, scenario: Scenario, user: str, into: str) -> Scenario:
        """The scenario in which ``into`` does beside its own what ``user`` did."""
        taken = sum(operation.user == into for operation in scenario.operations)
        mine = [operation.label for operation in scenario.operations if operation.user == user]
        labels = {o.label: o.label for o in scenario.operations}
        labels.update({label: f"{into}.{taken + 1 + i}" for i, label in enumerate(mine)})
        moved = _relabelled(scenario, {u: into if u == user else u for u in scenario.users}, labels)
        operations = tuple(
            msgspec.structs.replace(
                operation,
                args=self._remarked(operation),
                beside=operation.beside or operation.label == labels[mine[0]],
            )
            if operation.label in [labels[label] for label in mine]
            else operation
            for operation in moved.operations
        )
        return msgspec.structs.replace(moved, operations=operations)

    def _remarked(self, operation: Operation) -> dict[str, Any]:
        """The arguments with secrets that belong to the operation's user."""
        number = int(operation.label.rpartition(".")[2])
        secret = {a.name for a in self._spec.operations[operation.name].arguments if a.secret}
        return {
            name: secret_for(operation.user, number) if name in secret else value
            for name, value in operation.args.items()
        }

    def _simpler(self, operation: Operation) -> Iterator[Operation]:
        if operation.beside:
            yield msgspec.structs.replace(operation, beside=False)
        for name, value in operation.args.items():
            values = self._pools.get((operation.name, name), ())
            rank = values.index(value) if value in values else len(values)
            for simpler in sorted(values[:rank][:3], key=lambda v: len(repr(v))):
                if simpler != value and len(repr(simpler)) <= len(repr(value)):
                    arguments = {**operation.args, name: simpler}
                    yield msgspec.structs.replace(operation, args=arguments)

    def _traded(self, best: Attempt) -> Attempt:
        """The same failure with another argument in place of a fault or an operation.

        What an injected error or many operations set off, a refused argument often does, too.
        """
        progress = True
        while progress:
            progress = False
            for scenario, schedule in self._trades(best):
                attempt = self._try(scenario, schedule, best.finding)
                if attempt is not None:
                    best, progress = attempt, True
                    break
        return best

    def _trades(self, best: Attempt) -> Iterator[tuple[Scenario, Schedule]]:
        scenario, schedule = best.scenario, best.schedule
        if schedule.faults:
            faultless = msgspec.structs.replace(schedule, faults=())
            for changed in self._with_other_arguments(scenario):
                yield changed, faultless
        for operation in scenario.operations:
            fewer = _without(scenario, operation.label)
            labels = {other.label for other in fewer.operations}
            kept = _kept(schedule, labels)
            for changed in self._with_other_arguments(fewer):
                yield changed, kept

    def _with_other_arguments(self, scenario: Scenario) -> Iterator[Scenario]:
        """The scenario with one argument changed to another of the values drawn for it."""
        for operation in scenario.operations:
            for name, old in operation.args.items():
                for value in self._pools.get((operation.name, name), ()):
                    if value != old:
                        arguments = {**operation.args, name: value}
                        changed = msgspec.structs.replace(operation, args=arguments)
                        yield _replaced(scenario, changed)

    def _fails(self, scenario: Scenario, like: Attempt, trials: int) -> Attempt | None:
        """An execution of this scenario that fails as ``like`` does, if one is found cheaply."""
        if not scenario.operations:
            return None
        if len(scenario.parts()) < 2 and like.finding.property in BETWEEN_USERS:
            return None
        labels = {operation.label for operation in scenario.operations}
        kept = _kept(like.schedule, labels)
        attempt = self._try(scenario, kept, like.finding)
        if attempt is not None:
            return attempt
        found, _ = self._simplest(scenario, like, trials, len(like.schedule.faults), first=True)
        if found is None and like.execution.switches > 1:
            found = self._walked(scenario, like, kept.faults)
        return found

    def _walked(
        self, scenario: Scenario, like: Attempt, faults: tuple[Fault, ...]
    ) -> Attempt | None:
        """A failure under a few random schedules: some need more switches than can be tried."""
        for seed in range(WALKS):
            self.executions += 1
            execution = execute(
                self._spec,
                scenario,
                RandomWalk(seed),
                fidelity=like.schedule.fidelity,
                faults=faults,
                armed=self._armed,
            )
            same = self._same(execution, like.finding)
            if same is not None:
                return Attempt(scenario, execution.schedule, execution, same)
        return None

    def _try(self, scenario: Scenario, schedule: Schedule, finding: Finding) -> Attempt | None:
        self.executions += 1
        execution = replay(self._spec, scenario, schedule, armed=self._armed)
        same = self._same(execution, finding)
        if same is None:
            return None
        return Attempt(scenario, execution.schedule, execution, same)

    def _same(self, execution: Execution, finding: Finding) -> Finding | None:
        def again() -> Execution:
            return replay(self._spec, execution.scenario, execution.schedule, armed=self._armed)

        return self._judge.same(execution, finding, again)

    # The schedule

    def _simplest_schedule(self, best: Attempt) -> tuple[Attempt, bool]:
        cost = best.execution.switches + len(best.schedule.faults)
        found, complete = self._simplest(
            best.scenario, best, FULL, len(best.schedule.faults), below=cost
        )
        return (found or best), complete

    def _as_stock(self, best: Attempt) -> Attempt | None:
        """The same failure under ``stock``, if it can be had in this scenario."""
        stock = msgspec.structs.replace(best.schedule, fidelity="stock", choices=())
        like = msgspec.structs.replace(best, schedule=stock)
        found, _ = self._simplest(best.scenario, like, FULL // 2, len(best.schedule.faults))
        return found

    def _simplest(
        self,
        scenario: Scenario,
        like: Attempt,
        trials: int,
        most_faults: int,
        below: int | None = None,
        *,
        first: bool = False,
    ) -> tuple[Attempt | None, bool]:
        """Best-first search over schedules for one that fails at the least cost.

        Cost is switches and faults; it never falls as choices are added. Choices that cost
        nothing count as effort, or their combinations would be tried before the first switch.
        After a failure the search goes on for a cheaper one, unless ``first`` will do; ``below``
        bounds the cost from the start. Also says whether the answer is certain: everything
        cheaper was tried, with at most two choices more or less free.
        """
        fidelity = like.schedule.fidelity
        best: Attempt | None = None
        queue = [_Node(0, 0, 0, (), ())]
        serial = 0
        while queue and trials > 0:
            node = heapq.heappop(queue)
            if below is not None and node.cost >= below:
                continue
            trials -= 1
            probe = Probe(node.choices)
            execution = self._probe(scenario, probe, fidelity, node.faults)
            if probe.missed or len(execution.schedule.faults) < len(node.faults):
                continue
            same = self._same(execution, like.finding)
            if same is not None:
                best = Attempt(scenario, execution.schedule, execution, same)
                if first:
                    return best, False
                below = node.cost
                continue
            if len(node.choices) >= max(2, below or 0):
                continue
            for extra, faults, choices in self._next(execution, probe, node, most_faults, like):
                cost = node.cost + extra
                if below is None or cost < below:
                    serial += 1
                    effort = 2 * len(choices) + len(faults)
                    heapq.heappush(queue, _Node(effort, serial, cost, faults, choices))
        return best, not any(below is None or node.cost < below for node in queue)

    def _probe(
        self, scenario: Scenario, probe: Probe, fidelity: Fidelity, faults: tuple[Fault, ...]
    ) -> Execution:
        self.executions += 1
        return execute(
            self._spec, scenario, probe, fidelity=fidelity, faults=faults, armed=self._armed
        )

    def _next(
        self,
        execution: Execution,
        probe: Probe,
        node: _Node,
        most_faults: int,
        like: Attempt,
    ) -> Iterator[tuple[int, tuple[Fault, ...], tuple[Switch, ...]]]:
        """One more choice or one more fault than this execution had, each with its cost."""
        faults, choices = node.faults, node.choices
        if len(faults) < most_faults and not choices:
            kinds = {fault.kind for fault in like.schedule.faults}
            for fault in _possible_faults(execution, kinds):
                if not faults or (fault.task, fault.at) > (faults[-1].task, faults[-1].at):
                    yield 1, (*faults, fault), choices
        for question in probe.questions:
            for key, cost in question.alternatives:
                choice = Switch(question.after, question.step, key, question.nth)
                yield cost, faults, (*choices, choice)

    # The result

    def _renamed(self, best: Attempt) -> Attempt:
        """Users and operations numbered from the start again, if it still fails that way."""
        scenario = best.scenario
        users = dict(zip(scenario.users, USERS, strict=False))
        labels: dict[str, str] = {}
        for user in scenario.users:
            mine = [o.label for o in scenario.operations if o.user == user]
            labels.update({label: f"{users[user]}.{i + 1}" for i, label in enumerate(mine)})
        if any(old != new for old, new in labels.items()):
            attempt = self._try(
                _relabelled(scenario, users, labels),
                _relabelled_schedule(best.schedule, labels),
                best.finding,
            )
            return attempt or best
        return best

    def _case(self, best: Attempt, complete: bool, seed: int) -> Case:
        scenario, schedule = best.scenario, best.schedule
        size = Size(
            len(scenario.users),
            len(scenario.operations),
            best.execution.switches,
            len(schedule.faults),
        )
        return Case(
            target=self._spec.name,
            scenario=scenario,
            schedule=schedule,
            finding=best.finding,
            size=size,
            armed=self._armed,
            minimal=complete,
            confirmed={schedule.fidelity: True},
            origin=Origin(platform.python_version(), version("isomodel"), seed),
        )


def _possible_faults(execution: Execution, kinds: AbstractSet[str]) -> Iterator[Fault]:
    """A cancellation after every step of every operation, a failure of every I/O."""
    steps: dict[str, int] = {}
    for step in execution.trace:
        if step.what == "step":
            steps[step.task] = steps.get(step.task, 0) + 1
    io: dict[str, int] = {}
    for arrival in execution.arrivals:
        label = arrival.key.split(" ")[0]
        io[label] = io.get(label, 0) + 1
    for operation in execution.scenario.operations:
        if "cancel" in kinds:
            for at in range(1, steps.get(operation.label, 0) + 1):
                yield Fault("cancel", operation.label, at)
        if "fail" in kinds:
            for at in range(io.get(operation.label, 0)):
                yield Fault("fail", operation.label, at)


def _kept(schedule: Schedule, labels: set[str]) -> Schedule:
    """What a schedule says of the operations with these labels."""
    return Schedule(
        schedule.fidelity,
        tuple(choice for choice in schedule.choices if _about(choice, labels)),
        tuple(fault for fault in schedule.faults if fault.task.split("/")[0] in labels),
    )


def _about(choice: Switch, labels: set[str]) -> bool:
    """Whether a choice speaks of operations that are still there."""
    after = choice.after.split("/")[0]
    to = choice.to.split(" ")[0].split("/")[0]
    return (not after or after in labels) and (choice.to == "go on" or to in labels)


def _replaced(scenario: Scenario, changed: Operation) -> Scenario:
    """The scenario with this operation in place of the one of its label."""
    operations = tuple(
        changed if operation.label == changed.label else operation
        for operation in scenario.operations
    )
    return msgspec.structs.replace(scenario, operations=operations)


def _without(scenario: Scenario, label: str) -> Scenario:
    """The scenario without this operation, and without those that use what it made."""
    gone = {label}
    kept = []
    for operation in scenario.operations:
        if operation.label in gone:
            continue
        if any(made_by(value) in gone for value in operation.args.values()):
            gone.add(operation.label)
            continue
        kept.append(operation)
    return msgspec.structs.replace(scenario, operations=tuple(kept))


def _relabelled(scenario: Scenario, users: dict[str, str], labels: dict[str, str]) -> Scenario:
    operations = tuple(
        msgspec.structs.replace(
            operation,
            label=labels[operation.label],
            user=users[operation.user],
            args={name: _relabelled_value(v, labels) for name, v in operation.args.items()},
        )
        for operation in scenario.operations
    )
    groups = tuple(tuple(users.get(user, user) for user in group) for group in scenario.groups)
    return msgspec.structs.replace(scenario, operations=operations, groups=groups)


def _relabelled_value(value: object, labels: dict[str, str]) -> object:
    maker = made_by(value)
    return {"made": labels[maker]} if maker is not None else value


def _relabelled_schedule(schedule: Schedule, labels: dict[str, str]) -> Schedule:
    def name(task: str) -> str:
        head, slash, rest = task.partition("/")
        return labels.get(head, head) + slash + rest

    def key(text: str) -> str:
        head, space, rest = text.partition(" ")
        return name(head) + space + rest if text != "go on" else text

    return Schedule(
        schedule.fidelity,
        tuple(
            Switch(name(choice.after), choice.step, key(choice.to), choice.nth)
            for choice in schedule.choices
        ),
        tuple(Fault(f.kind, name(f.task), f.at) for f in schedule.faults),
    )
