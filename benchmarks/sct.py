"""sct: executions to the bug in the kernels of the field, our policies beside each other.

20 campaigns a kernel and policy, at most 10,000 executions each; the figures are hits, and the mean
over those. All policies run in one harness (``benchmarks.kernels``): fidelity portable, each
access to shared state one event, spawning a thread eight more. The published figures (SURW,
ASPLOS 2025, for C programs) are context: other programs, if alike, in another harness.

Nothing is known of a kernel but what its own executions show: the first ones of each campaign,
which count like any other, make the profile that the policies use; the very first is a uniform
walk.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import msgspec

from benchmarks.crew import spread
from benchmarks.kernels import KERNELS
from benchmarks.kernels.threads import Threads
from benchmarks.rows import Report, Row, at_least, at_most, figure
from isomodel.engine.protocol import Scheduler
from isomodel.schedulers.delay import DelayBounded
from isomodel.schedulers.events import Touches
from isomodel.schedulers.pct import PCT
from isomodel.schedulers.pos import POS
from isomodel.schedulers.profile import UNKNOWN, Profile, Profiling
from isomodel.schedulers.random import RandomWalk
from isomodel.schedulers.sticky import Sticky
from isomodel.schedulers.surw import SURW
from isomodel.search.program import run_program
from isomodel.search.running.execute import session

CAP = 10_000
CAMPAIGNS, FEW = 20, 3
LEARNING = 3
"""Executions of a campaign from which the profile is made."""

PATIENCE, HASTE = 3600, 30
"""Seconds after which a full run, and a quick one, begins no further campaign.

Policies that miss a bug among a hundred threads take minutes a campaign: those come last, and few.
"""

QUICK_CAP = 200
"""At most so many executions in a quick run, for all but SURW."""

LARGE = ("twostage_50", "reorder_100", "twostage_100")
"""Kernels that a quick run leaves out."""

Policy = Callable[[int, Profile, Touches], Scheduler]

POLICIES: dict[str, Policy] = {
    "SURW": lambda seed, profile, touches: SURW(seed, profile, touches=touches),
    "POS": lambda seed, profile, touches: POS(seed, profile, touches=touches),
    "PCT-3": lambda seed, profile, touches: PCT(seed, profile, depth=3),
    "PCT-10": lambda seed, profile, touches: PCT(seed, profile, depth=10),
    "uniform": lambda seed, profile, touches: Sticky(seed, profile, stay=0.0),
    "latencies": lambda seed, profile, touches: RandomWalk(seed),
    "sticky": lambda seed, profile, touches: Sticky(seed, profile),
    "delays-2": lambda seed, profile, touches: DelayBounded(seed, profile, bound=2),
}

COLUMNS = ("uniform", "PCT-3", "PCT-10", "POS", "SURW")

PUBLISHED: dict[str, tuple[float | None, ...]] = {
    "account": (18, 4, 4, 4, 6),
    "lazy01": (21, 5, 5, 5, 2),
    "deadlock01": (3, 13, 7, 4, 2),
    "token_ring": (13, 8, 8, 9, 8),
    "bluetooth_driver": (215, 112, 83, 36, 70),
    "stack": (176, 3, 3, 2, 5),
    "circular_buffer": (4, 9, 5, 2, 3),
    "wronglock": (36, 51, 20, 10, 7),
    "twostage": (464, 13, 9, 15, 8),
    "twostage_20": (None, 159, 101, 156, 6),
    "twostage_50": (None, 1_676, 692, 1_637, 20),
    "twostage_100": (None, 7_466, 5_726, 6_674, 454),
    "reorder_3": (None, 185, 148, 86, 7),
    "reorder_5": (None, 647, 1_094, 2_169, 10),
    "reorder_10": (None, 3_225, 4_462, None, 17),
    "reorder_20": (None, 3_005, 3_297, None, 6),
    "reorder_100": (None, None, None, None, 194),
    "stringbuffer": (2_243, 281, 26, 23, 8),
    "boundedBuffer": (7, 20, 6, 5, 9),
    "WorkStealQueue": (None, 48, 16, 12, 6),
}
"""Mean executions to the first bug, of the campaigns that hit; None: none did, or not measured."""

FEWER: dict[tuple[str, str], int] = {
    ("twostage_100", "PCT-3"): 3,
    ("twostage_100", "PCT-10"): 9,
    ("twostage_100", "POS"): 3,
    ("reorder_10", "PCT-3"): 16,
    ("reorder_10", "PCT-10"): 12,
    ("reorder_20", "PCT-10"): 17,
    ("stringbuffer", "uniform"): 19,
}
"""How many of the 20 published campaigns hit, where not all and not none did."""


class Campaigns(msgspec.Struct, frozen=True):
    """Campaigns of one policy against one kernel, by their numbers."""

    kernel: str
    policy: str
    numbers: tuple[int, ...]
    cap: int = CAP


Results = Mapping[tuple[str, str], list[float]]


def find(campaigns: Campaigns) -> list[float]:
    """Executions to the bug in each; infinity if it takes more than the cap."""
    with session():
        return [_find(campaigns, number) for number in campaigns.numbers]


def _find(campaigns: Campaigns, number: int) -> float:
    make = POLICIES[campaigns.policy]
    kernel = KERNELS[campaigns.kernel]
    profile = UNKNOWN
    for index in range(campaigns.cap):
        threads = Threads()
        walk = POLICIES["uniform"] if index == 0 else make
        scheduler = walk(number * 1_000_003 + index, profile, threads.touches)
        learning = Profiling(scheduler, threads.touches) if index < LEARNING else None
        ended, _, loop = run_program(
            partial(kernel, threads), learning or scheduler, fidelity="portable"
        )
        if ended in ("raised", "hang"):
            return index + 1
        if learning is not None:
            profile = profile.plus(learning.profile(loop.step_counts()))
    return math.inf


def run(quick: bool) -> Report:
    """All rows."""
    count = FEW if quick else CAMPAIGNS
    results: dict[tuple[str, str], list[float]] = {}
    for each, found in spread(find, _campaigns(quick), HASTE if quick else PATIENCE):
        results.setdefault((each.kernel, each.policy), []).extend(found)
    kernels = [kernel for kernel in KERNELS if not (quick and kernel in LARGE)]
    rows = [*_summary(kernels, results, count)]
    for kernel in kernels:
        rows += _kernel(kernel, results, count)
    sample = f"{count} campaigns of at most {CAP:,} executions"
    if quick:
        sample += f", {QUICK_CAP} for all but SURW"
    return Report("sct", quick, sample, tuple(rows))


def _campaigns(quick: bool) -> Iterator[Campaigns]:
    """SURW first, then the others, and what is slow last."""
    small = [kernel for kernel in KERNELS if kernel not in LARGE]
    others = [policy for policy in POLICIES if policy != "SURW"]
    if quick:
        all_of_them = tuple(range(FEW))
        yield from (Campaigns(kernel, "SURW", all_of_them) for kernel in small)
        for kernel in small:
            for policy in others:
                yield Campaigns(kernel, policy, all_of_them, QUICK_CAP)
        return
    for kernel in (*LARGE, *small):
        for numbers in _pieces(CAMPAIGNS, 5):
            yield Campaigns(kernel, "SURW", numbers)
    for numbers in _pieces(CAMPAIGNS, 2):  # a few of each before more of any
        for kernel in small:
            for policy in others:
                yield Campaigns(kernel, policy, numbers)
    for numbers in _pieces(FEW, 1):
        for kernel in LARGE:
            for policy in others:
                yield Campaigns(kernel, policy, numbers)


def _pieces(count: int, size: int) -> Iterator[tuple[int, ...]]:
    """The numbers below ``count``, so many at a time."""
    for first in range(0, count, size):
        yield tuple(range(first, min(first + size, count)))


def _summary(kernels: Sequence[str], results: Results, count: int) -> Iterator[Row]:
    in_all = {
        policy: [kernel for kernel in kernels if _hits(results.get((kernel, policy), ())) == count]
        for policy in POLICIES
    }
    every = len(results) and all(
        len(results.get((kernel, "SURW"), ())) == count for kernel in kernels
    )
    yield _if(
        every,
        at_least(
            "kernels whose bug SURW finds in every campaign",
            len(in_all["SURW"]),
            len(kernels),
            f"of {len(kernels)}",
            note=", ".join(f"{policy} {len(found)}" for policy, found in in_all.items()),
        ),
    )
    found = in_all["SURW"]
    ours = geometric_mean([statistics.mean(results[kernel, "SURW"]) for kernel in found])
    theirs = geometric_mean([_published(kernel, "SURW") or math.nan for kernel in found])
    yield _if(
        every and len(found) == len(kernels),
        at_most(
            "SURW: geometric mean over the kernels of mean executions",
            ours,
            theirs,
            "executions",
            peer="SURW, as published",
            peer_value=round(theirs, 2),
            ratio=round(ours / theirs, 2),
        ),
    )


def _if(tested: object, row: Row) -> Row:
    """Leave a goal open that was not put to the test in full."""
    return row if tested else msgspec.structs.replace(row, met=None)


def _kernel(kernel: str, results: Results, count: int) -> Iterator[Row]:
    for policy in POLICIES:
        runs = results.get((kernel, policy), [])
        hits = [executions for executions in runs if math.isfinite(executions)]
        published = _published(kernel, policy)
        mean = statistics.mean(hits) if hits else None
        row = figure(
            f"{kernel}: {policy}, found {len(hits)} of {len(runs)}",
            mean,
            "executions, mean",
            peer=_peer(kernel, policy),
            peer_value=published,
            ratio=round(mean / published, 2) if mean and published else None,
        )
        if policy == "SURW" and len(runs) == count:
            goal = f"{count} of {count}"
            row = msgspec.structs.replace(row, goal=goal, met=len(hits) == count)
        if runs:
            yield row


def _published(kernel: str, policy: str) -> float | None:
    if policy not in COLUMNS:
        return None
    return PUBLISHED[kernel][COLUMNS.index(policy)]


def _peer(kernel: str, policy: str) -> str:
    if policy not in COLUMNS:
        return ""
    if (kernel, policy) == ("WorkStealQueue", "uniform"):
        return "not published"
    none = 0 if _published(kernel, policy) is None else CAMPAIGNS
    hits = FEWER.get((kernel, policy), none)
    return f"published, {hits} of {CAMPAIGNS}"


def _hits(runs: Sequence[float]) -> int:
    return sum(map(math.isfinite, runs))


def geometric_mean(values: list[float]) -> float:
    """Of positive numbers; NaN of none."""
    if not values:
        return math.nan
    return math.exp(statistics.mean(map(math.log, values)))
