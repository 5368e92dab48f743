"""What stays in place between the executions of a session: making it takes longer than they do.

It is of one target at a time: two may share code, which each would have rewritten in its own way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

Needed = contextlib.AbstractContextManager[None]
"""What has to be in place for an execution. The same object means the same."""


class Kept:
    """Of this process, as what is needed is a state of the process."""

    def __init__(self) -> None:
        self._sessions = 0
        self._executions = 0
        self._in_place: Needed | None = None

    @contextlib.contextmanager
    def for_session(self) -> Iterator[None]:
        """What comes into place inside the block stays until its end; blocks may be nested."""
        self._sessions += 1
        try:
            yield
        finally:
            self._sessions -= 1
            if not self._sessions:
                self.clear()

    @contextlib.contextmanager
    def for_execution(self, needed: Needed) -> Iterator[None]:
        """Have this in place inside the block, and in a session beyond it."""
        with contextlib.ExitStack() as stack:
            if not self._sessions or self._executions:  # on its own, or inside another execution
                stack.enter_context(needed)
            elif needed is not self._in_place:
                self.clear()
                needed.__enter__()
                self._in_place = needed
            self._executions += 1
            try:
                yield
            finally:
                self._executions -= 1

    def clear(self) -> None:
        """Put everything back as it was."""
        before, self._in_place = self._in_place, None
        if before is not None:
            before.__exit__(None, None, None)


kept = Kept()
