"""Shrinking: the fewest users, operations, faults and switches that still break the property.

The least scenarios are tried first (``smallest``). Then the found one shrinks by removing one
thing at a time (``smaller``); whether what is left can still fail is a search of its own, fewest
switches first (``simplest``): a schedule that fitted the larger scenario rarely fits the smaller
one. The result is 1-minimal: nothing single can be removed without losing the failure.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version

import msgspec

from isomodel.oracles.noninterference import NAME as NONINTERFERENCE
from isomodel.schedulers.random import RandomWalk
from isomodel.search.edit import kept, relabelled_schedule, with_fault, without
from isomodel.search.execute import execute, replay
from isomodel.search.generate import pools_of
from isomodel.search.isolate import QUICK
from isomodel.search.judge import Judge
from isomodel.search.simplest import Attempt, Limits, Probe, Run, simplest
from isomodel.search.smaller import Edits, Smaller
from isomodel.search.smallest import smallest
from isomodel.targets.declare import TargetSpec
from isomodel.values.case import Case, Origin, Size
from isomodel.values.execution import Execution
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import STRIKES, Fault, FaultKind, Fidelity, Schedule
from isomodel.values.verdict import Finding

TRIAL = 50
"""Executions spent on whether a smaller scenario still fails, while there is much to remove."""

SIMPLER_TRIAL = 10
"""The same on one with simpler arguments, which seldom needs another schedule."""

RETRIAL = 250
"""The same, once the scenario is small and its schedule simple."""

FULL = 1_200
"""Executions spent on the simplest schedule of the smallest scenario."""

STOCK_WALKS = 300
"""Random schedules of the scenario as found, under ``stock``, where the shrunk one has none."""

WALKS = 12
"""Random schedules tried on a smaller scenario after the systematic ones."""

SECONDS = 120.0
"""Time that shrinking may take. Hardly any case needs a tenth of it."""

BETWEEN_USERS = frozenset({NONINTERFERENCE, "no leaked secret", "no shared state"})
"""Properties that one user alone cannot break."""

PLAINER: dict[FaultKind, tuple[FaultKind, ...]] = {
    "timeout": ("cancel",),
    "scope": ("cancel", "timeout"),
}
"""Kinds that a person follows more easily, and that strike at the same places."""


class _OutOfTime(Exception):
    """Shrinking has taken as long as it may."""


class Shrinker:
    """Shrinks counterexamples of one target; ``executions`` counts what it took.

    ``stock_tries`` of them looked under ``stock`` for what was found under ``portable``. After
    ``seconds`` it is content with the smallest case so far, which then says so.
    """

    def __init__(
        self, spec: TargetSpec, armed: tuple[str, ...] = (), *, seconds: float = SECONDS
    ) -> None:
        self.executions = 0
        self.stock_tries = 0
        self._spec = spec
        self._armed = armed
        self._seconds = seconds
        self._judge = Judge(spec, armed, witnesses=QUICK)
        self._pools = pools_of(spec)
        self._edits = Smaller(spec, self._pools)

    def shrink(self, execution: Execution, finding: Finding, *, seed: int = 0) -> Case:
        """A 1-minimal case that breaks the same property, under ``stock`` if it can.

        Where whittling is needed the failure also keeps showing in the same operation.
        """
        found = Attempt(execution.scenario, execution.schedule, execution, finding)
        first = found.schedule.fidelity
        self._deadline = time.monotonic() + self._seconds
        self._smallest = found
        self._least_tried: set[bytes] = set()
        cut_short = False
        try:
            if first == "portable":
                found = self._by_luck(found) or found
            best, complete = self._shrunk(found)
            if best.schedule.fidelity == "portable":
                best, complete = self._as_stock(found, best) or (best, complete)
            best = self._plain(self._faultless(best))
            best = self._in_order(self._tidied(self._separated(best)))
            best = self._renamed(best)
        except _OutOfTime:
            best, complete, cut_short = self._smallest, False, True
        if not self._beyond_doubt(best):
            best, complete = found, False
        return self._case(best, complete, seed, first, cut_short)

    def _shrunk(self, best: Attempt) -> tuple[Attempt, bool]:
        known = {operation.name for operation in best.scenario.operations}
        best = self._least(best, known) or self._whittled(best)
        best = self._least(best) or self._paired(best)
        best, complete = self._simplest_schedule(best)
        smaller = self._smaller(best, RETRIAL, arguments=False)
        if smaller is not best:
            best, complete = self._simplest_schedule(smaller)
        plain = self._exchanged(best)
        return (best, complete) if plain is best else (plain, True)

    def _beyond_doubt(self, best: Attempt) -> bool:
        """Whether a shrunk difference has no witness either when looked for in earnest."""
        judge = Judge(self._spec, self._armed)
        return judge.same(best.execution, best.finding, self._repeat(best.execution)) is not None

    def _whittled(self, best: Attempt) -> Attempt:
        return self._traded(self._smaller(best, TRIAL))

    # From below: the least scenarios

    def _least(self, best: Attempt, known: set[str] | None = None) -> Attempt | None:
        """One of the least scenarios that breaks the same property under the default schedule.

        First those of operations ``known`` from what was found, which are few; when nothing more
        can be removed, all of them.
        """
        wanted = msgspec.structs.replace(best.finding, operation="*")
        for scenario in smallest(self._spec, self._pools, _size(best), known):
            if len(scenario.parts()) < 2 and best.finding.property in BETWEEN_USERS:
                continue
            key = msgspec.json.encode(scenario)
            if key in self._least_tried:
                continue
            self._least_tried.add(key)
            attempt = self._try(scenario, Schedule("stock"), wanted)
            if attempt is not None:
                return attempt
        return None

    def _paired(self, best: Attempt) -> Attempt:
        """The same property broken by two of its operations, where it seems to take more.

        Of many that run side by side none can be left out under the few schedules that are tried,
        while two of them, alone, are simple enough.
        """
        if len(best.scenario.operations) < 3 or not best.cost:
            return best
        wanted = msgspec.structs.replace(best.finding, operation="*")
        like = msgspec.structs.replace(best, finding=wanted)
        for scenario in self._edits.pairs(best.scenario):
            if len(scenario.parts()) < 2 and best.finding.property in BETWEEN_USERS:
                continue
            found, _ = self._search(scenario, like, Limits(TRIAL, first=True))
            if found is not None:
                return found
        return best

    def _exchanged(self, best: Attempt) -> Attempt:
        """The same property broken under the default schedule, in any operation.

        Where the last schedule needed a switch or a fault, another kind of operation in place of
        one may do without: no way of removing things leads there.
        """
        if not best.cost:
            return best
        wanted = msgspec.structs.replace(best.finding, operation="*")
        plain = Schedule(best.schedule.fidelity)
        for scenario in (best.scenario, *self._edits.exchanged(best.scenario)):
            attempt = self._try(scenario, plain, wanted)
            if attempt is not None:
                return attempt
        return best

    # From above: removing one thing at a time

    def _smaller(self, best: Attempt, trials: int, *, arguments: bool = True) -> Attempt:
        """Pass after pass of every edit, the boldest first, until none succeeds any more."""
        edits = self._edits
        passes = [
            (edits.without_user, trials),
            (edits.without_operation, trials),
            (edits.merged, trials),
        ]
        if arguments:
            passes.append((edits.simpler, SIMPLER_TRIAL))
        sound: set[bytes] = set()
        before = None
        while best is not before:
            before = best
            for each, most in passes:
                best = self._passed(best, each, most, sound)
        return best

    def _passed(self, best: Attempt, edits: Edits, trials: int, sound: set[bytes]) -> Attempt:
        """Each edit once. ``sound`` are scenarios that do not fail, as far as one can see."""
        done: set[str] = set()
        progress = True
        while progress:
            progress = False
            for name, candidate in edits(best.scenario):
                if name in done:
                    continue
                done.add(name)
                key = msgspec.json.encode(candidate)
                if key in sound:
                    continue
                attempt = self._fails(candidate, best, trials)
                if attempt is not None:
                    best, progress = attempt, True
                    break
                sound.add(key)
        return best

    def _traded(self, best: Attempt) -> Attempt:
        """The same failure with another argument in place of a fault or an operation, or with one
        operation repeated in place of two.

        What an injected error or many operations set off, a refused argument often does, too.
        """
        progress = True
        while progress:
            progress = False
            for scenario, schedule in self._trades(best):
                attempt = self._try(scenario, schedule, best.finding)
                if attempt is not None:
                    best, progress = attempt, True
                    break
        return best

    def _trades(self, best: Attempt) -> Iterator[tuple[Scenario, Schedule]]:
        scenario, schedule = best.scenario, best.schedule
        others = self._edits.with_other_arguments
        if schedule.faults:
            faultless = msgspec.structs.replace(schedule, faults=())
            for changed in others(scenario):
                yield changed, faultless
        for operation in scenario.operations:
            fewer = without(scenario, operation.label)
            rest = kept(schedule, {other.label for other in fewer.operations})
            for changed in others(fewer):
                yield changed, rest
        for changed in self._edits.repeated(scenario):
            yield changed, kept(schedule, {operation.label for operation in changed.operations})

    # Whether a scenario can still fail

    def _fails(self, scenario: Scenario, like: Attempt, trials: int) -> Attempt | None:
        """An execution of this scenario that fails as ``like`` does, if one is found cheaply."""
        if not scenario.operations:
            return None
        if len(scenario.parts()) < 2 and like.finding.property in BETWEEN_USERS:
            return None
        rest = kept(like.schedule, {operation.label for operation in scenario.operations})
        attempt = self._try(scenario, rest, like.finding)
        if attempt is not None:
            return attempt
        found, _ = self._search(scenario, like, Limits(trials, first=True))
        if found is None and like.execution.switches > 1:
            found = self._walked(scenario, like, rest.faults, WALKS)
        return found

    def _walked(
        self, scenario: Scenario, like: Attempt, faults: tuple[Fault, ...], walks: int
    ) -> Attempt | None:
        """A failure under a few random schedules: some need more switches than can be tried."""
        for seed in range(walks):
            self._spend()
            execution = execute(
                self._spec,
                scenario,
                RandomWalk(seed),
                fidelity=like.schedule.fidelity,
                faults=faults,
                armed=self._armed,
            )
            attempt = self._judged(execution, like.finding)
            if attempt is not None:
                return attempt
        return None

    def _try(self, scenario: Scenario, schedule: Schedule, finding: Finding) -> Attempt | None:
        self._spend()
        execution = replay(self._spec, scenario, schedule, armed=self._armed)
        return self._judged(execution, finding)

    def _spend(self) -> None:
        """Count one execution. Raises _OutOfTime."""
        self.executions += 1
        if time.monotonic() > self._deadline:
            raise _OutOfTime

    def _judged(self, execution: Execution, finding: Finding) -> Attempt | None:
        """This execution as an attempt, if it fails alike."""
        same = self._judge.same(execution, finding, self._repeat(execution))
        if same is None:
            return None
        attempt = Attempt(execution.scenario, execution.schedule, execution, same)
        if _weight(attempt) < _weight(self._smallest):
            self._smallest = attempt
        return attempt

    def _repeat(self, execution: Execution) -> Callable[[], Execution]:
        return partial(
            replay, self._spec, execution.scenario, execution.schedule, armed=self._armed
        )

    # The schedule

    def _simplest_schedule(self, best: Attempt) -> tuple[Attempt, bool]:
        found, complete = self._search(best.scenario, best, Limits(FULL, below=best.cost))
        return (found or best), complete

    def _by_luck(self, found: Attempt) -> Attempt | None:
        """The failure under ``stock`` before anything is shrunk: there is less to search there."""
        before = self.executions
        schedule = msgspec.structs.replace(found.schedule, fidelity="stock")
        attempt = self._try(found.scenario, schedule, found.finding)
        if attempt is None:
            faults = found.schedule.faults
            attempt = self._walked(found.scenario, _stock(found), faults, WALKS)
        self.stock_tries += self.executions - before
        return attempt

    def _as_stock(self, found: Attempt, best: Attempt) -> tuple[Attempt, bool] | None:
        """The same failure under ``stock``, if it can be had: in the shrunk scenario, by search,
        or in the one that was found, by walks; the latter is shrunk anew.
        """
        before = self.executions
        attempt, complete = self._search(best.scenario, _stock(best), Limits(FULL // 2))
        if attempt is None:
            faults = found.schedule.faults
            attempt = self._walked(found.scenario, _stock(found), faults, STOCK_WALKS)
        self.stock_tries += self.executions - before
        if attempt is None:
            return None
        return (attempt, complete) if attempt.scenario is best.scenario else self._shrunk(attempt)

    def _search(
        self, scenario: Scenario, like: Attempt, limits: Limits
    ) -> tuple[Attempt | None, bool]:
        """The simplest schedule within these limits, with as many faults, of kinds as plain."""
        faults = like.schedule.faults
        kinds = frozenset(kind for fault in faults for kind in _kinds(fault))
        limits = msgspec.structs.replace(limits, faults=len(faults), kinds=kinds)
        run = self._runs(scenario, like.schedule.fidelity, like.finding)
        return simplest(scenario, run, limits)

    def _runs(self, scenario: Scenario, fidelity: Fidelity, finding: Finding) -> Run:
        def run(probe: Probe, faults: tuple[Fault, ...]) -> tuple[Execution, Finding | None]:
            self._spend()
            execution = execute(
                self._spec, scenario, probe, fidelity=fidelity, faults=faults, armed=self._armed
            )
            attempt = self._judged(execution, finding)
            return execution, attempt.finding if attempt is not None else None

        return run

    # Easier to read, at the same cost

    def _faultless(self, best: Attempt) -> Attempt:
        """The same with switches in place of faults: they show what the system does by itself."""
        if not best.schedule.faults:
            return best
        schedule = msgspec.structs.replace(best.schedule, faults=())
        like = msgspec.structs.replace(best, schedule=schedule)
        limits = Limits(RETRIAL, below=best.cost + 1, first=True)
        for scenario in (best.scenario, *self._edits.rearranged(best.scenario)):
            found, _ = self._search(scenario, like, limits)
            if found is not None:
                return found
        return best

    def _plain(self, best: Attempt) -> Attempt:
        """The same with the plainest kind of each fault."""
        for index, fault in enumerate(best.schedule.faults):
            for kind in PLAINER.get(fault.kind, ()):
                plainer = with_fault(best.schedule, index, Fault(kind, fault.task, fault.at))
                attempt = self._try(best.scenario, plainer, best.finding)
                if attempt is not None and attempt.cost <= best.cost:
                    best = attempt
                    break
        return best

    def _separated(self, best: Attempt) -> Attempt:
        """The same with nothing that joins an iteration where arrivals one by one would do."""
        if not any(choice.nth for choice in best.schedule.choices):
            return best
        limits = Limits(RETRIAL, below=best.cost + 1, first=True, joins=False)
        found, _ = self._search(best.scenario, best, limits)
        return found or best

    def _tidied(self, best: Attempt) -> Attempt:
        """The same cost with fewer choices that cost nothing: each is one more thing to read."""
        progress = True
        while progress:
            progress = False
            for schedule in _tidier(best):
                attempt = self._try(best.scenario, schedule, best.finding)
                if (
                    attempt is not None
                    and attempt.cost <= best.cost
                    and len(attempt.schedule.choices) < len(best.schedule.choices)
                ):
                    best, progress = attempt, True
                    break
        return best

    def _in_order(self, best: Attempt) -> Attempt:
        """The same with operations listed as they come, which takes fewer choices to tell."""
        progress = True
        while progress and len(best.schedule.choices) > best.execution.switches:
            progress = False
            for scenario in self._edits.rearranged(best.scenario):
                limits = Limits(TRIAL, below=best.cost + 1, first=True, joins=False)
                found, _ = self._search(scenario, best, limits)
                if found and len(found.schedule.choices) < len(best.schedule.choices):
                    best, progress = found, True
                    break
        return best

    # The result

    def _renamed(self, best: Attempt) -> Attempt:
        """Users and operations numbered from the start again, if it still fails that way."""
        scenario, labels = self._edits.numbered_anew(best.scenario)
        if all(old == new for old, new in labels.items()):
            return best
        schedule = relabelled_schedule(best.schedule, labels)
        return self._try(scenario, schedule, best.finding) or best

    def _case(
        self, best: Attempt, complete: bool, seed: int, fidelity: Fidelity, cut_short: bool
    ) -> Case:
        stock = best.schedule.fidelity == "stock"
        return Case(
            target=self._spec.name,
            scenario=best.scenario,
            schedule=best.schedule,
            finding=best.finding,
            size=_size(best),
            armed=self._armed,
            minimal=complete,
            cut_short=cut_short,
            confirmed={"stock": False, best.schedule.fidelity: True},
            searched={} if stock or not self.stock_tries else {"stock": self.stock_tries},
            origin=Origin(platform.python_version(), version("isomodel"), seed, fidelity=fidelity),
            runtime=self._spec.runtime,
        )


def _stock(attempt: Attempt) -> Attempt:
    """The attempt as something to look for under ``stock``, its order not kept."""
    schedule = msgspec.structs.replace(attempt.schedule, fidelity="stock", choices=())
    return msgspec.structs.replace(attempt, schedule=schedule)


def _kinds(fault: Fault) -> tuple[str, ...]:
    """Which kinds of faults to try in place of this one."""
    if "/" in fault.task:
        return ("cancel inside",)
    return (*PLAINER.get(fault.kind, ()), fault.kind)


def _size(attempt: Attempt) -> Size:
    return Size(
        len(attempt.scenario.users),
        len(attempt.scenario.operations),
        attempt.execution.switches,
        len(attempt.schedule.faults),
    )


def _weight(attempt: Attempt) -> tuple[int, int, int, int]:
    """What makes one attempt smaller than another."""
    scenario = attempt.scenario
    choices = len(attempt.schedule.choices)
    return len(scenario.users), len(scenario.operations), attempt.cost, choices


def _tidier(best: Attempt) -> Iterator[Schedule]:
    """The schedule without its choices and a strike later instead, or without one choice."""
    schedule = best.schedule
    if not schedule.choices:
        return
    for index, fault in enumerate(schedule.faults):
        if fault.kind in STRIKES:
            for at in range(fault.at, fault.at + len(schedule.choices) + 1):
                moved = with_fault(schedule, index, Fault(fault.kind, fault.task, at))
                yield msgspec.structs.replace(moved, choices=())
    for index in range(len(schedule.choices)):
        rest = (*schedule.choices[:index], *schedule.choices[index + 1 :])
        yield msgspec.structs.replace(schedule, choices=rest)
