"""Affinity: which kinds of operations meet in something that one of them changes.

Of the pairs that many kinds of operations make, few have anything to do with one another, and
scenarios drawn uniformly rarely hold such a pair. What executions touched tells which do. A
place that nearly all operations touch (the table of open requests) says little of two of them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Sequence

from isomodel.search.conflicts import Touch
from isomodel.values.scenario import Scenario

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

    def learn(self, scenario: Scenario, touches: Sequence[Touch]) -> None:
        """Take note of what the operations of an execution touched."""
        names = {operation.label: operation.name for operation in scenario.operations}
        self.seen.update(set(names.values()))
        for event, label, write in touches:
            name = names.get(event.task.partition("/")[0])
            if name is not None:
                places = self._writers if write else self._readers
                places.setdefault(_place(label), {})[name] = None

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


def _place(label: Hashable) -> Hashable:
    """What this label is of: a class and an attribute, or anything in a container.

    What an operation makes is its own; of several, only the kind says where operations meet.
    """
    if isinstance(label, tuple) and len(label) == 2 and isinstance(label[0], tuple):
        thing, attribute = label
        if len(thing) == 3:
            maker, kind, number = thing
            made = number if "." not in str(maker) else ""
            return kind, made, attribute if isinstance(attribute, str) and made == "" else ""
    return label
