"""Defects: each of the catalogue, armed alone, found and shrunk from a cold start.

Cold: a new explorer that knows nothing of earlier hunts. Seconds include preparing it; they are
CPU seconds. The second table asks noninterference alone, without any invariant.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from benchmarks.crew import spread
from benchmarks.rows import Report, Row, at_least, at_most, figure
from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.running.execute import session
from isomodel.search.shrinking.shrink import Shrinker
from isomodel.targets.declare import TargetSpec
from isomodel.targets.factory.defects import DEFECTS
from isomodel.targets.resolve import BUILTIN, resolve
from isomodel.values.case import Size

Oracles = Literal["all", "noninterference"]
ORACLES: tuple[Oracles, ...] = ("all", "noninterference")

EXECUTIONS = 2_000
"""At most so many to find a defect; as many as ``isomodel hunt`` grants it."""

UNSEEN = 200
"""The same for noninterference alone, where no user can see the defect: it will not find it."""

SEEDS, FEW = 20, 3
SHRINKS_WITHIN = 1.0
ALONE_FINDS = 30
ALONE_COSTS = 2.5


class Search(msgspec.Struct, frozen=True):
    """One hunt for one defect."""

    defect: str
    oracles: Oracles
    seed: int
    executions: int
    seconds: float | None
    shrink: bool


class Found(msgspec.Struct, frozen=True):
    """How it went. ``size`` is after shrinking; times are in CPU seconds."""

    found: bool
    executions: int
    alone_runs: int
    steps: int
    alone_steps: int
    seconds: float
    property: str = ""
    size: Size | None = None
    shrink_seconds: float = 0.0
    cut_off: bool = False


@functools.cache
def target() -> TargetSpec:
    """The reference factory layer."""
    return resolve(BUILTIN[0])


def hunt(search: Search) -> Found:
    """Hunt, and with all oracles shrink what was found."""
    armed = (search.defect,)
    with session():
        start = time.process_time()
        explorer = Explorer(target(), seed=search.seed, armed=armed, oracles=search.oracles)
        outcome = explorer.hunt(Budget(search.executions, search.seconds))
        seconds = time.process_time() - start
        found = Found(
            outcome.verdict.status == "violated",
            outcome.verdict.executions,
            outcome.alone_runs,
            outcome.steps,
            outcome.alone_steps,
            seconds,
            cut_off=outcome.verdict.executions < search.executions,
        )
        if outcome.execution is None or outcome.finding is None:
            return found
        found = msgspec.structs.replace(found, property=outcome.finding.property)
        if not search.shrink:
            return found
        start = time.process_time()
        case = Shrinker(target(), armed).shrink(outcome.execution, outcome.finding)
        return msgspec.structs.replace(
            found,
            size=case.size,
            shrink_seconds=time.process_time() - start,
            property=case.finding.property,
        )


def run(quick: bool) -> Report:
    """Both tables."""
    seeds = FEW if quick else SEEDS
    most = 300 if quick else EXECUTIONS
    searches = [
        Search(
            defect,
            oracles,
            seed,
            min(most, UNSEEN) if oracles == "noninterference" and _unseen(defect) else most,
            2.0 if quick else None,
            oracles == "all" and (seed == 0 or not quick),
        )
        for seed in range(seeds)
        for oracles in ORACLES
        for defect in DEFECTS
    ]
    found = dict(spread(hunt, searches, 35 if quick else None))
    tables: dict[Oracles, dict[str, list[Found]]] = {"all": {}, "noninterference": {}}
    for search in searches:
        if search in found:
            tables[search.oracles].setdefault(search.defect, []).append(found[search])
    full, alone = tables["all"], tables["noninterference"]
    complete = len(found) == len(searches)
    rows = [*_summary(full, complete), *_summary_alone(alone, complete)]
    for defect in DEFECTS:
        rows += _one(defect, full.get(defect, []))
    for defect in DEFECTS:
        rows += _alone(defect, alone.get(defect, []), full.get(defect, []))
    done = "" if complete else f"{len(found)} of {len(searches)} hunts before the time was up, "
    shrunk = ", shrunk from the first only" if quick else ""
    sample = f"{done}{seeds} seeds{shrunk}, at most {most:,} executions each"
    return Report("defects", quick, sample, tuple(rows))


def _unseen(defect: str) -> bool:
    return "noninterference" not in DEFECTS[defect].minimum


def _summary(full: Mapping[str, list[Found]], complete: bool) -> Iterator[Row]:
    found = [name for name, runs in full.items() if all(run.found for run in runs)]
    shrunk = {name: [run for run in full[name] if run.size is not None] for name in found}
    minimal = [d for d, runs in shrunk.items() if runs and all(_is_minimal(d, r) for r in runs)]
    swift = [d for d, runs in shrunk.items() if runs and _shrink_median(runs) < SHRINKS_WITHIN]
    yield _of_all("found from every seed tried", len(found), len(DEFECTS), complete)
    yield _of_all(
        "shrunk to the hand-made minimum from every seed tried",
        len(minimal),
        len(DEFECTS),
        complete,
    )
    yield _of_all("median time to shrink under 1 s", len(swift), len(DEFECTS), complete)


def _summary_alone(alone: Mapping[str, list[Found]], complete: bool) -> Iterator[Row]:
    noticed = [name for name, runs in alone.items() if all(run.found for run in runs)]
    missed = ", ".join(name for name in alone if name not in noticed)
    yield _of_all(
        "found by noninterference alone from every seed tried",
        len(noticed),
        ALONE_FINDS,
        complete,
        f"not: {missed}" if missed else "",
    )
    yield from _costs([run for runs in alone.values() for run in runs])


def _of_all(what: str, value: int, goal: int, complete: bool, note: str = "") -> Row:
    """So many defects; where not all hunts were made, too few of them prove nothing."""
    row = at_least(what, value, goal, f"of {len(DEFECTS)} defects", note=note)
    if value < goal and not complete:
        return msgspec.structs.replace(row, met=None)
    return row


def _costs(every: list[Found]) -> Iterator[Row]:
    """What noninterference costs: an execution alone counts as much as a joint one, or by steps."""
    joint = sum(run.executions for run in every)
    if not joint:
        return
    runs = sum(run.alone_runs for run in every)
    yield figure(
        "cost of noninterference, in runs",
        1 + runs / joint,
        "times",
        note="1 + alone runs / executions, over all hunts, found or not; "
        "an alone run counts in full, and what it takes to doubt a finding is included",
    )
    unbroken = [run for run in every if not run.found]
    if unbroken:
        ratio = sum(run.alone_runs for run in unbroken) / sum(run.executions for run in unbroken)
        yield figure("the same, hunts without a finding", 1 + ratio, "times")
        steps = sum(run.steps for run in unbroken)
        alone = sum(run.alone_steps for run in unbroken)
        yield at_most(
            "cost of noninterference, in executions",
            1 + alone / max(1, steps),
            ALONE_COSTS,
            "times",
            note="work of all runs / work of the joint ones, in steps, hunts without a finding: "
            "an alone run has only one user's steps",
        )


def _one(defect: str, runs: list[Found]) -> Iterator[Row]:
    if not runs:
        yield figure(f"{defect}: found", None, note="no time left")
        return
    found = [run for run in runs if run.found]
    yield at_least(f"{defect}: found", len(found), len(runs), f"of {len(runs)} seeds")
    if not found:
        return
    yield figure(f"{defect}: median to find", _median(r.executions for r in found), "executions")
    yield figure(f"{defect}: median time to find", _median(r.seconds for r in found), "s")
    shrunk = [run for run in found if run.size is not None]
    if not shrunk:
        return
    minimal = sum(_is_minimal(defect, run) for run in shrunk)
    yield at_least(
        f"{defect}: shrunk to the minimum",
        minimal,
        len(shrunk),
        f"of {len(shrunk)} seeds",
        note=_sizes(defect, shrunk),
    )
    yield at_most(f"{defect}: median time to shrink", _shrink_median(shrunk), SHRINKS_WITHIN, "s")


def _alone(defect: str, runs: list[Found], full: list[Found]) -> Iterator[Row]:
    if not runs:
        return
    found = [run for run in runs if run.found]
    with_all = _median(run.executions for run in full if run.found) if full else None
    value = _median(run.executions for run in found) if found else None
    cut = sum(run.cut_off for run in runs if not run.found)
    note = f"{cut} hunts were cut off by the time" if cut else ""
    if not found and _unseen(defect):
        note = "no user can observe it: not for noninterference to find" + (note and "; ") + note
    yield figure(
        f"{defect}: noninterference alone, found {len(found)} of {len(runs)}",
        value,
        "executions",
        peer="all oracles",
        peer_value=with_all,
        ratio=round(value / with_all, 2) if value and with_all else None,
        note=note,
    )


def _is_minimal(defect: str, run: Found) -> bool:
    """Whether it shrank to the size worked out by hand for the property it broke."""
    minimum = DEFECTS[defect].minimum.get(run.property)
    return run.size is not None and minimum is not None and run.size == minimum


def _sizes(defect: str, found: list[Found]) -> str:
    """What it shrank to instead, if anything."""
    minima = DEFECTS[defect].minimum
    other = Counter(
        f"{run.property} {run.size} ("
        + (f"by hand {minima[run.property]}" if run.property in minima else "not in the catalogue")
        + ")"
        for run in found
        if not _is_minimal(defect, run)
    )
    return ", ".join(f"{times} x {what}" for what, times in other.most_common())


def _shrink_median(runs: list[Found]) -> float:
    return _median(run.shrink_seconds for run in runs)


def _median(values: Iterable[float]) -> float:
    return statistics.median(list(values) or [0.0])
