"""Replay: repeat a stored schedule, by task name and step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, default
from isomodel.values.schedule import Switch


class Points:
    """Numbers the questions asked at one point: after so many steps of the task that ran last.

    Questions at one point may be apart: where a loop runs among threads, both ask.
    """

    __slots__ = ("_asked",)

    def __init__(self) -> None:
        self._asked: dict[tuple[str, int], int] = {}

    def at(self, last: Actor) -> tuple[str, int, int]:
        """The point of this question: task, step, number of the question there."""
        point = (last.name, last.steps)
        nth = self._asked.get(point, -1) + 1
        self._asked[point] = nth
        return (*point, nth)


class Replay:
    """Makes the stored choices where they fit, else the default one.

    ``missed`` lists the stored choices that had no counterpart: the execution has diverged
    from the one recorded. An option that is gone by its exact name is taken to be one of the
    same owner, so that a small edit of the program does not lose the counterexample.
    """

    def __init__(self, choices: Iterable[Switch]) -> None:
        self._choices = {(c.after, c.step, c.nth): c for c in choices}
        self._points = Points()
        self.missed: list[Switch] = []

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The stored option at this point, or the default one."""
        choice = self._choices.pop(self._points.at(last), None)
        if choice is None:
            return default(options, last)
        for index, option in enumerate(options):
            if option.key == choice.to:
                return index
        owner = choice.to.split(" ")[0]
        for index, option in enumerate(options):
            if option.key.split(" ")[0] == owner and option.kind != "go on":
                return index
        self.missed.append(choice)
        return default(options, last)

    @property
    def diverged(self) -> int:
        """How many stored choices never came up or had no counterpart."""
        return len(self.missed) + len(self._choices)
