"""Programs: executions to the bug in (a) to (f), beside the peers; and silence on (h).

The published figures rest on 20 seeds, which is few: 200 tell luck from skill, on either side.
Peers inject no cancellations, so the first rows do without them, too; (e1) needs one. The rows
after them are what ``explore_program`` does by default, where every fourth execution cancels.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from collections.abc import Iterable, Iterator
from functools import partial

import msgspec

from benchmarks.crew import spread
from benchmarks.peer_programs import FIFO, main_of
from benchmarks.peers import PEERS, Runner, environment, installed
from benchmarks.rows import ABSENT, Report, Row, at_least, at_most, figure
from isomodel.engine.world import io
from isomodel.search.program import explore_program

CAP = 1_000
"""Executions a seed; a seed that needs more has not found the bug."""

PUBLISHED = {"a": 2, "b": 4, "c": 22, "d1": 47, "e2": 10, "f": 4}
"""The median executions of the best random peer, over 20 seeds (e1: no peer finds it)."""

BEST = {"a": 2, "b": 4, "c": 5, "d1": 31, "e2": 5, "f": 2}
"""The median executions of the best peer of any kind, as published: frontrun's or simloom's."""

BUGGY = ("a", "b", "c", "d1", "e1", "e2", "f")
BESIDE = ("simloop", "simloom")
SILENT = 500
SEEDS = 20
FIFTY = 50
MANY = 200
LONG = 40_000
CHANCE = 1 / 120
"""Of hitting (d1) in one execution, for whoever treats task names alike."""


class Search(msgspec.Struct, frozen=True):
    """One search for the bug of one program."""

    program: str
    seed: int
    cancel: bool


def find(search: Search) -> float:
    """Executions to the bug; infinity if it takes more than the cap."""
    outcome = explore_program(
        main_of(search.program, io), executions=CAP, seed=search.seed, cancel=search.cancel
    )
    return outcome.execution if outcome.verdict.status == "violated" else math.inf


def run(quick: bool) -> Report:
    """All rows."""
    many = FIFTY if quick else MANY
    searches = [
        Search(name, seed, cancel)
        for seed in range(many)
        for name in BUGGY
        for cancel in (False, True)
        if (cancel or name != "e1") and (seed < SEEDS or cancel == (name == "e1"))
    ]
    found = dict(spread(find, searches, 40 if quick else None))
    rows: list[Row] = []
    for name in BUGGY:
        rows += _found(name, found, many)
    rows += [row for name in BUGGY if name != "e1" for row in _by_default(name, found)]
    rows += _silent()
    rows += _beside(found, quick)
    if not quick:
        rows += _chances()
    sample = f"{SEEDS}, {FIFTY}{'' if quick else f' and {many}'} seeds, at most {CAP:,} each"
    return Report("programs", quick, sample, tuple(rows))


def _results(name: str, cancel: bool, found: dict[Search, float], seeds: int) -> list[float]:
    wanted = (Search(name, seed, cancel) for seed in range(seeds))
    return [found[search] for search in wanted if search in found]


def _found(name: str, found: dict[Search, float], many: int) -> Iterator[Row]:
    results = _results(name, name == "e1", found, SEEDS)
    hits = sum(map(math.isfinite, results))
    yield at_least(f"{name}: found", hits, len(results), f"of {len(results)} seeds")
    yield _median(f"{name}: median over {SEEDS} seeds", name, results)
    if name in BEST:
        fifty = statistics.median(_results(name, False, found, FIFTY))
        best = BEST[name]
        yield at_most(
            f"{name}: median over {FIFTY} seeds",
            fifty,
            best,
            "executions",
            peer="best peer of any kind, as published",
            peer_value=best,
            ratio=round(fifty / best, 2) if math.isfinite(fifty) else None,
        )
    if many > FIFTY:
        more = _results(name, name == "e1", found, many)
        yield _median(f"{name}: median over {many} seeds", name, more)


def _by_default(name: str, found: dict[Search, float]) -> Iterator[Row]:
    results = _results(name, True, found, SEEDS)
    yield _median(f"{name}: with cancellations, the default", name, results)


def _median(what: str, name: str, results: list[float]) -> Row:
    value = statistics.median(results)
    low, high = interval(results)
    note = f"95 % confidence interval of the median {low:g} to {high:g}"
    if name not in PUBLISHED:
        return figure(what, value, "executions", peer="no peer finds it", note=note)
    peer = PUBLISHED[name]
    if name == "d1":
        note += "; " + chances(len(results))
    return at_most(
        what,
        value,
        peer,
        "executions",
        peer="best random peer, as published",
        peer_value=peer,
        ratio=round(value / peer, 2) if math.isfinite(value) else None,
        note=note,
    )


def interval(results: Iterable[float]) -> tuple[float, float]:
    """A confidence interval of the median, of at least 95 %, from order statistics alone."""
    ordered = sorted(results)
    count = len(ordered)
    outside, rank = 0.5**count, 0
    while rank + 1 < count / 2:
        more = outside + math.comb(count, rank + 1) * 0.5**count
        if more > 0.025:
            break
        outside, rank = more, rank + 1
    return ordered[rank], ordered[count - 1 - rank]


def chances(seeds: int) -> str:
    """Where a median over so many seeds falls for a search of a known, constant chance."""
    source = random.Random(0)
    scale = 1 / math.log1p(-CHANCE)
    draw = partial(source.expovariate, 1.0)
    medians = sorted(
        statistics.median(math.ceil(-draw() * scale) for _ in range(seeds)) for _ in range(4_000)
    )
    middle, deviation = statistics.median(medians), statistics.pstdev(medians)
    low, high = medians[100], medians[-100]
    peer = PUBLISHED["d1"]
    where = "within" if low <= peer <= high else "outside"
    return (
        "whoever treats task names alike hits one order of 120 with probability 1/120 an "
        f"execution (expected median 83, 60 without repetition): a {seeds}-seed median is then "
        f"{middle:.0f} +- {deviation:.0f}, in 95 of 100 cases {low:.0f} to {high:.0f}; "
        f"the peer's {peer} is {where} that noise"
    )


def _silent() -> Iterator[Row]:
    """Programs that the documented order makes correct must not be called broken."""
    for name, main in FIFO.items():
        verdict = explore_program(main, executions=SILENT, fidelity="stock").verdict
        alarms = int(verdict.status == "violated")
        yield at_most(f"{name}: false alarms under stock", alarms, 0, f"in {SILENT} executions")


def _beside(found: dict[Search, float], quick: bool) -> Iterator[Row]:
    """The peers, in this run, over as many seeds; a few in a quick one."""
    there = installed()
    names = ("a", "b", "f") if quick else [name for name in BUGGY if name != "e1"]
    for peer in BESIDE:
        if peer not in there:
            yield figure("a to f, in the same run", None, "executions", peer=f"{peer}: {ABSENT}")
            continue
        with Runner(environment(".venv-peers")) as runner:
            for name in names:
                results = []
                for seed in range(SEEDS if quick else MANY):
                    answer = runner.ask(do="find", who=peer, program=name, seed=seed, cap=CAP)
                    results.append(answer["executions"] or math.inf)
                for seeds in (SEEDS,) if quick else (SEEDS, MANY):
                    label = f"{peer} {PEERS[peer]} random"
                    yield _same_run(name, found, results[:seeds], label)


def _chances() -> Iterator[Row]:
    """(d1) without the noise of medians: executions a hit, for us and for each peer."""
    there = [peer for peer in BESIDE if peer in installed()]
    python = environment(".venv-peers") if there else sys.executable
    each: dict[str, int] = {}
    with Runner(python) as runner:
        for who in ("isomodel", *there):
            answer = runner.ask(do="hits", who=who, program="d1", executions=LONG)
            each[who] = max(1, answer["hits"])
    mine = LONG / each["isomodel"]
    for who, hits in each.items():
        rate = LONG / hits
        yield figure(
            f"d1: executions a hit, over {LONG:,}",
            mine,
            "executions",
            peer="one order of 120" if who == "isomodel" else f"{who} {PEERS[who]} random",
            peer_value=120 if who == "isomodel" else round(rate, 1),
            ratio=round(mine / (120 if who == "isomodel" else rate), 2),
            note=f"{who}: {hits} hits, one in {rate:.0f} +- {rate / math.sqrt(hits):.0f}",
        )


def _same_run(name: str, found: dict[Search, float], theirs: list[float], peer: str) -> Row:
    mine = statistics.median(_results(name, False, found, len(theirs)))
    median = statistics.median(theirs)
    finite = math.isfinite(mine) and math.isfinite(median)
    return figure(
        f"{name}: median over {len(theirs)} seeds, same run",
        mine,
        "executions",
        peer=peer,
        peer_value=median if math.isfinite(median) else None,
        ratio=round(mine / median, 2) if finite else None,
    )
