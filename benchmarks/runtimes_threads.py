"""Threads: executions to the bug and executions a second beside interleave-test; robustness;
determinism; a lost update behind SQLAlchemy's asyncio engine.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import thread_programs
from benchmarks.peer_threads import BUGGY, CORRECT
from benchmarks.peers import ROOT, environment
from benchmarks.rows import ABSENT, Report, Row, at_least, at_most, figure, ratio_at_least
from isomodel.engine.threads.points import with_points
from isomodel.schedulers.pct import PCT
from isomodel.schedulers.random import RandomWalk
from isomodel.schedulers.recording import Recording
from isomodel.search.exploring.explore import Explorer
from isomodel.search.exploring.plans import ScheduleSearch
from isomodel.search.running.execute import session
from isomodel.search.threads import (
    Granularity,
    ThreadedProgram,
    controlled,
    explore_threads,
    run_threads,
)
from isomodel.targets.declare import spec_of
from isomodel.targets.factory.threads import Usage

PEER = "interleave-test"
ENVIRONMENTS = (".venv-peers", ".venv-threads-peers")
"""Where it may be installed, beside isomodel's own requirements and greenlet."""

WARMING = "not counted: up to three executions that show what is imported and shared"

GRANULARITIES: tuple[Granularity, ...] = ("accesses", "instructions")


def run(quick: bool) -> Report:
    """These rows alone."""
    return Report("runtimes_threads", quick, "see each row", tuple(rows(quick)))


def rows(quick: bool) -> Iterator[Row]:
    """All rows."""
    yield from _beside(3 if quick else 20, 100 if quick else 1_000)
    yield from _one_line()
    yield from _robust(6 if quick else 500)
    yield _replayed(60 if quick else 1_000)
    yield _lost_in_sqlalchemy()


# Beside the peer


def _beside(seeds: int, cap: int) -> Iterator[Row]:
    for folder in ENVIRONMENTS:
        answer = (
            subprocess.run(
                [environment(folder), "-m", "benchmarks.threads_beside", str(seeds), str(cap)],
                env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            if environment(folder).exists()
            else None
        )
        if answer is not None and answer.returncode == 0:
            yield from _compared(json.loads(answer.stdout), seeds)
            return
    yield figure(f"threads: executions beside {PEER}", None, note=ABSENT)


def _compared(measured: dict[str, Any], seeds: int) -> Iterator[Row]:
    for name, found in measured["found"].items():
        theirs = {style: value for style, value in found.items() if style not in GRANULARITIES}
        best = min(theirs, key=lambda style: theirs[style])
        for granularity in GRANULARITIES:
            what = f"threads ({name}): median over {seeds} seeds, at {granularity}"
            peer = {"peer": f"{PEER}, its best style ({best})", "peer_value": theirs[best]}
            yield at_most(
                what, found[granularity], theirs[best], "executions", note=WARMING, **peer
            )
    for name, speed in measured["speed"].items():
        for granularity in GRANULARITIES:
            for style in ("random opcode", "random line"):
                yield ratio_at_least(
                    f"threads ({name}): executions a CPU second, at {granularity}",
                    speed[granularity],
                    f"{PEER}, {style}",
                    speed[style],
                    speed[granularity] / speed[style],
                    15,
                    "/s",
                )


# What has to be found


class _Counter:
    def __init__(self) -> None:
        self.n = 0

    def is_two(self) -> bool:
        return self.n == 2


def _adds(counter: _Counter) -> None:
    counter.n += 1


def _one_line() -> Iterator[Row]:
    for granularity in GRANULARITIES:
        found = sum(
            explore_threads(
                _adds,
                _adds,
                setup=_Counter,
                check=_Counter.is_two,
                executions=200,
                seed=seed,
                granularity=granularity,
            ).verdict.status
            == "violated"
            for seed in range(20)
        )
        yield at_least(f"threads: n += 1 in one line, at {granularity}", found, 20, "of 20 seeds")


def _lost_in_sqlalchemy() -> Row:
    what = "SQLAlchemy asyncio + aiosqlite: lost update, with both statements"
    try:
        from examples.sqlalchemy_aiosqlite import Bank, two_users_deposit
    except ImportError:
        return figure(what, None, note="SQLAlchemy or aiosqlite is not installed")
    found = 0
    for seed in range(5):
        outcome = explore_threads(
            two_users_deposit, setup=Bank, executions=100, seed=seed
        ).counterexample
        clashes = () if outcome is None else outcome.clashes
        found += any(
            all("UPDATE account" in told for _, _, told in (clash.first, clash.second))
            for clash in clashes
        )
    return at_least(what, found, 5, "of 5 seeds")


# Robustness and determinism


def _robust(programs: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        for granularity in GRANULARITIES:
            same = sum(_is_same(number, Path(folder), granularity) for number in range(programs))
            what = f"threads: generated programs with the result of real threads, at {granularity}"
            yield at_least(what, same, programs, f"of {programs}")


def _is_same(number: int, folder: Path, granularity: Granularity) -> bool:
    module = thread_programs.load(number, folder)
    expected = thread_programs.in_real_threads(module)
    results: list[object] = []
    program = ThreadedProgram(
        module.BODIES, module.Shared, lambda shared: results.append(module.result(shared))
    )
    search = ScheduleSearch(program.roots, 0, rewriting=with_points, packages=())
    with controlled(search, granularity):
        for seed in range(4):
            scheduler = RandomWalk(seed) if seed % 2 else PCT(seed)
            run_threads(program, scheduler, granularity=granularity, max_steps=200_000)
    return results == [expected] * 4


def digest(executions: int) -> str:
    """Of the choices and results of so many executions: half of programs, half of a target."""
    told = hashlib.sha256()
    _tell_programs(told, executions // 2)
    _tell_target(told, executions - executions // 2)
    return told.hexdigest()


def _tell_target(told: Any, executions: int) -> None:
    """One in eight is observed, as in a hunt, and one in eight recorded."""
    explorer = Explorer(spec_of(Usage), armed=("414-12",))
    with session():
        for index in range(executions):
            draw = explorer.fresh(index)
            left = explorer.run(draw, record=index % 8 == 1, observe=index % 8 == 2)
            told.update(repr((left.ended, left.trace, left.observations, left.facts)).encode())
            told.update(repr((left.steps, left.schedule.choices)).encode())


def _tell_programs(told: Any, executions: int) -> None:
    programs = [*BUGGY.values(), *CORRECT.values()]
    for granularity in GRANULARITIES:
        for each in programs:
            program = ThreadedProgram(tuple(each.bodies), each.setup, each.check)
            search = ScheduleSearch(program.roots, 0, rewriting=with_points, packages=())
            with controlled(search, granularity):
                for seed in range(executions // len(programs) // len(GRANULARITIES) + 1):
                    recording = Recording(RandomWalk(seed))
                    how, why, crew = run_threads(program, recording, granularity=granularity)
                    told.update(repr((how, why, crew.steps, recording.choices)).encode())


def _replayed(executions: int) -> Row:
    code = f"from benchmarks.runtimes_threads import digest; print(digest({executions}))"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    what = f"threads: {executions} executions in another process, other hash seed"
    return at_most(what, len(digests), 1, "different digests")
