"""Autopsy: from the index of the execution that took a process down to a case like any other.

The dead cannot be asked, but the inputs of an execution are a pure function of job and index. A
fresh process draws them, and they are on disk before it runs them again; this time every choice
is written down, so that the case replays. Then it is made smaller, one thing at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from isomodel.search.cases import make, save
from isomodel.search.child import Child, Crew, Death
from isomodel.search.explore import Draw
from isomodel.search.jobs import Job, Result
from isomodel.search.journal import read_trail
from isomodel.search.worker import Inputs, Trial
from isomodel.values.case import Case
from isomodel.values.scenario import Scenario, made_by
from isomodel.values.schedule import Schedule, Switch
from isomodel.values.verdict import Finding, Verdict

TRIALS_LIMIT = 10.0
"""Seconds spent on making smaller what killed or blocked a process."""

TRIAL_STALL = 2.0
"""Seconds after which such a smaller execution counts as blocked."""


class Autopsy:
    """Of one death in one job."""

    def __init__(self, job: Job, death: Death, crew: Crew) -> None:
        self._job = job
        self._death = death
        self._crew = crew
        self._trail = crew.scratch / f"{next(crew.numbers)}.trail"
        self._spare: Child | None = None
        self._file = Path()

    def result(self, hunt_seconds: float) -> Result:
        """What the job found by dying."""
        try:
            return msgspec.structs.replace(
                self._examined(), executions=self._death.index + 1, hunt_seconds=hunt_seconds
            )
        finally:
            self._bury()

    def _examined(self) -> Result:
        draw = self._drawn()
        if draw is None:
            reason = f"{self._death}, in execution {self._death.index}, which cannot be drawn again"
            return Result(self._job, Verdict("unknown", reason, (), self._death.index + 1))
        kept = self._keep(self._case(draw, self._death), None)
        died = self._repeat(Trial(self._job, str(self._trail), draw=draw), None)
        choices, switches = read_trail(self._trail)
        if died is None:
            return self._not_again(draw, choices, switches, kept)
        case = self._case(draw, died, choices, switches)
        kept = self._keep(case, kept)
        started = time.monotonic()
        smaller = self._smaller(case)
        self._keep(smaller, kept)
        result = self._result(smaller)
        return msgspec.structs.replace(result, shrink_seconds=time.monotonic() - started)

    # Examining

    def _drawn(self) -> Draw | None:
        try:
            with self._crew.child("autopsy") as child:
                answer = child.ask(Inputs(self._job, self._death.index))
        except Death:
            return None
        return answer if isinstance(answer, Draw) else None

    def _repeat(self, trial: Trial, stall: float | None) -> Death | None:
        """Run it again, in a process that has not died yet; the death, if it dies of this."""
        child = self._spare or self._crew.child("autopsy")
        self._spare = child
        try:
            child.ask(trial, stall=stall)
        except Death as death:
            self._bury()
            same = death.kind == self._death.kind or (death.blocked and self._death.blocked)
            return death if same else None
        return None

    def _bury(self) -> None:
        if self._spare is not None:
            self._spare.close()
            self._spare = None

    def _not_again(
        self, draw: Draw, choices: tuple[Switch, ...], switches: int, kept: Path
    ) -> Result:
        """A death that does not repeat is reported as such; a pause that does not, as unknown."""
        doubt = (
            "; it did not when that execution was run again on its own: "
            "state kept between executions, memory, or something not under control"
        )
        case = self._case(draw, self._death, choices, switches, doubt)
        self._keep(case, kept)
        result = self._result(case)
        if not self._death.blocked:
            return result
        verdict = Verdict("unknown", case.finding.message, (), self._death.index + 1)
        return msgspec.structs.replace(result, verdict=verdict)

    # Making it smaller

    def _smaller(self, best: Case) -> Case:
        """Without what can be left out one by one, as far as there is time."""
        deadline = time.monotonic() + TRIALS_LIMIT
        stall = min(self._crew.stall, TRIAL_STALL)
        if not self._job.shrink:
            return best
        found = self._dies(best, stall)
        if found is None:
            doubt = "; it did so in an alone run of one user's part, which replaying leaves out"
            return _with_message(best, best.finding.message + doubt)
        best = found
        while True:
            for candidate in _candidates(best):
                if time.monotonic() > deadline:
                    return best
                found = self._dies(candidate, stall)
                if found is not None and _weight(found) < _weight(best):
                    best = found
                    break
            else:
                return msgspec.structs.replace(best, minimal=True)

    def _dies(self, case: Case, stall: float) -> Case | None:
        """The case with the choices it made until it died, if it did."""
        death = self._repeat(Trial(self._job, str(self._trail), case=case), stall)
        if death is None:
            return None
        choices, switches = read_trail(self._trail)
        schedule = msgspec.structs.replace(case.schedule, choices=choices)
        death.kind = self._death.kind
        finding = death.finding(case.scenario)
        return self._made(case.scenario, schedule, finding, switches)

    # Cases

    def _case(
        self,
        draw: Draw,
        death: Death,
        choices: tuple[Switch, ...] = (),
        switches: int = 0,
        doubt: str = "",
    ) -> Case:
        schedule = Schedule(draw.fidelity, choices, draw.faults)
        return self._made(draw.scenario, schedule, death.finding(draw.scenario, doubt), switches)

    def _made(
        self, scenario: Scenario, schedule: Schedule, finding: Finding, switches: int
    ) -> Case:
        job = self._job
        return make(
            job.target,
            job.armed,
            scenario,
            schedule,
            finding,
            switches=switches,
            seed=job.seed,
            execution=self._death.index,
        )

    def _keep(self, case: Case, before: Path | None) -> Path:
        """Put the case on disk, in the place of an earlier one."""
        place = self._file = save(case, self._crew.cases)
        if before is not None and before != place:
            before.unlink(missing_ok=True)
        return place

    def _result(self, case: Case) -> Result:
        finding = case.finding
        verdict = Verdict("violated", finding.message, (finding,), self._death.index + 1)
        return Result(self._job, verdict, case=case, file=str(self._file))


def _with_message(case: Case, message: str) -> Case:
    finding = msgspec.structs.replace(case.finding, message=message)
    return msgspec.structs.replace(case, finding=finding)


def _weight(case: Case) -> tuple[int, ...]:
    """What a person has to follow, and at last what the schedule says beyond it."""
    size = case.size
    return (size.users, size.operations, size.faults, size.switches, len(case.schedule.choices))


def _candidates(case: Case) -> Iterator[Case]:
    """The case without a user, an operation, a fault, or some of its choices; boldest first."""
    scenario, schedule = case.scenario, case.schedule
    smaller = [
        scenario.only(tuple(user for user in scenario.users if user != gone))
        for gone in reversed(scenario.users)
    ]
    smaller += [_without(scenario, operation.label) for operation in reversed(scenario.operations)]
    for fewer in smaller:
        if fewer.operations:
            yield _replaced(case, fewer, _about(schedule, fewer))
    for fault in schedule.faults:
        faults = tuple(other for other in schedule.faults if other != fault)
        yield _replaced(case, scenario, msgspec.structs.replace(schedule, faults=faults))
    for choices in _fewer(schedule.choices):
        yield _replaced(case, scenario, msgspec.structs.replace(schedule, choices=choices))


def _fewer(choices: tuple[Switch, ...]) -> Iterator[tuple[Switch, ...]]:
    """Without all, without each half, without each quarter, and so on down to each one."""
    size = len(choices)
    while size:
        for start in range(0, len(choices), size):
            yield choices[:start] + choices[start + size :]
        size //= 2


def _replaced(case: Case, scenario: Scenario, schedule: Schedule) -> Case:
    return msgspec.structs.replace(case, scenario=scenario, schedule=schedule)


def _without(scenario: Scenario, label: str) -> Scenario:
    """The scenario without this operation, and without those that use what it made."""
    gone = {label}
    kept = []
    for operation in scenario.operations:
        if operation.label in gone or any(made_by(v) in gone for v in operation.args.values()):
            gone.add(operation.label)
        else:
            kept.append(operation)
    return msgspec.structs.replace(scenario, operations=tuple(kept))


def _about(schedule: Schedule, scenario: Scenario) -> Schedule:
    """The schedule without faults in operations that are gone; choices find out themselves."""
    labels = {operation.label for operation in scenario.operations}
    faults = tuple(f for f in schedule.faults if f.task.partition("/")[0] in labels)
    return msgspec.structs.replace(schedule, faults=faults)
