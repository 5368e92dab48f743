"""The run of a scenario whose interleavings are explored: notes what its own records depend on.

What an execution leaves for the oracles must be the same for all orders that count as one. Its
records are lists for all users, so their order is not; but the oracles compare names in them, and
never positions of what has no name in common. So:

- *Facts* that name the same thing (event, connection, limit, transaction, credential) keep their
  order, as they write that thing. A thing ``Owned`` by an operation is updated by all that the
  operation notes later and by its end, because *ownership* asks whether it was still running; of
  two operations that owned one thing, it matters which ended first.
- What one user observes keeps its order; so do handles and the operations of one user.
- *Noninterference* projects an execution on one user's own events. The projections of orders that
  count as one are alone runs that count as one.
- Guards of resources keep one list for all: what they do keeps its order.
"""

from __future__ import annotations

from typing import Any

from isomodel.engine.tracking.loop import CLOCK, TrackedLoop, touch
from isomodel.engine.tracking.sink import READ, UPDATE, WRITE
from isomodel.schedulers.fifo import Default
from isomodel.search.running.run import Run
from isomodel.values import facts
from isomodel.values.facts import Fact
from isomodel.values.scenario import Operation, made_by

_SUBJECTS: dict[type, tuple[str, ...]] = {
    facts.Delivered: ("id", "connection"),
    facts.Dropped: ("id",),
    facts.Connected: ("connection",),
    facts.Disconnected: ("connection",),
    facts.Issued: ("id",),
    facts.Used: ("limit",),
    facts.Identified: ("credential",),
    facts.Owned: ("thing",),
    facts.Began: ("transaction",),
    facts.Ended: ("transaction",),
    facts.Wrote: ("transaction",),
    facts.Accepted: (),
    facts.Broken: (),
    facts.Counted: ("counter",),
    facts.Total: ("counter",),
}
"""By which of its names an oracle relates a fact of this kind to others."""


def subjects(fact: Fact) -> list[str]:
    """What this fact is about: the names by which oracles relate it to others.

    Messages outside any run are one stream for each user.
    """
    if isinstance(fact, facts.Sent):
        return [fact.id, fact.run or fact.to]
    return [str(getattr(fact, name)) for name in _SUBJECTS[type(fact)]]


class ProofRun(Run):
    """A run whose operations are scheduled by a guide; the rest follows the default rule."""

    loop: TrackedLoop

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._owned: dict[str, dict[str, None]] = {}
        self._owners: dict[str, dict[str, None]] = {}

    def note(self, fact: Fact) -> None:
        """Record a fact."""
        mode = UPDATE if isinstance(fact, facts.Counted) else WRITE
        for subject in subjects(fact):
            touch((subject, "fact"), mode)
        label = self.loop.owner().label
        for thing in self._owned.get(label, ()):
            touch((thing, "fact"), UPDATE)
        if isinstance(fact, facts.Owned):
            self._owned.setdefault(label, {})[fact.thing] = None
            self._owners.setdefault(fact.thing, {})[label] = None
            self._time_matters_to(fact.thing)
        super().note(fact)

    def _time_matters_to(self, thing: str) -> None:
        """Of two operations that owned a thing, one may have ended before the other began to."""
        if len(self._owners[thing]) > 1:
            touch(CLOCK, READ)

    def whose(self) -> tuple[str, str]:
        """Label and user of the operation now running; a guard asks before it does anything."""
        touch(("guards", ""), WRITE)
        return super().whose()

    async def _perform(self, operation: Operation) -> None:
        touch((operation.user, "live"), READ)
        await super()._perform(operation)

    def _arguments(self, operation: Operation) -> dict[str, Any] | None:
        for value in operation.args.values():
            maker = made_by(value)
            if maker is not None:
                touch((maker, "handle"), WRITE)
        return super()._arguments(operation)

    def _finish(self, operation: Operation, outcome: str, value: Any) -> None:
        touch((operation.label, "handle"), WRITE)
        touch((operation.user, "live"), WRITE)
        for thing in self._owned.get(operation.label, ()):
            touch((thing, "fact"), UPDATE)
            touch((thing, "end"), WRITE)
            self._time_matters_to(thing)
        super()._finish(operation, outcome, value)

    def _start_next(self, user: str) -> None:
        touch((user, "live"), WRITE)
        super()._start_next(user)

    def _operations(self) -> None:
        super()._operations()
        self.loop.finish()

    def _hang(self) -> None:
        """Nothing can happen any more: what follows is no choice."""
        self.loop.finish()
        self.loop.scheduler = Default()
        super()._hang()

    def abandon(self) -> None:
        """End an execution whose rest is known."""
        self.loop.scheduler = Default()
        self._dismiss()
