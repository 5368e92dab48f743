"""Real libraries over the network in memory: how fast, how repeatable, what is found, what is not.

Rates are of complete executions (start, operations, final checks, stop), in CPU seconds. The peer
of the first row is the same program on stock asyncio over real loopback sockets.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import logging
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.network_targets import NEEDED, TARGETS, WebSockets
from benchmarks.rows import Row, at_least, at_most, figure, ratio_at_least
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.random import RandomWalk
from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.exploring.generate import Generator
from isomodel.search.judging.judge import Judge
from isomodel.search.running.execute import execute, session
from isomodel.targets.declare import TargetSpec, spec_of
from isomodel.targets.factory.defects import DEFECTS
from isomodel.targets.resolve import resolve
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "redis_py"
PLATFORM = "isomodel.targets.platform.target:Platform"

ECHOES = 500
"""Executions a second of two WebSocket clients, from connecting to closing, that are wanted."""

A_MINUTE = 2_000
"""Executions a minute that every library should reach."""

MOST = 2_000
"""Executions in which a defect has to be found."""


def rows(quick: bool) -> Iterator[Row]:
    """All rows of this runtime; libraries that are not installed are left out, and named."""
    logging.disable(logging.CRITICAL)
    try:
        names = [name for name in TARGETS if all(map(importlib.util.find_spec, NEEDED[name]))]
        if missing := [name for name in TARGETS if name not in names]:
            yield figure("libraries that are not installed", ", ".join(missing))
        if "websockets" in names:
            yield _echoes(quick)
        for name in names:
            yield _rate(name, quick)
        for name in names:
            yield _repeated(name, 50 if quick else 1_000)
        for name in names:
            yield _alarms(name, 30 if quick else 500)
        yield from _redis(quick)
        if "websockets" in names:
            yield from _platform(quick)
    finally:
        logging.disable(logging.NOTSET)


# Speed


def _each_once(spec: TargetSpec) -> Scenario:
    """Two users, each with the first operation that takes something of its own."""
    name = next(name for name, each in spec.operations.items() if each.arguments)
    (argument,) = (each.name for each in spec.operations[name].arguments)
    users = ("alice", "bob")
    return Scenario(
        tuple(Operation(f"{user}.1", user, name, {argument: f"{user}'s"}) for user in users)
    )


def _turn(spec: TargetSpec, count: int) -> float:
    """Executions a CPU second."""
    scenario = _each_once(spec)
    with session():
        began = time.process_time()
        for _ in range(count):
            execute(spec, scenario, InOrder(), fidelity="stock", record=False)
        return count / (time.process_time() - began)


class InOrder(Default):
    """The default order, asked no more often than the policies of a hunt are."""

    patient = True


class OnLoopback(WebSockets):
    """The same over real sockets."""

    host = "127.0.0.1"


async def _live() -> None:
    target = OnLoopback()
    await target.start()
    await asyncio.gather(target.echo("alice", "alice's"), target.echo("bob", "bob's"))
    await target.stop()


def _live_turn(count: int) -> float:
    began = time.process_time()
    for _ in range(count):
        asyncio.run(_live())
    return count / (time.process_time() - began)


def _echoes(quick: bool) -> Row:
    turns, count = (3, 100) if quick else (9, 400)
    spec = spec_of(WebSockets)
    _turn(spec, 20)
    pairs = [(_turn(spec, count), _live_turn(count)) for _ in range(turns)]
    ours = statistics.median(mine for mine, _ in pairs)
    row = ratio_at_least(
        "websockets echo, 2 clients, connect to close",
        ours,
        "asyncio.run over loopback",
        statistics.median(theirs for _, theirs in pairs),
        statistics.median(mine / theirs for mine, theirs in pairs),
        0.0,
        "executions/s",
    )
    return msgspec.structs.replace(row, goal=f">= {ECHOES}", met=ours >= ECHOES)


def _rate(name: str, quick: bool) -> Row:
    spec = spec_of(TARGETS[name])
    rate = statistics.median(_turn(spec, 40 if quick else 200) for _ in range(3))
    return at_least(f"{name}: rate", 60 * rate, A_MINUTE, "executions/min")


# Determinism, and false alarms


def drawn(spec: TargetSpec, index: int) -> Execution:
    """An execution that depends on nothing but its number."""
    generator = Generator(spec, users=2, operations=2)
    source = random.Random(index)
    scenario = generator.scenario(source)
    faults = generator.faults(scenario, source, index)
    fidelity = "portable" if index % 3 == 2 else "stock"
    return execute(spec, scenario, RandomWalk(index), fidelity=fidelity, faults=faults)


def tell(name: str, count: int) -> str:
    """What so many executions left, each as a digest."""
    logging.disable(logging.CRITICAL)
    spec = spec_of(TARGETS[name])
    told = []
    with session():
        for index in range(count):
            left = repr(drawn(spec, index)).encode()
            told.append(hashlib.sha256(left).hexdigest()[:16])
    return " ".join(told)


def _repeated(name: str, count: int) -> Row:
    here = tell(name, count).split()
    program = f"from benchmarks.runtimes_network import tell; print(tell({name!r}, {count}))"
    there = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": "12345", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    same = sum(one == other for one, other in zip(here, there, strict=True))
    return at_least(f"{name}: the same in another process", same, count, f"of {count} executions")


def _alarms(name: str, count: int) -> Row:
    spec = spec_of(TARGETS[name])
    alarms = 0
    with session():
        judge = Judge(spec, oracles="noninterference")
        for index in range(count):
            found = judge(drawn(spec, index), lambda index=index: drawn(spec, index)).findings
            alarms += bool(found)
    return at_most(f"{name}: false alarms", alarms, 0, f"in {count} executions, half with faults")


# What is found


def _redis(quick: bool) -> Iterator[Row]:
    """The released defect, in both releases; their environments are made by the example's run."""
    for version, wanted in (("4.5.3", 1), ("4.5.5", 0)):
        what = f"redis-py {version}: {'found' if wanted else 'silent'}"
        python = EXAMPLE / ".venvs" / f"redis-{version}" / "bin" / "python"
        if not python.exists():
            yield figure(what, None, note="no environment: examples/redis_py/run makes it")
            continue
        most = "1000" if quick else "4000"
        command = [python, "-m", "isomodel", "hunt", "target:Cache", "--executions", most]
        done = subprocess.run([*command, "--no-shrink"], cwd=EXAMPLE, capture_output=True)
        yield at_least(what, int(done.returncode == wanted), 1, f"in {most} executions")


def _platform(quick: bool) -> Iterator[Row]:
    """The sixteen failures of issue #414 through WebSockets, and the platform without them."""
    seeds = range(1 if quick else 5)
    for defect in DEFECTS:
        needed = [_needed(defect, seed) for seed in seeds]
        found = [each for each in needed if each is not None]
        yield at_least(
            f"platform, {defect}: found",
            len(found),
            len(needed),
            f"of {len(needed)} seeds",
            note=f"median {statistics.median(found):g} executions" if found else "",
        )
    most = 100 if quick else 3_000
    with session():
        outcome = Explorer(resolve(PLATFORM)).hunt(Budget(most))
    sound = int(outcome.verdict.status != "violated")
    yield at_least("platform without a defect: silent", sound, 1, f"in {most} executions")


def _needed(defect: str, seed: int) -> int | None:
    with session():
        outcome = Explorer(resolve(PLATFORM), seed=seed, armed=(defect,)).hunt(Budget(MOST))
    found = outcome.verdict.status == "violated"
    return outcome.verdict.executions if found else None
