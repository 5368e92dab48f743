"""Trying: whether a scenario can still fail as one that was found, and what it took to see.

Everything that shrinking executes is executed and judged here, so that here it is counted, timed
and remembered how small the smallest failure was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import msgspec

from isomodel.engine.protocol import Scheduler
from isomodel.oracles.noninterference import NAME as NONINTERFERENCE
from isomodel.schedulers.following import Following
from isomodel.schedulers.random import RandomWalk
from isomodel.search.judging.isolate import QUICK
from isomodel.search.judging.judge import Judge
from isomodel.search.running.execute import execute, replay
from isomodel.search.shrinking.edit import relabelled_key
from isomodel.search.shrinking.program_shrink import Tried
from isomodel.search.shrinking.program_shrink import simplest as reduced
from isomodel.search.shrinking.simplest import Attempt, Limits, Probe, Run, simplest
from isomodel.targets.declare import TargetSpec
from isomodel.values.execution import Execution
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import Fault, FaultKind, Fidelity, Schedule
from isomodel.values.verdict import Finding

BETWEEN_USERS = frozenset({NONINTERFERENCE, "no leaked secret", "no shared state"})
"""Properties that one user alone cannot break."""

FEW = 3
"""Operations that are looked at thoroughly soon enough."""

PLAINER: dict[FaultKind, tuple[FaultKind, ...]] = {
    "timeout": ("cancel",),
    "scope": ("cancel", "timeout"),
}
"""Kinds that a person follows more easily, and that strike at the same places."""


class OutOfTime(Exception):
    """Shrinking has taken as long as it may."""


class Trying:
    """Tries scenarios and schedules of one target; ``executions`` counts what it took.

    Every execution raises OutOfTime once ``seconds`` have passed since ``begin``, of this process's
    own time: what else the machine does must not decide what comes out. ``smallest`` is what had
    been reached by then.
    """

    smallest: Attempt

    def __init__(self, spec: TargetSpec, armed: tuple[str, ...], seconds: float) -> None:
        self.executions = 0
        self._spec = spec
        self._armed = armed
        self._seconds = seconds
        self._judge = Judge(spec, armed, witnesses=QUICK)

    def begin(self, found: Attempt) -> None:
        """Start the clock: this is what there is to shrink."""
        self._deadline = time.process_time() + self._seconds
        self.smallest = found

    def attempt(self, scenario: Scenario, schedule: Schedule, finding: Finding) -> Attempt | None:
        """The execution of this schedule, if it fails alike."""
        self._spend()
        execution = replay(self._spec, scenario, schedule, armed=self._armed)
        return self._judged(execution, finding)

    def walked(
        self, scenario: Scenario, like: Attempt, faults: tuple[Fault, ...], walks: int
    ) -> Attempt | None:
        """A failure under a few random schedules: some need more switches than can be tried."""
        for seed in range(walks):
            attempt = self._run(scenario, RandomWalk(seed), like, faults)
            if attempt is not None:
                return attempt
        return None

    def followed(
        self, scenario: Scenario, like: Attempt, faults: tuple[Fault, ...], labels: dict[str, str]
    ) -> Attempt | None:
        """A failure in which things come in the order in which they came in ``like``.

        ``labels`` are the new labels of operations that were given others.
        """
        arrivals = like.execution.arrivals[: like.execution.operated]
        keys = [relabelled_key(arrival.key, labels) for arrival in arrivals]
        return self._run(scenario, Following(keys), like, faults)

    def _run(
        self, scenario: Scenario, scheduler: Scheduler, like: Attempt, faults: tuple[Fault, ...]
    ) -> Attempt | None:
        self._spend()
        execution = execute(
            self._spec,
            scenario,
            scheduler,
            fidelity=like.schedule.fidelity,
            faults=faults,
            armed=self._armed,
        )
        return self._judged(execution, like.finding)

    def reduced(self, like: Attempt, most: int) -> Attempt:
        """The same scenario with what is left of its schedule when all that can be is left out."""
        found = {like.schedule: like}

        def fails(schedule: Schedule) -> Tried | None:
            attempt = self.attempt(like.scenario, schedule, like.finding)
            if attempt is None:
                return None
            found[attempt.schedule] = attempt
            return _tried(attempt)

        return found[reduced(_tried(like), fails, most).schedule]

    def searched(
        self, scenario: Scenario, like: Attempt, limits: Limits
    ) -> tuple[Attempt | None, bool]:
        """The simplest schedule within these limits, with as many faults, of kinds as plain."""
        faults = like.schedule.faults
        kinds = frozenset(kind for fault in faults for kind in _kinds(fault))
        limits = msgspec.structs.replace(limits, faults=len(faults), kinds=kinds)
        return simplest(scenario, self._runs(scenario, like), limits)

    def beyond_doubt(self, best: Attempt) -> bool:
        """Whether a shrunk difference has no witness either when looked for in earnest."""
        judge = Judge(self._spec, self._armed)
        return judge.same(best.execution, best.finding, self._repeat(best.execution)) is not None

    def _runs(self, scenario: Scenario, like: Attempt) -> Run:
        fidelity: Fidelity = like.schedule.fidelity

        def run(probe: Probe, faults: tuple[Fault, ...]) -> tuple[Execution, Finding | None]:
            self._spend()
            execution = execute(
                self._spec, scenario, probe, fidelity=fidelity, faults=faults, armed=self._armed
            )
            attempt = self._judged(execution, like.finding)
            return execution, attempt.finding if attempt is not None else None

        return run

    def _spend(self) -> None:
        """Count one execution. Raises OutOfTime."""
        self.executions += 1
        if time.process_time() > self._deadline:
            raise OutOfTime

    def _judged(self, execution: Execution, finding: Finding) -> Attempt | None:
        """This execution as an attempt, if it fails alike."""
        same = self._judge.same(execution, finding, self._repeat(execution))
        if same is None:
            return None
        attempt = Attempt(execution.scenario, execution.schedule, execution, same)
        if _weight(attempt) < _weight(self.smallest):
            self.smallest = attempt
        return attempt

    def _repeat(self, execution: Execution) -> Callable[[], Execution]:
        return partial(
            replay, self._spec, execution.scenario, execution.schedule, armed=self._armed
        )


def _tried(attempt: Attempt) -> Tried:
    return Tried(attempt.schedule, attempt.execution.switches)


def anywhere(finding: Finding) -> Finding:
    """The same failure, in whichever operation it shows."""
    return msgspec.structs.replace(finding, operation="*")


def may_break(scenario: Scenario, finding: Finding) -> bool:
    """Whether there are operations, and of as many users as the property takes."""
    if len(scenario.parts()) < 2 and finding.property in BETWEEN_USERS:
        return False
    return bool(scenario.operations)


def _kinds(fault: Fault) -> tuple[str, ...]:
    """Which kinds of faults to try in place of this one."""
    if "/" in fault.task:
        return ("cancel inside",)
    return (*PLAINER.get(fault.kind, ()), fault.kind)


def _weight(attempt: Attempt) -> tuple[int, int, int, int]:
    """What makes one attempt smaller than another."""
    return *attempt.extent, attempt.cost, len(attempt.schedule.choices)
