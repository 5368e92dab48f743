"""Follow: repeat an order of transitions, given by their keys, on the loop that findings name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isomodel.engine.owner import Actor
from isomodel.engine.portable import PortableLoop
from isomodel.engine.protocol import Option, default


class Follow:
    """A scheduler that lets these happen in this order, then goes on as before.

    ``lost`` counts those that were not possible where they were due.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = list(keys)
        self._next = 0
        self.lost = 0

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The transition that is due."""
        if self._next < len(self._keys):
            key = self._keys[self._next]
            self._next += 1
            for index, option in enumerate(options):
                if option.key == key:
                    return index
            self.lost += 1
        return default(options, last)

    def happens(self, key: str) -> None:
        """This happens, as nothing else can."""
        if self._next < len(self._keys):
            self.lost += self._keys[self._next] != key
            self._next += 1


class FollowedLoop(PortableLoop):
    """A portable loop that tells a ``Follow`` what it need not ask."""

    def __init__(self, follow: Follow, scheduler: Any, **options: Any) -> None:
        super().__init__(scheduler, **options)
        self._follow = follow
        self._followed = scheduler

    def _choose(self, options: list[Any]) -> int:
        if len(options) == 1 and self._scheduler is self._followed:
            self._follow.happens(options[0].key)
        return super()._choose(options)
