"""Programs: proof for any coroutine function, without declaring a target."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from isomodel.engine.accesses import Tracked
from isomodel.engine.control import Control
from isomodel.engine.loop import Blocked, ControlledLoop, OutOfSteps
from isomodel.engine.tracking.loop import TrackedLoop
from isomodel.engine.tracking.scope import classes_of, modules_from
from isomodel.engine.tracking.sink import WRITE, here
from isomodel.engine.world import enter
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.recording import Recording
from isomodel.search.execute import session, tidy
from isomodel.search.program import Main
from isomodel.search.proof.follow import Follow, FollowedLoop
from isomodel.search.proof.tree import Diverged, Stop, Tree
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
    proof = _Proof(main, seed, max_steps, reduced)
    limit = _Limit(seconds, executions)
    modules = modules_from([main.__module__])
    scope = Tracked(classes_of(modules), modules)
    with session(), _control.installed(), scope as tracked:
        while True:
            outcome = proof.run(tracked, faults, limit, stop_at_failure)
            if not tracked.learn() or outcome.verdict.status != "ok":
                return outcome


class _Limit:
    """When to stop early."""

    def __init__(self, seconds: float | None, executions: int | None) -> None:
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._executions = executions

    def reached(self, executions: int) -> bool:
        """Whether it is time."""
        if self._executions is not None and executions >= self._executions:
            return True
        return self._deadline is not None and time.monotonic() > self._deadline


class _Proof:
    """Explores one program, under one plan of faults after the other."""

    def __init__(self, main: Main, seed: int, max_steps: int, reduced: bool) -> None:
        self._main = main
        self._seed = seed
        self._max_steps = max_steps
        self._reduced = reduced

    def run(
        self, tracked: Tracked, faults: int, limit: _Limit, stop_at_failure: bool
    ) -> ProgramProof:
        """All plans; ends at the first failure."""
        trees: list[Tree] = []
        endings: dict[Any, Ended] = {}
        victims: dict[tuple[str, str], None] = {}
        left = ""
        plans: Iterator[tuple[Fault, ...]] = iter([()])
        for number in range(faults + 1):
            if number:
                plans = itertools.combinations(
                    [Fault("cancel", name, 0) for name, _ in victims], number
                )
            for plan in plans:
                owners = dict(victims.keys())
                needed = tuple(f"{owners[fault.task]} cancel 0" for fault in plan)
                tree = Tree(needed=needed, reduced=self._reduced)
                trees.append(tree)
                while not tree.over:
                    try:
                        ended = self._execute(tree, tracked, plan, victims)
                    except Diverged as error:
                        left = f"the same choices led to different options: {error}"
                        break
                    if ended is not None:
                        endings.setdefault((ended.how, ended.why, repr(ended.value)), ended)
                        if ended.how in ("raised", "hang") and stop_at_failure:
                            return self._violated(ended, tree, plan, trees, endings)
                        if ended.how == "busy":
                            left = ended.why
                    if limit.reached(sum(each.executions for each in trees)) and not tree.over:
                        left = "stopped before the end"
                        break
                if tree.unfair:
                    left = "some task waited for so long that others had to pause"
                if left:
                    break
            if left:
                break
        done = sum(tree.executions for tree in trees)
        abandoned = sum(tree.cut_off + tree.asleep for tree in trees)
        blind = f"; nothing could be told apart, because of {', '.join(tracked.blind)}"
        note = blind if tracked.blind else ""
        if left:
            verdict = Verdict("unknown", f"{left}: {done} executions{note}", (), done)
        else:
            verdict = Verdict(
                "ok",
                f"all interleavings with up to {faults} faults, as {done} executions (portable)"
                + note,
                (),
                done,
            )
        return ProgramProof(verdict, done, abandoned, tuple(endings.values()))

    def _execute(
        self,
        tree: Tree,
        tracked: Tracked,
        plan: tuple[Fault, ...],
        victims: dict[tuple[str, str], None],
    ) -> Ended | None:
        """One execution; None if its rest is known."""
        tidy()
        loop = TrackedLoop(tree, tracked, faults=plan, max_steps=self._max_steps)
        tree.begin()
        tracked.begin()
        try:
            ended = run_main(self._main, loop, self._seed)
        except Stop as stop:
            tree.end(stop.outlook)
            return None
        if not plan:
            for actor in loop.actors():
                victims.setdefault((actor.name, actor.owner.label))
        return ended if tree.end() else None

    def _violated(
        self,
        ended: Ended,
        tree: Tree,
        plan: tuple[Fault, ...],
        trees: list[Tree],
        endings: dict[Any, Ended],
    ) -> ProgramProof:
        done = sum(each.executions for each in trees)
        follow = Follow(tree.last_order)
        recording = Recording(follow)
        loop = FollowedLoop(follow, recording, faults=plan, max_steps=self._max_steps)
        again = run_main(self._main, loop, self._seed)
        schedule = Schedule("portable", tuple(recording.choices), tuple(loop.met))
        if again.how != ended.how or follow.lost:
            verdict = Verdict("unknown", f"could not be repeated: {ended.why}", (), done)
            return ProgramProof(verdict, done, 0, tuple(endings.values()))
        finding = Finding("no failure", ended.why)
        verdict = Verdict("violated", ended.why, (finding,), done)
        return ProgramProof(verdict, done, 0, tuple(endings.values()), schedule)


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
