"""asyncio's register of all tasks, without the tasks that a loop of ours knows by name.

``asyncio.all_tasks`` reads a weak set in which every task enters itself: a tenth of the cost of a
small execution. While installed, tasks of ours stay out of it, and who reads it meets them there
all the same, in the order in which they were made.
"""

from __future__ import annotations

import asyncio.tasks
import functools
import weakref
from collections.abc import Iterator
from typing import Any

from isomodel.engine.control.patches import Patches
from isomodel.engine.core import loops_alive, registering

_registers: tuple[Any, ...] = tuple(
    vars(asyncio.tasks)[name]
    for name in ("_all_tasks", "_scheduled_tasks")  # until 3.11, and since 3.12
    if type(vars(asyncio.tasks).get(name)) is weakref.WeakSet
)


class _Register(weakref.WeakSet[Any]):
    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        yield from super().__iter__()
        for made in loops_alive():
            if isinstance(made, asyncio.AbstractEventLoop):  # and no engine of another library
                loop: Any = made
                yield from loop.pending_tasks()


def install(patches: Patches) -> None:
    """Have the registers of this process pass over tasks of ours."""
    for register in _registers:
        register.__class__ = _Register
        register.add = registering(register.add)
        patches.on_undo(functools.partial(_restore, register))


def _restore(register: Any) -> None:
    del register.add
    left = list(register)
    register.__class__ = weakref.WeakSet
    for task in left:
        register.add(task)
