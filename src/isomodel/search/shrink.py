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

import msgspec

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, default, is_switch
from isomodel.schedulers.replay import Points, Replay
from isomodel.search.execute import execute, replay
from isomodel.search.generate import Pools, pools_of
from isomodel.search.judge import Judge
from isomodel.targets.declare import USERS, TargetSpec
from isomodel.values.case import Case, Origin, Size
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario, made_by
from isomodel.values.schedule import Fault, Fidelity, Schedule, Switch
from isomodel.values.verdict import Finding

TRIAL = 60
"""Executions spent on whether a smaller scenario still fails, while there is much to remove."""

FULL = 1_500
"""Executions spent on the simplest schedule of the smallest scenario."""


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
        best = self._smaller(best)
        best, complete = self._simplest_schedule(best)
        if best.schedule.fidelity == "portable":
            best = self._as_stock(best) or best
        best = self._renamed(best)
        return self._case(best, complete, seed)

    # The scenario

    def _smaller(self, best: Attempt) -> Attempt:
        tried: set[bytes] = set()
        progress = True
        while progress:
            progress = False
            for candidate in self._candidates(best.scenario):
                key = msgspec.json.encode(candidate)
                if key in tried:
                    continue
                tried.add(key)
                attempt = self._fails(candidate, best, TRIAL)
                if attempt is not None:
                    best, progress = attempt, True
                    break
        return best

    def _candidates(self, scenario: Scenario) -> Iterator[Scenario]:
        """Smaller scenarios, the boldest first: without a user, an operation, an argument."""
        operations = scenario.operations
        for user in reversed(scenario.users):
            if len(scenario.users) > 1:
                yield scenario.only(tuple(u for u in scenario.users if u != user))
        for operation in reversed(operations):
            yield _without(scenario, operation.label)
        for index, operation in enumerate(operations):
            for simpler in self._simpler(operation):
                changed = (*operations[:index], simpler, *operations[index + 1 :])
                yield msgspec.structs.replace(scenario, operations=changed)
        if scenario.seed:
            yield msgspec.structs.replace(scenario, seed=0)

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

    def _fails(self, scenario: Scenario, like: Attempt, trials: int) -> Attempt | None:
        """An execution of this scenario that fails as ``like`` does, if one is found cheaply."""
        if not scenario.operations:
            return None
        labels = {operation.label for operation in scenario.operations}
        faults = tuple(f for f in like.schedule.faults if f.task.split("/")[0] in labels)
        kept = Schedule(
            like.schedule.fidelity,
            tuple(c for c in like.schedule.choices if _about(c, labels)),
            faults,
        )
        attempt = self._try(scenario, kept, like.finding)
        if attempt is not None:
            return attempt
        found, _ = self._simplest(scenario, like, trials, len(like.schedule.faults))
        return found

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
    ) -> tuple[Attempt | None, bool]:
        """Best-first search over schedules: the first that fails has the least cost.

        Cost is switches and faults; it never falls as choices are added. Also says whether
        the answer is certain: everything cheaper was tried (``below`` bounds the cost).
        """
        fidelity = like.schedule.fidelity
        queue: list[tuple[int, int, int, tuple[Fault, ...], tuple[Switch, ...]]] = []
        serial = 0
        heapq.heappush(queue, (0, 0, serial, (), ()))
        while queue and trials > 0:
            cost, size, _, faults, choices = heapq.heappop(queue)
            if below is not None and cost >= below:
                return None, True
            trials -= 1
            probe = Probe(choices)
            execution = self._probe(scenario, probe, fidelity, faults)
            if probe.missed or len(execution.schedule.faults) < len(faults):
                continue
            same = self._same(execution, like.finding)
            if same is not None:
                return Attempt(scenario, execution.schedule, execution, same), True
            for more in self._next(execution, probe, faults, choices, most_faults, like):
                extra, new_faults, new_choices = more
                serial += 1
                heapq.heappush(queue, (cost + extra, size + 1, serial, new_faults, new_choices))
        return None, not queue

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
        faults: tuple[Fault, ...],
        choices: tuple[Switch, ...],
        most_faults: int,
        like: Attempt,
    ) -> Iterator[tuple[int, tuple[Fault, ...], tuple[Switch, ...]]]:
        """One more choice or one more fault than this execution had, each with its cost."""
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


def _about(choice: Switch, labels: set[str]) -> bool:
    """Whether a choice speaks of operations that are still there."""
    after = choice.after.split("/")[0]
    to = choice.to.split(" ")[0].split("/")[0]
    return (not after or after in labels) and (choice.to == "go on" or to in labels)


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
