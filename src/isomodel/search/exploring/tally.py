"""The tally of a hunt: what was checked, and so what its verdict rests on."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import msgspec

from isomodel.search.judging.isolate import Isolation
from isomodel.targets.declare import TargetSpec
from isomodel.values.execution import Execution, Issue
from isomodel.values.trace import apart
from isomodel.values.verdict import Finding, Verdict

EXAMPLES = 3
"""Differences kept of those that the user could have seen alone."""


class Outcome(msgspec.Struct, frozen=True):
    """What a hunt found. ``execution`` is the violating one with its schedule and trace.

    ``steps`` and ``alone_steps`` count what the joint executions took and what noninterference
    added to it; ``also_alone`` the differences that the user's own concurrency explains.
    """

    verdict: Verdict
    execution: Execution | None = None
    finding: Finding | None = None
    index: int = 0
    alone_runs: int = 0
    alone_steps: int = 0
    steps: int = 0
    also_alone: int = 0
    examples: tuple[Finding, ...] = ()
    """Some of those differences, each in another operation."""
    issues: tuple[Issue, ...] = ()
    policy: str = ""
    """That drew the violating execution."""


class Tally:
    """Counts what was checked, so that a green verdict says on what it rests."""

    def __init__(self, spec: TargetSpec) -> None:
        self.executions = 0
        self.steps = 0
        self.also_alone = 0
        self._examples: dict[str, Finding] = {}
        self.issues: dict[Issue, None] = {}
        self._spec = spec
        self._unknown: Counter[str] = Counter()
        self._succeeded: set[str] = set()
        self._begun: set[str] = set()
        self._errors: dict[str, str] = {}
        self._observed = False
        self._together = False

    @property
    def examples(self) -> tuple[Finding, ...]:
        """Differences that are possible alone, too: the first few, each in another operation."""
        return tuple(itertools.islice(self._examples.values(), EXAMPLES))

    def add(self, execution: Execution, unknown: str, also_alone: Sequence[Finding]) -> None:
        """Count one execution without a finding."""
        self.executions += 1
        self.steps += execution.steps
        self.also_alone += len(also_alone)
        for finding in also_alone:
            self._examples.setdefault(finding.operation, finding)
        self._together = self._together or len(execution.scenario.users) > 1
        for issue in execution.uncontrolled:
            self.issues.setdefault(issue)
        if unknown:
            self._unknown[unknown] += 1
        if execution.error:
            self._unknown[execution.error] += 1
        for event in execution.history:
            if event.kind == "ok":
                self._succeeded.add(event.name)
                self._observed = self._observed or _says_something(event.value)
            elif event.kind in ("fail", "hang") and event.name not in self._errors:
                self._errors[event.name] = _error_text(event.value)
            elif event.kind == "invoke":
                self._begun.add(event.name)
        if not self._observed:
            finals = (
                entry[2]
                for entries in execution.observations.values()
                for entry in entries
                if entry[1] == "ok"
            )
            self._observed = any(_says_something(value) for value in finals)

    def audit(self, first: Execution, second: Execution) -> None:
        """Note it if two executions with the same inputs were not the same."""
        if first.observations == second.observations and first.trace == second.trace:
            return
        step = next(
            (
                f"step {position}: {apart(one, other)}"
                for position, (one, other) in enumerate(
                    zip(first.trace, second.trace, strict=False)
                )
                if one != other
            ),
            "the same steps, but other observations",
        )
        self._unknown[
            f"the same inputs gave two different executions ({step}); usual causes: state kept in "
            "a module between executions, iterating a set, id(), threads"
        ] += 1

    def outcome(self, isolation: Isolation) -> Outcome:
        """The verdict on a hunt without a finding: ``ok``, or ``unknown`` and why."""
        reasons = self._reasons()
        if reasons:
            verdict = Verdict("unknown", "; ".join(reasons), (), self.executions)
        else:
            reason = f"nothing found in {self.executions} executions, {self.steps} steps"
            verdict = Verdict("ok", reason, (), self.executions)
        return Outcome(
            verdict,
            alone_runs=isolation.runs,
            alone_steps=isolation.steps,
            steps=self.steps,
            also_alone=self.also_alone,
            examples=self.examples,
            issues=tuple(self.issues),
        )

    def _reasons(self) -> list[str]:
        if not self.executions:
            return ["no execution was run"]
        reasons = []
        for name in sorted(self._spec.operations):
            if name not in self._succeeded:
                never = "it never ended" if name in self._begun else "it was never reached"
                error = self._errors.get(name, never)
                reasons.append(f"operation {name} never succeeded ({error})")
        if not self._observed and not self._spec.once:
            reasons.append(
                "no user observed anything: return values from operations or add @observe methods"
            )
        if not self._together and not self._spec.once:
            reasons.append("no execution had two users")
        for issue in self.issues:
            reasons.append(f"not under control: {issue.source} at {issue.where}")
        for reason, times in self._unknown.most_common(2):
            reasons.append(f"{reason} ({times} of {self.executions} executions)")
        return reasons


def _says_something(value: object) -> bool:
    return value not in (None, [], {}, "") and not (
        isinstance(value, dict) and set(value) == {"handle"}
    )


def _error_text(value: object) -> str:
    if isinstance(value, dict):
        return f"{value.get('error')}: {value.get('message')}"
    return "it never ended"
