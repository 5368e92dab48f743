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
TESTS = Trial("tests")
SHORT, LONG = Trial("hunt", 200), Trial("hunt", 800, seed=1)
TRIALS = (SEQUENCE, SWEEP, SHORT, MEET, LONG, TESTS)
QUICK = (SEQUENCE, SWEEP, Trial("hunt", 60), TESTS)
"""What a mutant passes through until something notices it."""

DOUBTED = (SEQUENCE, SWEEP, SHORT, MEET, TESTS)
"""The same for one that is said to be equivalent: whatever notices it proves that wrong."""

SAMPLE = 16
"""A quick run takes one mutant in so many."""

QUICK_SECONDS = 40.0
GOAL = 95.0
ALONE = "noninterference and no invariant"
INVARIANT = "an invariant"
STUCK = "a hang, a crash or an endless loop"
KEPT = Path(".isomodel") / "mutants.jsonl"


class Fate(msgspec.Struct, frozen=True):
    """What became of a mutant: ``notice`` is empty if nothing noticed it.

    ``hunted``: what a short hunt makes of one that only the results of a sequence gave away.
    """

    mutant: Mutant
    notice: Notice
    hunted: Notice | None = None

    @property
    def equivalent(self) -> str:
        """Why it is no defect, where it is none."""
        return "" if self.notice.by else EQUIVALENT.get(self.mutant.name, "")

    @property
    def noticed(self) -> Notice:
        """The notice of an oracle, where there is one, before that of the results."""
        return self.hunted if self.hunted is not None and self.hunted.by else self.notice


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
    jobs: Sequence[tuple[Mutant, Trial]], expected: Expected, deadline: float | None = None
) -> Iterator[tuple[Mutant, Trial, Notice]]:
    """What comes of each of these trials, as it is known; begins none after the deadline."""
    fork = multiprocessing.get_context("fork")
    waiting = list(reversed(jobs))
    running: dict[Connection, tuple[Mutant, Trial, Any]] = {}
    while waiting or running:
        over = deadline is not None and time.monotonic() > deadline
        while waiting and not over and len(running) < _idle():
            mutant, trial = waiting.pop()
            receive, send = fork.Pipe(duplex=False)
            process = fork.Process(target=trials.child, args=(send, mutant, trial, expected))
            process.start()
            send.close()
            running[receive] = mutant, trial, process
        if not running:
            return
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
    chosen: Sequence[Mutant], stages: Sequence[Trial], kept: Kept, seconds: float | None = None
) -> list[Fate]:
    """What becomes of these mutants; those that there was no time to try are left out."""
    deadline = None if seconds is None else time.monotonic() + seconds
    expected = trials.expected_of(resolve(BUILTIN[0]))

    def look(some: Sequence[Mutant], trial: Trial) -> None:
        jobs = [(each, trial) for each in some if kept.get(each, trial) is None]
        for mutant, tried, notice in notices(jobs, expected, deadline):
            kept.add(mutant, tried, notice)

    for trial in stages:
        look([control()], trial)
        if by := _by(control(), trial, kept):
            raise AssertionError(f"the layer as it is is taken for a mutant, by {by}")
    left = list(chosen)
    for trial in stages:
        look([each for each in left if trial in _due(each, stages)], trial)
        left = [each for each in left if not _by(each, trial, kept)]
    only_results = [each for each in chosen if _by(each, SEQUENCE, kept) == trials.RESULTS]
    if seconds is None:
        look(only_results, SHORT)
    found = [_fate(each, stages, kept) for each in chosen]
    return [each for each in found if each is not None]


def _due(mutant: Mutant, stages: Sequence[Trial]) -> Sequence[Trial]:
    if mutant.name not in EQUIVALENT:
        return stages
    return [each for each in stages if each in DOUBTED or stages == QUICK]


def _by(mutant: Mutant, trial: Trial, kept: Kept) -> str:
    notice = kept.get(mutant, trial)
    return notice.by if notice is not None else ""


def _fate(mutant: Mutant, stages: Sequence[Trial], kept: Kept) -> Fate | None:
    """What came of its trials; None if one of them was not made that had to be."""
    executions = 0
    for trial in _due(mutant, stages):
        notice = kept.get(mutant, trial)
        if notice is None:
            return None
        if notice.by:
            hunted = kept.get(mutant, SHORT) if notice.by == trials.RESULTS else None
            return Fate(mutant, notice, hunted)
        executions += notice.executions
    return Fate(mutant, Notice(executions=executions))


def run(quick: bool) -> Report:
    """The score, by what noticed them, and the survivors."""
    every = all_mutants()
    if quick:
        found = fates(every[::SAMPLE], QUICK, Kept(None), QUICK_SECONDS)
    else:
        found = fates(every, TRIALS, Kept(KEPT))
    sample = f"{len(found)} of {len(every)} mutants"
    return Report("mutants", quick, sample, tuple(_rows(found)))


def _rows(found: Sequence[Fate]) -> Iterator[Row]:
    equivalent = [fate for fate in found if fate.equivalent]
    counted = [fate for fate in found if not fate.equivalent]
    survivors = [fate for fate in counted if not fate.notice.by]
    groups = Counter(group(fate.noticed.by) for fate in counted)
    most = max(1, len(counted))
    oracles = sum(groups[name] for name in (ALONE, INVARIANT, STUCK, trials.NO_VERDICT))
    yield at_least("mutants noticed", 100 * (most - len(survivors)) / most, GOAL, "%")
    yield figure("by the oracles, without results and tests", 100 * oracles / most, "%")
    yield figure("mutants", len(found))
    yield figure("equivalent, as benchmarks/equivalent.py explains", len(equivalent))
    for name in (ALONE, INVARIANT, STUCK, trials.NO_VERDICT, trials.RESULTS, trials.OWN_TESTS):
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
    mine = [fate.noticed for fate in counted if group(fate.noticed.by) == name]
    by = Counter(notice.by for notice in mine)
    detail = ", ".join(f"{what} {number}" for what, number in by.most_common()) if by else ""
    if name == INVARIANT:
        too = sum(notice.interferes for notice in mine)
        detail += f"; noninterference notices {too} of these executions, too"
    return detail if len(by) > 1 else ""
