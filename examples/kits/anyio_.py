"""The primitives of anyio under the kits, given up by its cancel scopes, too."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio

from isomodel import kits

Lock = kits.lock(anyio.Lock, scopes=True)
FastLock = kits.lock(lambda: anyio.Lock(fast_acquire=True), scopes=True)
Semaphore = kits.lock(lambda: anyio.Semaphore(2), size=2, scopes=True)
FastSemaphore = kits.lock(lambda: anyio.Semaphore(2, fast_acquire=True), size=2, scopes=True)
CapacityLimiter = kits.lock(lambda: anyio.CapacityLimiter(2), size=2, scopes=True)
Event = kits.event(anyio.Event, scopes=True)


def _stream(size: int) -> Any:
    return kits.queue(
        lambda: anyio.create_memory_object_stream[str](size),
        size=size,
        put=lambda ends, item: ends[0].send(item),
        get=lambda ends: ends[1].receive(),
        close=lambda ends: ends[0].aclose(),
        scopes=True,
    )


Stream = _stream(2)
Rendezvous = _stream(0)

TaskGroup = kits.group(
    lambda: anyio.create_task_group, start=lambda group, child: group.start_soon(child), scopes=True
)


class Gate:
    """A semaphore over a condition.

    Telling the others is shielded from cancellation: by asyncio, since anyio's own shield does not
    hold off what does not come from its scopes.
    """

    def __init__(self, size: int) -> None:
        self._condition = anyio.Condition()
        self._free = size

    async def acquire(self) -> None:
        async with self._condition:
            while not self._free:
                await self._condition.wait()
            self._free -= 1

    async def release(self) -> None:
        self._free += 1
        await asyncio.shield(self._notify())

    async def _notify(self) -> None:
        async with self._condition:
            self._condition.notify()


Condition = kits.lock(lambda: Gate(1), fair=False, scopes=True)

_LOST = "docs/findings/anyio-stream-item.md"
_CONDITION = "docs/findings/anyio-condition-cancel.md"
KNOWN = {"Condition": [("liveness", "never ends", _CONDITION)]} | {
    name: [
        ("conservation", "was lost", _LOST),
        ("liveness", "(get)", _LOST),
        ("promise", "all room is free", _LOST),
    ]
    for name in ("Stream", "Rendezvous")
}
