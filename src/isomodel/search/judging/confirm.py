"""Confirmation: does a counterexample show on the ordinary event loop, too?

The case is replayed on the simulated stock loop, which tells at which poll what arrived. Then it
runs on asyncio's own loop, where the same arrivals are held back until their turn
(``isomodel.engine.ordinary``), and the same oracle judges what is left. What shows there is no
error of the simulation.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence

import msgspec

from isomodel.engine.ordinary import Moment, OrdinaryLoop, RecordedLoop
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.recording import Recording
from isomodel.schedulers.replay import Replay
from isomodel.search.judging.judge import Judge
from isomodel.search.program import FAILED, FAILURE, Main, run_on
from isomodel.search.running.execute import MAX_STEPS, controlled, evidence, session
from isomodel.search.running.run import Run
from isomodel.targets.declare import TargetSpec
from isomodel.values.case import Case
from isomodel.values.execution import Execution
from isomodel.values.schedule import Schedule
from isomodel.values.verdict import Finding


class Confirmation(msgspec.Struct, frozen=True):
    """Whether the failure showed on the ordinary event loop.

    ``why`` says which loop that was and how much was forced, or what came in between.
    """

    confirmed: bool
    why: str
    execution: Execution | None = None
    finding: Finding | None = None


def confirm(case: Case, spec: TargetSpec) -> Confirmation:
    """Run the case on the ordinary event loop, in this process and thread."""
    order, forced, missed = _recorded(case, spec)
    parted = ""

    def ordinary() -> Execution:
        nonlocal parted
        execution, parted = _ordinary(case, spec, order, forced)
        return execution

    execution = ordinary()
    finding = Judge(spec, case.armed).same(execution, case.finding, ordinary)
    return Confirmation(
        finding is not None,
        _why(case.schedule, order, missed, parted, finding),
        execution,
        finding,
    )


def confirm_program(main: Main, schedule: Schedule, *, seed: int = 0) -> Confirmation:
    """Run a program on the ordinary event loop under a schedule that makes it fail."""
    replay = Replay(schedule.choices)
    recorded = RecordedLoop(replay, faults=schedule.faults, max_steps=MAX_STEPS, record=True)
    with session():
        ended, why = run_on(main, recorded, seed)
        loop = OrdinaryLoop(
            Default(), recorded.moments, faults=schedule.faults, max_steps=MAX_STEPS
        )
        how, reason = run_on(main, loop, seed)
    finding = Finding(FAILURE, reason) if how in FAILED and (how, reason) == (ended, why) else None
    return Confirmation(
        finding is not None,
        _why(schedule, recorded.moments, replay.diverged, loop.parted, finding),
        None,
        finding,
    )


def _recorded(case: Case, spec: TargetSpec) -> tuple[list[Moment], Schedule, int]:
    """When what arrives, the schedule as the stock loop follows it, and what it cannot follow."""
    replay = Replay(case.schedule.choices)
    recording = Recording(replay)
    loop = RecordedLoop(recording, faults=case.schedule.faults, max_steps=MAX_STEPS, record=True)
    controlled(Run(spec, case.scenario, loop, armed=case.armed))
    followed = Schedule("stock", tuple(recording.choices), tuple(loop.met))
    return loop.moments, followed, replay.diverged


def _ordinary(
    case: Case, spec: TargetSpec, order: list[Moment], schedule: Schedule
) -> tuple[Execution, str]:
    loop = OrdinaryLoop(Default(), order, faults=case.schedule.faults, max_steps=MAX_STEPS)
    run = Run(spec, case.scenario, loop, armed=case.armed)
    issues = controlled(run)
    return evidence(run, schedule, issues, case.size.switches, 0), loop.parted


def _why(
    schedule: Schedule,
    order: Sequence[Moment],
    missed: int,
    parted: str,
    finding: Finding | None,
) -> str:
    """How much was forced, or why it did not fail."""
    loop = f"asyncio.SelectorEventLoop of Python {platform.python_version()}"
    arrivals = sum(1 for moment in order if moment.key)
    forced = f"{loop}, {arrivals} arrivals held back until their turn"
    if finding is not None:
        return f"{forced}; {parted}, and it failed all the same" if parted else forced
    if schedule.fidelity == "portable" and missed:
        return (
            f"found under portable; {missed} of its {len(schedule.choices)} choices are "
            "about which task runs next, where this loop runs them first-in first-out"
        )
    if parted:
        return f"the recorded order could not be forced: {parted}"
    return f"the recorded order was forced ({forced}), and nothing broke"
