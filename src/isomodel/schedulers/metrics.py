"""Metrics: a scheduler around another that counts what was asked and answered."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, Scheduler, default, is_switch
from isomodel.schedulers.events import NOT_EVENTS, thread_of


class Counts(msgspec.Struct, frozen=True):
    """What one execution's scheduler met, or that of many.

    ``questions`` it was asked, ``options`` it could choose from in all of them together and
    ``most`` in one; ``chosen`` counts the kinds of its answers. ``switches`` are answers that let
    another operation in though the last one could go on; ``threads`` how many ever had an event.
    """

    questions: int = 0
    options: int = 0
    most: int = 0
    switches: int = 0
    threads: int = 0
    chosen: dict[str, int] = {}

    def plus(self, other: Counts) -> Counts:
        """Both together; of threads and ``most``, the larger number."""
        return Counts(
            self.questions + other.questions,
            self.options + other.options,
            max(self.most, other.most),
            self.switches + other.switches,
            max(self.threads, other.threads),
            {
                kind: self.chosen.get(kind, 0) + other.chosen.get(kind, 0)
                for kind in {**self.chosen, **other.chosen}
            },
        )


class Metrics:
    """Answers as the wrapped scheduler does; ``counts()`` says what that was."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.patient = getattr(scheduler, "patient", False)
        self._scheduler = scheduler
        self._questions = 0
        self._options = 0
        self._most = 0
        self._switches = 0
        self._threads: set[str] = set()
        self._chosen: dict[str, int] = {}

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """What the wrapped scheduler chooses."""
        chosen = self._scheduler.choose(options, last)
        self._questions += 1
        self._options += len(options)
        self._most = max(self._most, len(options))
        self._switches += is_switch(options, chosen, default(options, last), last)
        self._threads.update(thread_of(o) for o in options if o.kind not in NOT_EVENTS)
        kind = options[chosen].kind
        self._chosen[kind] = self._chosen.get(kind, 0) + 1
        return chosen

    def counts(self) -> Counts:
        """What was counted so far."""
        return Counts(
            self._questions,
            self._options,
            self._most,
            self._switches,
            len(self._threads),
            dict(self._chosen),
        )
