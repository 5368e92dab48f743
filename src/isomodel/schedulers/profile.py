"""Profiles: what earlier executions of a scenario tell about the next one.

Change points need a horizon, weights need counts, selection needs to know what is shared. None of
this is guessed: a wrapper around any scheduler learns it from an execution, as the profiling runs
of PCT and SURW do. Executions differ, so a profile is right on average only; those who use it
must bear counts that turn out too small or too large, and none at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from isomodel.engine.owner import Actor, Owner
from isomodel.engine.protocol import Option, Scheduler
from isomodel.schedulers.events import NOT_EVENTS, Touches, actor_of, stream_of, thread_of, unknown


class Profile(msgspec.Struct, frozen=True):
    """Means over ``executions`` earlier ones of the same scenario; all zero: nothing is known.

    ``events`` counts the events of each thread, whether a scheduler was asked about them or not.
    ``touched`` counts, for each label, those of a thread that touch it; ``written`` are the labels
    that some event writes, ``raced`` those to which two accesses, one of them writing, could
    have come next at the same moment. ``parents`` says which thread was running when a thread
    first showed up.
    """

    executions: int = 0
    events: dict[str, float] = {}
    touched: dict[str, dict[str, float]] = {}
    written: tuple[str, ...] = ()
    raced: tuple[str, ...] = ()
    parents: dict[str, str] = {}

    def horizon(self) -> int:
        """How many events an execution has; 0 where none is known."""
        return round(sum(self.events.values()))

    def shared(self) -> tuple[str, ...]:
        """The labels that two threads or more touch and one writes. Sorted."""
        return tuple(
            label
            for label, counts in sorted(self.touched.items())
            if len(counts) > 1 and label in self.written
        )

    def plus(self, other: Profile) -> Profile:
        """The profile of the executions behind both."""
        executions = self.executions + other.executions
        if not self.executions or not other.executions:
            return self if self.executions else other
        mine, theirs = self.executions / executions, other.executions / executions
        labels = {**self.touched, **other.touched}
        return Profile(
            executions,
            _mixed(self.events, mine, other.events, theirs),
            {
                label: _mixed(
                    self.touched.get(label, {}), mine, other.touched.get(label, {}), theirs
                )
                for label in labels
            },
            _united(self.written, other.written),
            _united(self.raced, other.raced),
            {**self.parents, **other.parents},
        )


def _mixed(
    one: Mapping[str, float], share: float, other: Mapping[str, float], rest: float
) -> dict[str, float]:
    return {key: one.get(key, 0.0) * share + other.get(key, 0.0) * rest for key in {**one, **other}}


def _united(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    """Sorted: a profile is the same text in every process."""
    return tuple(sorted({*one, *other}))


UNKNOWN = Profile()
"""The profile before the first execution."""


class Profiling:
    """A scheduler around another that learns the profile of this execution.

    Where only one thing can happen no scheduler is asked. Such events are counted all the same,
    because the engine numbers the events of each stream; of what kind they were is not known.
    ``touches`` may itself be learning: what it knows at a question tells what races, what it
    knows at the end is counted.
    """

    def __init__(self, scheduler: Scheduler, touches: Touches = unknown) -> None:
        self.patient = getattr(scheduler, "patient", False)
        self._scheduler = scheduler
        self._touches = touches
        self._kinds: dict[tuple[str, int], str] = {}
        self._counts: dict[str, Callable[[], int]] = {}
        self._threads: dict[str, str] = {}
        self._parents: dict[str, str] = {}
        self._raced: set[str] = set()

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """What the wrapped scheduler chooses."""
        pending: dict[str, bool] = {}
        for option in options:
            if option.kind in NOT_EVENTS or option.kind == "cancel":
                continue
            stream, number = stream_of(option)
            self._meet(option, stream, number, last)
            for label, writes in self._touches(stream, number, option.kind) or ():
                if label in pending and (writes or pending[label]):
                    self._raced.add(label)
                pending[label] = writes or pending.get(label, False)
        return self._scheduler.choose(options, last)

    def _meet(self, option: Option, stream: str, number: int, last: Actor) -> None:
        self._kinds[stream, number] = option.kind
        if stream in self._counts:
            return
        actor = actor_of(option)
        if actor is None:
            self._counts[stream] = partial(_arrived, option.owner, option.kind)
        else:
            self._counts[stream] = partial(getattr, actor, "steps")
        thread = self._threads[stream] = thread_of(option)
        if thread not in self._parents:
            self._parents[thread] = last.name if last.name != thread else ""

    def profile(self, steps: Iterable[tuple[str, int]] = ()) -> Profile:
        """What this execution showed; to be asked for after its end.

        ``steps`` are tasks with the steps they took (``ControlledLoop.step_counts``): one that
        never ran beside another was never an option.
        """
        for task, count in steps:
            if task not in self._counts:
                self._counts[task] = partial(int, count)
                self._threads[task] = task
                self._parents[task] = task.rpartition("/")[0]
        events: dict[str, float] = {}
        touched: dict[str, dict[str, float]] = {}
        written: set[str] = set()
        for stream, counted in self._counts.items():
            thread = self._threads[stream]
            happened = counted()
            events[thread] = events.get(thread, 0.0) + happened
            for number in range(happened):
                kind = self._kinds.get((stream, number), "")
                for label, writes in self._touches(stream, number, kind) or ():
                    counts = touched.setdefault(label, {})
                    counts[thread] = counts.get(thread, 0.0) + 1
                    if writes:
                        written.add(label)
        parents = {thread: parent for thread, parent in self._parents.items() if parent}
        return Profile(1, events, touched, _united(written, ()), _united(self._raced, ()), parents)


def _arrived(owner: Owner, kind: str) -> int:
    return owner.counts.get(kind, 0)
