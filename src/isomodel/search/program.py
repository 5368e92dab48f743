"""Programs: exploring any coroutine function, without declaring a target.

For a program the property is that it neither raises nor hangs. Its tasks, by name, are what
can be switched between and cancelled; what a cancellation makes it raise is no failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from isomodel.engine.control import Control
from isomodel.engine.loop import Blocked, ControlledLoop, OutOfSteps
from isomodel.engine.protocol import Scheduler
from isomodel.engine.world import entered
from isomodel.schedulers.random import RandomWalk
from isomodel.schedulers.recording import Recording
from isomodel.search.execute import LOOPS, session
from isomodel.values.facts import Fact
from isomodel.values.schedule import Fault, Fidelity, Schedule
from isomodel.values.verdict import Finding, Verdict

Main = Callable[[], Coroutine[Any, Any, object]]

_control = Control()


class ProgramOutcome(msgspec.Struct, frozen=True):
    """The verdict; for a violated one, the schedule and the number of the execution, from 1."""

    verdict: Verdict
    schedule: Schedule | None = None
    execution: int = 0


class Bare:
    """The world of a program: simulated I/O only."""

    __slots__ = ("io", "loop")

    def __init__(self, loop: ControlledLoop) -> None:
        self.loop = loop
        self.io = loop.io

    def note(self, fact: Fact) -> None:
        """Programs have no invariants to judge facts."""

    def watch(self, thing: Any, what: str) -> None:
        """Programs have no last operation."""

    def acting_as(self, user: str) -> Any:
        """Refuse: there is nobody to act as."""
        raise RuntimeError("acting_as needs a target: a program has no users")


def run_program(
    main: Main,
    scheduler: Scheduler,
    *,
    fidelity: Fidelity = "stock",
    faults: Sequence[Fault] = (),
    seed: int = 0,
    max_steps: int = 20_000,
) -> tuple[str, str, ControlledLoop]:
    """Run it once: how it ended (``ok raised hang busy cancelled``), why, and its loop."""
    loop = LOOPS[fidelity](scheduler, faults=faults, max_steps=max_steps)
    world: Any = Bare(loop)
    with entered(world):
        _control.begin(seed, loop.time, _whose(loop))
        try:
            ended, why = _run(main, loop)
        finally:
            issues = _control.end()
            loop.uncontrolled.extend(issues)
    return ended, why, loop


def _whose(loop: ControlledLoop) -> Callable[[], str]:
    return lambda: loop.owner().label


def _run(main: Main, loop: ControlledLoop) -> tuple[str, str]:
    try:
        loop.run(main())
    except Blocked:
        return "hang", "deadlock: nothing can ever happen again"
    except OutOfSteps:
        return "busy", f"still busy after {loop.steps} steps"
    except asyncio.CancelledError:
        return ("cancelled", "") if loop.fired else ("raised", "CancelledError")
    except (Exception, SystemExit) as error:
        return "raised", f"{type(error).__name__}: {error}"
    finally:
        dismiss(loop)
    return "ok", ""


def dismiss(loop: ControlledLoop) -> None:
    """End what the program left behind, so that the next execution starts clean."""
    pending = loop.pending_tasks()
    if pending:
        with loop.running():
            for task in pending:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                task.cancel()
            loop.max_steps = loop.steps + 1_000
            with contextlib.suppress(Blocked, OutOfSteps):
                loop.settle()
    loop.close()


def explore_program(
    main: Main,
    *,
    executions: int = 1_000,
    seed: int = 0,
    fidelity: Fidelity = "stock",
    cancel: bool = True,
) -> ProgramOutcome:
    """Run ``main`` under random schedules until it fails.

    With ``cancel``, every fourth execution also cancels one of its tasks, at any of its awaits.
    ``main`` is called anew for each execution and must make all of its state itself.
    """
    busy = ""
    known: list[tuple[str, int]] = []
    with session(), _control.installed():
        for index in range(executions):
            source = random.Random(f"{seed}/{index}") if known and index % 4 == 3 else None
            faults = (_cancellation(known, source),) if source and cancel else ()
            walk = seed * 1_000_003 + index
            ended, why, loop = run_program(
                main, RandomWalk(walk), fidelity=fidelity, faults=faults, seed=seed
            )
            if ended in ("raised", "hang"):
                return _found(main, walk, fidelity, faults, seed, index, why)
            if ended == "busy":
                busy = why
            if not known:
                known = loop.step_counts()
    if busy:
        return ProgramOutcome(Verdict("unknown", busy, (), executions))
    return ProgramOutcome(
        Verdict("ok", f"nothing found in {executions} executions", (), executions)
    )


def _cancellation(known: list[tuple[str, int]], source: random.Random) -> Fault:
    name, steps = source.choice(known)
    return Fault("cancel", name, source.randint(1, max(1, steps)))


def _found(
    main: Main,
    walk: int,
    fidelity: Fidelity,
    faults: tuple[Fault, ...],
    seed: int,
    index: int,
    why: str,
) -> ProgramOutcome:
    recording = Recording(RandomWalk(walk))
    _, _, loop = run_program(main, recording, fidelity=fidelity, faults=faults, seed=seed)
    schedule = Schedule(fidelity, tuple(recording.choices), tuple(loop.met))
    finding = Finding("no failure", why)
    return ProgramOutcome(Verdict("violated", why, (finding,), index + 1), schedule, index + 1)
