"""Shrinking: how small, how fast, in how many executions.

First a toy whose minimum is known by hand (``benchmarks.toy``), beside Hypothesis's own shrinker
on the same toy as a state machine, from as many seeds, in the same run. Then the sixteen defects
of the reference layer. Seconds are CPU seconds of shrinking alone; what it took to find the
failure is not in them, on either side.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator
from typing import Literal

import hypothesis
import msgspec
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.crew import spread
from benchmarks.defects import target
from benchmarks.rows import Report, Row, at_least, at_most, figure
from benchmarks.toy import MINIMUM, MINIMUM_STEPS, Machine, Toy
from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.running.execute import session
from isomodel.search.shrinking.shrink import Shrinker
from isomodel.targets.declare import TargetSpec, spec_of
from isomodel.targets.factory.defects import DEFECTS
from isomodel.targets.factory.defects_414 import OF_THE_ISSUE
from isomodel.values.case import Size

SEEDS, FEW = 40, 10
OF_DEFECTS = 5
ISSUE = tuple(each.id for each in OF_THE_ISSUE)
WITHIN = 0.3
DEFECT_WITHIN = 1.0
EXECUTIONS = 5_000
EXAMPLES = 20_000
LONGEST = 15
"""Steps of one example of the state machine, at most."""


class Shrinking(msgspec.Struct, frozen=True):
    """One failure to find and to shrink; ``who`` names a defect, or one side of the toy."""

    who: str
    seed: int


class Shrunk(msgspec.Struct, frozen=True):
    """How it went: executions are those of shrinking, ``found`` those before it."""

    found: int
    minimal: bool
    executions: int
    seconds: float
    size: str


def shrink(what: Shrinking) -> Shrunk | None:
    """Find it, and shrink it; None if it was not found."""
    if what.who == "hypothesis":
        return by_hypothesis(what.seed)
    if what.who == "toy":
        return ours(spec_of(Toy), (), what.seed, {"no leaked secret": MINIMUM}, "invariants")
    minimum = dict(DEFECTS[what.who].minimum)
    return ours(target(), (what.who,), what.seed, minimum, "all")


def ours(
    spec: TargetSpec,
    armed: tuple[str, ...],
    seed: int,
    minima: dict[str, Size],
    oracles: Literal["all", "invariants"],
) -> Shrunk | None:
    """By a hunt and our shrinker."""
    with session():
        explorer = Explorer(spec, seed=seed, armed=armed, oracles=oracles)
        outcome = explorer.hunt(Budget(EXECUTIONS))
        if outcome.execution is None or outcome.finding is None:
            return None
        shrinker = Shrinker(spec, armed)
        start = time.process_time()
        case = shrinker.shrink(outcome.execution, outcome.finding)
        seconds = time.process_time() - start
    minimal = minima.get(case.finding.property) == case.size
    size = f"{case.finding.property} {case.size}"
    return Shrunk(outcome.verdict.executions, minimal, shrinker.executions, seconds, size)


def by_hypothesis(seed: int) -> Shrunk | None:
    """By the state machine and Hypothesis's shrinker, which runs examples where ours executes."""
    examples = 0
    first: tuple[float, int] | None = None

    class Counting(Machine):
        def __init__(self) -> None:
            nonlocal examples
            examples += 1
            super().__init__()

        @staticmethod
        def failed() -> None:
            nonlocal first
            first = first or (time.process_time(), examples)

    how = settings(
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        max_examples=EXAMPLES,
        stateful_step_count=LONGEST,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    try:
        run_state_machine_as_test(hypothesis.seed(seed)(Counting), settings=how)
    except AssertionError:
        assert first is not None
    else:
        return None
    seconds = time.process_time() - first[0]
    steps = len(Counting.steps)
    minimal = steps == MINIMUM_STEPS
    return Shrunk(first[1], minimal, examples - first[1], seconds, f"{steps} steps")


def run(quick: bool) -> Report:
    """Both tables."""
    seeds = FEW if quick else SEEDS
    each = 1 if quick else OF_DEFECTS
    todo = [Shrinking(who, seed) for seed in range(seeds) for who in ("toy", "hypothesis")]
    todo += [Shrinking(defect, seed) for seed in range(each) for defect in ISSUE]
    done = dict(spread(shrink, todo, 45 if quick else None))
    toy = _of("toy", seeds, done)
    peer = _of("hypothesis", seeds, done)
    rows = [*_toy(toy, peer)]
    for defect in ISSUE:
        rows += _defect(defect, _of(defect, each, done))
    sample = f"toy from {seeds} seeds, each defect from {each}"
    return Report("shrink", quick, sample, tuple(rows))


def _of(
    who: str, seeds: int, done: dict[Shrinking, Shrunk | None]
) -> list[tuple[int, Shrunk | None]]:
    """What came of each of its seeds that was reached in time."""
    wanted = (Shrinking(who, seed) for seed in range(seeds))
    return [(each.seed, done[each]) for each in wanted if each in done]


def _toy(
    toy: list[tuple[int, Shrunk | None]], peer: list[tuple[int, Shrunk | None]]
) -> Iterator[Row]:
    mine = [shrunk for _, shrunk in toy if shrunk is not None]
    theirs = [shrunk for _, shrunk in peer if shrunk is not None]
    name = f"Hypothesis {hypothesis.__version__}"
    reached = f"found from {len(theirs)} of {len(peer)} seeds"
    yield at_least(
        "toy: shrunk to the minimum",
        sum(shrunk.minimal for shrunk in mine),
        len(toy),
        f"of {len(toy)} seeds",
        peer=name,
        peer_value=sum(shrunk.minimal for shrunk in theirs),
        note=f"by hand {MINIMUM}, or {MINIMUM_STEPS} steps of the machine; other sizes: ours "
        f"{_others(mine)}; {name}: {_others(theirs)}, {reached}",
    )
    seconds, others = _median(s.seconds for s in mine), _median(s.seconds for s in theirs)
    yield at_most(
        "toy: median time to shrink",
        seconds,
        WITHIN,
        "s",
        peer=name,
        peer_value=round(others, 3),
        ratio=round(others / seconds, 1) if seconds else None,
    )
    yield figure(
        "toy: median executions to shrink",
        _median(shrunk.executions for shrunk in mine),
        "executions",
        peer=f"{name}, examples",
        peer_value=_median(shrunk.executions for shrunk in theirs),
    )
    yield figure(
        "toy: longest time to shrink",
        max((shrunk.seconds for shrunk in mine), default=0.0),
        "s",
        peer=name,
        peer_value=round(max((shrunk.seconds for shrunk in theirs), default=0.0), 3),
    )


def _defect(defect: str, runs: list[tuple[int, Shrunk | None]]) -> Iterator[Row]:
    shrunk = [each for _, each in runs if each is not None]
    if not shrunk:
        yield figure(f"{defect}: shrunk", None, note="not reached in time, or not found")
        return
    yield at_least(
        f"{defect}: shrunk to the minimum",
        sum(each.minimal for each in shrunk),
        len(shrunk),
        f"of {len(shrunk)} seeds",
        note=f"other sizes: {_others(shrunk)}" if not all(s.minimal for s in shrunk) else "",
    )
    seconds = _median(each.seconds for each in shrunk)
    yield at_most(f"{defect}: median time to shrink", seconds, DEFECT_WITHIN, "s")
    yield figure(
        f"{defect}: median executions to shrink",
        _median(each.executions for each in shrunk),
        "executions",
    )


def _others(shrunk: Iterable[Shrunk]) -> str:
    return ", ".join(sorted(each.size for each in shrunk if not each.minimal)) or "none"


def _median(values: Iterable[float]) -> float:
    return statistics.median(list(values) or [0.0])
