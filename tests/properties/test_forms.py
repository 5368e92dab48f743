"""The core has two forms, compiled and pure, and nobody can tell which one runs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from isomodel.edges.form import VARIABLE
from isomodel.engine.core import Actor, Core
from isomodel.engine.stock import StockLoop
from isomodel.schedulers.fifo import Default
from isomodel.search.running.execute import session

RUNS = Path(__file__).parent / "form_runs.py"


def lines(pure: str, hash_seed: str) -> list[str]:
    """The form in use, and what each execution did in it."""
    path = os.pathsep.join(sys.path)
    ran = subprocess.run(
        [sys.executable, RUNS],
        env={**os.environ, VARIABLE: pure, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.splitlines()


def test_both_forms_do_the_same() -> None:
    pure = lines("1", "1")
    compiled = lines("0", "77")
    assert pure[0] == "pure"
    if compiled[0] != "compiled":
        pytest.skip(f"there is no second form here: this one is {compiled[0]}")

    differing = [
        index for index, pair in enumerate(zip(pure, compiled, strict=True)) if len({*pair}) > 1
    ]
    assert differing == [0]


def test_all_tasks_passes_over_what_other_runtimes_run() -> None:
    """A core that is no loop of asyncio's knows tasks that are none of its tasks."""

    class Foreign(Core):
        pass

    foreign = Foreign(None)
    actor = Actor("main", foreign.root)
    actor.reference = object
    foreign._actors["main"] = actor

    async def main() -> int:
        task = asyncio.create_task(asyncio.sleep(0))
        known = len(asyncio.all_tasks())
        await task
        return known

    with session():
        loop = StockLoop(Default())
        assert loop.run(main()) == 2
        loop.close()


def test_the_executions_compared_differ_among_themselves() -> None:
    seen = lines("1", "1")[1:]
    assert len(set(seen)) > len(seen) * 0.9
    for ending in ("ok", "hang", "raised", "cancelled"):
        assert any(f'"ended":["{ending}"' in line for line in seen), ending
    for fired in ("cancel", "timeout", "slow", "jump"):
        assert any(f'"fired":[{{"kind":"{fired}"' in line for line in seen), fired
