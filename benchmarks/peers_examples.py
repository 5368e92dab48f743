"""The programs that peers publish, unmodified: their bugs found, and those without one silent.

Beside each peer's own search, in one environment (``python -m benchmarks.peers install``).
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
from collections.abc import Iterator
from typing import Any

from benchmarks.peers import PEERS, ROOT, environment, installed
from benchmarks.published import EXAMPLES, Example
from benchmarks.rows import ABSENT, Report, Row, figure

SEEDS, CAP, SILENT = 20, 1_000, 500
"""Seeds for each bug, and executions for each seed; executions where there is no bug."""

QUICK = (3, 200, 50)


def run(quick: bool) -> Report:
    """These rows alone."""
    seeds, cap, silent = QUICK if quick else (SEEDS, CAP, SILENT)
    sample = f"{seeds} seeds, at most {cap:,} executions each; {silent} where there is no bug"
    return Report("peers_examples", quick, sample, tuple(rows(quick)))


def rows(quick: bool) -> Iterator[Row]:
    """A row for each program."""
    there = installed()
    for peer in PEERS:
        examples = [example for example in EXAMPLES if example.peer == peer]
        if peer not in there or "greenlet" not in there:
            yield figure(f"{peer}: {len(examples)} published programs", None, note=ABSENT)
            continue
        mine, theirs = (_measured(who, peer, quick) for who in ("ours", "theirs"))
        for example in examples:
            yield _row(example, mine[example.what], theirs.get(example.what, {}))


def _measured(who: str, peer: str, quick: bool) -> dict[str, Any]:
    """What came of each program of this peer's, measured in its environment."""
    python = environment(".venv-peers")
    seeds, cap, silent = QUICK if quick else (SEEDS, CAP, SILENT)
    seeds = 1 if peer == "frontrun" and who == "theirs" else seeds  # it is systematic
    launcher = [python.parent / "frontrun"] if peer == "frontrun" and who == "theirs" else []
    answer = subprocess.run(
        [*launcher, python, "-m", "benchmarks.published_beside", who, peer]
        + [str(number) for number in (seeds, cap, silent)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        reason = (answer.stderr.strip().splitlines() or ["ended without a word"])[-1]
        return {each.what: {"error": reason} for each in EXAMPLES if each.peer == peer}
    told: dict[str, Any] = json.loads(answer.stdout.strip().splitlines()[-1])
    return told


def _row(example: Example, mine: dict[str, Any], theirs: dict[str, Any]) -> Row:
    found: list[float] = mine.get("executions", [])
    notes = [example.note] if example.note else []
    if example.broken:
        met = bool(found) and all(map(math.isfinite, found))
        value: float | str | None = statistics.median(found) if met else "missed"
    else:
        met = bool(found) and all(status == "ok" for status, _ in mine.get("verdicts", ()))
        value = "nothing" if met else "alarm"
    if not met:
        verdicts = [why for _, why in mine.get("verdicts", ())]
        notes.append("; ".join(dict.fromkeys([mine.get("error", ""), *verdicts])).strip("; "))
    if "error" in theirs:
        notes.append(f"not run by the peer: {theirs['error']}")
    reported = [each for each in theirs.get("executions", ()) if not math.isnan(each)]
    peer_value = statistics.median(reported) if reported else math.inf
    both = met and example.broken and math.isfinite(peer_value)
    return Row(
        f"{example.peer}: {example.what}",
        value,
        "executions" if example.broken else "",
        example.peer,
        peer_value if math.isfinite(peer_value) else None,
        round(statistics.median(found) / peer_value, 2) if both else None,
        "found" if example.broken else "silent",
        met,
        "; ".join(notes),
    )
