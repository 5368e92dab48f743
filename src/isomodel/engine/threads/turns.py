"""Turns: which thread of a crew takes the next step, and when time passes."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from isomodel.engine.owner import Actor, Owner, Part
from isomodel.engine.protocol import Scheduler
from isomodel.engine.threads.members import ControlledThread, Timer

FAIR = 500
"""Steps that one thread may take in a row while another one could run."""

SLACK = 0.1
"""Seconds for which an operating system may keep a thread from running, or its work may take."""


class Turns:
    """The part of a crew that knows who can run, and asks the scheduler.

    ``asks_always``: the scheduler is asked even where only one thing can happen, as an observer
    has to be. ``slack``: for how many seconds one that is at work may be held up while time passes,
    by the operating system or by what it does itself. While ``quiet`` is above 0 there are no
    points. ``stepped`` is told of each step that begins. ``last`` is the thread that took the last
    one.
    """

    def __init__(self, scheduler: Scheduler, slack: float = SLACK) -> None:
        self.scheduler = scheduler
        self.slack = slack
        self.asks_always = False
        self.quiet = 0
        self.now = 0.0
        self.root = Owner("", "", Part(""), root=True)
        self.last = Actor("", self.root)
        self.current: ControlledThread | None = None
        self.runnable: list[ControlledThread] = []
        self.stepped: Callable[[ControlledThread], object] | None = None
        self._waiting: dict[int, list[ControlledThread]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._serial = 0
        self._turns = 0

    @property
    def scheduler(self) -> Scheduler:
        """Who decides what happens next."""
        return self._scheduler

    @scheduler.setter
    def scheduler(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._pick: Callable[[list[Any]], int] = getattr(scheduler, "pick", self._choose)

    def wake(self, thing: object) -> None:
        """Whoever waits for this thing can look again."""
        for thread in self._waiting.pop(id(thing), ()):
            self._resume(thread)

    def _wait_for(self, thread: ControlledThread, thing: object, until: float | None) -> None:
        """This thread cannot run until somebody wakes it, or until that time."""
        self.runnable.remove(thread)
        if thing is not None:
            self._waiting.setdefault(id(thing), []).append(thread)
        if until is not None:
            thread.timer = Timer(thread, until)
            self._serial += 1
            heapq.heappush(self._timers, (until, self._serial, thread.timer))

    def _resume(self, thread: ControlledThread) -> None:
        if thread.timer is not None:
            thread.timer.live = False
            thread.timer = None
        thread.awaits = None
        thread.since = self.now
        self.runnable.append(thread)

    def _next(self) -> ControlledThread | None:
        """The thread that takes the next step; None where nothing can ever happen again."""
        while True:
            options: list[Any] = self.runnable
            timer = self._next_timer() if self._timers else None
            if timer is not None and self.runnable and not self._may_come(timer):
                timer = None
            if len(options) > 1 and self._turns > FAIR:
                options = [option for option in options if option.actor is not self.last]
            if timer is not None:
                options = [*options, timer]
            if not options:
                return None
            if len(options) == 1 and not self.asks_always:
                option = options[0]
            else:
                option = options[self._choose(options)]
            if type(option) is ControlledThread:
                return option
            self._pass_time(option)

    def _begin_step(self, thread: ControlledThread) -> None:
        actor = thread.actor
        actor.steps += 1
        thread.priority = -1.0
        if self.stepped is not None:
            self.stepped(thread)
        if actor is self.last:
            self._turns += 1
        else:
            self._turns = 0
            self.last = actor

    def others(self) -> list[ControlledThread]:
        """The threads beside the running one that could run."""
        return [thread for thread in self.runnable if thread is not self.current]

    def _next_timer(self) -> Timer | None:
        """The next timer for which time has to pass; those whose time has come are over."""
        timers = self._timers
        while timers:
            timer = timers[0][2]
            if timer.live and timer.when > self.now:
                return timer
            heapq.heappop(timers)
            if timer.live:
                self._time_out(timer)
        return None

    def _may_come(self, timer: Timer) -> bool:
        """Whether so little time has to pass that those at work may take as long."""
        return timer.when <= min(thread.since for thread in self.runnable) + self.slack

    def _pass_time(self, timer: Timer) -> None:
        heapq.heappop(self._timers)
        self.now = max(self.now, timer.when)
        self._turns = 0
        self._time_out(timer)

    def _time_out(self, timer: Timer) -> None:
        thread = timer.thread
        waiting = self._waiting.get(id(thread.awaits))
        if thread.awaits is not None and waiting is not None:
            waiting.remove(thread)
        thread.timed_out = True
        self._resume(thread)

    def _choose(self, options: list[Any]) -> int:
        """Ask; what the scheduler itself does meanwhile is no thread's doing."""
        self.quiet += 1
        try:
            return self._scheduler.choose(options, self.last)
        finally:
            self.quiet -= 1
