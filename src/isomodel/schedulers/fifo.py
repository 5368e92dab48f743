"""The default rule as a scheduler: go on as before."""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, default


class Default:
    """Runs one operation after another; what an empty schedule means."""

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The default option."""
        return default(options, last)
