"""The primitives of asyncio under the kits.

isomodel hunt --path examples/kits stock:Lock
"""

from __future__ import annotations

import asyncio
import contextvars

from isomodel import kits

Lock = kits.lock(asyncio.Lock)
Semaphore = kits.lock(lambda: asyncio.Semaphore(2), size=2)
BoundedSemaphore = kits.lock(lambda: asyncio.BoundedSemaphore(2), size=2)

_FINISHED = {"done": "task_done", "join": "join"}

Queue = kits.queue(lambda: asyncio.Queue(2), size=2, **_FINISHED)
UnboundedQueue = kits.queue(asyncio.Queue, **_FINISHED)
LifoQueue = kits.queue(lambda: asyncio.LifoQueue(2), size=2, order="lifo", **_FINISHED)
PriorityQueue = kits.queue(lambda: asyncio.PriorityQueue(2), size=2, order="priority", **_FINISHED)

Event = kits.event(asyncio.Event, clear="clear")
Barrier = kits.barrier(lambda: asyncio.Barrier(2), parties=2)
BarrierOfThree = kits.barrier(lambda: asyncio.Barrier(3), parties=3)

TaskGroup = kits.group(lambda: asyncio.TaskGroup)
ContextVar = kits.context(lambda: contextvars.ContextVar("value"))


class Gate:
    """A semaphore over a condition, with one notification for each unit that comes back.

    To give back cannot be cancelled halfway, as a careful author would see to.
    """

    def __init__(self, size: int) -> None:
        self._condition = asyncio.Condition()
        self._free = size

    async def acquire(self) -> None:
        async with self._condition:
            await self._condition.wait_for(lambda: self._free > 0)
            self._free -= 1

    async def release(self) -> None:
        self._free += 1
        await asyncio.shield(self._notify())

    async def _notify(self) -> None:
        async with self._condition:
            self._condition.notify()


Condition = kits.lock(lambda: Gate(1), fair=False)
ConditionOfTwo = kits.lock(lambda: Gate(2), size=2, fair=False)

_LOST = "docs/findings/asyncio-condition-notify.md"  # repaired in Python 3.13
KNOWN = {name: [("liveness", "never ends", _LOST)] for name in ("Condition", "ConditionOfTwo")}
