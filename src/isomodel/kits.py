"""Kits: a conformance suite for what you wrote, by naming its constructor and its methods.

    Pool = kits.pool(lambda: MyPool(size=2), size=2, acquire="acquire", release="release")

``isomodel hunt module:Pool`` then hunts it like any target, and ``machine(Pool).TestCase`` is
a test for pytest. See ``docs/kits.md``.
"""

from isomodel.targets.kits.suites import (
    barrier,
    cache,
    context,
    event,
    group,
    lock,
    pool,
    queue,
    rate,
    wrapper,
)

__all__ = [
    "barrier",
    "cache",
    "context",
    "event",
    "group",
    "lock",
    "pool",
    "queue",
    "rate",
    "wrapper",
]
