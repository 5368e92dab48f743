"""Speed: executions in a CPU second on programs (g), beside seedloop and others, in turns.

The machine drifts, so what is compared takes turns, and the ratio is the median of the ratios
of neighbours. All run under one interpreter, that of the peers' environment where there is one.
"""

from __future__ import annotations

import contextlib
import statistics
import sys

from benchmarks.peers import HEAVY, PEERS, Runner, environment, installed
from benchmarks.rows import ABSENT, Report, Row, figure, ratio_at_least

GOAL = 15_000 / 4_850
"""What was promised on (g), over what seedloop did on the same machine."""

LEAD = 4.0
"""What is wanted on (g) over the fastest of the peers, whichever that is in this run."""

FLOOR = 1 / 3
"""What is wanted on (g) of the speed of coroutines sent to by hand."""

PRICE = 0.9
"""With heavy libraries imported, at least this share of the speed is left."""

CASES = ("g conflicting", "g independent")
FIDELITIES = ("isomodel stock", "isomodel portable")
SLOWER = ("frontrun", "simloop", "simloom")
"""Peers left out of a quick run: measured, they make a third of what seedloop makes, or less."""
SAMPLE = {
    "isomodel stock": 2_000,
    "isomodel portable": 2_000,
    "seedloop": 1_500,
    "asyncio.run": 800,
    "bare send": 10_000,
    "frontrun": 400,
    "simloop": 60,
    "simloom": 60,
}
"""Executions a turn: some tenths of a second each."""


def run(quick: bool) -> Report:
    """The rates and ratios."""
    turns = 3 if quick else 15
    found = installed()
    rows: list[Row] = []
    python = environment(".venv-peers") if found else sys.executable
    with Runner(python) as ours, Runner(python) as other:
        known = ours.ask(do="version")
        for case in CASES:
            rows += _beside_seedloop(ours, other, case, turns, "seedloop" in found)
        for case in CASES:
            rows += _beside_the_fastest(ours, other, case, max(2, turns // 3), quick, found)
        for case in CASES:
            rows += _beside_the_rest(ours, other, case, max(2, turns // 5), quick, found)
    rows += _with_imports(turns, found)
    form = f"isomodel's core {known['form']}"
    sample = f"medians of {turns} turns, executions a CPU second, Python {known['python']}, {form}"
    return Report("speed", quick, sample, tuple(rows))


def _beside_seedloop(ours: Runner, other: Runner, case: str, turns: int, there: bool) -> list[Row]:
    rows = []
    for who in FIDELITIES:
        mine, theirs = _in_turns(ours, who, other, "seedloop" if there else None, case, turns)
        what = f"{who}, {case}"
        if not theirs:
            rows.append(_without_peer(what, mine, "seedloop", f"ratio >= {GOAL:.3g}"))
            continue
        rows.append(_compared(what, mine, "seedloop", theirs, round(GOAL, 2)))
    return rows


def _beside_the_fastest(
    ours: Runner, other: Runner, case: str, turns: int, quick: bool, found: dict[str, str]
) -> list[Row]:
    """Every peer takes its turn; each turn of ours is compared with the fastest of them."""
    peers = [name for name in ("seedloop", *(() if quick else SLOWER)) if name in found]
    rows = []
    for who in FIDELITIES:
        mine: list[float] = []
        theirs: list[dict[str, float]] = []
        for _ in range(turns + 1):
            mine.append(_rate(ours, who, case))
            theirs.append({peer: _rate(other, peer, case) for peer in peers})
        what = f"{who}, {case}, beside the fastest peer"
        if not peers:
            rows.append(_without_peer(what, mine, "any peer", f"ratio >= {LEAD:g}"))
            continue
        fastest = [max(turn.values()) for turn in theirs[1:]]
        last = theirs[-1]
        name = max(last, key=lambda peer: last[peer])
        rows.append(_compared(what, mine[1:], name, fastest, LEAD))
    return rows


def _beside_the_rest(
    ours: Runner, other: Runner, case: str, turns: int, quick: bool, found: dict[str, str]
) -> list[Row]:
    """Where the floor, which has a goal, and the other peers are."""
    rows = []
    peers = ["bare send", "asyncio.run", *(() if quick else SLOWER)]
    for peer in peers:
        there = peer not in PEERS or peer in found
        mine, theirs = _in_turns(
            ours, "isomodel stock", other, peer if there else None, case, turns
        )
        what = f"isomodel stock, {case}, again"
        if theirs:
            goal = round(FLOOR, 3) if peer == "bare send" else None
            rows.append(_compared(what, mine, peer, theirs, goal))
        else:
            rows.append(_without_peer(what, mine, peer, ""))
    return rows


def _in_turns(
    ours: Runner, who: str, other: Runner, peer: str | None, case: str, turns: int
) -> tuple[list[float], list[float]]:
    """Rates of both, A B A B; the first turn of each only warms up."""
    mine: list[float] = []
    theirs: list[float] = []
    for _ in range(turns + 1):
        mine.append(_rate(ours, who, case))
        if peer is not None:
            theirs.append(_rate(other, peer, case))
    return mine[1:], theirs[1:]


def _rate(runner: Runner, who: str, case: str) -> float:
    answer = runner.ask(do="speed", who=who, program=case, executions=SAMPLE[who])
    return float(answer["rate"])


def _compared(
    what: str, mine: list[float], peer: str, theirs: list[float], goal: float | None
) -> Row:
    ratio = statistics.median(one / two for one, two in zip(mine, theirs, strict=True))
    value, peers = statistics.median(mine), statistics.median(theirs)
    unit = "executions/s"
    if goal is None:
        return figure(what, value, unit, peer=peer, peer_value=round(peers), ratio=round(ratio, 3))
    return ratio_at_least(what, value, peer, peers, ratio, goal, unit)


def _without_peer(what: str, mine: list[float], peer: str, goal: str) -> Row:
    value = statistics.median(mine)
    return figure(what, value, "executions/s", peer=f"{peer}: {ABSENT}", goal=goal)


def _with_imports(turns: int, found: dict[str, str]) -> list[Row]:
    """The same with what a real service imports, which an execution should not pay for."""
    what = "isomodel stock, g conflicting, " + ", ".join(HEAVY) + " imported"
    missing = [name for name in HEAVY if name not in found]
    if missing:
        peer = f"without: {', '.join(missing)} not installed"
        return [figure(what, None, "executions/s", peer=peer, goal=f"ratio >= {PRICE}")]
    python = environment(".venv-peers")
    with contextlib.ExitStack() as stack:
        light = stack.enter_context(Runner(python))
        heavy = stack.enter_context(Runner(python, *HEAVY))
        mine, theirs = [], []
        for _ in range(turns + 1):
            mine.append(_rate(heavy, "isomodel stock", "g conflicting"))
            theirs.append(_rate(light, "isomodel stock", "g conflicting"))
        begin = heavy.ask(do="install", repeats=5)
        bare = light.ask(do="install", repeats=5)
    row = _compared(what, mine[1:], "isomodel without", theirs[1:], PRICE)
    once = figure(
        f"beginning and ending a hunt, {begin['modules']:,} modules imported",
        begin["seconds"] * 1000,
        "ms",
        peer=f"isomodel, {bare['modules']:,} modules",
        peer_value=round(bare["seconds"] * 1000, 1),
    )
    return [row, once]
