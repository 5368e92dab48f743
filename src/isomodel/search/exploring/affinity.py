"""Affinity: which kinds of operations meet in something that one of them changes.

Of the pairs that many kinds of operations make, few have anything to do with one another, and
scenarios drawn uniformly rarely hold such a pair. What executions touched tells which do. A
place that nearly all operations touch (the table of open requests) says little of two of them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Sequence

from isomodel.tracking.recorder import Access, Label
from isomodel.values.scenario import Scenario

CONTAINERS = frozenset(("dict", "list", "set", "deque", "OrderedDict", "defaultdict"))

ALIKE = 0.2
"""The weight of a kind that was never seen to meet another one."""


class Affinity:
    """What is known of where the operations of one target meet; a function of what it learned.

    ``seen`` counts the executions in which there were operations of a kind.
    """

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self._readers: dict[Hashable, dict[str, None]] = {}
        self._writers: dict[Hashable, dict[str, None]] = {}

    def learn(self, scenario: Scenario, accesses: Sequence[Access]) -> None:
        """Take note of what the operations of an execution touched.

        Each access counts for the operation whose task made it: the event that led to it may be
        another's, which only happened to come before.
        """
        names = {operation.label: operation.name for operation in scenario.operations}
        self.seen.update(set(names.values()))
        for access in accesses:
            name = names.get(access.task.partition("/")[0])
            place = _place(access.label)
            if name is not None and place is not None:
                places = self._writers if access.write else self._readers
                places.setdefault(place, {})[name] = None

    def partner(self, name: str, names: Sequence[str], source: random.Random) -> str:
        """One of these kinds, the likelier the more it meets ``name``; it may be the same kind."""
        weights = dict.fromkeys(names, 0.0)
        for place, writers in self._writers.items():
            everyone = {**writers, **self._readers.get(place, {})}
            if name in everyone:
                for other in everyone if name in writers else writers:
                    if other in weights:
                        weights[other] += 1 / len(everyone) ** 2
        return source.choices(names, [ALIKE + weight for weight in weights.values()])[0]


def _place(label: Label) -> Hashable | None:
    """What this label is of: a class and an attribute, or something that was there at the start.

    What an operation makes is its own; of several, only the kind says where operations meet, and
    that a list or a dict is one says nothing.
    """
    if not (isinstance(label, tuple) and len(label) == 2 and isinstance(label[0], tuple)):
        return label
    (thing, attribute) = label
    if len(thing) != 3:
        return label
    maker, kind, number = thing
    if "." not in str(maker):
        return kind, number, ""
    return (
        None if kind in CONTAINERS else (kind, "", attribute if isinstance(attribute, str) else "")
    )
