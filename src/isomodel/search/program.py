"""Programs: exploring any coroutine function, without declaring a target.

For a program the property is that it neither raises nor hangs. Its tasks, by name, are what
can be switched between and cancelled; what a cancellation makes it raise is no failure.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from isomodel.engine.control.control import Control
from isomodel.engine.protocol import Scheduler
from isomodel.engine.runtime import Blocked, Cancelled, OutOfSteps, Runtime
from isomodel.engine.world import enter
from isomodel.schedulers.recording import Recording
from isomodel.schedulers.replay import Replay
from isomodel.search.counterexample import Counterexample, explained
from isomodel.search.exploring.observe import Observer
from isomodel.search.exploring.plans import ScheduleSearch
from isomodel.search.exploring.portfolio import Share
from isomodel.search.running.execute import session
from isomodel.search.running.run import Around
from isomodel.search.running.runtimes import making
from isomodel.search.shrinking.program_shrink import Tried, simplest
from isomodel.tracking.tracker import Tracker
from isomodel.values.errors import BadInput
from isomodel.values.schedule import Fault, Fidelity, RuntimeName, Schedule
from isomodel.values.verdict import Finding, Verdict

FAILURE = "no failure"
"""The property of a program."""

STATE = "state kept between executions, or something not under control"

STRIDE = 1_000_003
"""Between the seeds of two executions' random numbers."""

FAILED = ("raised", "hang")
"""How a run ends that breaks it."""

Main = Callable[[], Coroutine[Any, Any, object]]

_control = Control()


class ProgramOutcome(msgspec.Struct, frozen=True):
    """The verdict; for a violated one, a shrunk schedule and the number of the execution, from 1.

    ``policy`` is the one that found it, ``shares`` what each policy had of the budget; ``seed``
    that of its random numbers, which a replay needs, too.
    """

    verdict: Verdict
    schedule: Schedule | None = None
    execution: int = 0
    policy: str = ""
    shares: tuple[Share, ...] = ()
    counterexample: Counterexample | None = None
    seed: int = 0


class Numbers:
    """The seeds of the random numbers and ids that the executions of a program draw.

    Where it draws any, every second execution has others: what happens only for some of them is
    to be found, too. The rest keep theirs, so that what was seen of one is true of the next.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._drawn = False

    def of(self, index: int) -> int:
        """The seed for this execution, counted from 0."""
        return self._seed + index * STRIDE if self._drawn and index % 2 else self._seed

    def learn(self, *, drawn: bool) -> None:
        """Whether the execution that has just ended drew any."""
        self._drawn = self._drawn or drawn


def run_program(
    main: Main,
    scheduler: Scheduler,
    *,
    fidelity: Fidelity = "stock",
    runtime: RuntimeName = "asyncio",
    faults: Sequence[Fault] = (),
    seed: int = 0,
    max_steps: int = 20_000,
    around: Around = contextlib.nullcontext,
) -> tuple[str, str, Runtime]:
    """Run it once: how it ended (``ok raised hang busy cancelled``), why, and its loop.

    The program itself runs inside a block that ``around`` makes for the loop.
    """
    loop = making(runtime, fidelity)(scheduler, faults=faults, max_steps=max_steps)
    return *run_on(main, loop, seed, around), loop


def run_on(
    main: Main, loop: Runtime, seed: int, around: Around = contextlib.nullcontext
) -> tuple[str, str]:
    """Run it once on this loop: how it ended, and why."""
    _control.begin(seed, loop.time, loop.label)
    before = enter(loop)
    try:
        ended, why = _run(main, loop, around)
    finally:
        enter(before)
        loop.uncontrolled += _control.end()
    return ended, why


def _run(main: Main, loop: Runtime, around: Around) -> tuple[str, str]:
    try:
        if around is contextlib.nullcontext:  # the usual case, spared its three frames
            loop.run(_coroutine(main()))
        else:
            with around(loop):
                loop.run(_coroutine(main()))
    except BadInput:
        raise
    except Blocked:
        return "hang", "deadlock: nothing can ever happen again"
    except OutOfSteps:
        return "busy", f"still busy after {loop.steps} steps"
    except Cancelled:
        return ("cancelled", "") if loop.fired else ("raised", "CancelledError")
    except (Exception, SystemExit) as error:
        return "raised", f"{type(error).__name__}: {error}"
    finally:
        loop.dismiss()
    return "ok", ""


def _coroutine(made: Coroutine[Any, Any, object]) -> Coroutine[Any, Any, object]:
    if not inspect.iscoroutine(made):
        raise BadInput(
            f"a program is a coroutine function, and this one returned {type(made).__name__}: "
            "explore plain functions with explore_threads, which runs asyncio.run in them, too"
        )
    return made


def explore_program(
    main: Main,
    *,
    executions: int = 1_000,
    seed: int = 0,
    fidelity: Fidelity = "stock",
    runtime: RuntimeName = "asyncio",
    cancel: bool = True,
) -> ProgramOutcome:
    """Run ``main`` under one schedule after another until it fails.

    Policies share the budget (``search.portfolio``); most build on which steps of the program
    touched the same things, which is seen in its Python source. With ``cancel``, every fourth
    execution also cancels one of its tasks, at any of its awaits. ``main`` is called anew for each
    execution and must make all of its state itself.
    """
    busy = ""
    numbers = Numbers(seed)
    with session(), _control.installed():
        search = ScheduleSearch((main,), seed, cancel=cancel)
        # the first execution, once more: what it imports is to be there before it is observed
        run_program(main, search.plan(0).scheduler(), fidelity=fidelity, runtime=runtime, seed=seed)
        for index in range(executions):
            plan = search.plan(index)
            faults = search.cancellation(index)
            observer = search.observer(plan)
            mine = numbers.of(index)
            ended, why, loop = run_program(
                main,
                observer.scheduler if observer else plan.scheduler(),
                fidelity=fidelity,
                runtime=runtime,
                faults=faults,
                seed=mine,
                around=observer.watching if observer else contextlib.nullcontext,
            )
            numbers.learn(drawn=_control.drew)
            search.learn(plan, observer, loop.step_counts())
            if ended in FAILED:
                runner = _Runner(main, fidelity, mine, runtime)
                found = runner.recorded(plan.scheduler(), faults)
                if found is None:
                    busy = f"execution {index + 1} failed ({why}), and not when repeated: {STATE}"
                    continue
                example = runner.counterexample(found, search.tracker)
                finding = Finding(FAILURE, example.why)
                verdict = Verdict("violated", example.why, (finding,), index + 1)
                shares = search.shares()
                return ProgramOutcome(
                    verdict, example.schedule, index + 1, plan.policy, shares, example, mine
                )
            if ended == "busy":
                busy = why
    if busy:
        verdict = Verdict("unknown", busy, (), executions)
    else:
        verdict = Verdict("ok", f"nothing found in {executions} executions", (), executions)
    return ProgramOutcome(verdict, shares=search.shares())


class _Runner:
    """Runs one program again and again until it is known how it fails."""

    def __init__(
        self, main: Main, fidelity: Fidelity, seed: int, runtime: RuntimeName = "asyncio"
    ) -> None:
        self._main = main
        self._runtime = runtime
        self._fidelity = fidelity
        self._seed = seed
        self._how = ""
        self._why = ""

    def recorded(self, scheduler: Scheduler, faults: tuple[Fault, ...]) -> Tried | None:
        """What became of it under this scheduler, with every choice written down, if it failed."""
        recording = Recording(scheduler)
        how, why, loop = run_program(
            self._main,
            recording,
            fidelity=self._fidelity,
            runtime=self._runtime,
            faults=faults,
            seed=self._seed,
        )
        if how not in FAILED or (self._how and (how, _kind(why)) != (self._how, _kind(self._why))):
            return None
        self._how, self._why = how, why
        choices = tuple(recording.choices)
        return Tried(Schedule(self._fidelity, choices, tuple(loop.met)), recording.switches)

    def counterexample(self, found: Tried, tracker: Tracker) -> Counterexample:
        """The simplest schedule that this one leads to, and what happens in it."""
        best = simplest(found, lambda s: self.recorded(Replay(s.choices), s.faults))
        schedule = best.schedule
        self.recorded(Replay(schedule.choices), schedule.faults)  # for its own words

        def run(observer: Observer, faults: tuple[Fault, ...]) -> None:
            run_program(
                self._main,
                observer.scheduler,
                fidelity=self._fidelity,
                runtime=self._runtime,
                faults=faults,
                seed=self._seed,
                around=observer.watching,
            )

        return explained(self._why, schedule, tracker, Replay(schedule.choices), run)


def _kind(why: str) -> str:
    """The kind of a failure: the class of an error, not its text, which may tell of values."""
    return why.partition(":")[0]
