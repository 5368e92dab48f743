"""How many executions the bugs take that peers' published programs have: here, or by the peer.

    .venv-peers/bin/python -m benchmarks.published_beside ours|theirs PEER SEEDS CAP SILENT

prints JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import math
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.peer_drivers import Program, exchanged
from benchmarks.published import EXAMPLES, Example, dismiss

SPACING = 100_000
"""Between the first seeds of a peer's searches, so that they share none."""


def searched(example: Example, program: Program, seed: int, cap: int) -> tuple[float, str, str]:
    """Executions to its bug, infinity if that is not found; the verdict, and why."""
    status, executions, why = ours(program, seed, cap, **example.more)
    found = status == "violated" and why.startswith(example.fails)
    return (executions if found else math.inf), status, why


def ours(program: Program, seed: int, cap: int, **more: Any) -> tuple[str, int, str]:
    """The verdict, after how many executions, and why."""
    from isomodel.search.program import explore_program
    from isomodel.search.threads import explore_threads

    if program.main is not None:
        outcome = explore_program(program.main, executions=cap, seed=seed, cancel=False)
    else:
        outcome = explore_threads(
            *program.bodies,
            setup=program.setup,
            check=program.check,
            executions=cap,
            seed=seed,
            **more,
        )
    return outcome.verdict.status, outcome.execution, outcome.verdict.reason


def theirs(peer: str, program: Program, seed: int, cap: int) -> float:
    """The same by the peer, as it recommends; nan where it was not asked to look."""
    asked = dict(program.asked)
    module: Any = importlib.import_module(peer.replace("-", "_"))
    first = 1 + seed * SPACING
    if peer == "simloop":
        report = module.explore(asked["test"], range(first, first + cap))
        return report.seeds_passed + 1 if report else math.inf
    if peer == "simloom":
        found = module.explore(
            asked["test"],
            runs=cap,
            start_seed=first,
            virtual_time=True,
            seed_randomness=True,
            world=True,
        )
        return found.runs if found.failed else math.inf
    if peer == "seedloop":
        seeds = range(first, first + cap)
        checked = module.check(asked["scenario"], seeds=seeds, on_failure="return")
        return checked.checked if checked.failing_seed is not None else math.inf
    if peer == "interleave-test":
        result = module.explore(
            program.bodies[0], iterations=cap, seed=seed + 1, raise_on_failure=False
        )
        return result.schedules_run if result.failure else math.inf
    return _frontrun(module, asked) if asked else math.nan


def _frontrun(module: Any, asked: dict[str, Any]) -> float:
    """It needs no seed: what it searches with by default is systematic."""
    if "threads" in asked:
        result = module.trace_markers.explore_marker_interleavings(**asked)
    else:
        result = module.explore(**asked)
        if asyncio.iscoroutine(result):
            result = asyncio.run(result)
    return result.num_explored if not result.property_holds else math.inf


def measure(
    who: str, peer: str, seeds: int, cap: int, silent: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """For each of the peer's programs, its executions to the bug by seed, or why there are none.

    At most ``cap`` for each seed; one seed and ``silent`` executions where there is no bug.
    """
    for example in EXAMPLES:
        if example.peer != peer:
            continue
        told: dict[str, Any] = {"executions": [], "verdicts": []}
        most, tries = (cap, range(seeds)) if example.broken else (silent, range(1))
        try:
            with exchanged(peer, ours=who == "ours"):
                program = example.load()
                for seed in tries if who == "ours" else ():
                    found, *verdict = searched(example, program, seed, most)
                    told["executions"].append(found)
                    told["verdicts"].append(verdict)
            for seed in tries if who == "theirs" else ():
                told["executions"].append(theirs(peer, program, seed, most))
        except Exception as error:
            told["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
        yield example.what, told


def main() -> None:
    who, peer, *numbers = sys.argv[1:]
    try:
        told = dict(measure(who, peer, *map(int, numbers)))
    finally:
        dismiss()
    print("\n" + json.dumps(told))


if __name__ == "__main__":
    main()
