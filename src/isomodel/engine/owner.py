"""Who runs: owners (an operation of a user) and their tasks, under names that stay the same.

asyncio numbers its tasks for the whole process, so its names differ between executions. Here a
task is named by the operation it works for and the coroutine it runs.
"""

from __future__ import annotations

import asyncio
from typing import Any

from isomodel.engine.core import (
    OWNER,
    STEP_TYPE,
    WAKEUP_NAME,
    WAKEUP_TYPE,
    Actor,
    ControlledTask,
    Owner,
    Part,
    name_for,
    task_of,
)

__all__ = [
    "OWNER",
    "STEP_TYPE",
    "WAKEUP_NAME",
    "WAKEUP_TYPE",
    "Actor",
    "ControlledTask",
    "NumberedFuture",
    "Owner",
    "Part",
    "name_for",
    "task_of",
]


class NumberedFuture(asyncio.Future[Any]):
    """A stock (C) future with a hash that stays the same; to be set before it is used."""

    __slots__ = ("number",)
    number: int

    def __hash__(self) -> int:
        return self.number


NumberedFuture.__name__ = NumberedFuture.__qualname__ = "Future"
