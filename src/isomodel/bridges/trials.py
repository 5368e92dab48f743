"""What a machine does with a recorded scenario: many schedules, one verdict, one counterexample."""

from __future__ import annotations

import random
import shlex
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from isomodel.bridges.explain import explain
from isomodel.bridges.options import OPTIONS
from isomodel.bridges.tries import tries
from isomodel.schedulers.fifo import Default
from isomodel.search.cases import make, save
from isomodel.search.exploring.generate import Generator
from isomodel.search.exploring.tally import Tally
from isomodel.search.judging.judge import Judge, Oracles
from isomodel.search.running.execute import execute, replay
from isomodel.search.shrinking.shrink import Shrinker
from isomodel.targets.declare import TargetSpec
from isomodel.targets.resolve import folder_of
from isomodel.values.case import Case
from isomodel.values.execution import Execution
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import Fidelity
from isomodel.values.verdict import Finding, Verdict

ROLL_CALL = 200
"""Scenarios looked through for operations that no example has seen succeed."""


class Trials:
    """Runs the scenarios of one machine, and remembers what they showed.

    A failure is shrunk once: its explanation answers for every scenario that fails like it.
    """

    def __init__(
        self,
        spec: TargetSpec,
        armed: tuple[str, ...],
        schedules: int,
        fidelities: Sequence[Fidelity],
        oracles: Oracles,
    ) -> None:
        self._spec = spec
        self._armed = armed
        self._schedules = schedules
        self._fidelities = tuple(fidelities)
        self._oracles = oracles
        self.reset()

    def reset(self) -> None:
        """Begin a new run: forget what was seen."""
        self._judge = Judge(self._spec, self._armed, self._oracles)
        self._tally = Tally(self._spec)
        self._succeeded: set[str] = set()
        self._explained: dict[tuple[str, str], str] = {}
        self._failed: dict[bytes, str] = {}

    def run(self, scenario: Scenario) -> str | None:
        """The explained counterexample, if this scenario breaks a property under a schedule."""
        key = msgspec.json.encode(scenario)
        if key not in self._failed:
            text = self._first_violation(scenario)
            if text is None:
                return None
            self._failed[key] = text
        return self._failed[key]

    def roll_call(self) -> str | None:
        """Run every operation that no example has seen succeed, as a hunt would.

        Few examples leave some operation out by chance; that shall not decide the verdict.
        """
        generator = Generator(self._spec)
        for number in range(ROLL_CALL):
            missing = self._spec.operations.keys() - self._succeeded
            if not missing:
                return None
            scenario = generator.scenario(random.Random(f"roll call {number}"))
            if any(operation.name in missing for operation in scenario.operations):
                text = self._judged(partial(self._by_default, scenario))
                if text is not None:
                    return text
        return None

    def verdict(self) -> Verdict:
        """The verdict on a run without a violation: ``ok``, or ``unknown`` and why."""
        return self._tally.outcome(self._judge.isolation).verdict

    def _by_default(self, scenario: Scenario) -> Execution:
        return execute(
            self._spec, scenario, Default(), fidelity=self._fidelities[0], armed=self._armed
        )

    def _first_violation(self, scenario: Scenario) -> str | None:
        for fidelity in self._fidelities:
            ways = tries(self._spec, scenario, fidelity, self._schedules, armed=self._armed)
            for number, run in enumerate(ways):
                text = self._judged(run, audited=number == 0)
                if text is not None:
                    return text
        return None

    def _judged(self, run: Callable[[], Execution], *, audited: bool = False) -> str | None:
        execution = run()
        judged = self._judge(execution, run)
        unknown = judged.unknown
        if judged.findings:
            again = run()
            for finding in judged.findings:
                if self._judge.same(again, finding, run) is not None:
                    return self._counterexample(execution, finding)
            unknown = f"{judged.findings[0].property!r} broke once, and not when run again"
        self._tally.add(execution, unknown, judged.also_alone)
        if audited:
            self._tally.audit(execution, run())
        self._succeeded.update(event.name for event in execution.history if event.kind == "ok")
        return None

    def _counterexample(self, execution: Execution, finding: Finding) -> str:
        """Keep it, make it small, keep that, and tell the story. A crash leaves the first."""
        key = (finding.property, finding.operation)
        if key not in self._explained:
            as_found = save(self._as_found(execution, finding), OPTIONS.cases)
            case = Shrinker(self._spec, self._armed).shrink(execution, finding)
            file = save(case, OPTIONS.cases)
            if file != as_found:
                as_found.unlink()
            shortest = replay(self._spec, case.scenario, case.schedule, armed=self._armed)
            self._explained[key] = (
                f"{explain(case, shortest)}\n\n"
                f"case file: {file}\n"
                f"keep it as a test: isomodel regress {shlex.quote(str(file))}{_path(self._spec)}"
            )
        return self._explained[key]

    def _as_found(self, execution: Execution, finding: Finding) -> Case:
        return make(
            self._spec.name,
            self._armed,
            execution.scenario,
            execution.schedule,
            finding,
            switches=execution.switches,
            runtime=self._spec.runtime,
        )


def _path(spec: TargetSpec) -> str:
    """The option that the next command needs to find the target, which may be part of a test."""
    folder = folder_of(spec.name)
    return f" --path {shlex.quote(folder)}" if folder else ""
