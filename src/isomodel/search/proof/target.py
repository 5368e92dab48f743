"""Targets: every inequivalent interleaving of one scenario, each judged by all oracles."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import msgspec

from isomodel.engine.accesses import Tracked
from isomodel.engine.control.control import Control
from isomodel.engine.tracking.loop import TrackedLoop
from isomodel.engine.tracking.scope import classes_of, modules_from
from isomodel.engine.tracking.sink import here
from isomodel.engine.world import enter
from isomodel.schedulers.recording import Recording
from isomodel.search.judging.judge import Judge, Oracles
from isomodel.search.proof.follow import Follow, FollowedLoop
from isomodel.search.proof.program import whose
from isomodel.search.proof.run import ProofRun
from isomodel.search.proof.tree import Diverged, Limit, Stop, Tree
from isomodel.search.running.execute import MAX_STEPS, evidence, tidy
from isomodel.search.running.run import Run
from isomodel.targets.declare import TargetSpec
from isomodel.values.execution import Execution, Issue
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import Fault, Schedule
from isomodel.values.verdict import Finding

_control = Control()

STOPPED = "stopped before the end"
"""Why a scenario was left that could have gone on."""


class Covered(msgspec.Struct, frozen=True):
    """What was explored of one scenario.

    ``executions`` ran to their end and were judged; ``abandoned`` ones led to what was known.
    ``left`` says why it is not all, "" if it is. With a ``finding`` the rest was left, too, and
    ``execution`` shows it. ``succeeded`` names the operations that did, ``issues`` what was not
    under control.
    """

    executions: int = 0
    abandoned: int = 0
    transitions: int = 0
    plans: int = 0
    left: str = ""
    finding: Finding | None = None
    execution: Execution | None = None
    succeeded: tuple[str, ...] = ()
    observed: bool = False
    issues: tuple[Issue, ...] = ()
    also_alone: int = 0


def scope_of(spec: TargetSpec, packages: tuple[str, ...] = ()) -> Tracked:
    """What to track of a target: its own classes and modules, and those of these packages."""
    own = tuple({spec.cls.__module__.partition(".")[0], *packages} - {"isomodel"})
    if spec.cls.__module__.startswith("isomodel.targets."):
        own = (*own, spec.cls.__module__.rpartition(".")[0])
    modules = modules_from([spec.cls.__module__], own)
    return Tracked(classes_of(modules), modules)


class Prover:
    """Proves scenarios of one target, one after the other, while ``tracked`` is entered."""

    def __init__(
        self,
        spec: TargetSpec,
        tracked: Tracked,
        *,
        armed: tuple[str, ...] = (),
        oracles: Oracles = "all",
        faults: int = 0,
        limit: Limit | None = None,
        enough: Callable[[], bool] = lambda: False,
    ) -> None:
        self.spec = spec
        self.judge = Judge(spec, armed, oracles)
        self.tracked = tracked
        self._armed = armed
        self.faults = faults
        self.limit = limit
        self.enough = enough

    def prove(self, scenario: Scenario, most: int | None = None) -> Covered:
        """Explore the scenario, under every plan of faults; ends at the first finding.

        It is left after so many executions, if ``most`` is given.
        """
        while True:
            attempt = _Attempt(self, scenario, most)
            covered = attempt.run(self.faults)
            if not (self.tracked.learn() or attempt.learned):
                return covered

    def execute(self, scenario: Scenario, tree: Tree, plan: tuple[Fault, ...]) -> _Made:
        """One execution under the tree's guidance. Raises Stop where its rest is known."""
        tidy()
        loop = TrackedLoop(tree, self.tracked, faults=plan, max_steps=MAX_STEPS, record=True)
        run = ProofRun(self.spec, scenario, loop, armed=self._armed)
        self.tracked.begin()
        before = enter(run)
        _control.begin(scenario.seed, loop.time, whose(loop))
        try:
            run.everything()
        except Stop:
            run.abandon()
            raise
        finally:
            here.sink = None
            enter(before)
            issues = _control.end()
        schedule = Schedule("portable", (), tuple(loop.met))
        made = evidence(run, schedule, (*issues, *loop.uncontrolled), 0, 0)
        return _Made(made, loop)

    def again(self, scenario: Scenario, order: list[str], plan: tuple[Fault, ...]) -> _Again:
        """Repeat an order on the loop that findings name, with every choice written down."""
        follow = Follow(order)
        recording = Recording(follow)
        loop = FollowedLoop(follow, recording, faults=plan, max_steps=MAX_STEPS, record=True)
        run = Run(self.spec, scenario, loop, armed=self._armed)
        before = enter(run)
        _control.begin(scenario.seed, loop.time, whose(loop))
        try:
            run.everything()
        finally:
            enter(before)
            issues = _control.end()
        schedule = Schedule("portable", tuple(recording.choices), tuple(loop.met))
        made = evidence(
            run, schedule, (*issues, *loop.uncontrolled), recording.switches, follow.lost
        )
        return _Again(made, follow.lost)


class _Made:
    """An execution, and the loop it ran on."""

    def __init__(self, execution: Execution, loop: TrackedLoop) -> None:
        self.execution = execution
        self.loop = loop


class _Again(msgspec.Struct, frozen=True):
    execution: Execution
    lost: int


class _Attempt:
    """One try to prove one scenario; another one has to follow if something was ``learned``."""

    def __init__(self, prover: Prover, scenario: Scenario, most: int | None) -> None:
        self.learned = False
        self._most = most
        self._prover = prover
        self._scenario = scenario
        self._victims: dict[str, tuple[str, int]] = {}
        self._failing: dict[tuple[str, int], None] = {}
        self._succeeded: dict[str, None] = {}
        self._issues: dict[Issue, None] = {}
        self._observed = False
        self._also_alone = 0
        self._plans = 0
        self._trees: list[Tree] = []
        self._unknown = ""
        self._found: tuple[Finding, Execution] | None = None

    def run(self, faults: int) -> Covered:
        """All plans of up to so many faults, those with fewer first."""
        left = ""
        for number in range(faults + 1):
            for plan in self._plans_of(number):
                self._plans += 1
                left = self._explore(plan)
                if left or self._found or self.learned:
                    return self._covered(left)
        return self._covered(self._unknown)

    def _plans_of(self, number: int) -> Iterator[tuple[Fault, ...]]:
        faults = [Fault("cancel", name, at) for name, (_, at) in self._victims.items()]
        faults += [Fault("fail", label, nth) for label, nth in self._failing]
        return itertools.combinations(faults, number)

    def _explore(self, plan: tuple[Fault, ...]) -> str:
        """Every interleaving under these faults; why it was left early, if it was."""
        needed = tuple(
            f"{self._victims[fault.task][0]} cancel 0" for fault in plan if fault.kind == "cancel"
        )
        tree = Tree(needed=needed, limit=self._prover.limit)
        self._trees.append(tree)
        prover = self._prover
        while not tree.over:
            tree.begin()
            try:
                made = prover.execute(self._scenario, tree, plan)
            except Stop as stop:
                tree.end(stop.outlook)
            except Diverged as error:
                return f"the same choices led to different options: {error}"
            else:
                if tree.end():
                    self._judge(made, tree, plan)
                if self._found:
                    return ""
            if prover.tracked.sink.learned or prover.tracked.sink.met:
                self.learned = prover.tracked.learn()
                if self.learned:
                    return ""
            if not tree.over and (prover.enough() or self._has_had_its_share()):
                return STOPPED
        return "some task waited so long that others had to pause" if tree.unfair else ""

    def _has_had_its_share(self) -> bool:
        made = sum(tree.executions + tree.asleep + tree.cut_off for tree in self._trees)
        return self._most is not None and made >= self._most

    def _judge(self, made: _Made, tree: Tree, plan: tuple[Fault, ...]) -> None:
        execution, prover = made.execution, self._prover
        order = list(tree.last_order)
        judged = prover.judge(
            execution, lambda: prover.again(self._scenario, order, plan).execution
        )
        if judged.findings:
            self._confirm(judged.findings, order, plan)
            return
        self._unknown = self._unknown or judged.unknown
        self._also_alone += len(judged.also_alone)
        self._issues.update(dict.fromkeys(execution.uncontrolled))
        for event in execution.history:
            if event.kind == "ok":
                self._succeeded[event.name] = None
                self._observed = self._observed or event.value not in (None, [], {}, "")
        if len(plan) < prover.faults:
            self._meet(made.loop)

    def _meet(self, loop: TrackedLoop) -> None:
        """Note which faults this execution could have had."""
        labels = {operation.label for operation in self._scenario.operations}
        for actor in loop.actors():
            is_main = actor.name == actor.owner.label
            if actor.owner.label in labels and (is_main or self._prover.spec.cancels == "any"):
                self._victims.setdefault(actor.name, (actor.owner.label, int(is_main)))
        for label, nth in loop.failing:
            if label in labels:
                self._failing.setdefault((label, nth))

    def _confirm(
        self, findings: Sequence[Finding], order: list[str], plan: tuple[Fault, ...]
    ) -> None:
        """The first finding that shows on the loop it names, under a schedule written down."""
        prover = self._prover
        again = prover.again(self._scenario, order, plan)

        def repeat() -> Execution:
            return prover.again(self._scenario, order, plan).execution

        for finding in findings:
            same = prover.judge.same(again.execution, finding, repeat)
            if same is not None:
                self._found = same, again.execution
                return
        lost = f" ({again.lost} transitions were not possible)" if again.lost else ""
        self._unknown = self._unknown or f"not repeated{lost}: {findings[0].message}"

    def _covered(self, left: str) -> Covered:
        finding, execution = self._found or (None, None)
        return Covered(
            executions=sum(tree.executions for tree in self._trees),
            abandoned=sum(tree.cut_off + tree.asleep for tree in self._trees),
            transitions=sum(tree.transitions for tree in self._trees),
            plans=self._plans,
            left=left,
            finding=finding,
            execution=execution,
            succeeded=tuple(self._succeeded),
            observed=self._observed,
            issues=tuple(self._issues),
            also_alone=self._also_alone,
        )
