"""Observing an execution: what each of its events touched."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from isomodel.engine.protocol import Scheduler
from isomodel.engine.runtime import Runtime
from isomodel.schedulers.observed import Observed
from isomodel.schedulers.profile import Profiling
from isomodel.search.exploring.conflicts import Touch, by_event
from isomodel.tracking.recorder import Access, Recorder, Runner


class Recording(Protocol):
    """What tells of accesses: a ``Tracker``, or something that knows them in another way."""

    def recording(
        self, who: Callable[[], Runner], *, located: bool = False
    ) -> contextlib.AbstractContextManager[Recorder]:
        """Record inside the block; ``who`` gives the running task."""


class Observer:
    """Of one execution. ``scheduler`` is the one to run it under; ``touches`` and ``profiling``
    have what was seen.

    Profiles cost as much again as all else; without ``profiled`` there is none. ``accesses`` are
    what the touches come from, with ``located`` each with its source line.

    It sees the same execution as runs without it: it changes no choice, only who is asked.
    """

    def __init__(
        self,
        tracker: Recording,
        scheduler: Scheduler,
        *,
        profiled: bool = True,
        located: bool = False,
    ) -> None:
        self._tracker = tracker
        self._located = located
        self.accesses: Sequence[Access] = ()
        self.profiling = Profiling(scheduler) if profiled else None
        self.scheduler = Observed(self.profiling or scheduler)

    @property
    def touches(self) -> Sequence[Touch]:
        """What each event touched."""
        return by_event(self.accesses, self.scheduler.delivered)

    @contextlib.contextmanager
    def watching(self, loop: Runtime) -> Iterator[None]:
        """Observe what runs on this loop inside the block."""

        callbacks = _Callbacks(self.scheduler)
        in_task = loop.in_task

        def who() -> Runner:
            return callbacks if in_task() is None else loop.last

        loop.asks_always = True
        with self._tracker.recording(who, located=self._located) as recorder:
            self.scheduler.count = recorder.__len__
            try:
                yield
            finally:
                loop.asks_always = False
                self.scheduler.count = int
                self.accesses = recorder.accesses


class _Callbacks:
    """Who runs while no task does: a callback, which belongs to the event that led to it."""

    name = ""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    @property
    def steps(self) -> int:
        """Another number after each event, and never 0: what callbacks do counts."""
        return len(self._observed.delivered) + 1
