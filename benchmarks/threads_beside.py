"""Thread tools side by side, in one process of one interpreter; prints JSON.

.venv-peers/bin/python -m benchmarks.threads_beside SEEDS CAP
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.peer_threads import BUGGY, CORRECT, Program
from isomodel.engine.threads.points import with_points
from isomodel.schedulers.random import RandomWalk
from isomodel.search.exploring.plans import ScheduleSearch
from isomodel.search.threads import (
    Granularity,
    ThreadedProgram,
    controlled,
    explore_threads,
    run_threads,
)

STYLES = [(s, g) for s in ("random", "pct") for g in ("line", "opcode")]
GRANULARITIES: tuple[Granularity, ...] = ("accesses", "instructions")


def main() -> None:
    seeds, cap = int(sys.argv[1]), int(sys.argv[2])
    found = {
        name: dict(_found(program, seeds, cap if name != "d1" else 2 * cap))
        for name, program in BUGGY.items()
    }
    speed = {name: dict(_speeds(program, cap)) for name, program in CORRECT.items()}
    json.dump({"found": found, "speed": speed, "python": sys.version.split()[0]}, sys.stdout)


def _found(program: Program, seeds: int, cap: int) -> Iterator[tuple[str, float]]:
    """The median executions to the bug, for each tool and style."""
    for granularity in GRANULARITIES:
        yield granularity, _median(lambda seed, g=granularity: _ours(program, seed, cap, g), seeds)
    for strategy, granularity in STYLES:
        name = f"{strategy} {granularity}"
        yield (
            name,
            _median(
                lambda seed, s=strategy, g=granularity: _theirs(program, seed, cap, s, g), seeds
            ),
        )


def _median(once: Callable[[int], float], seeds: int) -> float:
    return statistics.median(once(seed) for seed in range(seeds))


def _ours(program: Program, seed: int, cap: int, granularity: Granularity) -> float:
    outcome = explore_threads(
        *program.bodies,
        setup=program.setup,
        check=program.check,
        executions=cap,
        seed=seed,
        granularity=granularity,
    )
    return outcome.execution or math.inf


def _theirs(program: Program, seed: int, cap: int, strategy: str, granularity: str) -> float:
    result = _interleave(program, seed + 1, cap, strategy, granularity)
    return float(result.schedules_run) if result.failure else math.inf


def _interleave(program: Program, seed: int, cap: int, strategy: str, granularity: str) -> Any:
    import interleave_test

    def model() -> None:
        state = program.setup()
        threads = [interleave_test.spawn(body, state) for body in program.bodies]
        for thread in threads:
            thread.join()
        assert program.check(state)

    return interleave_test.explore(
        model,
        iterations=cap,
        seed=seed,
        strategy=strategy,
        granularity=granularity,
        raise_on_failure=False,
    )


def _speeds(program: Program, executions: int) -> Iterator[tuple[str, float]]:
    """Executions a second of CPU time; both tools with a random schedule for each."""
    for granularity in GRANULARITIES:
        yield granularity, _our_speed(program, executions, granularity)
    for strategy, style in STYLES:
        began = time.process_time()
        count = _interleave(program, 1, executions, strategy, style).schedules_run
        yield f"{strategy} {style}", count / (time.process_time() - began)


def _our_speed(program: Program, executions: int, granularity: Granularity) -> float:
    threaded = ThreadedProgram(tuple(program.bodies), program.setup, program.check)
    search = ScheduleSearch(threaded.roots, 0, rewriting=with_points, packages=())
    with controlled(search, granularity):
        run_threads(threaded, RandomWalk(0), granularity=granularity)
        began = time.process_time()
        for seed in range(executions):
            ended = run_threads(threaded, RandomWalk(seed), granularity=granularity, seed=seed)[0]
            assert ended == "ok"
        return executions / (time.process_time() - began)


if __name__ == "__main__":
    main()
