"""Who runs: owners (an operation of a user) and their tasks, under names that stay the same.

asyncio numbers its tasks for the whole process, so its names differ between executions. Here a
task is named by the operation it works for and the coroutine it runs.
"""

from __future__ import annotations

from typing import Any

from isomodel.engine.core import (
    OWNER,
    STEP_TYPE,
    WAKEUP_NAME,
    WAKEUP_TYPE,
    Actor,
    ControlledTask,
    NumberedFuture,
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
    "Serving",
    "name_for",
    "task_of",
]


class Serving(Owner):
    """The work of a server on one connection: that of ``face``, whom it serves now.

    It turns to whoever writes on the connection, and so do the tasks that serve the connection
    as a whole, begun while it is ``fresh``. A task begun later, for one request, stays with whom
    the request is from.
    """

    face: Any = None
    fresh = True

    def turn(self, face: Owner) -> None:
        """From now on serve this one."""
        self.face = face
        self.label, self.user, self.part = face.label, face.user, face.part
        self.counts, self.io_count = face.counts, face.io_count

    def heir(self) -> Owner:
        """Itself while it is fresh, after that whom it serves."""
        return self if self.fresh else self.face
