"""A kept counterexample as a test: who does what, in which order, and what must hold.

    STORY = Story(
        target="myapp.iso:Mail",
        property="no leaked secret",
        at="send",
        operations=[do("alice.1", "send", text="hello"), do("bob.1", "send", text="hi")],
        schedule=[switch(after="alice.1", step=1, to="bob.1 start 0")],
    )

    def test_story():
        STORY.holds()

It is replayed, never searched for; it names tasks, steps and operations, never source lines.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

from isomodel.bridges.explain import explain
from isomodel.bridges.failure import Unknown
from isomodel.bridges.options import OPTIONS
from isomodel.bridges.wording import NAMES, happens
from isomodel.schedulers.replay import Replay
from isomodel.search.cases import make
from isomodel.search.judging.isolate import QUICK, WITNESSES
from isomodel.search.judging.judge import Judge
from isomodel.search.running.execute import check_fits, execute
from isomodel.targets.declare import TargetSpec
from isomodel.targets.resolve import check_armed, resolve
from isomodel.values.errors import BadInput, Violated
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import STRIKES, Fault, Fidelity, Schedule, Switch
from isomodel.values.verdict import Finding


def do(label: str, operation: str, /, **arguments: Any) -> Operation:
    """``do("alice.1", "send", text="hello")``: alice's first operation is ``send``.

    A user's operations run one after another, in the order listed.
    """
    return Operation(label, _user_of(label), operation, arguments)


def beside(label: str, operation: str, /, **arguments: Any) -> Operation:
    """Like ``do``, but it starts without waiting for this user's previous operation to end."""
    return Operation(label, _user_of(label), operation, arguments, beside=True)


def made(label: str) -> dict[str, str]:
    """As an argument: the handle that the operation of this label made."""
    return {"made": label}


def switch(*, after: str, step: int, to: str, nth: int = 0) -> Switch:
    """Once task ``after`` has taken ``step`` steps, ``to`` happens instead of the usual.

    Without ``after``: before anything has run. ``nth`` counts the choices at one point.
    """
    return Switch(after, step, to, nth)


def cancel(task: str, *, after: int) -> Fault:
    """The task is cancelled once it has taken so many steps."""
    return Fault("cancel", task, after)


def timeout(task: str, *, after: int) -> Fault:
    """A time limit of the caller's passes once the operation has taken so many steps."""
    return Fault("timeout", task, after)


def scope(task: str, *, after: int) -> Fault:
    """The caller leaves anyio's cancel scope once the operation has taken so many steps."""
    return Fault("scope", task, after)


def fail(task: str, *, io: int) -> Fault:
    """The task's simulated I/O of this number, from 0, fails."""
    return Fault("fail", task, io)


def slow(task: str, *, io: int) -> Fault:
    """The task's simulated I/O of this number, from 0, outlasts every pending timer."""
    return Fault("slow", task, io)


def jump(task: str, *, timer: int) -> Fault:
    """The clock jumps past every pending timer while the task's timer of this number is one."""
    return Fault("jump", task, timer)


def refuse(task: str, *, event: int) -> Fault:
    """The task's network event of this number, from 0, a connect, is refused."""
    return Fault("refuse", task, event)


def reset(task: str, *, event: int) -> Fault:
    """Instead of the task's network event of this number its connection is reset."""
    return Fault("reset", task, event)


def split(task: str, *, event: int) -> Fault:
    """The bytes of the task's network event of this number come in three pieces."""
    return Fault("split", task, event)


def partition(task: str, *, event: int) -> Fault:
    """From the task's network event of this number on, its connection is silent."""
    return Fault("partition", task, event)


def stale(task: str, *, event: int) -> Fault:
    """Instead of the task's network event of this number, a request, its connection is closed."""
    return Fault("stale", task, event)


class StoryWarning(UserWarning):
    """A story's schedule did not fit in part: the program has changed since it was kept."""


class Story:
    """A scenario and a schedule under which ``property`` broke, in operation ``at``.

    ``defects`` names faults of the target, each of which makes the story fail when armed;
    "a+b" arms two at once. ``diverges`` says why the system no longer comes to the points of
    the schedule, where that is what repaired it ("the lock is held across the query"). ``path``
    are folders to import the target from, too, as ``--path`` of the commands.
    """

    def __init__(
        self,
        *,
        target: str,
        property: str,
        at: str,
        operations: Sequence[Operation],
        schedule: Sequence[Switch] = (),
        faults: Sequence[Fault] = (),
        fidelity: Fidelity = "stock",
        defects: Sequence[str] = (),
        seed: int = 0,
        groups: Sequence[Sequence[str]] = (),
        diverges: str = "",
        runtime: str = "asyncio",
        path: Sequence[str | os.PathLike[str]] = (),
    ) -> None:
        self.target = target
        self.path = tuple(map(os.path.realpath, path))
        self.runtime = runtime
        self.property = property
        self.at = at
        self.defects = tuple(defects)
        self.diverges = diverges
        together = tuple(tuple(group) for group in groups)
        self.scenario = Scenario(tuple(operations), seed, together)
        self.schedule = Schedule(fidelity, tuple(schedule), tuple(faults))

    def holds(self) -> None:
        """Replay the story: every property must hold.

        Raises Violated with the explained counterexample; Unknown if the story did not take
        place, so that nothing was shown; BadInput if it no longer fits its target. A story of
        which a part did not take place holds with a StoryWarning that names the part.
        """
        __tracebackhide__ = True
        spec, armed = self._fitting(OPTIONS.arm)
        run = _Replayed(spec, self.scenario, self.schedule, armed)
        judged = run.judge(run.execution, run.again)
        if judged.findings:
            raise Violated(self._explained(spec, armed, run.execution, judged.findings[0]))
        self._took_place(run)
        if judged.unknown:
            raise Unknown(f"{self.target}: {judged.unknown}")

    def fails(self, armed: str) -> None:
        """Replay the story with this defect: the same property must break, in the same place.

        That is what shows that ``holds`` would notice. Raises Unknown where it does not break.
        """
        __tracebackhide__ = True
        spec, defects = self._fitting(armed)
        # it was doubted fully when it was found
        run = _Replayed(spec, self.scenario, self.schedule, defects, witnesses=QUICK)
        wanted = Finding(self.property, "", operation=self.at)
        if run.judge.same(run.execution, wanted, run.again) is not None:
            return
        others = [f.property for f in run.judge(run.execution, run.again).findings]
        instead = f"; it breaks {', '.join(dict.fromkeys(others))} instead" if others else ""
        missed = f"; {_missed(run)}" if run.missed else ""
        raise Unknown(
            f"with {armed} armed, {self.property!r} does not break in {self.at!r}"
            f"{instead}{missed}; hunt again with {armed} armed and keep the new case"
        )

    def _fitting(self, defects: str) -> tuple[TargetSpec, tuple[str, ...]]:
        spec = resolve(self.target, self.path, self.runtime)
        check_fits(spec, self.scenario, "this story")
        armed = tuple(defects.split("+")) if defects else ()
        check_armed(spec, armed)
        return spec, armed

    def _took_place(self, run: _Replayed) -> None:
        """Raise Unknown if this was another story, warn if parts of it were."""
        begun = {event.label for event in run.execution.history if event.kind == "invoke"}
        for operation in self.scenario.operations:
            if operation.label not in begun:
                raise Unknown(
                    f"{operation.label} ({operation.name}) never ran, so the story shows nothing; "
                    "hunt again and keep the new case"
                )
        if not run.missed:
            return
        parts = len(self.schedule.choices) + len(self.schedule.faults)
        text = f"{self.target} no longer follows this story: {_missed(run)}"
        if len(run.missed) == parts and not (self.defects or self.diverges):
            raise Unknown(
                f"{text}. Hunt again and keep the new case; or, if that is what the repair "
                'changed, say so in the story: diverges="..."'
            )
        if not self.diverges:
            warnings.warn(text, StoryWarning, stacklevel=3)

    def _explained(
        self, spec: TargetSpec, armed: tuple[str, ...], execution: Execution, finding: Finding
    ) -> str:
        case = make(
            spec.name,
            armed,
            self.scenario,
            self.schedule,
            finding,
            switches=execution.switches,
            runtime=spec.runtime,
        )
        return explain(case, execution)


class _Following(Replay):
    """A replay that tells which stored choices never came up."""

    @property
    def left(self) -> tuple[Switch, ...]:
        return tuple(self._choices.values())


class _Replayed:
    """A story's execution, its judge, and what of the schedule found no counterpart."""

    def __init__(
        self,
        spec: TargetSpec,
        scenario: Scenario,
        schedule: Schedule,
        armed: tuple[str, ...],
        witnesses: int = WITNESSES,
    ) -> None:
        self._run = partial(
            execute,
            spec,
            scenario,
            fidelity=schedule.fidelity,
            faults=schedule.faults,
            armed=armed,
        )
        self._schedule = schedule
        self.judge = Judge(spec, armed, witnesses=witnesses)
        replay = _Following(schedule.choices)
        self.execution = self._run(replay)
        absent = [f for f in schedule.faults if f not in self.execution.schedule.faults]
        self.missed: list[Switch | Fault] = [*replay.missed, *replay.left, *absent]

    def again(self) -> Execution:
        """The same once more."""
        return self._run(Replay(self._schedule.choices))


def _missed(run: _Replayed) -> str:
    """The first part of the schedule that did not take place, in words."""
    first = run.missed[0]
    more = f" (and {len(run.missed) - 1} more)" if len(run.missed) > 1 else ""
    if isinstance(first, Fault):
        number = "" if first.kind in STRIKES else f" (number {first.at})"
        return f"{first.task} ended before its {NAMES[first.kind]}{number}{more}"
    point = f"at step {first.step} of {first.after}" if first.after else "at the start"
    return f"{point} it was no longer possible that {happens(first.to)}{more}"


def _user_of(label: str) -> str:
    user, dot, _ = label.rpartition(".")
    if not dot or not user:
        raise BadInput(f"{label!r} is no label; write user and number: 'alice.1'")
    return user
