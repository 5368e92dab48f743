"""janus's asynchronous side under the kit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import janus

from isomodel import kits


@kits.queue(size=2, done="task_done", join="join")
async def fifo() -> AsyncIterator[Any]:
    """Room for two."""
    queue: janus.Queue[str] = janus.Queue(2)
    yield queue.async_q
    await queue.aclose()


@kits.queue(size=2, order="priority", done="task_done", join="join")
async def priority() -> AsyncIterator[Any]:
    """The least first."""
    queue: janus.PriorityQueue[str] = janus.PriorityQueue(2)
    yield queue.async_q
    await queue.aclose()
