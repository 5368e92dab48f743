"""The log: each line is written for the request that is being served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SERVED: ContextVar[str] = ContextVar("served_user", default="")
"""The user for whom this task works now, "" for nobody. A value that cannot be changed: tasks
inherit it, and what one of them sets no other sees."""


class RequestLog:
    """Writes lines under the name of the user that is served."""

    def __init__(self, sink: Callable[[str, str], None]) -> None:
        self._sink = sink

    @contextmanager
    def serving(self, user: str) -> Iterator[None]:
        """Write under this name inside the block."""
        token = SERVED.set(user)
        try:
            yield
        finally:
            SERVED.reset(token)

    def write(self, line: str) -> None:
        """Write a line for whoever is served."""
        self._sink(SERVED.get(), line)
