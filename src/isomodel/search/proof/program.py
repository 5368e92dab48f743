"""Programs: proof for any coroutine function, without declaring a target."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from isomodel.engine.accesses import Tracked
from isomodel.engine.control.control import Control
from isomodel.engine.loop import Blocked, ControlledLoop, OutOfSteps
from isomodel.engine.tracking.loop import TrackedLoop
from isomodel.engine.tracking.scope import classes_of, modules_from
from isomodel.engine.tracking.sink import WRITE, here
from isomodel.engine.world import enter
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.recording import Recording
from isomodel.search.program import Main
from isomodel.search.proof.follow import Follow, FollowedLoop
from isomodel.search.proof.tree import Diverged, Stop, Tree
from isomodel.search.running.execute import session, tidy
from isomodel.values.schedule import Fault, Schedule
from isomodel.values.verdict import Finding, Verdict

_control = Control()


class Ended(msgspec.Struct, frozen=True):
    """How one execution ended: ``ok raised hang busy cancelled``, why, and what it returned."""

    how: str
    why: str = ""
    value: Any = None


class ProgramProof(msgspec.Struct, frozen=True):
    """What was proved of a program, or what broke it; ``endings`` are the different ends seen.

    ``executions`` ran to their end; ``abandoned`` ones were cut short as known from others.
    """

    verdict: Verdict
    executions: int
    abandoned: int
    endings: tuple[Ended, ...] = ()
    schedule: Schedule | None = None


def prove_program(
    main: Main,
    *,
    faults: int = 0,
    seed: int = 0,
    seconds: float | None = None,
    executions: int | None = None,
    max_steps: int = 20_000,
    stop_at_failure: bool = True,
    reduced: bool = True,
) -> ProgramProof:
    """Run ``main`` under every inequivalent schedule of fidelity ``portable``.

    With ``faults``, also with up to so many of its tasks cancelled, at any of their steps.
    ``main`` is called anew for each execution and must make all of its state itself. The verdict
    is ``unknown``, and says what was left, where ``seconds`` or ``executions`` ended it early.
    """
    modules = modules_from([main.__module__])
    scope = Tracked(classes_of(modules), modules)
    deadline = None if seconds is None else time.monotonic() + seconds
    with session(), _control.installed(), scope as tracked:
        while True:
            proof = _Proof(main, seed, max_steps, reduced, stop_at_failure, tracked)
            proof.run(faults, deadline, executions)
            proved = proof.proved(faults)
            if not tracked.learn() or proved.verdict.status != "ok":
                return proved


class _Proof:
    """Explores one program, under one plan of faults after the other."""

    def __init__(
        self,
        main: Main,
        seed: int,
        max_steps: int,
        reduced: bool,
        stop_at_failure: bool,
        tracked: Tracked,
    ) -> None:
        self._main = main
        self._seed = seed
        self._max_steps = max_steps
        self._reduced = reduced
        self._stop_at_failure = stop_at_failure
        self._tracked = tracked
        self._trees: list[Tree] = []
        self._endings: dict[Any, Ended] = {}
        self._victims: dict[tuple[str, str], None] = {}
        self._left = ""
        self._failed: tuple[Verdict, Schedule | None] | None = None

    @property
    def _executions(self) -> int:
        return sum(tree.executions for tree in self._trees)

    def run(self, faults: int, deadline: float | None, executions: int | None) -> None:
        """All plans of up to so many faults; ends at the first failure, or at a limit."""

        def enough() -> bool:
            if executions is not None and self._executions >= executions:
                return True
            return deadline is not None and time.monotonic() > deadline

        for number in range(faults + 1):
            for plan in self._plans_of(number):
                self._explore(plan, enough)
                if self._left or self._failed:
                    return

    def proved(self, faults: int) -> ProgramProof:
        """What came of it."""
        done = self._executions
        abandoned = sum(tree.cut_off + tree.asleep for tree in self._trees)
        endings = tuple(self._endings.values())
        if self._failed:
            verdict, schedule = self._failed
            return ProgramProof(verdict, done, abandoned, endings, schedule)
        blind = ", ".join(self._tracked.blind)
        note = f"; nothing could be told apart, because of {blind}" if blind else ""
        if self._left:
            verdict = Verdict("unknown", f"{self._left}: {done} executions{note}", (), done)
        else:
            all_of_them = f"all interleavings with up to {faults} faults, as {done} executions"
            verdict = Verdict("ok", f"{all_of_them} (portable){note}", (), done)
        return ProgramProof(verdict, done, abandoned, endings)

    def _plans_of(self, number: int) -> Iterator[tuple[Fault, ...]]:
        return itertools.combinations(
            [Fault("cancel", name, 0) for name, _ in self._victims] if number else (), number
        )

    def _explore(self, plan: tuple[Fault, ...], enough: Callable[[], bool]) -> None:
        """Every interleaving under these faults; notes what failed, and why it was left early."""
        owners = dict(self._victims.keys())
        needed = tuple(f"{owners[fault.task]} cancel 0" for fault in plan)
        tree = Tree(needed=needed, reduced=self._reduced)
        self._trees.append(tree)
        while not tree.over:
            try:
                ended = self._execute(tree, plan)
            except Diverged as error:
                self._left = f"the same choices led to different options: {error}"
                return
            if ended is not None:
                self._endings.setdefault((ended.how, ended.why, repr(ended.value)), ended)
                if ended.how in ("raised", "hang") and self._stop_at_failure:
                    self._fail(ended, tree, plan)
                    return
                if ended.how == "busy":
                    self._left = ended.why
            if enough() and not tree.over:
                self._left = "stopped before the end"
                return
        if tree.unfair:
            self._left = "some task waited for so long that others had to pause"

    def _execute(self, tree: Tree, plan: tuple[Fault, ...]) -> Ended | None:
        """One execution; None if its rest is known."""
        tidy()
        loop = TrackedLoop(tree, self._tracked, faults=plan, max_steps=self._max_steps)
        tree.begin()
        self._tracked.begin()
        try:
            ended = run_main(self._main, loop, self._seed)
        except Stop as stop:
            tree.end(stop.outlook)
            return None
        if not plan:
            for actor in loop.actors():
                self._victims.setdefault((actor.name, actor.owner.label))
        return ended if tree.end() else None

    def _fail(self, ended: Ended, tree: Tree, plan: tuple[Fault, ...]) -> None:
        """A failure counts if it shows again under a schedule written down."""
        done = self._executions
        follow = Follow(tree.last_order)
        recording = Recording(follow)
        loop = FollowedLoop(follow, recording, faults=plan, max_steps=self._max_steps)
        again = run_main(self._main, loop, self._seed)
        schedule = Schedule("portable", tuple(recording.choices), tuple(loop.met))
        if again.how != ended.how or follow.lost:
            verdict = Verdict("unknown", f"could not be repeated: {ended.why}", (), done)
            self._failed = verdict, None
            return
        finding = Finding("no failure", ended.why)
        self._failed = Verdict("violated", ended.why, (finding,), done), schedule


def run_main(main: Main, loop: ControlledLoop, seed: int) -> Ended:
    """Run the program once on this loop. Raises Stop and Diverged where its guide does."""
    before = enter(loop)
    _control.begin(seed, loop.time, whose(loop))
    try:
        return _run(main, loop)
    finally:
        here.sink = None
        loop.scheduler = Default()
        loop.dismiss()
        enter(before)
        loop.uncontrolled.extend(_control.end())


def _run(main: Main, loop: ControlledLoop) -> Ended:
    try:
        value = loop.run(main())
        ended = Ended("ok", "", value)
    except Blocked:
        ended = Ended("hang", "deadlock: nothing can ever happen again")
    except OutOfSteps:
        ended = Ended("busy", f"still busy after {loop.steps} steps")
    except asyncio.CancelledError:
        ended = Ended("cancelled") if loop.fired else Ended("raised", "CancelledError")
    except Diverged:
        raise
    except (Exception, SystemExit) as error:
        ended = Ended("raised", f"{type(error).__name__}: {error}")
    if isinstance(loop, TrackedLoop):
        loop.finish()
    return ended


def whose(loop: ControlledLoop) -> Callable[[], str]:
    """Tells the control whose random numbers are drawn; a draw changes the stream."""

    def owner() -> str:
        label = loop.owner().label
        if here.sink is not None:
            here.sink.touch((label, "draws"), WRITE)
        return label

    return owner
