"""trio and anyio: what is reached, whether both back ends agree, and what control costs."""

from __future__ import annotations

import hashlib
import itertools
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import trio
from trio._core import _run

from benchmarks.anyio_programs import KINDS, on_both
from benchmarks.rows import Row, at_least, figure, ratio_at_least
from isomodel.engine.control.control import Control
from isomodel.engine.world import io
from isomodel.schedulers.random import RandomWalk
from isomodel.search.program import run_program
from isomodel.search.running.execute import session

ORDERS = 90
"""Of 3 tasks with 2 steps each: 6! / (2! 2! 2!)."""

WALKS = 6_000


def rows(quick: bool) -> Iterator[Row]:
    """All figures."""
    with session(), Control().installed():
        yield from _orders()
        yield from _agreement(200 if quick else 1_000)
        yield from _speed(300 if quick else 2_000)
    yield _determinism(200 if quick else 1_000)


# Orders


def _three_by_two(seen: set[Any], wait: Callable[[], Any]) -> Callable[[], Any]:
    async def main() -> None:
        order: list[int] = []

        async def work(number: int) -> None:
            for _ in range(2):
                await wait()
                order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(work, number)
        seen.add(tuple(order))

    return main


def _orders() -> Iterator[Row]:
    shuffled = _of_trio(shuffling=True)
    plain = _of_trio(shuffling=False)
    reached = _reached("portable", trio.lowlevel.checkpoint)
    yield ratio_at_least(
        "trio: orders of 3 tasks x 2 checkpoints, portable",
        reached,
        "trio under Hypothesis",
        shuffled,
        reached / shuffled,
        ORDERS / 36,
        f"of {ORDERS}",
    )
    stock = _reached("stock", trio.lowlevel.checkpoint)
    yield Row(
        "trio: the same, stock",
        stock,
        f"of {ORDERS}",
        "trio.run",
        plain,
        stock / plain,
        "the same",
        stock == plain,
    )
    yield at_least("trio: orders of 3 tasks x 2 I/O, stock", _reached("stock", io), ORDERS)


def _reached(fidelity: Any, wait: Callable[[], Any]) -> int:
    seen: set[Any] = set()
    main = _three_by_two(seen, wait)
    for seed in range(WALKS):
        run_program(main, RandomWalk(seed), fidelity=fidelity, runtime="trio")
        if len(seen) == ORDERS:
            break
    return len(seen)


def _of_trio(*, shuffling: bool) -> int:
    """What trio's own loop reaches, with its own random numbers."""
    seen: set[Any] = set()
    main = _three_by_two(seen, trio.lowlevel.checkpoint)
    before = _run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r
    _run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r = shuffling, random.Random(0)
    try:
        for _ in range(WALKS // 3):
            trio.run(main)
    finally:
        _run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r = before
    return len(seen)


# asyncio and trio through anyio


def _agreement(programs: int) -> Iterator[Row]:
    same = sum(_agree(seed, KINDS) for seed in range(programs))
    yield at_least(
        "anyio: random programs with the same history on asyncio and trio",
        same,
        programs,
        f"of {programs}",
        note="same scenario, same schedule, portable",
    )
    some = programs // 4
    threads = sum(_agree(seed, ("io", "thread")) for seed in range(some))
    yield figure(
        "anyio: the same with worker threads",
        threads,
        f"of {some}",
        note="to_thread takes one checkpoint less on trio; replay counts what it could not follow",
    )


def _agree(seed: int, kinds: tuple[str, ...]) -> bool:
    one, other = on_both(seed, "portable", kinds)
    return one.history == other.history and one.observations == other.observations


# Speed


async def _three_by_four() -> None:
    async def work() -> None:
        for _ in range(4):
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(work)


def _speed(executions: int) -> Iterator[Row]:
    seeds = itertools.count()

    def controlled() -> None:
        run_program(_three_by_four, RandomWalk(next(seeds)), fidelity="portable", runtime="trio")

    ours = _rate(controlled, executions)
    theirs = _rate(lambda: trio.run(_three_by_four), executions)
    yield Row(
        "trio: 3 tasks x 4 checkpoints, executions/s of CPU",
        round(ours),
        "1/s",
        "trio.run",
        round(theirs),
        round(ours / theirs, 2),
    )


def _rate(run: Callable[[], object], executions: int) -> float:
    """The best of five parts: what else runs here makes each slower, none faster."""
    best = 0.0
    for _ in range(5):
        start = time.process_time()
        for _ in range(executions // 5):
            run()
        best = max(best, executions // 5 / (time.process_time() - start))
    return best


# Determinism


def digest(executions: int) -> str:
    """All that so many random executions on trio left."""
    total = hashlib.sha256()
    with session():
        for seed in range(executions):
            fidelity: Any = ("stock", "portable")[seed % 2]
            _, other = on_both(seed, fidelity, (*KINDS, "thread"))
            total.update(msgspec.json.encode((other.trace, other.observations, other.arrivals)))
    return total.hexdigest()


def _determinism(executions: int) -> Row:
    code = f"from benchmarks.runtimes_trio import digest; print(digest({executions}))"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    return Row(
        f"trio: {executions:,} executions repeated in another process, another hash seed",
        "identical" if len(digests) == 1 else "different",
        goal="identical",
        met=len(digests) == 1,
    )
