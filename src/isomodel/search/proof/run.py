"""The run of a scenario whose interleavings are explored: notes what its own records depend on.

What an execution leaves for the oracles must be the same for all orders that count as one. Its
records are lists for all users, so their order is not; but the oracles compare names in them, and
never positions of what has no name in common. So:

- *Facts* that name the same thing (event, connection, limit, transaction, credential) keep their
  order, as they touch that thing. A thing ``Owned`` by an operation is touched by all that the
  operation notes later and by its end, because *ownership* asks whether it was still running.
- What one user observes keeps its order; so do handles and the operations of one user.
- *Noninterference* projects an execution on one user's own events. The projections of orders that
  count as one are alone runs that count as one.
- Guards of resources keep one list for all: what they do keeps its order.
"""

from __future__ import annotations

from typing import Any

from isomodel.engine.tracking.loop import CLOCK, TrackedLoop, touch
from isomodel.engine.tracking.sink import READ, WRITE
from isomodel.schedulers.fifo import Default
from isomodel.search.run import Run
from isomodel.values.facts import Fact, Owned
from isomodel.values.scenario import Operation, made_by

_NO_NAMES = frozenset(("kind", "reason", "how", "field", "value", "what"))
"""String fields of facts by which no two facts are related."""


def subjects(fact: Fact) -> list[str]:
    """What this fact is about: the names by which oracles relate it to others."""
    return [
        value
        for name in fact.__struct_fields__
        if name not in _NO_NAMES and isinstance(value := getattr(fact, name), str) and value
    ]


class ProofRun(Run):
    """A run whose operations are scheduled by a guide; the rest follows the default rule."""

    loop: TrackedLoop

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._owned: dict[str, list[str]] = {}

    def note(self, fact: Fact) -> None:
        """Record a fact."""
        for subject in subjects(fact):
            touch((subject, "fact"), WRITE)
        label = self.loop.owner().label
        if isinstance(fact, Owned):
            self._owned.setdefault(label, []).append(fact.thing)
        self._touch_owned(label)
        super().note(fact)

    def whose(self) -> tuple[str, str]:
        """Label and user of the operation now running; a guard asks before it does anything."""
        touch(("guards", ""), WRITE)
        return super().whose()

    def _touch_owned(self, label: str) -> None:
        for thing in self._owned.get(label, ()):
            touch((thing, "fact"), WRITE)
            touch(CLOCK, READ)

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
        self._touch_owned(operation.label)
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
