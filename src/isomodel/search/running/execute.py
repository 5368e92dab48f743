"""Execution: a pure function of target, scenario and schedule."""

from __future__ import annotations

import contextlib
import gc
import inspect
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from isomodel.engine.control.control import Control
from isomodel.engine.protocol import Scheduler
from isomodel.engine.world import enter
from isomodel.schedulers.nearby import Nearby
from isomodel.schedulers.projected import Projected
from isomodel.schedulers.recording import Recording
from isomodel.schedulers.replay import Replay
from isomodel.search.running.kept import kept
from isomodel.search.running.run import Around, Run
from isomodel.search.running.runtimes import making, prepared
from isomodel.targets.declare import TargetSpec
from isomodel.values.errors import BadInput
from isomodel.values.execution import Arrival, Execution, Hit, Issue, Refusal
from isomodel.values.scenario import Scenario, made_by
from isomodel.values.schedule import Fault, Fidelity, Schedule

MAX_STEPS = 20_000

_control = Control()


@contextlib.contextmanager
def session() -> Iterator[None]:
    """Many executions in a row: control installed once, and a garbage collector that stays cheap.

    What a target's runtime needs is put in place for the first execution, and stays, too.

    What exists now is frozen, old garbage included, so that collections cost what the executions
    made and not what the process has imported. Collections happen between executions, never
    inside one, where a finaliser would run at an uncontrolled moment.
    """
    enabled = gc.isenabled()
    gc.collect(1)
    gc.freeze()
    gc.disable()
    try:
        with _control.installed(), kept.for_session():
            yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


def tidy() -> None:
    """Between two executions of a session: collect what they left, if that has become much."""
    young, _, middle = gc.get_count()
    if young > 20_000:
        gc.collect(2 if middle > 20 else 1)


class Alone(msgspec.Struct, frozen=True):
    """The inputs of a projected alone run, kept from the joint run."""

    arrivals: tuple[Arrival, ...]
    forced: dict[str, Refusal]
    """Justified refusals of declared resources, by the key of the request."""
    clocks: dict[str, tuple[float, ...]] = {}
    """The time at each of the part's own steps."""
    given_up: dict[str, tuple[str, Any]] = {}
    """Operations that are given up before they begin: outcome and value that their user saw."""
    until: float = 0.0
    """The time at the end: all that is due earlier has come before the final checks."""
    jumps: tuple[tuple[float, float], ...] = ()
    """Jumps of the clock, each from when to when."""
    starts: dict[str, float] = {}
    """When operations began that wait for the user's one before: no witness begins them later."""


def execute(
    spec: TargetSpec,
    scenario: Scenario,
    scheduler: Scheduler,
    *,
    fidelity: Fidelity,
    faults: Sequence[Fault] = (),
    armed: tuple[str, ...] = (),
    record: bool = True,
    around: Around = contextlib.nullcontext,
) -> Execution:
    """Run ``scenario`` under ``scheduler`` and return all it left behind.

    Its start and its operations run inside a block that ``around`` makes for the loop. With
    ``record`` the execution's schedule holds the choices made, as departures from the
    default rule; otherwise it is empty but for faults. Raises BadInput if the target cannot start.
    """
    recording = Recording(scheduler) if record else None
    make = making(spec.runtime, fidelity)
    loop = make(recording or scheduler, faults=faults, max_steps=MAX_STEPS, record=True)
    run = Run(spec, scenario, loop, armed=armed)
    issues = controlled(run, around)
    schedule = Schedule(fidelity, tuple(recording.choices) if recording else (), tuple(loop.met))
    switches = recording.switches if recording else 0
    diverged = scheduler.diverged if isinstance(scheduler, Replay) else 0
    return evidence(run, schedule, issues, switches, diverged)


def replay(
    spec: TargetSpec, scenario: Scenario, schedule: Schedule, *, armed: tuple[str, ...] = ()
) -> Execution:
    """Run ``scenario`` under a stored schedule."""
    return execute(
        spec,
        scenario,
        Replay(schedule.choices),
        fidelity=schedule.fidelity,
        faults=schedule.faults,
        armed=armed,
    )


def execute_alone(
    spec: TargetSpec,
    scenario: Scenario,
    alone: Alone,
    *,
    fidelity: Fidelity,
    faults: Sequence[Fault] = (),
    armed: tuple[str, ...] = (),
    scheduler: Scheduler | None = None,
    nearby: int | None = None,
    late: float = 0.0,
) -> Execution:
    """Run a part's own operations with its own arrivals, clock and refusals kept.

    For a witness search ``scheduler`` replaces the projection, or the seed ``nearby`` lets it
    depart from the recorded order here and there; and nobody's work may be ``late`` by so much.
    """
    loop = making(spec.runtime, fidelity)(
        scheduler or _Unset(),
        faults=faults,
        max_steps=MAX_STEPS,
        record=True,
        every_choice=scheduler is None,
    )
    if scheduler is None:
        if nearby is None:
            loop.scheduler = Projected(alone.arrivals, loop, alone.jumps, late)
        else:
            loop.scheduler = Nearby(
                alone.arrivals, loop, alone.jumps, late, seed=nearby, starts=alone.starts
            )
    projected = loop.scheduler
    run = Run(
        spec,
        scenario,
        loop,
        armed=armed,
        forced=alone.forced,
        clocks=alone.clocks,
        given_up=alone.given_up,
        until=alone.until - late,
        timers=frozenset(each.key for each in alone.arrivals if " timer " in each.key),
    )
    if isinstance(projected, Projected):
        projected.part = run.part_of(scenario.users[0])
    issues = controlled(run)
    diverged = projected.diverged if isinstance(projected, Projected) else 0
    return evidence(run, Schedule(fidelity, (), tuple(loop.met)), issues, 0, diverged)


class _Unset:
    def choose(self, options: Sequence[Any], last: Any) -> int:
        raise AssertionError("a projected run was started without its scheduler")


def controlled(run: Run, around: Around = contextlib.nullcontext) -> tuple[Issue, ...]:
    """Run all phases under control; what was not."""
    loop = run.loop
    tidy()
    with _control.installed():
        _control.begin(run.scenario.seed, loop.time, loop.label)
        before = enter(run)
        try:
            with kept.for_execution(prepared(run.spec)):
                run.everything(around)
        finally:
            enter(before)
            issues = _control.end()
    return (*issues, *loop.uncontrolled)


def evidence(
    run: Run, schedule: Schedule, issues: tuple[Issue, ...], switches: int, diverged: int
) -> Execution:
    """Everything that a run has left, as plain values."""
    loop = run.loop
    ended: Literal["done", "deadlock", "step limit", "crash"] = run.ended  # type: ignore[assignment]
    return Execution(
        scenario=run.scenario,
        schedule=schedule,
        ended=ended,
        history=tuple(run.history),
        observations={user: _told(run, seen) for user, seen in run.observations.items()},
        facts=tuple(run.facts),
        arrivals=tuple(loop.log or ()),
        operated=run.operated,
        clocks=run.clocks(),
        refusals=tuple(run.guards.refusals) if run.guards else (),
        shared=run.shared,
        leftovers=tuple(run.leftovers),
        rollbacks=tuple(run.rollbacks),
        hits=tuple(
            Hit(fault, tuple(sorted({owner.user for owner in users}))) for fault, users in loop.hits
        ),
        uncontrolled=issues,
        waiting=tuple(run.waiting),
        secrets=secrets_of(run.spec, run.scenario),
        invalid=invalid_of(run.spec, run.scenario),
        trace=tuple(loop.trace or ()),
        steps=loop.steps,
        switches=switches,
        diverged=diverged,
        error=run.error,
        fired=tuple(loop.fired),
        places=tuple(loop.places),
    )


def _told(run: Run, seen: list[tuple[str, str, Any]]) -> tuple[tuple[str, str, Any], ...]:
    """What a user saw, in the order in which it was over.

    Threads that have done their work may be kept from saying so for as long as it pleases the
    operating system: of operations side by side any may seem to be over first, whoever else is
    there. So there the order is the scenario's.
    """
    if run.spec.runtime != "threads":
        return tuple(seen)
    places = {operation.label: at for at, operation in enumerate(run.scenario.operations)}
    return tuple(sorted(seen, key=lambda entry: places.get(entry[0], len(places))))


def secrets_of(spec: TargetSpec, scenario: Scenario) -> dict[str, str]:
    """Every marker in the scenario's arguments, with the user it belongs to."""
    return {
        str(operation.args[argument.name]): operation.user
        for operation in scenario.operations
        for argument in spec.operations[operation.name].arguments
        if argument.secret
    }


def invalid_of(spec: TargetSpec, scenario: Scenario) -> tuple[str, ...]:
    """The labels of operations whose arguments the target says it must refuse."""
    out = []
    for operation in scenario.operations:
        accepts = spec.operations[operation.name].accepts
        if accepts is None:
            continue
        known = {**operation.args, "user": operation.user}
        wanted = inspect.signature(accepts).parameters
        if not accepts(**{name: known[name] for name in wanted if name in known}):
            out.append(operation.label)
    return tuple(out)


def check_fits(spec: TargetSpec, scenario: Scenario, name: str) -> None:
    """Raise BadInput if this scenario uses what the target does not (any longer) declare."""
    labels = {operation.label for operation in scenario.operations}
    for operation in scenario.operations:
        declared = spec.operations.get(operation.name)
        where = f"{name}: operation {operation.label} ({operation.name})"
        if declared is None:
            known = ", ".join(sorted(spec.operations))
            raise BadInput(f"{where} is not declared by {spec.name}; it has {known}")
        wanted = {argument.name for argument in declared.arguments}
        for unknown in sorted(operation.args.keys() - wanted):
            raise BadInput(f"{where} has an unknown argument {unknown!r}; it takes {_list(wanted)}")
        for missing in sorted(wanted - operation.args.keys()):
            raise BadInput(f"{where} lacks the argument {missing!r}")
        for value in operation.args.values():
            maker = made_by(value)
            if maker is not None and maker not in labels:
                raise BadInput(f"{where} uses what {maker} made, but there is no such operation")


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
