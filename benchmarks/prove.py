"""Prove: executions to cover everything, beside a peer's; agreement with brute force; the layer.

Times are wall-clock seconds of this run, on a machine that does other things, too.
"""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from benchmarks.peers import environment
from benchmarks.rows import ABSENT, Report, Row, at_least, at_most, figure
from isomodel.engine.control.control import Control
from isomodel.search.proof.campaign import Journal, Plan, Proved, prove_target
from isomodel.search.proof.program import ProgramProof, prove_program
from isomodel.search.proof.scenarios import Bound
from isomodel.targets.factory.defects import DEFECTS
from isomodel.targets.resolve import BUILTIN

PROGRAMS, QUICK_PROGRAMS = 500, 25
MOST = 3_000
"""Orders of one random program that brute force tries; those with more are not compared."""

Main = Callable[[], Coroutine[Any, Any, Any]]


class Cell:
    """What tasks share."""

    def __init__(self) -> None:
        self.log: list[tuple[int, int]] = []


def steps(tasks: int, count: int, touches: str) -> Main:
    """Tasks of so many steps that touch nothing in common, the last thing, or all the same."""

    async def main() -> Any:
        own, common = [Cell() for _ in range(tasks)], Cell()

        async def work(me: int) -> None:
            for step in range(count):
                if step:
                    await asyncio.sleep(0)
                shared = touches == "all" or (touches == "last" and step == count - 1)
                (common if shared else own[me]).log.append((me, step))

        await asyncio.gather(*(work(me) for me in range(tasks)))
        return common.log

    return main


def run(quick: bool) -> Report:
    """All rows."""
    rows = [*_small()]
    if not quick:
        rows += _peer()
    rows += [*_agreement(QUICK_PROGRAMS if quick else PROGRAMS), *_defects(quick), *_sound(quick)]
    return Report("prove", quick, "no randomness: one run of each", tuple(rows))


def _small() -> Iterator[Row]:
    two = prove_program(steps(2, 2, "all"))
    yield at_most("2 tasks x 1 await", two.executions, 6, "executions")
    began = time.perf_counter()
    proofs: list[tuple[str, int, ProgramProof]] = [
        (touches, wanted, prove_program(steps(3, 3, touches)))
        for touches, wanted in (("own", 1), ("last", 6), ("all", 1_680))
    ]
    took = time.perf_counter() - began
    for touches, wanted, proof in proofs:
        what = f"3 tasks x 3 steps, touching {touches}"
        yield at_most(what, proof.executions, wanted, "executions")
        yield at_least(f"{what}: different ends seen", len(proof.endings), wanted)
    yield at_most("all three together", took, 1.0, "s")


_PEER = """
import asyncio, time
from frontrun import explore
class State:
    def __init__(self): self.log = []
def work(me):
    async def task(state):
        for step in range({steps}):
            state.log.append((me, step))
            await asyncio.sleep(0)
    return task
async def main():
    began = time.perf_counter()
    result = explore(
        State, [work(0), work(1), work(2)], lambda state: True,
        preemption_bound=None, stop_on_first=False, max_executions=5000)
    if asyncio.iscoroutine(result):
        result = await result
    print(result.num_explored, time.perf_counter() - began)
asyncio.run(main())
"""


def _peer() -> Iterator[Row]:
    """frontrun on the same program, where its environment has it."""
    python = environment(".venv-peers")
    if not python.exists():
        yield figure("all touching the same, beside frontrun", None, note=ABSENT)
        return
    began = time.perf_counter()
    mine = prove_program(steps(3, 3, "all"))
    took = time.perf_counter() - began
    try:
        answer = subprocess.run(
            [str(python), "-c", _PEER.format(steps=3)],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        executions, seconds = answer.stdout.split()[-2:]
    except (subprocess.SubprocessError, ValueError) as error:
        note = f"frontrun could not be run ({type(error).__name__})"
        yield figure("all touching the same: time", took, "s", note=note)
        return
    yield figure(
        "all touching the same: executions",
        mine.executions,
        "executions",
        peer="frontrun",
        peer_value=int(executions),
    )
    yield figure(
        "all touching the same: time",
        took,
        "s",
        peer="frontrun",
        peer_value=round(float(seconds), 2),
        ratio=round(float(seconds) / took, 1),
    )


def _agreement(programs: int) -> Iterator[Row]:
    """Random programs with locks, events, queues and timers, against every order of each."""
    generator = _generator()
    compared = mismatches = orders = executions = 0
    for seed in range(programs * 2):
        if compared == programs:
            break
        main = generator.program(generator.draw(seed), seed % 3 == 0)
        with Control().installed():
            expected = generator.every_ending(main, MOST)
        if expected is None:
            continue
        proof = prove_program(main, stop_at_failure=False)
        compared += 1
        orders += sum(expected.values())
        executions += proof.executions
        mismatches += {generator.shown(each) for each in proof.endings} != set(expected)
    yield at_most(
        f"{compared} random programs: other outcomes than brute force", mismatches, 0, "programs"
    )
    yield figure(
        "the same: executions",
        executions,
        "executions",
        peer="brute force",
        peer_value=orders,
        ratio=round(orders / max(1, executions), 1),
    )


def _generator() -> Any:
    """The random programs of the tests."""
    place = Path(__file__).parent.parent / "tests" / "properties" / "random_programs.py"
    found = importlib.util.spec_from_file_location("random_programs", place)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["random_programs"] = module
    found.loader.exec_module(module)
    return module


def _proved(plan: Plan, workers: int, seconds: float | None) -> Proved:
    with tempfile.TemporaryDirectory() as folder:
        keep = Path(folder) / "journal.json"
        return prove_target(plan, Journal(plan), keep=keep, workers=workers, seconds=seconds)


def _defects(quick: bool) -> Iterator[Row]:
    """Each defect that two operations without a fault show, by all scenarios of that size.

    Quickly every 8th.
    """
    within = [
        name
        for name, defect in DEFECTS.items()
        if any(size.operations <= 2 and not size.faults for size in defect.minimum.values())
    ]
    tried = within[:: 8 if quick else 1]
    found = 0
    for defect in tried:
        proved = _proved(Plan(BUILTIN[0], (defect,), Bound(2, 2)), 1, None)
        found += proved.found is not None
        what = proved.found.finding.property if proved.found is not None else "not found"
        yield figure(f"{defect}: {what}", proved.totals.executions, "executions")
    yield at_least("defects found without randomness", found, len(tried), f"of {len(tried)}")


def _sound(quick: bool) -> Iterator[Row]:
    """The sound layer: two users, pairs (and triples, in turn) of operations, one fault."""
    yield from _holds("pair", Plan(BUILTIN[0], (), Bound(2, 2, 2, values=1), int(not quick)))
    if not quick:
        bound = Bound(2, 3, 2, beside=False, values=1)
        yield from _holds("triple", Plan(BUILTIN[0], (), bound, 1))


def _holds(what: str, plan: Plan) -> Iterator[Row]:
    proved = _proved(plan, 2, 1_800.0)
    totals = proved.totals
    what = f"the sound layer, every {what} of operations, {plan.faults} faults"
    done = totals.scenarios - totals.unfinished
    yield at_most(f"{what}: violations", int(proved.found is not None), 0)
    yield at_least(f"{what}: scenarios finished", done, proved.total, f"of {proved.total}")
    yield figure(f"{what}: executions", totals.executions, "executions")
    yield at_most(f"{what}: time", proved.seconds, 600, "s")
