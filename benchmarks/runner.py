"""Measures one tool at a time on the peer programs: JSON requests in, JSON answers out.

Started by ``benchmarks.peers.Runner``, in our environment or the peers'; its arguments are
modules to import first. Times are in seconds of this process's own CPU time, which others on
the machine disturb less than the clock on the wall.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import platform
import random
import sys
import time
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from benchmarks.peer_programs import PROGRAMS, Worker, main_of

cpu = time.process_time


def timed(work: Callable[[], object]) -> float:
    """The CPU seconds this takes."""
    start = cpu()
    work()
    return cpu() - start


def rate(work: Callable[[], object], executions: int) -> float:
    """Executions in a CPU second, where this makes so many."""
    return executions / timed(work)


async def turn() -> None:
    """What peers that reorder ready callbacks take for I/O."""
    await asyncio.sleep(0)


# How fast: executions in a CPU second, measured over so many


def ours(fidelity: Any) -> Callable[[str, int], float]:
    """isomodel, as it explores programs: in one session, everything under control."""

    def speed(name: str, executions: int) -> float:
        from isomodel.engine.world import io
        from isomodel.schedulers.random import RandomWalk
        from isomodel.search.program import run_program
        from isomodel.search.running.execute import session

        main = main_of(name, io)

        def loop() -> None:
            for seed in range(executions):
                ended, why, _ = run_program(main, RandomWalk(seed), fidelity=fidelity)
                assert ended == "ok", why

        with session():
            run_program(main, RandomWalk(0), fidelity=fidelity)
            return rate(loop, executions)

    return speed


def seedloop_speed(name: str, executions: int) -> float:
    """seedloop: its only lever on order is how long a sleep lasts."""
    import seedloop

    async def scenario(world: Any) -> None:
        draw = world.rng

        async def latency() -> None:
            await asyncio.sleep(draw.random() * 0.02)

        await main_of(name, latency)()

    return rate(lambda: seedloop.check(scenario, seeds=executions, on_failure="return"), executions)


def simloop_speed(name: str, executions: int) -> float:
    """simloop, random policy, as shipped."""
    import simloop

    main = main_of(name, turn)
    return rate(lambda: simloop.explore(main, range(executions), policy="random"), executions)


def simloom_speed(name: str, executions: int) -> float:
    """simloom, random scheduler, with what its test decorator sets."""
    import simloom

    main = main_of(name, turn)
    return rate(
        lambda: simloom.explore(main, runs=executions, scheduler="random", **_simloom_defaults()),
        executions,
    )


def frontrun_speed(name: str, executions: int) -> float:
    """frontrun for asyncio, random strategy; it may stop before it has made them all."""
    import frontrun

    program = PROGRAMS[name]
    made = 0

    def setup() -> Any:
        nonlocal made
        made += 1
        return program.state()

    def bound(worker: Worker) -> Callable[[Any], Coroutine[Any, Any, None]]:
        async def work(state: Any) -> None:  # that it is a coroutine function tells asyncio
            await worker(state, turn)

        return work

    async def explore() -> None:
        await frontrun.explore(
            setup=setup,
            workers=[bound(worker) for worker in program.workers],
            invariant=program.holds,
            strategy="random",
            seed=1,
            max_attempts=executions,
            detect_io=False,
        )

    seconds = timed(lambda: asyncio.run(explore()))
    return made / seconds


@types.coroutine
def _bare_turn() -> Generator[None, None, None]:
    yield


async def _bare_io() -> None:
    await _bare_turn()


def bare_send(name: str, executions: int) -> float:
    """The floor: coroutines sent to by hand in random order, without a loop or tasks."""
    program = PROGRAMS[name]
    source = random.Random(1)

    def loop() -> None:
        for _ in range(executions):
            state = program.state()
            running = [worker(state, _bare_io) for worker in program.workers]
            while running:
                index = source.randrange(len(running))
                try:
                    running[index].send(None)
                except StopIteration:
                    del running[index]
            assert program.holds(state)

    return rate(loop, executions)


def stock_asyncio(name: str, executions: int) -> float:
    """``asyncio.run`` for every execution: one order only, and no control."""
    main = main_of(name, turn)

    def loop() -> None:
        for _ in range(executions):
            asyncio.run(main())

    return rate(loop, executions)


SPEED: dict[str, Callable[[str, int], float]] = {
    "isomodel stock": ours("stock"),
    "isomodel portable": ours("portable"),
    "seedloop": seedloop_speed,
    "simloop": simloop_speed,
    "simloom": simloom_speed,
    "frontrun": frontrun_speed,
    "bare send": bare_send,
    "asyncio.run": stock_asyncio,
}


def install_time(repeats: int) -> float:
    """CPU seconds to begin and end one session, which looks through all modules once."""
    from isomodel.search.running.execute import session

    def once() -> None:
        with session():
            pass

    once()
    return min(timed(once) for _ in range(repeats))


# How soon: executions to the bug from seed ``first`` on, None if there are not so many


def simloop_find(name: str, first: int, cap: int) -> int | None:
    """simloop, random policy."""
    import simloop

    found = simloop.explore(main_of(name, turn), range(first, first + cap), policy="random")
    return None if found is None else found.seeds_passed + 1


def simloom_find(name: str, first: int, cap: int) -> int | None:
    """simloom, random scheduler."""
    import simloom

    found = simloom.explore(
        main_of(name, turn),
        runs=cap,
        start_seed=first,
        stop_on_failure=True,
        scheduler="random",
        **_simloom_defaults(),
    )
    return found.runs if found.failed else None


def our_hits(name: str, executions: int) -> int:
    """Of so many executions, how many fail; nothing is cancelled."""
    from isomodel.engine.world import io
    from isomodel.schedulers.random import RandomWalk
    from isomodel.search.program import run_program
    from isomodel.search.running.execute import session

    main = main_of(name, io)
    with session():
        ends = (run_program(main, RandomWalk(seed))[0] for seed in range(executions))
        return sum(ended in ("raised", "hang") for ended in ends)


def hits(who: str, name: str, executions: int) -> int:
    """The same for any tool: a peer stops at each failure, so it goes on behind it."""
    if who == "isomodel":
        return our_hits(name, executions)
    count = first = 0
    while first < executions:
        found = EXPLORE[who](name, first, executions - first)
        if found is None:
            break
        first, count = first + found, count + 1
    return count


def _simloom_defaults() -> dict[str, bool]:
    return {"virtual_time": True, "seed_randomness": True, "world": True}


EXPLORE: dict[str, Callable[[str, int, int], int | None]] = {
    "simloop": simloop_find,
    "simloom": simloom_find,
}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """One measurement."""
    if request["do"] == "version":
        from isomodel.engine.core import FORM

        return {"python": platform.python_version(), "form": FORM}
    if request["do"] == "speed":
        return {"rate": SPEED[request["who"]](request["program"], request["executions"])}
    if request["do"] == "install":
        return {"seconds": install_time(request["repeats"]), "modules": len(sys.modules)}
    gc.freeze()  # they end every execution with a full collection: faster, and the same answer
    if request["do"] == "hits":
        return {"hits": hits(request["who"], request["program"], request["executions"])}
    first = 1 + request["seed"] * 100_000
    return {"executions": EXPLORE[request["who"]](request["program"], first, request["cap"])}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a tool prints must not be taken for an answer
    for name in sys.argv[1:]:
        importlib.import_module(name)
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
