"""Prints what many executions did, one line each: run by ``test_forms`` in either form.

Random programs over I/O, locks, queues, timers and cancellations, all schedulers, both
fidelities, with faults.
"""

from __future__ import annotations

import importlib.util
import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.peer_programs import PROGRAMS, main_of
from isomodel.engine import core
from isomodel.engine.portable import PortableLoop
from isomodel.engine.stock import StockLoop
from isomodel.engine.world import io
from isomodel.schedulers.delay import DelayBounded
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.injecting import Injecting
from isomodel.schedulers.pct import PCT
from isomodel.schedulers.pos import POS
from isomodel.schedulers.profile import UNKNOWN
from isomodel.schedulers.random import RandomWalk
from isomodel.schedulers.recording import Recording
from isomodel.schedulers.round_robin import RoundRobin
from isomodel.schedulers.sticky import Sticky
from isomodel.schedulers.surw import SURW
from isomodel.search.program import run_on
from isomodel.search.running.execute import session
from isomodel.values.schedule import Fault

_spec = importlib.util.spec_from_file_location(
    "random_programs", Path(__file__).parent / "random_programs.py"
)
assert _spec is not None
assert _spec.loader is not None
programs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(programs)

SCHEDULERS: tuple[Callable[[int], Any], ...] = (
    RandomWalk,
    lambda seed: RandomWalk(seed, company=True),
    lambda seed: PCT(seed, UNKNOWN),
    lambda seed: POS(seed, UNKNOWN),
    lambda seed: SURW(seed, UNKNOWN),
    lambda seed: DelayBounded(seed, UNKNOWN),
    lambda seed: RoundRobin(seed, UNKNOWN),
    lambda seed: Sticky(seed, UNKNOWN),
    lambda seed: Injecting(RandomWalk(seed), seed),
    lambda _: Default(),
)
FAULTS = ("cancel", "timeout", "fail", "slow", "jump")


def faults(seed: int) -> tuple[Fault, ...]:
    """None or one or two of any kind, for tasks that may exist."""
    source = random.Random(seed)
    return tuple(
        Fault(source.choice(FAULTS), source.choice(("main/work", "main/work#2", "main")), at)  # type: ignore[arg-type]
        for at in range(source.randrange(3))
    )


def program(seed: int) -> Any:
    """A random program, which ends, or one of the peers', which can fail or hang."""
    if seed % 4 == 0:
        names = list(PROGRAMS)
        return main_of(names[seed // 4 % len(names)], io)
    return programs.program(programs.draw(seed), grouped=seed % 2 == 0)


def runs(count: int) -> Iterator[dict[str, Any]]:
    """So many executions, each with a program, a scheduler, a fidelity and faults of its own."""
    kinds = itertools.cycle(itertools.product((StockLoop, PortableLoop), SCHEDULERS))
    with session():
        for seed, (kind, scheduler) in zip(range(count), kinds, strict=False):
            recording = Recording(scheduler(seed))
            main = program(seed)
            short = seed % 3 == 0  # asked by its own methods, not by way of the recording
            loop = kind(
                scheduler(seed) if short else recording,
                faults=faults(seed),
                record=seed % 5 != 0,
                max_steps=2_000,
            )
            ended, why = run_on(main, loop, seed)
            yield {
                "ended": (ended, why),
                "choices": recording.choices,
                "switches": recording.switches,
                "trace": loop.trace,
                "log": loop.log,
                "met": list(loop.met),
                "fired": loop.fired,
                "errors": loop.errors,
                "uncontrolled": loop.uncontrolled,
                "steps": (loop.steps, loop.idles, loop.now, loop.step_counts()),
            }


def main() -> None:
    print(core.FORM)
    for run in runs(600):
        print(msgspec.json.encode(run).decode())


if __name__ == "__main__":
    main()
