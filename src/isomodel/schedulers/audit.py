"""Audit: whether an execution is a function of its inputs, and if not, where it stops being one.

An execution is run twice with the same inputs, each time with its scheduler in ``Noted``. If what
could have happened next was ever different, something that is not under control decided it: the
first such question is named, with what usually causes a difference of its kind.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

import msgspec

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, Scheduler


class Question(msgspec.Struct, frozen=True):
    """One question and its answer: after so many steps of the task that ran last."""

    after: str
    step: int
    options: tuple[str, ...]
    chosen: str


class Noted:
    """A scheduler around another that keeps every question; for audited executions only."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.patient = getattr(scheduler, "patient", False)
        self.questions: list[Question] = []
        self._scheduler = scheduler

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """What the wrapped scheduler chooses."""
        chosen = self._scheduler.choose(options, last)
        keys = tuple(option.key for option in options)
        self.questions.append(Question(last.name, last.steps, keys, keys[chosen]))
        return chosen


class Difference(msgspec.Struct, frozen=True):
    """Where two runs of one execution part: ``number`` of the question, from 0.

    ``first`` and ``second`` are None where a run was over already.
    """

    number: int
    first: Question | None
    second: Question | None
    cause: str

    def __str__(self) -> str:
        one, two = self.first, self.second
        if one is None or two is None:
            asked = one or two
            assert asked is not None
            what = f"only one of them went on after {_place(asked)}"
        elif _place(one) != _place(two):
            what = f"after {_place(one)}, then after {_place(two)}"
        elif one.options != two.options:
            gone = [key for key in one.options if key not in two.options]
            come = [key for key in two.options if key not in one.options]
            what = f"after {_place(one)}: " + (
                f"{_list(gone)} could happen, then {_list(come)}"
                if gone or come
                else "the same could happen, in another order"
            )
        else:
            what = f"after {_place(one)}: chose {one.chosen}, then {two.chosen}"
        return f"question {self.number}, {what}; usual cause: {self.cause}"


def first_difference(first: Sequence[Question], second: Sequence[Question]) -> Difference | None:
    """The first question at which two runs of one execution part, if any."""
    for number, (one, two) in enumerate(zip_longest(first, second)):
        if one != two:
            return Difference(number, one, two, _cause(one, two))
    return None


class Audit:
    """Keeps the score of the executions that were run twice, one in ``every``."""

    def __init__(self, every: int = 250) -> None:
        self.every = every
        self.audited = 0
        self.same = 0
        self.first: Difference | None = None
        self._causes: Counter[str] = Counter()

    def is_due(self, index: int) -> bool:
        """Whether execution ``index`` is to be run twice; the first one always is."""
        return index % self.every == 0

    def compare(self, first: Noted, second: Noted) -> Difference | None:
        """Count one execution; where its two runs part, if they do."""
        self.audited += 1
        difference = first_difference(first.questions, second.questions)
        if difference is None:
            self.same += 1
        else:
            self._causes[difference.cause] += 1
            self.first = self.first or difference
        return difference

    @property
    def stability(self) -> float | None:
        """Of the audited executions, how many were the same twice, in percent; None: none was."""
        return 100 * self.same / self.audited if self.audited else None

    def __str__(self) -> str:
        if not self.audited:
            return "no execution was run twice"
        text = f"{self.stability:.4g} % of {self.audited} executions were the same twice"
        return text if self.first is None else f"{text}; {self.first}"


_STATE = "state kept between executions (a module, a class, a cache), randomness or real time"
_ORDER = "the order of a set or of hashes, id()"
_COUNT = "a counter or an identifier that goes on counting from execution to execution"
_SCHEDULER = "a scheduler that keeps state between executions"
_NUMBERS = re.compile(r"\d+")


def _cause(one: Question | None, two: Question | None) -> str:
    if one is None or two is None or _place(one) != _place(two):
        return _STATE
    if one.options == two.options:
        return _SCHEDULER
    if sorted(one.options) == sorted(two.options):
        return _ORDER
    if [_NUMBERS.sub("#", key) for key in one.options] == [
        _NUMBERS.sub("#", key) for key in two.options
    ]:
        return _COUNT
    return _STATE


def _place(question: Question) -> str:
    return f"{question.step} steps of {question.after}" if question.after else "the start"


def _list(keys: Sequence[str]) -> str:
    return ", ".join(keys) or "nothing more"
