"""Frontier: which orders of one scenario's conflicting events to try next.

Two ways, in turn. *Reversal*: of a conflict that has only been seen in one order, try the other,
beside the holds of the execution that showed it (as DPOR does at a race, but by chance instead of
depth first). *Order*: a random interleaving of all events known to conflict, each such order as
likely as any other, and none twice (SURW: Zhao et al., ASPLOS 2025, without replacement). What
is known grows with each execution that is observed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations, pairwise

from isomodel.schedulers.held import Event, Hold
from isomodel.search.exploring.conflicts import Conflict, Party, Touch, conflicts, itself
from isomodel.tracking.recorder import Label

TRIES = 2
"""How often to try for an order that has not come up: some cannot."""

REDRAWS = 30
"""How many interleavings to draw before looking for one that was not tried, from the last on."""

LOOKED_AT = 500
"""How many to look at then, in lexicographic order, before one that was tried is tried again."""

REMEMBERED = 5_000
"""Orders that are not tried again."""

FEW = 1_000
"""Pairs of conflicting events; with more, no two random orders are alike anyway."""

CROWD = 64
"""Events noted that touch one thing: in pairs, what a busy worker always touches has no end."""

Holds = tuple[Hold, ...]
Order = tuple[Event, ...]


class Frontier:
    """What is known of one scenario: its conflicts, and which orders were tried."""

    def __init__(self, party: Party = itself) -> None:
        self._party = party
        self._seen: dict[Conflict, None] = {}
        self._reversals: dict[tuple[Holds, Hold], Conflict] = {}
        self._tried: dict[Conflict, int] = {}
        self._touching: dict[Label, dict[Event, bool]] = {}
        self._read: set[Label] = set()
        self._pairs: dict[tuple[Event, Event], None] = {}
        self._orders: dict[Order, None] = {}
        self._classes: set[int] = set()
        self._exhausted = False

    def learn(self, holds: Holds, touches: Sequence[Touch]) -> bool:
        """Take note of an execution with these holds; whether it showed anything new."""
        new = self._learn_pairs(touches)
        order = tuple(dict.fromkeys(touch.event for touch in touches))
        self._note(order)
        for conflict in conflicts(touches, self._party):
            if conflict in self._seen:
                continue
            new = True
            self._seen[conflict] = None
            wanted = Conflict(conflict.second, conflict.first)
            if wanted not in self._seen:
                self._reversals[holds, Hold(conflict.first, conflict.second)] = wanted
        return new

    def reversal(self, source: random.Random) -> Holds | None:
        """Holds that turn one conflict around; None where both orders were seen, or tried."""
        self._reversals = {
            key: wanted
            for key, wanted in self._reversals.items()
            if wanted not in self._seen and self._tried.get(wanted, 0) < TRIES
        }
        if not self._reversals:
            return None
        (before, hold), wanted = source.choice(list(self._reversals.items()))
        self._tried[wanted] = self._tried.get(wanted, 0) + 1
        return (*before, hold)

    def order(self, source: random.Random) -> Holds | None:
        """Holds for one interleaving of all conflicting events; None without any."""
        if not self._pairs:
            return None
        order = self._untried(source)
        self._note(order)
        return tuple(
            Hold(second, first) for first, second in pairwise(order) if first.task != second.task
        )

    # What is known

    def _learn_pairs(self, touches: Sequence[Touch]) -> bool:
        """Take note of which events touch what; whether new pairs conflict."""
        changed: dict[Label, None] = {}
        for event, label, write in touches:
            events = self._touching.setdefault(label, {})
            if len(events) >= CROWD and event not in events:
                continue
            if event not in events or (write and not events[event]):
                events[event] = write
                changed[label] = None
            if not write and label not in self._read:
                self._read.add(label)
                changed[label] = None
        before = len(self._pairs)
        for label in changed:
            if label not in self._read:
                continue
            for (one, writes), (other, too) in combinations(self._touching[label].items(), 2):
                if (writes or too) and self._party(one.task) != self._party(other.task):
                    self._pairs[min(one, other), max(one, other)] = None
        if len(self._pairs) == before:
            return False
        self._exhausted = False
        if len(self._pairs) <= FEW:
            self._classes = {self._class_of(order) for order in self._orders}
        return True

    def _note(self, order: Order) -> None:
        if len(self._orders) < REMEMBERED and len(self._pairs) <= FEW:
            self._orders[order] = None
            self._classes.add(self._class_of(order))

    def _class_of(self, order: Order) -> int:
        """Equal for orders that differ only in what does not conflict."""
        place = {event: index for index, event in enumerate(order)}
        end = len(order)
        return hash(
            tuple(place.get(one, end) < place.get(other, end) for one, other in self._pairs)
        )

    def _untried(self, source: random.Random) -> Order:
        """Each task's events in their order, otherwise in any, all equally likely at first."""
        steps: dict[str, set[int]] = {}
        for pair in self._pairs:
            for event in pair:
                steps.setdefault(event.task, set()).add(event.step)
        tasks = [task for task in sorted(steps) for _ in steps[task]]
        order: Order = ()
        for attempt in range(REDRAWS + LOOKED_AT * (not self._exhausted)):
            if attempt < REDRAWS:
                source.shuffle(tasks)
                start = tasks.copy()
            else:
                _advance(tasks)
                if tasks == start:
                    self._exhausted = True
                    break
            upcoming = {task: iter(sorted(numbers)) for task, numbers in steps.items()}
            order = tuple(Event(task, next(upcoming[task])) for task in tasks)
            if len(self._pairs) > FEW or self._class_of(order) not in self._classes:
                break
        return order


def _advance(items: list[str]) -> None:
    """To the next permutation in lexicographic order; from the last one, to the first."""
    pivot = next((i for i in reversed(range(len(items) - 1)) if items[i] < items[i + 1]), None)
    if pivot is None:
        items.reverse()
        return
    swap = next(i for i in reversed(range(len(items))) if items[i] > items[pivot])
    items[pivot], items[swap] = items[swap], items[pivot]
    items[pivot + 1 :] = reversed(items[pivot + 1 :])
