"""Noninterference of one joint execution: its alone runs, repeated and doubted before reporting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import msgspec

from isomodel.engine.protocol import Scheduler
from isomodel.oracles.noninterference import agreement, difference, observed, overdue
from isomodel.schedulers.random import RandomWalk
from isomodel.schedulers.timely import Timely
from isomodel.search.judging.witnesses import GivenUp, Try, faults_of, tries
from isomodel.search.running.execute import Alone, execute_alone
from isomodel.targets.declare import TargetSpec
from isomodel.values.execution import Execution
from isomodel.values.scenario import operation_of
from isomodel.values.verdict import Finding

WITNESSES = 400
"""Perturbed alone runs tried before a difference counts as interference.

They cost nothing until there is a difference. Few are not enough where a system pools what its
users share: one alarm on a sound client library had a witness in 9 of 400 alone runs.
"""

QUICK = 40
"""As many while shrinking, where every step would pay for all; the result is doubted fully."""


SATED = 0.5
"""When so large a share of these runs, in a row, repeated earlier ones, and each was repeated, the
search is over.

Those that are left would repeat them, too: a user with one operation can do little else alone. By
Good and Turing's estimate what comes next is new about as often as something has been seen only
once. Where a network is involved hardly two runs are the same, and none is left out.
"""


class Repetitions:
    """Counts runs by what happened in them, to tell when there is nothing new to see."""

    def __init__(self) -> None:
        self._times: Counter[int] = Counter()
        self._once = 0
        self._in_a_row = 0

    def add(self, run: Hashable) -> None:
        """One more run."""
        times = self._times[hash(run)] = self._times[hash(run)] + 1
        self._once += (times == 1) - (times == 2)
        self._in_a_row = self._in_a_row + 1 if times > 1 else 0

    def are(self, most: float) -> bool:
        """Whether so many in a row were seen before, and all more than once."""
        return self._in_a_row >= most and not self._once


class Judgement(msgspec.Struct, frozen=True):
    """Noninterference of one execution.

    ``also alone``: the difference is possible without the others, a matter of the user's own
    concurrency. ``unknown``: repeats of the same schedule differ, or a run reached its limit.
    """

    status: Literal["clean", "interference", "also alone", "unknown"]
    findings: tuple[Finding, ...] = ()
    reason: str = ""


def alone_of(joint: Execution, part: tuple[str, ...]) -> Alone:
    """What this part keeps of the joint run: what is its own, and what belongs to nobody."""
    return Alone(
        arrivals=tuple(
            arrival
            for arrival in joint.arrivals[: joint.operated]
            if not arrival.user or arrival.user in part
        ),
        forced={
            refusal.key: refusal
            for refusal in joint.refusals
            if refusal.justified and refusal.user in part
        },
        clocks={"+".join(part): joint.clocks.get("+".join(part), ())},
        until=_end(joint),
        jumps=_jumps(joint),
        starts=_starts(joint),
    )


def _starts(joint: Execution) -> dict[str, float]:
    """When the operations began that were not side by side, by the keys of their starts.

    One of several side by side may have begun jointly when others were over, and these may be
    slower alone.
    """
    beside: set[str] = set()
    for user in joint.scenario.users:
        own = [each for each in joint.scenario.operations if each.user == user]
        for one, other in pairwise(own):
            if other.beside:
                beside.update((one.label, other.label))
    operated = joint.arrivals[: joint.operated]
    starts = (each for each in operated if " start " in each.key)
    return {each.key: each.time for each in starts if each.key.partition(" ")[0] not in beside}


def _end(joint: Execution) -> float:
    """When the operations were over; where some never are, when anything came for them last."""
    hangs = joint.ended == "deadlock"
    operated = joint.arrivals[: joint.operated]
    return max((each.time for each in operated if each.user or not hangs), default=0.0)


def _jumps(joint: Execution) -> tuple[tuple[float, float], ...]:
    """Where the clock jumped, for whomsoever: from when to when."""
    pairs = pairwise(joint.arrivals[: joint.operated])
    return tuple((before.time, after.time) for before, after in pairs if " jump " in after.key)


class Isolation:
    """Judges executions of one target; remembers alone runs whose inputs were the same.

    ``runs`` and ``steps`` count the alone runs made and their steps: what this oracle costs.
    """

    def __init__(
        self, spec: TargetSpec, armed: tuple[str, ...] = (), witnesses: int = WITNESSES
    ) -> None:
        self._witnesses = witnesses
        self._spec = spec
        self._armed = armed
        self._memory: dict[Any, Execution] = {}
        self.runs = 0
        self.steps = 0

    def judge(
        self,
        joint: Execution,
        again: Callable[[], Execution],
        wanted: Callable[[Finding], bool] = lambda finding: True,
    ) -> Judgement:
        """Compare every part of this execution with its projected alone run.

        ``again`` repeats the joint execution; it is asked for only where they differ. A difference
        that is not ``wanted`` is not looked into. What one part could have seen alone does not
        excuse what another part saw.
        """
        if joint.ended in ("step limit", "crash"):
            return Judgement("unknown", reason=f"the execution ended by {joint.ended}")
        refused = overdue(joint)
        if refused:
            return Judgement("interference", tuple(refused))
        if len(joint.scenario.parts()) < 2:
            return Judgement("clean")
        excused = Judgement("clean")
        for part in joint.scenario.parts():
            alone = self._alone(joint, part)
            finding = difference(joint, alone, part)
            if finding is None:
                continue
            if not wanted(finding):
                excused = Judgement("unknown", reason="another difference")
                continue
            judgement = self._doubt(joint, again, part, alone, finding)
            if judgement.status != "also alone":
                return judgement
            if excused.status == "clean":
                excused = judgement
        return excused

    def _alone(self, joint: Execution, part: tuple[str, ...], fresh: bool = False) -> Execution:
        scenario = joint.scenario.only(part)
        kept = alone_of(joint, part)
        faults = faults_of(joint, part)
        fidelity = joint.schedule.fidelity
        key = msgspec.json.encode((scenario, kept, faults, fidelity))
        if not fresh and key in self._memory:
            return self._memory[key]
        self.runs += 1
        result = execute_alone(
            self._spec, scenario, kept, fidelity=fidelity, faults=faults, armed=self._armed
        )
        self.steps += result.steps
        if len(self._memory) > 5_000:
            self._memory.clear()
        self._memory[key] = result
        return result

    def _doubt(
        self,
        joint: Execution,
        again: Callable[[], Execution],
        part: tuple[str, ...],
        alone: Execution,
        finding: Finding,
    ) -> Judgement:
        """Only a difference that repeats, and that no alone run can show, is interference."""
        if alone.ended in ("step limit", "crash"):
            return Judgement("unknown", reason=f"an alone run ended by {alone.ended}")
        alone_again = self._alone(joint, part, fresh=True)
        if observed(alone_again, part) != observed(alone, part):
            return Judgement("unknown", reason=_unstable(alone_again, "an alone run"))
        joint_again = again()
        if observed(joint_again, part) != observed(joint, part):
            return Judgement("unknown", reason=_unstable(joint_again, "the joint run"))
        runs = self.runs
        if self._witness(joint, alone, part):
            return Judgement("also alone", (finding,))
        evidence = {**finding.evidence, "tried": self.runs - runs}
        finding = msgspec.structs.replace(finding, evidence=evidence)
        return Judgement("interference", (finding,))

    def _witness(self, joint: Execution, alone: Execution, part: tuple[str, ...]) -> bool:
        """Whether some alone run under another schedule shows what was seen jointly.

        What differs in several places needs several departures from the recorded order at once.
        So beside those that start from it, some start from the run that has come nearest so far.
        """
        wanted = observed(joint, part)
        kept = alone_of(joint, part)
        nearest = _Nearest(kept, Try(faults_of(joint, part)), agreement(alone, wanted))
        repetitions = Repetitions()
        for attempt in tries(joint, alone, part, self._witnesses):
            pair = [(kept, attempt)]
            if attempt.nearby is not None:
                climbing = msgspec.structs.replace(nearest.attempt, nearby=attempt.nearby)
                pair.append((nearest.kept, climbing))
            for basis, tried in pair:
                execution = self._try(joint, basis, tried, part)
                if observed(execution, part) == wanted:
                    return True
                agrees = agreement(execution, wanted)
                if agrees >= nearest.agrees:
                    nearest = _Nearest(_follow(execution, kept, part), tried, agrees)
                if tried is attempt:  # those that climb repeat one another
                    steps = tuple((step.task, step.what) for step in execution.trace)
                    repetitions.add((tried.faults, steps))
            if repetitions.are(SATED * self._witnesses):
                return False
        return False

    def _try(self, joint: Execution, kept: Alone, attempt: Try, part: tuple[str, ...]) -> Execution:
        self.runs += 1
        execution = execute_alone(
            self._spec,
            joint.scenario.only(part),
            _unbegun(kept, attempt.given_up),
            fidelity=joint.schedule.fidelity,
            faults=attempt.faults,
            armed=self._armed,
            scheduler=None if attempt.walk is None else _walk(attempt.walk, kept),
            nearby=attempt.nearby,
            late=attempt.late,
        )
        self.steps += execution.steps
        return execution


def _walk(seed: int, kept: Alone) -> Scheduler:
    return Timely(RandomWalk(seed), kept.starts)


class _Nearest(NamedTuple):
    """The alone run that agrees with the joint one in most places: how to start from it."""

    kept: Alone
    attempt: Try
    agrees: int


def _follow(execution: Execution, kept: Alone, part: tuple[str, ...]) -> Alone:
    """What an alone run keeps that departs from this one, with the refusals of the joint run."""
    return msgspec.structs.replace(
        alone_of(execution, part), forced=kept.forced, until=kept.until, jumps=kept.jumps
    )


def _unbegun(kept: Alone, given_up: GivenUp) -> Alone:
    """What is kept where these operations are given up before they begin."""
    if not given_up:
        return kept
    arrivals = tuple(
        arrival for arrival in kept.arrivals if not _is_of(arrival.key, given_up.keys())
    )
    return msgspec.structs.replace(kept, arrivals=arrivals, given_up=given_up)


def _is_of(key: str, labels: AbstractSet[str]) -> bool:
    """Whether this arrival came for one of these operations, after its start."""
    who, _, what = operation_of(key).partition(" ")
    return who.partition("/")[0] in labels and not what.startswith("start ")


def _unstable(execution: Execution, which: str) -> str:
    if execution.uncontrolled:
        issue = execution.uncontrolled[0]
        return f"{which} repeated differently: {issue.source} at {issue.where} is not controlled"
    return (
        f"{which} repeated differently; usual causes: iterating a set, id(), or state kept in a "
        "module between executions"
    )
