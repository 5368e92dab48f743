"""Released bugs: found cold in the bad version of each package, silent on the good one.

Each version has an environment of its own (``examples/realbugs``), made at first use. Cold: a new
process, default settings, nothing stored. A mended release may have other defects: silent means
that the stored counterexample's failure, the same property of the same operation, never shows.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.crew import WORKERS
from benchmarks.rows import Report, Row, at_least, at_most, figure

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "examples" / "realbugs"))

import run as script  # noqa: E402
from bugs import BUGS, Bug  # noqa: E402

SEEDS, FEW = 5, 1
SILENT_FOR, QUICKLY = 100_000, 500
SECONDS = 10.0
LINES = 40
SWEEP = 450
SWEEP_HITS = {"redis": 96, "httpcore2": 90, "anyio": 60, "psycopg-pool": 240}
"""The peer: a sweep made by hand for one bug over cancel tick x trigger tick x other user's tick,
of so many FIFO schedules, and how many of them hit. It knows the operations that matter."""


def run(quick: bool) -> Report:
    """Hunts in the bad versions, a count in the good ones."""
    with ThreadPoolExecutor(WORKERS) as makers:
        list(
            makers.map(
                lambda job: script.make(*job), [(b, v) for b in BUGS for v in (b.bad, b.good)]
            )
        )
    seeds = range(FEW if quick else SEEDS)
    executions = QUICKLY if quick else SILENT_FOR
    hunts = {bug: [_hunt(bug, seed) for seed in seeds] for bug in BUGS}
    with ThreadPoolExecutor(WORKERS) as counters:
        quiet = dict(
            zip(BUGS, counters.map(lambda bug: _quiet(bug, executions), BUGS), strict=True)
        )
    rows = [*_summary(hunts, quiet, executions)]
    for bug in BUGS:
        rows += _one(bug, hunts[bug], quiet[bug], executions)
    sample = f"{len(seeds)} seeds, {executions:,} executions of each good version"
    return Report("realbugs", quick, sample, tuple(rows))


def _hunt(bug: Bug, seed: int) -> dict[str, Any]:
    options = ["--no-shrink", "--seed", str(seed)]
    document = script.hunt(bug, bug.bad, options)
    alone = script.hunt(bug, bug.bad, [*options, "--oracles", "noninterference"])
    found = script.found(document) if document["exit"] == script.VIOLATED else None
    return {"found": found, "alone": alone["exit"] == script.VIOLATED}


def _quiet(bug: Bug, executions: int) -> dict[str, Any]:
    case = bug.folder / "case.json"
    command = ("-m", "benchmarks.quiet", str(case), str(executions), "0")
    python = str(bug.environment(bug.good) / "bin" / "python")
    ran = subprocess.run(
        [python, *command],
        cwd=bug.folder,
        env={"PYTHONPATH": f"{ROOT}:{bug.folder}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    counted: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return counted


def _seconds(hunts: list[dict[str, Any]]) -> float:
    return statistics.median(h["found"]["hunt_seconds"] for h in hunts if h["found"])


def _summary(
    hunts: dict[Bug, list[dict[str, Any]]], quiet: dict[Bug, dict[str, Any]], executions: int
) -> Iterator[Row]:
    found = [bug for bug, tried in hunts.items() if all(each["found"] for each in tried)]
    swift = [bug for bug in found if _seconds(hunts[bug]) < SECONDS]
    alone = [bug for bug, tried in hunts.items() if all(each["alone"] for each in tried)]
    silent = [bug for bug, count in quiet.items() if not count["same"]]
    unit = f"of {len(BUGS)} bugs"
    yield at_least("found cold from every seed tried", len(found), len(BUGS), unit)
    yield at_least("median time to find under 10 s", len(swift), len(BUGS), unit)
    yield figure("found by noninterference alone from every seed", len(alone), unit)
    row = at_least(
        f"silent on the good version in {executions:,} executions", len(silent), len(BUGS), unit
    )
    yield row
    longest = max(script.lines_of(bug.folder / "target.py") for bug in BUGS)
    yield at_most("longest target, without what plays the server", longest, LINES, "lines")


def _one(
    bug: Bug, hunts: list[dict[str, Any]], quiet: dict[str, Any], executions: int
) -> Iterator[Row]:
    found = [each["found"] for each in hunts if each["found"]]
    name = f"{bug.package} {bug.bad}"
    yield at_least(f"{name}: found", len(found), len(hunts), f"of {len(hunts)} seeds")
    if found:
        runs = statistics.median(each["executions"] for each in found)
        hits = SWEEP_HITS.get(bug.name or bug.package)
        peer = SWEEP / hits if hits else None
        yield figure(
            f"{name}: median to find",
            runs,
            "executions",
            peer="sweep by hand" if peer else "",
            peer_value=peer and round(peer, 1),
            ratio=peer and round(runs / peer, 2),
            note=", ".join(sorted({each["finding"]["property"] for each in found})),
        )
        yield at_most(f"{name}: median time to find", _seconds(hunts), SECONDS, "s")
    alone = sum(each["alone"] for each in hunts)
    yield figure(f"{name}: found by noninterference alone", alone, f"of {len(hunts)} seeds")
    others = ", ".join(f"{times} x {what}" for what, times in quiet["others"].items())
    yield at_most(
        f"{bug.package} {bug.good}: the same failure",
        quiet["same"],
        0,
        f"in {executions:,} executions",
        note="; ".join(
            part
            for part in (
                f"other findings: {others}" if others else "",
                f"{quiet['unknown']} unknown" if quiet["unknown"] else "",
            )
            if part
        ),
    )
