"""anyio's worker threads, which it starts itself instead of asking the loop's executor."""

from __future__ import annotations

from collections import deque
from typing import Any

from isomodel.engine.executor import Executors, Line


def adopt(backend: Any) -> None:
    """Have the workers that anyio starts on a controlled loop run as those of executors do."""
    worker: Any = getattr(backend, "WorkerThread", None)
    if worker is None:
        return
    start_a_thread = worker.start

    def start(self: Any) -> None:
        if isinstance(self.loop, Executors) and not self.loop.threads_run:
            self.queue = _Inbox(self)
        else:
            start_a_thread(self)

    worker.start = start


class _Inbox:
    """The queue of a worker that only seems to be a thread: what is put there is work to do."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._line = Line(worker.loop._posts)
        self._items: deque[Any] = deque()

    def put_nowait(self, item: Any) -> None:
        """Run this job when the scheduler lets it; None, which ends a worker, is no job."""
        if item is not None:
            self._items.append(item)
            self._worker.loop.run_as_thread(self._line, self._worker.run)

    def get(self) -> Any:
        """One job for each ``run`` of the worker."""
        return self._items.popleft() if self._items else None

    def task_done(self) -> None:
        """Nobody asks."""
