"""Shrinking: the fewest users, operations, faults and switches that still break the property.

The least scenarios are tried first (``smallest``). Then the found one shrinks by removing one
thing at a time; whether what is left can still fail is a search of its own, fewest switches
first (``simplest``): a schedule that fitted the larger scenario rarely fits the smaller one.
The result is 1-minimal: nothing single can be removed without losing the failure.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from typing import Any

import msgspec

from isomodel.oracles.noninterference import NAME as NONINTERFERENCE
from isomodel.schedulers.random import RandomWalk
from isomodel.search.edit import (
    kept,
    relabelled,
    relabelled_schedule,
    replaced,
    with_fault,
    without,
)
from isomodel.search.execute import execute, replay
from isomodel.search.generate import Pools, pools_of, secret_for
from isomodel.search.isolate import QUICK
from isomodel.search.judge import Judge
from isomodel.search.simplest import Attempt, Limits, Probe, Run, simplest
from isomodel.search.smallest import smallest
from isomodel.targets.declare import USERS, TargetSpec
from isomodel.values.case import Case, Origin, Size
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import STRIKES, Fault, FaultKind, Fidelity, Schedule
from isomodel.values.verdict import Finding

TRIAL = 50
"""Executions spent on whether a smaller scenario still fails, while there is much to remove."""

RETRIAL = 250
"""The same, once the scenario is small and its schedule simple."""

FULL = 1_200
"""Executions spent on the simplest schedule of the smallest scenario."""

STOCK_WALKS = 300
"""Random schedules of the scenario as found, under ``stock``, where the shrunk one has none."""

WALKS = 12
"""Random schedules tried on a smaller scenario after the systematic ones."""

BETWEEN_USERS = frozenset({NONINTERFERENCE, "no leaked secret", "no shared state"})
"""Properties that one user alone cannot break."""


class Shrinker:
    """Shrinks counterexamples of one target; ``executions`` counts what it took.

    ``stock_tries`` of them looked under ``stock`` for what was found under ``portable``.
    """

    def __init__(self, spec: TargetSpec, armed: tuple[str, ...] = ()) -> None:
        self.executions = 0
        self.stock_tries = 0
        self._spec = spec
        self._armed = armed
        self._judge = Judge(spec, armed, witnesses=QUICK)
        self._pools: Pools = pools_of(spec)

    def shrink(self, execution: Execution, finding: Finding, *, seed: int = 0) -> Case:
        """A 1-minimal case that breaks the same property, under ``stock`` if it can.

        Where whittling is needed the failure also keeps showing in the same operation.
        """
        found = Attempt(execution.scenario, execution.schedule, execution, finding)
        best, complete = self._shrunk(found)
        if best.schedule.fidelity == "portable":
            best, complete = self._as_stock(found, best) or (best, complete)
        best = self._renamed(self._tidied(self._plain(best)))
        if not self._beyond_doubt(best):
            best, complete = found, False
        return self._case(best, complete, seed, found.schedule.fidelity)

    def _shrunk(self, best: Attempt) -> tuple[Attempt, bool]:
        best = self._least(best) or self._whittled(best)
        best, complete = self._simplest_schedule(best)
        smaller = self._smaller(best, RETRIAL, arguments=False)
        if smaller is not best:
            best, complete = self._simplest_schedule(smaller)
        return best, complete

    def _beyond_doubt(self, best: Attempt) -> bool:
        """Whether a shrunk difference has no witness either when looked for in earnest."""
        judge = Judge(self._spec, self._armed)
        return judge.same(best.execution, best.finding, self._repeat(best.execution)) is not None

    def _whittled(self, best: Attempt) -> Attempt:
        best = self._smaller(best, TRIAL)
        best = self._traded(best)
        least = self._least(best)
        return least or best

    # From below: the least scenarios

    def _least(self, best: Attempt) -> Attempt | None:
        """One of the least scenarios that breaks the same property under the default schedule."""
        wanted = msgspec.structs.replace(best.finding, operation="*")
        for scenario in smallest(self._spec, self._pools, _size(best)):
            if len(scenario.parts()) < 2 and best.finding.property in BETWEEN_USERS:
                continue
            attempt = self._try(scenario, Schedule("stock"), wanted)
            if attempt is not None:
                return attempt
        return None

    # From above: removing one thing at a time

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
        for user in reversed(scenario.users):
            if len(scenario.users) > 1:
                yield scenario.only(tuple(u for u in scenario.users if u != user))
        for user in reversed(scenario.users):
            for other in scenario.users:
                if other != user:
                    yield self._merged(scenario, user, other)
        for operation in reversed(scenario.operations):
            yield without(scenario, operation.label)
        if not arguments:
            return
        for operation in scenario.operations:
            for simpler in self._simpler(operation):
                yield replaced(scenario, simpler)
        if scenario.seed:
            yield msgspec.structs.replace(scenario, seed=0)

    def _merged(self, scenario: Scenario, user: str, into: str) -> Scenario:
        """The scenario in which ``into`` does beside its own what ``user`` did."""
        taken = sum(operation.user == into for operation in scenario.operations)
        mine = [operation.label for operation in scenario.operations if operation.user == user]
        labels = {operation.label: operation.label for operation in scenario.operations}
        labels.update({label: f"{into}.{taken + 1 + i}" for i, label in enumerate(mine)})
        users = {other: into if other == user else other for other in scenario.users}
        moved = {labels[label] for label in mine}
        scenario = relabelled(scenario, users, labels)
        operations = tuple(
            msgspec.structs.replace(
                operation,
                args=self._remarked(operation),
                beside=operation.beside or operation.label == labels[mine[0]],
            )
            if operation.label in moved
            else operation
            for operation in scenario.operations
        )
        return msgspec.structs.replace(scenario, operations=operations)

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
            fewer = without(scenario, operation.label)
            rest = kept(schedule, {other.label for other in fewer.operations})
            for changed in self._with_other_arguments(fewer):
                yield changed, rest

    def _with_other_arguments(self, scenario: Scenario) -> Iterator[Scenario]:
        """The scenario with an argument changed to another of the values drawn for it.

        In one operation, and in all operations of its name: what takes two of them to fail
        often cannot be reached by changing one.
        """
        for operation in scenario.operations:
            for name, old in operation.args.items():
                for value in self._pools.get((operation.name, name), ()):
                    if value != old:
                        yield replaced(scenario, _with_argument(operation, name, value))
                        yield _everywhere(scenario, operation.name, name, value)

    # Whether a scenario can still fail

    def _fails(self, scenario: Scenario, like: Attempt, trials: int) -> Attempt | None:
        """An execution of this scenario that fails as ``like`` does, if one is found cheaply."""
        if not scenario.operations:
            return None
        if len(scenario.parts()) < 2 and like.finding.property in BETWEEN_USERS:
            return None
        rest = kept(like.schedule, {operation.label for operation in scenario.operations})
        attempt = self._try(scenario, rest, like.finding)
        if attempt is not None:
            return attempt
        found, _ = self._search(scenario, like, trials=trials, first=True)
        if found is None and like.execution.switches > 1:
            found = self._walked(scenario, like, rest.faults)
        return found

    def _walked(
        self, scenario: Scenario, like: Attempt, faults: tuple[Fault, ...], walks: int = WALKS
    ) -> Attempt | None:
        """A failure under a few random schedules: some need more switches than can be tried."""
        for seed in range(walks):
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
        return self._judge.same(execution, finding, self._repeat(execution))

    def _repeat(self, execution: Execution) -> Callable[[], Execution]:
        return partial(
            replay, self._spec, execution.scenario, execution.schedule, armed=self._armed
        )

    # The schedule

    def _simplest_schedule(self, best: Attempt) -> tuple[Attempt, bool]:
        found, complete = self._search(best.scenario, best, trials=FULL, below=best.cost)
        return (found or best), complete

    def _as_stock(self, found: Attempt, best: Attempt) -> tuple[Attempt, bool] | None:
        """The same failure under ``stock``, if it can be had: in the shrunk scenario, by search,
        or in the one that was found, by walks; the latter is shrunk anew.
        """
        before = self.executions
        attempt, complete = self._search(best.scenario, _stock(best), trials=FULL // 2)
        if attempt is None:
            walks = STOCK_WALKS
            attempt = self._walked(found.scenario, _stock(found), found.schedule.faults, walks)
        self.stock_tries += self.executions - before
        if attempt is None:
            return None
        return (attempt, complete) if attempt.scenario is best.scenario else self._shrunk(attempt)

    def _search(
        self,
        scenario: Scenario,
        like: Attempt,
        *,
        trials: int,
        below: int | None = None,
        first: bool = False,
    ) -> tuple[Attempt | None, bool]:
        faults = like.schedule.faults
        kinds = frozenset(kind for fault in faults for kind in _kinds(fault))
        run = self._runs(scenario, like.schedule.fidelity, like.finding)
        return simplest(scenario, run, Limits(trials, len(faults), kinds, below, first))

    def _runs(self, scenario: Scenario, fidelity: Fidelity, finding: Finding) -> Run:
        def run(probe: Probe, faults: tuple[Fault, ...]) -> tuple[Execution, Finding | None]:
            self.executions += 1
            execution = execute(
                self._spec, scenario, probe, fidelity=fidelity, faults=faults, armed=self._armed
            )
            return execution, self._same(execution, finding)

        return run

    def _plain(self, best: Attempt) -> Attempt:
        """The same with the plainest kind of each fault."""
        for index, fault in enumerate(best.schedule.faults):
            for kind in PLAINER.get(fault.kind, ()):
                plainer = with_fault(best.schedule, index, Fault(kind, fault.task, fault.at))
                attempt = self._try(best.scenario, plainer, best.finding)
                if attempt is not None and attempt.cost <= best.cost:
                    best = attempt
                    break
        return best

    def _tidied(self, best: Attempt) -> Attempt:
        """The same cost with fewer choices that cost nothing: each is one more thing to read."""
        progress = True
        while progress:
            progress = False
            for schedule in _tidier(best):
                attempt = self._try(best.scenario, schedule, best.finding)
                if (
                    attempt is not None
                    and attempt.cost <= best.cost
                    and len(attempt.schedule.choices) < len(best.schedule.choices)
                ):
                    best, progress = attempt, True
                    break
        return best

    # The result

    def _renamed(self, best: Attempt) -> Attempt:
        """Users and operations numbered from the start again, if it still fails that way."""
        scenario = best.scenario
        users = dict(zip(scenario.users, USERS, strict=False))
        labels: dict[str, str] = {}
        for user in scenario.users:
            mine = [o.label for o in scenario.operations if o.user == user]
            labels.update({label: f"{users[user]}.{i + 1}" for i, label in enumerate(mine)})
        if all(old == new for old, new in labels.items()):
            return best
        renamed = relabelled(scenario, users, labels)
        operations = tuple(
            msgspec.structs.replace(operation, args=self._remarked(operation))
            for operation in renamed.operations
        )
        attempt = self._try(
            msgspec.structs.replace(renamed, operations=operations),
            relabelled_schedule(best.schedule, labels),
            best.finding,
        )
        return attempt or best

    def _case(self, best: Attempt, complete: bool, seed: int, fidelity: Fidelity) -> Case:
        return Case(
            target=self._spec.name,
            scenario=best.scenario,
            schedule=best.schedule,
            finding=best.finding,
            size=_size(best),
            armed=self._armed,
            minimal=complete,
            confirmed={"stock": False, best.schedule.fidelity: True},
            searched={"stock": self.stock_tries} if best.schedule.fidelity != "stock" else {},
            origin=Origin(platform.python_version(), version("isomodel"), seed, fidelity=fidelity),
        )


def _stock(attempt: Attempt) -> Attempt:
    """The attempt as something to look for under ``stock``, its order not kept."""
    schedule = msgspec.structs.replace(attempt.schedule, fidelity="stock", choices=())
    return msgspec.structs.replace(attempt, schedule=schedule)


def _with_argument(operation: Operation, name: str, value: Any) -> Operation:
    return msgspec.structs.replace(operation, args={**operation.args, name: value})


def _everywhere(scenario: Scenario, operation_name: str, name: str, value: Any) -> Scenario:
    operations = tuple(
        _with_argument(operation, name, value) if operation.name == operation_name else operation
        for operation in scenario.operations
    )
    return msgspec.structs.replace(scenario, operations=operations)


PLAINER: dict[FaultKind, tuple[FaultKind, ...]] = {
    "timeout": ("cancel",),
    "scope": ("cancel", "timeout"),
}
"""Kinds that a person follows more easily, and that strike at the same places."""


def _kinds(fault: Fault) -> tuple[str, ...]:
    """Which kinds of faults to try in place of this one."""
    if "/" in fault.task:
        return ("cancel inside",)
    return (*PLAINER.get(fault.kind, ()), fault.kind)


def _size(attempt: Attempt) -> Size:
    return Size(
        len(attempt.scenario.users),
        len(attempt.scenario.operations),
        attempt.execution.switches,
        len(attempt.schedule.faults),
    )


def _tidier(best: Attempt) -> Iterator[Schedule]:
    """The schedule without its choices and a cancellation later instead, or without one choice."""
    schedule = best.schedule
    if not schedule.choices:
        return
    for index, fault in enumerate(schedule.faults):
        if fault.kind in STRIKES:
            for at in range(fault.at, fault.at + len(schedule.choices) + 1):
                moved = with_fault(schedule, index, Fault(fault.kind, fault.task, at))
                yield msgspec.structs.replace(moved, choices=())
    for index in range(len(schedule.choices)):
        rest = (*schedule.choices[:index], *schedule.choices[index + 1 :])
        yield msgspec.structs.replace(schedule, choices=rest)
