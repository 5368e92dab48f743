"""What a loop on which any task may be next offers beside steps, and who has had enough turns.

No loop lets a task that can go on wait for seconds, and none lets one run for ever while others
wait: both hold of asyncio's and of trio's portable fidelity.
"""

from __future__ import annotations

from typing import Any

from isomodel.engine.actors import Actors
from isomodel.engine.core import FAIR
from isomodel.engine.handle import TaskStep


class FairTurns(Actors):
    """The part of a portable fidelity that knows whose turn it has been for too long.

    ``_turns`` counts choices since the last arrival, ``_turns_of_last`` those that one task had
    in a row, and ``_waiting_steps`` the steps that could be taken when the last one had ended.
    """

    __slots__ = ()

    _steps: list[TaskStep]
    _turns: int
    _turns_of_last: int
    _waiting_steps: int

    def _offered_steps(self) -> list[TaskStep]:
        """The steps that may come next."""
        return self._steps

    def _others(self) -> list[Any]:
        """What may happen instead of a step.

        Time passes while a task is runnable only if something has just made it so.
        """
        options = self._options()
        if self._waiting_steps and options and options[-1].kind == "timer":
            return [option for option in options if option.kind != "timer"]
        return options

    def _fair_options(self) -> list[Any]:
        """The options, without those that have had their turn often enough while others wait."""
        if self._turns > 5 * FAIR and (others := self._options()):
            return others
        options = [*self._offered_steps(), *self._others()]
        if self._turns_of_last > FAIR and len(options) > 1:
            last = self.last
            return [o for o in options if type(o) is not TaskStep or o.actor is not last]
        return self._or_wait(options)

    def _or_wait(self, options: list[Any]) -> list[Any]:
        """The same, with what else may come first."""
        return options
