"""The layer's usage counters, in threads: as a server counts that hands requests to workers.

The real form of defect 414-12: eight threads, fifty operations, one counter. A target of its own,
because its operations are plain functions::

    isomodel hunt isomodel.targets.factory.threads:Usage --users 8 --operations 50
"""

from __future__ import annotations

import threading
from typing import ClassVar

from isomodel.engine.world import note
from isomodel.targets.declare import observe, operation
from isomodel.values.facts import Counted, Total


class Counter:
    """Counts all users' operations, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.total = 0

    def add(self) -> None:
        """One more."""
        with self._lock:
            self.total += 1


class UnguardedCounter(Counter):
    """Counts without taking the lock: what one thread adds another may overwrite."""

    def add(self) -> None:
        """One more than was there a moment ago."""
        self.total += 1


class Usage:
    """Users count operations; the sum is looked at when all have ended."""

    runtime = "threads"
    max_users = 8
    defects: ClassVar[dict[str, str]] = {
        "414-12": "concurrent updates corrupt a shared counter: it is changed without a lock"
    }

    def __init__(self) -> None:
        self._counter = Counter()
        self._own: dict[str, int] = {}
        self._own_lock = threading.Lock()

    def arm(self, name: str) -> None:
        """Count without the lock."""
        self._counter = UnguardedCounter()

    @operation
    def count(self, user: str) -> None:
        """One operation of this user."""
        self._counter.add()
        note(Counted("operations", 1))
        with self._own_lock:
            self._own[user] = self._own.get(user, 0) + 1

    @observe
    def counted(self, user: str) -> int:
        """How many this user has done."""
        return self._own.get(user, 0)

    def stop(self) -> None:
        """All have ended."""
        note(Total("operations", self._counter.total))
