"""A proof of a target: all scenarios within a bound, in several processes, with a journal.

Scenarios are numbered in an order that depends on target and bound alone. Each worker proves some
in a row; what is done is written down every few seconds, so that a proof that was stopped goes on
where it was. A scenario is the unit: one that was under way begins anew.

Scenarios differ a thousandfold in size. One that takes more than its share of executions is put
off until the others are done, so that what is easily found is found early.
"""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from isomodel.engine.control.control import Control
from isomodel.search import cases
from isomodel.search.judging.judge import Oracles
from isomodel.search.proof.scenarios import Bound, Scenarios
from isomodel.search.proof.target import STOPPED, Covered, Prover, scope_of
from isomodel.search.proof.tree import Limit
from isomodel.search.running.execute import session
from isomodel.targets.declare import TargetSpec
from isomodel.targets.resolve import resolve
from isomodel.values.case import Case
from isomodel.values.errors import BadInput
from isomodel.values.execution import Execution, Issue
from isomodel.values.verdict import Finding

SCHEMA = 1
CHUNK = 8
"""Scenarios that a worker is given at once."""
SHARES = (300, 10_000, None)
"""Executions that a scenario may take in the first round, the second, and the last."""
WRITE_EVERY = 2.0
"""Seconds between two writes of the journal."""


class Plan(msgspec.Struct, frozen=True):
    """What is to be proved: all that the result depends on."""

    target: str
    armed: tuple[str, ...] = ()
    bound: Bound = Bound()
    faults: int = 0
    oracles: Oracles = "all"
    limit: Limit | None = None
    path: tuple[str, ...] = ()


class Totals(msgspec.Struct):
    """What was covered so far. ``left`` has the first reasons why a scenario was not finished."""

    scenarios: int = 0
    executions: int = 0
    abandoned: int = 0
    transitions: int = 0
    also_alone: int = 0
    unfinished: int = 0
    left: list[str] = []
    succeeded: list[str] = []
    observed: bool = False
    issues: list[Issue] = []

    def add(self, covered: Covered, name: str) -> None:
        """Count one scenario."""
        self.scenarios += 1
        self.executions += covered.executions
        self.abandoned += covered.abandoned
        self.transitions += covered.transitions
        self.also_alone += covered.also_alone
        self.observed = self.observed or covered.observed
        if covered.left:
            self._leave([f"{name}: {covered.left}"], 1)
        self._learn(covered.succeeded, covered.issues)

    def merge(self, other: Totals) -> None:
        """Count what another process did."""
        self.scenarios += other.scenarios
        self.executions += other.executions
        self.abandoned += other.abandoned
        self.transitions += other.transitions
        self.also_alone += other.also_alone
        self.observed = self.observed or other.observed
        self._leave(other.left, other.unfinished)
        self._learn(other.succeeded, other.issues)

    def _leave(self, reasons: list[str], count: int) -> None:
        self.unfinished += count
        self.left = [*self.left, *reasons][:20]

    def _learn(self, succeeded: Any, issues: Any) -> None:
        self.succeeded = sorted({*self.succeeded, *succeeded})
        self.issues = list(dict.fromkeys([*self.issues, *issues]))[:20]


class Found(msgspec.Struct):
    """A violation: the number of its scenario, and what shows it."""

    number: int
    finding: Finding
    execution: Execution


class Journal(msgspec.Struct):
    """What a file says of a proof: its plan, the scenarios done, and what came of them."""

    plan: Plan
    schema: int = SCHEMA
    done: list[tuple[int, int]] = []
    totals: Totals = msgspec.field(default_factory=Totals)
    seconds: float = 0.0

    def is_done(self, number: int) -> bool:
        """Whether this scenario needs no further work."""
        return any(first <= number < end for first, end in self.done)

    def finish(self, number: int) -> None:
        """This scenario is done."""
        spans = sorted([*self.done, (number, number + 1)])
        merged = [spans[0]]
        for start, stop in spans[1:]:
            if start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(stop, merged[-1][1])
            else:
                merged.append((start, stop))
        self.done = merged


class Progress(msgspec.Struct, frozen=True):
    """How far a proof is: scenarios of all, executions, and seconds that it may still take."""

    scenarios: int
    of: int
    executions: int
    remaining: float | None


class Proved(msgspec.Struct, frozen=True):
    """How a proof ended. ``total`` is how many scenarios there are; ``stopped`` says why early."""

    plan: Plan
    totals: Totals
    total: int
    values: tuple[str, ...]
    seconds: float
    found: Found | None = None
    stopped: str = ""


class Chunk(msgspec.Struct):
    """What a worker answers: the scenarios that are done, what they took, and what it found."""

    done: list[int]
    totals: Totals
    found: Found | None = None


def read_journal(place: Path, plan: Plan) -> Journal:
    """The journal in this file, which must be one of the same proof. Raises BadInput."""
    try:
        journal = msgspec.json.decode(place.read_bytes(), type=Journal)
    except OSError as error:
        raise BadInput(f"{place}: cannot be read ({error.strerror})") from None
    except msgspec.DecodeError as error:
        raise BadInput(f"{place}: not a journal of a proof ({error})") from None
    if journal.schema != SCHEMA or journal.plan != plan:
        raise BadInput(f"{place}: the journal of another proof; use the options it began with")
    return journal


def journal_name(plan: Plan) -> str:
    """The file name of this proof's journal: the same for the same proof."""
    digest = hashlib.blake2b(msgspec.json.encode(plan), digest_size=4).hexdigest()
    short = plan.target.rpartition(":")[2] or plan.target
    return "-".join(["proof", short, *plan.armed, digest]) + ".json"


def prove_target(
    plan: Plan,
    journal: Journal,
    *,
    keep: Path,
    workers: int = 1,
    seconds: float | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Proved:
    """Prove all scenarios that the journal does not have, and write down what is done.

    Ends at the first violation, in the order of scenarios, or after ``seconds``. The journal is
    written to ``keep`` whatever ends it. Raises BadInput if the target cannot be used.
    """
    spec = resolve(plan.target, plan.path, "asyncio")
    scenarios = Scenarios(spec, plan.bound)
    total = sum(1 for _ in scenarios)
    work = _Work(plan, journal, total, keep, seconds, on_progress)
    try:
        for share in SHARES:
            found, stopped = work.round(share, spec, workers)
            if found or stopped or journal.totals.scenarios == total:
                break
    finally:
        work.write()
    return Proved(
        plan,
        journal.totals,
        total,
        tuple(scenarios.described()),
        journal.seconds,
        found,
        stopped,
    )


def case_of(plan: Plan, found: Found, switches: int) -> Case:
    """The counterexample as it was found."""
    execution = found.execution
    return cases.make(
        plan.target,
        plan.armed,
        execution.scenario,
        execution.schedule,
        found.finding,
        switches=switches,
        execution=found.number,
    )


class _Work:
    """Deals out what is to do, and keeps the journal."""

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        total: int,
        keep: Path,
        seconds: float | None,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._plan = plan
        self._journal = journal
        self._total = total
        self._keep = keep
        self._on_progress = on_progress
        self._began = time.monotonic()
        self._before = journal.seconds
        self._already = journal.totals.scenarios
        self._deadline = None if seconds is None else self._began + seconds
        self._written = self._began

    def round(self, share: int | None, spec: TargetSpec, workers: int) -> tuple[Found | None, str]:
        """All that is not done, with so many executions for each; a finding, or why it ended."""
        left = self._total - self._journal.totals.scenarios
        if workers == 1 or left == 1:
            return self._alone(share, spec)
        return self._shared(share, min(workers, left))

    def _alone(self, share: int | None, spec: TargetSpec) -> tuple[Found | None, str]:
        """Do it in this process."""
        with ExitStack() as stack:
            worker = _Worker(self._plan, spec, stack)
            for first, end in self._chunks(1):
                chunk = worker.prove(first, end, share, self._deadline)
                self._done(chunk)
                if chunk.found is not None:
                    return chunk.found, ""
                if self._late():
                    return None, "the time was over"
        return None, ""

    def _shared(self, share: int | None, workers: int) -> tuple[Found | None, str]:
        """Do it in so many processes."""
        chunks = self._chunks(CHUNK if share else 1)
        found: list[Found] = []
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            try:
                running: set[Future[Chunk]] = set()
                while True:
                    wanted = [] if found or self._late() else chunks
                    for first, end in itertools.islice(wanted, workers + 1 - len(running)):
                        span = (self._plan, first, end, share, self._deadline)
                        running.add(pool.submit(_prove, *span))
                    if not running:
                        break
                    finished, running = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
                    for future in finished:
                        chunk = future.result()
                        self._done(chunk)
                        found += [chunk.found] if chunk.found is not None else []
            except BrokenProcessPool:
                return None, "the target ended a worker process; hunt it to see how"
            except BaseException:
                for process in list((pool._processes or {}).values()):
                    process.terminate()
                raise
        late = "the time was over" if self._late() and not found else ""
        return min(found, key=lambda each: each.number, default=None), late

    def write(self) -> None:
        """Put the journal on disk."""
        self._journal.seconds = self._before + time.monotonic() - self._began
        cases.write(self._keep, msgspec.json.format(msgspec.json.encode(self._journal)) + b"\n")
        self._written = time.monotonic()

    def _late(self) -> bool:
        return self._deadline is not None and time.monotonic() > self._deadline

    def _chunks(self, size: int) -> Iterator[tuple[int, int]]:
        """Spans of scenarios that are not done now."""
        done = [*self._journal.done, (self._total, self._total)]
        number = 0
        for first, end in done:
            while number < first:
                yield number, min(number + size, first)
                number = min(number + size, first)
            number = end

    def _done(self, chunk: Chunk) -> None:
        for number in chunk.done:
            self._journal.finish(number)
        self._journal.totals.merge(chunk.totals)
        if time.monotonic() - self._written > WRITE_EVERY:
            self.write()
        self._on_progress(self._progress())

    def _progress(self) -> Progress:
        done = self._journal.totals.scenarios
        spent = time.monotonic() - self._began
        fresh = done - self._already
        remaining = spent / fresh * (self._total - done) if fresh else None
        return Progress(done, self._total, self._journal.totals.executions, remaining)


class _Worker:
    """Proves spans of scenarios in this process."""

    def __init__(self, plan: Plan, spec: TargetSpec, stack: ExitStack) -> None:
        self._scenarios = Scenarios(spec, plan.bound)
        self._entered = stack  # it would be left if nothing referred to it
        self._rest: Iterator[Any] = iter(self._scenarios)
        self._next = 0
        self._deadline: float | None = None
        stack.enter_context(session())
        stack.enter_context(Control().installed())
        tracked = stack.enter_context(scope_of(spec))
        self._prover = Prover(
            spec,
            tracked,
            armed=plan.armed,
            oracles=plan.oracles,
            faults=plan.faults,
            limit=plan.limit,
            enough=self._late,
        )

    def _late(self) -> bool:
        return self._deadline is not None and time.monotonic() > self._deadline

    def prove(self, first: int, end: int, share: int | None, deadline: float | None) -> Chunk:
        """Prove these; ends at the first violation, and where it is late."""
        self._deadline = deadline
        chunk = Chunk([], Totals())
        if first < self._next:
            self._rest, self._next = iter(self._scenarios), 0
        for number in range(self._next, end):
            scenario = next(self._rest)
            self._next = number + 1
            if number < first:
                continue
            covered = self._prover.prove(scenario, share)
            if covered.left == STOPPED:
                if self._late():
                    break
                continue
            chunk.done.append(number)
            names = ", ".join(f"{o.label} {o.name}" for o in scenario.operations)
            chunk.totals.add(covered, names)
            if covered.finding is not None and covered.execution is not None:
                chunk.found = Found(number, covered.finding, covered.execution)
                break
        return chunk


_worker: tuple[Plan, _Worker] | None = None


def _prove(plan: Plan, first: int, end: int, share: int | None, deadline: float | None) -> Chunk:
    """What a worker process is asked."""
    global _worker
    if _worker is None or _worker[0] != plan:
        _worker = plan, _Worker(plan, resolve(plan.target, plan.path, "asyncio"), ExitStack())
    return _worker[1].prove(first, end, share, deadline)
