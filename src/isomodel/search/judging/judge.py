"""Judging one execution by every oracle: the invariants, then noninterference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from isomodel.oracles import INVARIANTS
from isomodel.oracles.noninterference import NAME as NONINTERFERENCE
from isomodel.oracles.protocol import Invariant
from isomodel.search.judging.isolate import WITNESSES, Isolation
from isomodel.targets.declare import TargetSpec
from isomodel.values.execution import Execution
from isomodel.values.verdict import Finding

CRASH = "no crash"

Oracles = Literal["all", "noninterference", "invariants"]


class Judged(msgspec.Struct, frozen=True):
    """What all oracles say of one execution; ``unknown`` is why noninterference cannot tell."""

    findings: tuple[Finding, ...] = ()
    unknown: str = ""
    also_alone: tuple[Finding, ...] = ()


class Judge:
    """Applies the oracles to executions of one target.

    Noninterference costs alone runs, so it is asked only where no invariant has spoken.
    """

    def __init__(
        self,
        spec: TargetSpec,
        armed: tuple[str, ...] = (),
        oracles: Oracles = "all",
        witnesses: int = WITNESSES,
    ) -> None:
        self.isolation = Isolation(spec, armed, witnesses)
        self._invariants: tuple[Invariant, ...] = (
            () if oracles == "noninterference" else tuple(INVARIANTS)
        )
        self._interference = oracles != "invariants"

    def __call__(self, execution: Execution, again: Callable[[], Execution]) -> Judged:
        """Every finding about this execution, the most telling first; ``again`` repeats it."""
        findings = [
            finding for invariant in self._invariants for finding in invariant.check(execution)
        ]
        if execution.ended == "crash":
            findings.insert(
                0, Finding(CRASH, f"the target would end the process: {execution.error}")
            )
        if findings:
            return Judged(tuple(findings))
        if execution.ended == "step limit":
            return Judged(unknown=_busy(execution))
        if not self._interference:
            return Judged()
        judgement = self.isolation.judge(execution, again)
        if judgement.status == "interference":
            return Judged(judgement.findings)
        if judgement.status == "also alone":
            return Judged(also_alone=judgement.findings)
        return Judged(unknown=judgement.reason)

    def same(
        self, execution: Execution, finding: Finding, again: Callable[[], Execution]
    ) -> Finding | None:
        """The finding of the same failure in this execution, judged by its own oracle only."""
        if finding.property == CRASH:
            return finding if execution.ended == "crash" else None
        if finding.property == NONINTERFERENCE:
            judgement = self.isolation.judge(execution, again, finding.same_failure)
            found = judgement.findings if judgement.status == "interference" else ()
        else:
            found = tuple(
                other
                for invariant in INVARIANTS
                if invariant.name == finding.property
                for other in invariant.check(execution)
            )
        return next((other for other in found if other.same_failure(finding)), None)


def _busy(execution: Execution) -> str:
    """Why this execution never came to an end, the same for all that are busy in one place."""
    swallowed = next((left for left in execution.leftovers if "swallows" in left.what), None)
    place = execution.waiting[0].partition(" waits at ")[2] if execution.waiting else "its start"
    reason = f"an execution was still busy when its steps ran out, at {place}"
    return f"{reason}; a task swallows its cancellation" if swallowed else reason
