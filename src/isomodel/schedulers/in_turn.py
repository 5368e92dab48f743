"""In turn: what came up first happens first, so that all users advance at one pace and meet."""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option


class InTurn:
    """The order of a loop all of whose I/O takes equally long; time passes when nothing else can.

    Nothing joins an iteration in which others run.
    """

    patient = True

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The first option: faults come before others, and a timer comes last."""
        return 0
