"""Mutants: wrong versions of the factory layer, made mechanically; how many are noticed.

Each passes through trials, from cheap to dear, until one notices it: operations one after another,
a short hunt, a long one, the layer's own tests. What came of a trial is kept on disk, for as long
as nothing of isomodel and of the tests changes, so that a run of hours can be interrupted.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import msgspec

import isomodel
from benchmarks import trials
from benchmarks.equivalent import EQUIVALENT
from benchmarks.mutator import Mutant, mutants
from benchmarks.rows import Report, Row, at_least, figure
from benchmarks.trials import Expected, Notice, Trial
from isomodel.oracles.noninterference import NAME as NONINTERFERENCE
from isomodel.targets import factory
from isomodel.targets.resolve import BUILTIN, resolve

MODULES = (
    *("contexts", "agents", "tools", "events", "sessions", "identity", "state"),
    *("profiles", "analytics", "logs", "layer"),
)
"""The layer itself: no back ends, no target, no defects."""

SEQUENCE, SWEEP, MEET = Trial("sequence"), Trial("sweep"), Trial("meet")
SHORT, LONG, TESTS = Trial("hunt", 200), Trial("hunt", 800, seed=1), Trial("tests")
TRIALS = (SEQUENCE, SWEEP, MEET, SHORT, LONG, TESTS)
QUICK = (SEQUENCE, SWEEP, SHORT, TESTS)
"""What a mutant passes through until an oracle notices it, from cheap to dear."""

SAMPLE = 16
"""A quick run takes one mutant in so many."""

QUICK_SECONDS = 40.0
GOAL = 95.0
ALONE = "noninterference and no invariant"
INVARIANT = "an invariant"
STUCK = "a hang, a crash or an endless loop"
ORACLES = (ALONE, INVARIANT, STUCK, trials.NO_VERDICT)
"""The notices that need no layer to compare with, and no tests."""

KEPT = Path(".isomodel") / "mutants.jsonl"


class Fate(msgspec.Struct, frozen=True):
    """What became of a mutant: ``notice`` is empty if nothing noticed it."""

    mutant: Mutant
    notice: Notice

    @property
    def equivalent(self) -> str:
        """Why it is no defect, where it is none."""
        return "" if self.notice.by else EQUIVALENT.get(self.mutant.name, "")


class Kept:
    """What came of earlier trials, by what was tried; in a file, if there is to be one."""

    def __init__(self, place: Path | None) -> None:
        self._place = place
        self._digest = _digest()
        self._known: dict[str, Notice] = {}
        if place is not None and place.exists():
            for line in place.read_bytes().splitlines():
                key, notice = msgspec.json.decode(line, type=tuple[str, Notice])
                self._known[key] = notice

    def get(self, mutant: Mutant, trial: Trial) -> Notice | None:
        """What came of it, if it was tried."""
        return self._known.get(self._key(mutant, trial))

    def add(self, mutant: Mutant, trial: Trial, notice: Notice) -> None:
        """Keep what came of a trial."""
        key = self._key(mutant, trial)
        self._known[key] = notice
        if self._place is not None:
            self._place.parent.mkdir(parents=True, exist_ok=True)
            with self._place.open("ab") as file:
                file.write(msgspec.json.encode((key, notice)) + b"\n")

    def _key(self, mutant: Mutant, trial: Trial) -> str:
        return f"{self._digest} {trial.how} {trial.executions} {trial.seed} {mutant.name}"


def _digest() -> str:
    """Of all that decides what a trial shows: isomodel itself, and the layer's own tests."""
    root = Path(isomodel.__file__).parent
    sources = [*sorted(root.rglob("*.py")), trials.TESTS, Path(trials.__file__)]
    text = b"".join(each.read_bytes() for each in sources)
    return hashlib.sha256(text).hexdigest()[:16]


def all_mutants() -> list[Mutant]:
    """Every mutant of the layer, module by module; what it reports to the audit stays."""
    folder = Path(factory.__file__).parent
    return [
        mutant
        for module in MODULES
        for mutant in mutants((folder / f"{module}.py").read_text(), module, but="_audit.")
    ]


def control() -> Mutant:
    """The layer as it is, in a mutant's place: where anything notices it, no figure holds."""
    source = (Path(factory.__file__).parent / "layer.py").read_text()
    return Mutant("layer", "nothing changed", 0, source)


def notices(
    jobs: Sequence[tuple[Mutant, Trial]], expected: Expected
) -> Iterator[tuple[Mutant, Trial, Notice]]:
    """What comes of each of these trials, as it is known."""
    fork = multiprocessing.get_context("fork")
    waiting = list(reversed(jobs))
    running: dict[Connection, tuple[Mutant, Trial, Any]] = {}
    while waiting or running:
        while waiting and len(running) < _idle():
            mutant, trial = waiting.pop()
            receive, send = fork.Pipe(duplex=False)
            process = fork.Process(target=trials.child, args=(send, mutant, trial, expected))
            process.start()
            send.close()
            running[receive] = mutant, trial, process
        for ready in wait(list(running)):
            assert isinstance(ready, Connection)
            mutant, trial, process = running.pop(ready)
            try:
                yield mutant, trial, msgspec.msgpack.decode(ready.recv_bytes(), type=Notice)
            except EOFError:
                why = "it used up its time or its memory, or ended its process"
                yield mutant, trial, Notice(trials.LOOP, why=why)
            ready.close()
            process.join()


def _idle() -> int:
    """Processes at a time: as many as there are cores where nobody else works, or else one."""
    cores = os.cpu_count() or 1
    return cores if os.getloadavg()[0] < cores else 1


def fates(
    chosen: Sequence[Mutant], stages: Sequence[Trial], kept: Kept, expected: Expected
) -> list[Fate]:
    """What becomes of these mutants. Raises AssertionError if the layer as it is gets noticed."""
    as_it_is = control()
    left = list(chosen)
    for trial in stages:
        due = [as_it_is, *(each for each in left if _is_due(each, trial, kept))]
        jobs = [(each, trial) for each in due if kept.get(each, trial) is None]
        for mutant, tried, notice in notices(jobs, expected):
            kept.add(mutant, tried, notice)
        if by := noticed(as_it_is, stages, kept).by:
            raise AssertionError(f"the layer as it is is taken for a mutant, by {by}")
        left = [each for each in left if group(noticed(each, stages, kept).by) not in ORACLES]
    return [Fate(each, noticed(each, stages, kept)) for each in chosen]


def _is_due(mutant: Mutant, trial: Trial, kept: Kept) -> bool:
    """Whether to try it: what other results gave away needs no tests, nor a long hunt.

    Nor does one that is said to be equivalent, which the other trials doubt.
    """
    by_results = bool(noticed(mutant, (SEQUENCE,), kept).by)
    if trial == LONG:
        return not by_results and mutant.name not in EQUIVALENT
    return trial != TESTS or not by_results


def noticed(mutant: Mutant, stages: Sequence[Trial], kept: Kept) -> Notice:
    """The first notice of an oracle, or else of anything."""
    made = [notice for trial in stages if (notice := kept.get(mutant, trial)) is not None]
    by = [notice for notice in made if notice.by]
    by_oracles = [notice for notice in by if group(notice.by) in ORACLES]
    nothing = Notice(executions=sum(notice.executions for notice in made))
    return next(iter((*by_oracles, *by)), nothing)


def run(quick: bool) -> Report:
    """The score, by what noticed them, and the survivors."""
    every = all_mutants()
    expected = trials.expected_of(resolve(BUILTIN[0]))
    found: list[Fate] = []
    if quick:
        began, kept = time.monotonic(), Kept(None)
        for mutant in every[::SAMPLE]:
            if time.monotonic() - began < QUICK_SECONDS:
                found += fates([mutant], QUICK, kept, expected)
    else:
        found = fates(every, TRIALS, Kept(KEPT), expected)
    sample = f"{len(found)} of {len(every)} mutants"
    return Report("mutants", quick, sample, tuple(_rows(found)))


def _rows(found: Sequence[Fate]) -> Iterator[Row]:
    equivalent = [fate for fate in found if fate.equivalent]
    counted = [fate for fate in found if not fate.equivalent]
    survivors = [fate for fate in counted if not fate.notice.by]
    groups = Counter(group(fate.notice.by) for fate in counted)
    most = max(1, len(counted))
    oracles = sum(groups[name] for name in ORACLES)
    yield at_least("mutants noticed", 100 * (most - len(survivors)) / most, GOAL, "%")
    yield figure("by the oracles, without results and tests", 100 * oracles / most, "%")
    yield figure("mutants", len(found))
    yield figure("equivalent, as benchmarks/equivalent.py explains", len(equivalent))
    for name in (*ORACLES, trials.RESULTS, trials.OWN_TESTS):
        yield figure(f"noticed by {name}", groups[name], "mutants", note=_detail(counted, name))
    for fate in survivors:
        line = f"line {fate.mutant.line}"
        executions = fate.notice.executions
        yield figure(f"survived: {fate.mutant.name}", executions, "executions", note=line)


def group(by: str) -> str:
    """What kind of notice this is; empty for none."""
    if by in (trials.RESULTS, trials.OWN_TESTS, trials.NO_VERDICT, ""):
        return by
    if by == NONINTERFERENCE:
        return ALONE
    return INVARIANT if by in trials.INVARIANT_NAMES else STUCK


def _detail(counted: Sequence[Fate], name: str) -> str:
    """Which of this group noticed how many, and how many of them noninterference notices, too."""
    mine = [fate.notice for fate in counted if group(fate.notice.by) == name]
    by = Counter(notice.by for notice in mine)
    detail = ", ".join(f"{what} {number}" for what, number in by.most_common()) if by else ""
    if name == INVARIANT:
        too = sum(notice.interferes for notice in mine)
        detail += f"; noninterference notices {too} of these executions, too"
    return detail if len(by) > 1 else ""
