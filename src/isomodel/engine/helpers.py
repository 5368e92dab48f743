"""asyncio's own helper tasks, which come before whoever cancelled them where any task may be next.

Until Python 3.11 ``asyncio.wait_for`` runs what it waits for in a task of its own, cancels that at
the time limit, and waits for it. A second cancellation ends this wait; if it came before the
helper has taken the step in which it learns of the first, ``wait_for`` would return while the
helper still works: it takes the lock of a condition again, say, after the caller has given it
back. On a loop that keeps its queue in order, as asyncio's own code relies on, the helper is
first; and later versions have no helper. So that order is no choice, under no fidelity.
"""

from __future__ import annotations

import asyncio
import asyncio.tasks
import functools
from typing import Any

from isomodel.engine.control.patches import Patches
from isomodel.engine.portable import PortableLoop

_tasks: Any = asyncio.tasks


def install(patches: Patches) -> None:
    """Have loops of ours told who cancels a helper and waits for it."""
    cancel_and_wait = getattr(_tasks, "_cancel_and_wait", None)
    if cancel_and_wait is None:
        return

    @functools.wraps(cancel_and_wait)
    def in_order(fut: Any, loop: Any) -> Any:
        if isinstance(loop, PortableLoop) and isinstance(fut, asyncio.Task):
            loop.comes_first(fut)
        return cancel_and_wait(fut, loop=loop)

    _tasks._cancel_and_wait = in_order
    patches.on_undo(functools.partial(setattr, _tasks, "_cancel_and_wait", cancel_and_wait))
