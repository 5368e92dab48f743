"""Kernels: the small buggy programs on which tools for controlled concurrency are compared.

Re-expressed from what SCTBench (Thomson, Donaldson, Betts, PPoPP 2014) and the benchmarks of PERIOD
(ICSE 2022), on which the published figures rest, say that they do: who touches what in which order,
and what must hold. Main waits for all threads; where the original calls a block atomic, it is
one lock.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from benchmarks.kernels import containers, counters
from benchmarks.kernels.threads import Threads

Kernel = Callable[[Threads], Coroutine[Any, Any, None]]

KERNELS: dict[str, Kernel] = {
    "account": counters.account,
    "lazy01": counters.lazy01,
    "deadlock01": counters.deadlock01,
    "token_ring": counters.token_ring,
    "bluetooth_driver": counters.bluetooth_driver,
    "stack": containers.stack,
    "circular_buffer": containers.circular_buffer,
    "wronglock": counters.wronglock,
    "twostage": partial(counters.twostage, writers=2, readers=1),
    "twostage_20": partial(counters.twostage, writers=10, readers=10),
    "twostage_50": partial(counters.twostage, writers=40, readers=10),
    "twostage_100": partial(counters.twostage, writers=99, readers=1),
    "reorder_3": partial(counters.reorder, setters=2, checkers=1),
    "reorder_5": partial(counters.reorder, setters=4, checkers=1),
    "reorder_10": partial(counters.reorder, setters=9, checkers=1),
    "reorder_20": partial(counters.reorder, setters=10, checkers=10),
    "reorder_100": partial(counters.reorder, setters=99, checkers=1),
    "stringbuffer": containers.stringbuffer,
    "boundedBuffer": containers.bounded_buffer,
    "WorkStealQueue": containers.work_steal_queue,
}
