"""Following: what came in another execution comes again, in the order in which it came there.

A schedule names departures from the default rule by task and step, and says little of a scenario
in which an operation is missing. The order in which things came says as much of those that are
left as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, default

AT_ONCE = frozenset(("go on", "due"))
"""Kinds of options whose turn the default rule knows best."""


class Following:
    """Takes, of what can happen, what came first among these keys; else follows the default rule.

    Nothing joins an iteration in which others run. A cancellation waits for its turn, if it had
    one: what came just before it may be what it struck.
    """

    patient = True

    def __init__(self, keys: Iterable[str]) -> None:
        self._places: dict[str, list[int]] = {}
        for place, key in enumerate(keys):
            self._places.setdefault(key, []).append(place)
        for places in self._places.values():
            places.reverse()

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The option whose next place in the order is the first."""
        usual = default(options, last)
        first = options[usual]
        if first.kind in AT_ONCE or (first.kind == "cancel" and not self._places.get(first.key)):
            return usual
        known = [
            (places[-1], index)
            for index, option in enumerate(options)
            if (places := self._places.get(option.key))
        ]
        if not known:
            return usual
        chosen = min(known)[1]
        self._places[options[chosen].key].pop()
        return chosen
