"""Noninterference of one joint execution: its alone runs, repeated and doubted before reporting."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from isomodel.oracles.noninterference import difference, observed, overdue
from isomodel.schedulers.random import RandomWalk
from isomodel.search.execute import Alone, execute_alone
from isomodel.search.simplest import possible_faults
from isomodel.targets.declare import TargetSpec
from isomodel.values.execution import Execution
from isomodel.values.schedule import OF_IO, STRIKES, Fault
from isomodel.values.verdict import Finding

WITNESSES = 400
"""Perturbed alone runs tried before a difference counts as interference.

They cost nothing until there is a difference. Few are not enough where a system pools what its
users share: one alarm on a sound client library had a witness in 9 of 400 alone runs.
"""

QUICK = 40
"""As many while shrinking, where every step would pay for all; the result is doubted fully."""


MORE = 3
"""Network events that an operation may have alone beyond those seen: it connects by itself."""


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
    )


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

    def judge(self, joint: Execution, again: Callable[[], Execution]) -> Judgement:
        """Compare every part of this execution with its projected alone run.

        ``again`` repeats the joint execution; it is asked for only where they differ.
        """
        if joint.ended in ("step limit", "crash"):
            return Judgement("unknown", reason=f"the execution ended by {joint.ended}")
        refused = overdue(joint)
        if refused:
            return Judgement("interference", tuple(refused))
        if len(joint.scenario.parts()) < 2:
            return Judgement("clean")
        for part in joint.scenario.parts():
            alone = self._alone(joint, part)
            finding = difference(joint, alone, part)
            if finding is not None:
                return self._doubt(joint, again, part, alone, finding)
        return Judgement("clean")

    def _alone(self, joint: Execution, part: tuple[str, ...], fresh: bool = False) -> Execution:
        scenario = joint.scenario.only(part)
        kept = alone_of(joint, part)
        faults = _faults_of(joint, part)
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
        if self._witness(joint, alone, part):
            return Judgement("also alone", (finding,))
        return Judgement("interference", (finding,))

    def _witness(self, joint: Execution, alone: Execution, part: tuple[str, ...]) -> bool:
        """Whether some alone run under another schedule shows what was seen jointly."""
        wanted = observed(joint, part)
        scenario = joint.scenario.only(part)
        kept = alone_of(joint, part)
        faults = _faults_of(joint, part)
        for struck, seed in self._tries(faults, list(_weather(joint, alone, part))):
            self.runs += 1
            execution = execute_alone(
                self._spec,
                scenario,
                kept,
                fidelity=joint.schedule.fidelity,
                faults=struck,
                armed=self._armed,
                scheduler=RandomWalk(seed) if seed is not None and seed % 4 < 2 else None,
                nearby=seed,
            )
            self.steps += execution.steps
            if observed(execution, part) == wanted:
                return True
        return False

    def _tries(
        self, faults: tuple[Fault, ...], weather: list[tuple[Fault, ...]]
    ) -> Iterator[tuple[tuple[Fault, ...], int | None]]:
        """Faults and seeds of the schedules of the witnesses; without one, the projected one."""
        for struck in weather:
            yield struck, None
        for seed in range(self._witnesses):
            elsewhere = bool(weather) and seed % 4 > 0
            struck = weather[seed % len(weather)] if elsewhere else _varied(faults, seed)
            yield struck, seed


def _faults_of(joint: Execution, part: tuple[str, ...]) -> tuple[Fault, ...]:
    """The part's own faults, but for those that came when their operation was over."""
    labels = {o.label for o in joint.scenario.operations if o.user in part}
    return tuple(
        fault
        for fault in joint.schedule.faults
        if fault.task.partition("/")[0] in labels
        and (fault.kind not in STRIKES or fault.task not in labels or fault in joint.fired)
    )


def _weather(
    joint: Execution, alone: Execution, part: tuple[str, ...]
) -> Iterator[tuple[Fault, ...]]:
    """The part's own faults, with one of the network striking wherever it could strike alone.

    Networks fail for whoever uses them: a fault of a connection that this part has used, too, or
    of a connect, is nobody else's doing. One of a connection that only others used is not among
    them: what comes of that for this part, comes from the others.

    A request that met a connection closed while it was idle is tried likewise: a server that
    closes what nobody uses has not been told to by anyone. One that was made to close it has.
    """
    own = _faults_of(joint, part)
    labels = [operation.label for operation in joint.scenario.operations if operation.user in part]
    known = [fault.at for run in (joint, alone) for fault in possible_faults(run, {"reset"})]
    places = range(max(known, default=0) + MORE)
    for hit in dict.fromkeys(joint.hits):
        if hit.users and not set(hit.users) & set(part):
            continue
        rest = tuple(fault for fault in own if fault != hit.fault)
        for label in [hit.fault.task] if hit.fault.kind == "stale" else labels:
            for at in places:
                yield (*rest, Fault(hit.fault.kind, label, at))


def _varied(faults: tuple[Fault, ...], seed: int) -> tuple[Fault, ...]:
    """Every second time, the same faults at an earlier step, those of I/O also at a later one.

    An operation that finds alone what it had to make or wait for jointly takes fewer steps, so
    that a fault in its last ones would never strike. One that finds nothing there has to connect
    first, so that its later I/O has higher numbers.
    """
    if seed % 2 == 0:
        return faults
    draw = random.Random(seed)
    return tuple(Fault(each.kind, each.task, _moved(each, draw)) for each in faults)


def _moved(fault: Fault, draw: random.Random) -> int:
    first = min(fault.at, fault.kind in STRIKES)
    return draw.randint(first, fault.at + (MORE if fault.kind in OF_IO else 0))


def _unstable(execution: Execution, which: str) -> str:
    if execution.uncontrolled:
        issue = execution.uncontrolled[0]
        return f"{which} repeated differently: {issue.source} at {issue.where} is not controlled"
    return (
        f"{which} repeated differently; usual causes: iterating a set, id(), or state kept in a "
        "module between executions"
    )
