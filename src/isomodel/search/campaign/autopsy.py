"""Autopsy: from the index of the execution that took a process down to a case like any other.

The dead cannot be asked, but the inputs of an execution are a pure function of job and index, or
were written down. A fresh process draws them, and they are on disk before it runs them again; this
time every choice is written down, so that the case replays. Then it is made smaller, one thing at a
time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from isomodel.search.campaign.child import Child, Crew, Death
from isomodel.search.campaign.jobs import Job, Result
from isomodel.search.campaign.journal import read_trail
from isomodel.search.campaign.requests import Attempt, Ended, Survived, Trial, refusal
from isomodel.search.cases import make, save
from isomodel.search.exploring.explore import Draw
from isomodel.values.case import Case
from isomodel.values.scenario import Scenario, made_by
from isomodel.values.schedule import Schedule, Switch
from isomodel.values.verdict import Finding, Verdict

TRIALS_LIMIT = 10.0
"""Seconds spent on making smaller what killed or blocked a process."""

TRIAL_STALL = 0.5
"""Seconds after which a smaller execution counts as blocked, until the last one is confirmed."""

WALKS = 20
"""Random schedules tried for a smaller scenario."""

DOUBT = (
    "; it did not when that execution was run again on its own: "
    "state kept between executions, memory, or something not under control"
)
ALONE = "; it did so in an alone run of one user's part, which no replay makes"


class _CannotTell(Exception):
    """A process that was to die did something else than die or live."""


class Autopsy:
    """Of one death in one job.

    It takes three processes: one draws the inputs and forks to try smaller ones, one confirms
    the death, and one the smaller case in the end.
    """

    def __init__(self, job: Job, death: Death, crew: Crew) -> None:
        self._job = job
        self._death = death
        self._crew = crew
        self._trail = crew.scratch / f"{next(crew.numbers)}.trail"
        self._file = Path()
        self._kept: Case

    def result(self, hunt_seconds: float) -> Result:
        """What the job found by dying."""
        with self._crew.child("autopsy") as nursery, self._crew.child("autopsy") as witness:
            return msgspec.structs.replace(
                self._examined(nursery, witness),
                executions=self._death.index + 1,
                hunt_seconds=hunt_seconds,
            )

    def _examined(self, nursery: Child, witness: Child) -> Result:
        draw = self._drawn()
        if draw is None:
            which = f"execution {self._death.index}, whose inputs are too large to keep"
            reason = f"{self._death}, in {which}"
            return Result(self._job, Verdict("unknown", reason, (), self._death.index + 1))
        self._keep(self._case(draw, self._death))
        try:
            died = self._repeat(witness, draw=draw)
        except _CannotTell as reason:
            return self._not_again(draw, f"; it could not be run again on its own: {reason}")
        if died is None:
            return self._not_again(draw, DOUBT)
        choices, switches = read_trail(self._trail)
        case = self._case(draw, died, choices, switches)
        self._keep(case)
        started = time.monotonic()
        if self._job.shrink:
            self._keep(self._smaller(nursery, case))
        return msgspec.structs.replace(self._result(), shrink_seconds=time.monotonic() - started)

    # Examining

    def _drawn(self) -> Draw | None:
        """The inputs as they were written down; None if that was too much to write."""
        if not self._death.inputs:
            return None
        return msgspec.json.decode(self._death.inputs, type=Draw)

    def _repeat(
        self, witness: Child, *, draw: Draw | None = None, case: Case | None = None
    ) -> Death | None:
        """Run it in a process that has run nothing yet; the death, if it dies of the same."""
        try:
            answer = witness.ask(Trial(self._job, str(self._trail), draw, case))
        except Death as death:
            return death if self._is_same(death) else None
        if not isinstance(answer, Survived):
            raise _CannotTell(refusal(answer))
        return None

    def _is_same(self, death: Death) -> bool:
        return death.kind == self._death.kind or (death.blocked and self._death.blocked)

    def _not_again(self, draw: Draw, doubt: str) -> Result:
        """A death that does not repeat is reported as such; a pause that does not, as unknown."""
        choices, switches = read_trail(self._trail)
        case = self._case(draw, self._death, choices, switches, doubt)
        self._keep(case)
        result = self._result()
        if not self._death.blocked:
            return result
        verdict = Verdict("unknown", case.finding.message, (), self._death.index + 1)
        return msgspec.structs.replace(result, verdict=verdict)

    # Making it smaller

    def _smaller(self, nursery: Child, case: Case) -> Case:
        """The simplest case found in the time there is, if it holds in a process of its own."""
        with self._crew.child("autopsy") as witness:
            try:
                best = self._simplest(nursery, case)
                if best is None:
                    return _with_message(case, case.finding.message + ALONE)
                died = self._repeat(witness, case=best)
            except (Death, _CannotTell):  # what is known of the larger case stays true
                return case
            return case if died is None else self._recorded(best, died)

    def _simplest(self, nursery: Child, case: Case) -> Case | None:
        """Without what can be left out one by one; None if replaying it does no harm at all."""
        deadline = time.monotonic() + TRIALS_LIMIT
        best = self._dies(nursery, case)
        while best is not None:
            for candidate, walks in _candidates(best):
                if time.monotonic() > deadline:
                    return best
                found = self._dies(nursery, candidate, walks)
                if found is not None and _weight(found) < _weight(best):
                    best = found
                    break
            else:
                return msgspec.structs.replace(best, minimal=True)
        return None

    def _dies(self, nursery: Child, case: Case, walks: int = 0) -> Case | None:
        """The case with the choices it made until it died, if it did: its own or a walk's."""
        stall = min(self._crew.stall, TRIAL_STALL)
        trial = Trial(self._job, str(self._trail), case=case, walks=walks)
        answer = nursery.ask(Attempt(trial, stall), stall=stall + self._crew.stall)
        if not isinstance(answer, Ended):
            return None
        death = Death(answer.kind, self._death.phase, self._death.index, answer.place)
        return self._recorded(case, death) if self._is_same(death) else None

    def _recorded(self, case: Case, death: Death) -> Case:
        """The case as it went when it died this death."""
        choices, switches = read_trail(self._trail)
        schedule = msgspec.structs.replace(case.schedule, choices=choices)
        finding = death.finding(case.scenario)
        made = self._made(case.scenario, schedule, finding, switches)
        return msgspec.structs.replace(made, minimal=case.minimal)

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
            runtime=job.runtime,
        )

    def _keep(self, case: Case) -> None:
        """Put the case on disk, in the place of an earlier one."""
        before, self._file = self._file, save(case, self._crew.cases)
        self._kept = case
        if before not in (self._file, Path()):
            before.unlink(missing_ok=True)

    def _result(self) -> Result:
        """What there is on disk, as the result."""
        case = self._kept
        finding = case.finding
        verdict = Verdict("violated", finding.message, (finding,), self._death.index + 1)
        return Result(self._job, verdict, case=case, file=str(self._file))


def _with_message(case: Case, message: str) -> Case:
    finding = msgspec.structs.replace(case.finding, message=message)
    return msgspec.structs.replace(case, finding=finding)


def _weight(case: Case) -> tuple[int, ...]:
    """What a person has to follow, and at last what the case says beyond it."""
    size, schedule = case.size, case.schedule
    unusual = (schedule.fidelity == "portable", size.switches, len(schedule.choices))
    return (size.users, size.operations, size.faults, *unusual, case.scenario.seed != 0)


def _candidates(case: Case) -> Iterator[tuple[Case, int]]:
    """The case without a user, an operation, a fault, or some of its choices; boldest first.

    The number says how many other schedules to try: one that fitted the larger scenario rarely
    fits the smaller one.
    """
    scenario, schedule = case.scenario, case.schedule
    smaller = [
        scenario.only(tuple(user for user in scenario.users if user != gone))
        for gone in reversed(scenario.users)
    ]
    smaller += [_without(scenario, operation.label) for operation in reversed(scenario.operations)]
    for fewer in smaller:
        if fewer.operations:
            yield _replaced(case, fewer, _about(schedule, fewer)), WALKS
    for fault in schedule.faults:
        faults = tuple(other for other in schedule.faults if other != fault)
        yield _replaced(case, scenario, msgspec.structs.replace(schedule, faults=faults)), WALKS
    if schedule.fidelity == "portable":
        yield _replaced(case, scenario, msgspec.structs.replace(schedule, fidelity="stock")), WALKS
    if scenario.seed:
        yield _replaced(case, msgspec.structs.replace(scenario, seed=0), schedule), 0
    for choices in _fewer(schedule.choices):
        yield _replaced(case, scenario, msgspec.structs.replace(schedule, choices=choices)), 0


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
