"""Which of trio's runnable tasks is next.

``stock``: only orders that trio's own loop can produce. It runs what is runnable in batches: what
becomes runnable while one batch runs makes up the next. Of each batch it draws whether to run it
forwards or backwards. What comes from outside (I/O, deadlines, calls from threads) enters between
two batches, behind what is runnable already.

``portable``: any runnable task takes the next step, which trio's documentation allows ("the order
is unspecified") and its loop under Hypothesis, which shuffles batches, comes nearer to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isomodel.engine.core import FAIR
from isomodel.engine.fairness import FairTurns
from isomodel.engine.handle import Jump, Latency, TaskStep, Timer
from isomodel.engine.protocol import Scheduler
from isomodel.engine.runtime import Blocked, OutOfSteps
from isomodel.engine.trio.engine import TrioEngine


class StockTrio(TrioEngine):
    """One execution in which each batch of runnable tasks runs forwards or backwards."""

    __slots__ = ()

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""
        while not done():
            self._run_ready()
            self._gather()
            if not self._steps:
                self.idles += 1
                self._turns = 0
                self._poll()
            elif self._turns >= FAIR:
                self._poll(hurried=True)
                self._turns = 0
            elif not self._patient or self._cancels or self._overdue or self._is_due():
                self._poll()
            self._gather()
            if self._steps:
                self._turns += 1
                self._run_batch()
            elif not (self._ready or self._machine.idle() or self._threads_sent()):
                raise Blocked("; ".join(self.waiting()))

    def _run_batch(self) -> None:
        """Let each take a step; what they make runnable is for the next batch.

        To run it forwards is to begin with its first, backwards with its last: that is the choice.
        A run that repeats a recorded order may choose each step, because the others' tasks, with
        whom its own were in other batches, are gone.
        """
        batch = self._steps
        free, asked = self._every_choice, self._asks_always
        if len(batch) > 1 and not free and self._choose([batch[0], batch[-1]]):
            batch.reverse()
        elif len(batch) == 1 and asked:
            self._choose(batch)
        first = True
        while batch:
            self.steps += 1
            if self.steps > self.max_steps:
                raise OutOfSteps
            place = self._choose(batch) if free else 0
            if asked and not first:
                self._choose(batch[:1])
            first = False
            self._step(batch.pop(place))

    def _poll(self, *, hurried: bool = False) -> None:
        """Let what is pending come in, one question each, until nothing more shall.

        ``hurried``: at least one has to. Deadlines pass last, in their order, those first that were
        set to a time in the past.
        """
        timed = False
        while True:
            options = self._later_options() if timed else self._options()
            if not options:
                break
            ready = bool(self._steps or self._overdue) or self._machine.runnable()
            if ready and not hurried:
                self._go_on.owner = self.last.owner
                options.insert(0, self._go_on)
            option = options[self._choose(options)]
            if option is self._go_on:
                break
            if isinstance(option, Timer | Jump) and type(option) is not Latency:
                timed = True
                self._expire_overdue()
            self._take(option)
            hurried = False
            if self._patient and self._machine.runnable() and not (self._cancels or self._is_due()):
                break
        self._expire_overdue()


class PortableTrio(FairTurns, TrioEngine):
    """One execution in which any runnable task may take the next step."""

    __slots__ = ("_stepped", "_turns_of_last", "_waiting_steps")

    chooses_steps = True

    def __init__(self, scheduler: Scheduler, **options: Any) -> None:
        super().__init__(scheduler, **options)
        self._turns_of_last = 0
        self._waiting_steps = 0
        self._stepped = False

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""
        while not done():
            self.steps += 1
            if self.steps > self.max_steps:
                raise OutOfSteps
            if self._overdue:
                self._expire_overdue()
            self._run_ready()
            self._gather()
            self._next()

    def _next(self) -> None:
        """The next step of some task, or what comes from outside."""
        steps = self._steps
        self.idles += not steps
        if self._stepped:
            self._waiting_steps = len(steps)
            self._stepped = False
        self._turns += 1
        choose = self._choose
        if self._turns > FAIR or self._turns_of_last > FAIR:
            options = self._fair_options()
        elif self._timers or self._posts or self._cancels:
            options = [*steps, *self._others()]
        else:
            options = [*steps, *self._live_arrivals()]
            if len(options) > 1:
                choose = self._pick
        if not options:
            if self._ready or self._overdue or self._machine.idle() or self._threads_sent():
                return
            raise Blocked("; ".join(self.waiting()))
        option = options[choose(options)]
        if type(option) is TaskStep:
            steps.remove(option)
            self._stepped = True
            self._turns_of_last = self._turns_of_last + 1 if option.actor is self.last else 0
            self._step(option)
        else:
            self._turns = 0
            self._take(option)
