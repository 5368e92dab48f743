"""The crew: the threads of one execution, of which one runs at a time, and who is next.

A thread can be interrupted only at a *point*, which comes before each thing it does that another
thread could notice: an access to what may be shared, a lock, a queue. What lies between two points
is one step. At a point the scheduler is asked, by the protocol that the asyncio engine has too:
each thread that can run is an option, and so is the next timer. Schedules, shrinking and replay
are therefore the same for both.

Virtual time passes when nothing else can happen. When the scheduler says so, it also passes while
threads are at work, but from wait to wait none of them takes more than ``slack``: a short sleep may
end in the middle of what another thread does, a time limit of seconds does not. A thread that
has taken ``FAIR`` steps while others could run has to wait until one of them did: no loop that
looks for something again and again keeps it from happening.
"""

from __future__ import annotations

import contextlib
from _thread import get_ident
from collections.abc import Callable, Iterator
from typing import Any

from isomodel.engine.owner import Owner
from isomodel.engine.protocol import Scheduler
from isomodel.engine.runtime import OutOfSteps
from isomodel.engine.threads import greenlets
from isomodel.engine.threads.here import here
from isomodel.engine.threads.locals import Locals, interpreters_own
from isomodel.engine.threads.members import (
    LOCKED,
    OUTSIDE,
    Alarm,
    ControlledThread,
    Deadlock,
    Ended,
)
from isomodel.engine.threads.turns import FAIR, SLACK, Turns
from isomodel.engine.threads.where import here_is, place_of
from isomodel.tracking.active import recording
from isomodel.values.execution import Issue

STUBBORN = 10_000
"""How many points a thread may come to, when it has been told to end, before it is left alone."""

_left_alone: list[Any] = []
"""Greenlets that do not end; freeing them would tell them so again, and go on for ever."""


class Crew(Turns):
    """The threads of one execution, made fresh for each.

    ``errors`` has what threads have raised that nobody caught, with their names; ``stubborn``
    where those are that swallowed whatever was to end them.
    """

    def __init__(
        self, scheduler: Scheduler, *, max_steps: int = 20_000, slack: float = SLACK
    ) -> None:
        self._greenlets = greenlets.load()
        super().__init__(scheduler, slack)
        self.max_steps = max_steps
        self.steps = 0
        self.made = 0
        self.os_thread = get_ident()
        self.threads: dict[str, ControlledThread] = {}
        self.errors: list[tuple[str, BaseException]] = []
        self.stubborn: list[str] = []
        self.uncontrolled: list[Issue] = []
        self.holders: dict[int, tuple[Any, ControlledThread]] = {}
        self.reentrant: dict[int, tuple[Any, Any]] = {}
        self.plain: dict[int, object] = {}
        self.ends: dict[int, str] = {}
        self.on_ending: list[Callable[[], object]] = []
        self.ending = False
        self.traced: Callable[[], object] | None = None
        self._outcome: BaseException | None = None
        self._refusals = 0
        self._hub: Any = None
        self._workers: Any = None
        self._shared = interpreters_own()

    # Its life

    def run(self, main: Callable[[], object]) -> None:
        """Run ``main`` as the first thread, to its end.

        Raises Deadlock, OutOfSteps or Alarm, or what ``main`` raised. What other threads raised
        is in ``errors``. Whoever still waits at the end is ended.
        """
        with self.under_way():
            first = self.spawn("main", main, ident=self.os_thread)
            try:
                self.drive(first)
            finally:
                self.end()
        for name, error in self.errors:
            if name == "main":
                raise error
        for where in self.stubborn:
            raise Alarm(where)

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Have the caller's OS thread, at this place of its stack, run these threads."""
        self._hub = self._greenlets.getcurrent()
        self._workers = greenlets.workers_of(self._hub)
        before, here.crew = here.crew, self
        outside = Locals(self._shared)
        outside.leave()
        try:
            yield
        finally:
            here.crew = before
            outside.enter()

    def drive(self, first: ControlledThread) -> None:
        """Run all threads until this one has ended; raises Deadlock, OutOfSteps or Alarm."""
        self._outcome = None
        while not first.over and self._outcome is None:
            following = self._next()
            if following is None:
                self._outcome = self._stuck()
                break
            self._begin_step(following)
            self._enter(following)
        if self._outcome is not None:
            raise self._outcome

    def spawn(
        self,
        name: str,
        body: Callable[[], object],
        *,
        ident: int | None = None,
        owner: Owner | None = None,
    ) -> ControlledThread:
        """A new thread, able to take its first step, which ends before its first point.

        It is a thread of ``owner``'s, or else an owner of its own.
        """
        creator = owner or (self.current.owner if self.current is not None else self.root)
        label = creator.numbered(name)
        if creator.label and creator.label != "main":
            label = f"{creator.label}/{label}"
        while label in self.threads:
            label += "~"
        owner = owner or Owner(label, creator.user, creator.part)
        number = len(self.threads) + 1
        thread = ControlledThread(
            label, owner, number, ident or 1_000 + number, Locals(self._shared), self.now
        )
        if self.traced is None:
            thread.greenlet = self._workers.take(lambda: self._live(thread, body))
        else:  # tracing stays with a greenlet, so this one must not run anything else
            thread.greenlet = self._greenlets.greenlet(lambda: self._live(thread, body), self._hub)
        thread.paused = thread.greenlet
        self.threads[label] = thread
        self.runnable.append(thread)
        return thread

    def _live(self, thread: ControlledThread, body: Callable[[], object]) -> None:
        """What the greenlet of a thread does."""
        thread.begun = True
        thread.locals.enter()
        if self.traced is not None:
            self.traced()
        try:
            body()
        except (Ended, SystemExit):
            pass
        except BaseException as error:
            self.failed(thread, error)
        finally:
            thread.locals.end()
            for action in thread.on_end:
                action()
            if thread in self.runnable:
                self.runnable.remove(thread)
            thread.over = True
            self.wake(thread)
            self.current = None

    def failed(self, thread: ControlledThread, error: BaseException) -> None:
        """This was raised in a thread, and nobody caught it."""
        if isinstance(error, KeyboardInterrupt):
            self._outcome = error
        elif not self.ending:
            self.errors.append((thread.name, error))

    def end(self) -> None:
        """End every thread that has not ended by itself."""
        self.ending = True
        for action in self.on_ending:
            action()
        for thread in list(self.threads.values()):
            self.end_one(thread)

    def end_one(self, thread: ControlledThread) -> None:
        """End this thread, wherever it is."""
        ending, self.ending = self.ending, True
        self._refusals = 0
        if not thread.begun:
            thread.over = True
            if self.traced is None:
                self._workers.give_back(thread.greenlet)
        while not thread.over and self._refusals < STUBBORN:
            self._refusals += 1
            self.current = thread
            self.last = thread.actor
            (thread.greenlet if thread.paused.dead else thread.paused).throw(Ended)
        if thread in self.runnable:
            self.runnable.remove(thread)
        self.current = None
        self.ending = ending

    def _refuses(self) -> None:
        """The running thread has been told to end, and has come to a point."""
        self._refusals += 1
        if self._refusals < STUBBORN:
            return
        thread = self.current
        assert thread is not None
        self.stubborn.append(
            f"{thread.name} swallows what is to end it, at {self.place(thread)}: let exceptions "
            "through that are no Exception"
        )
        thread.locals.leave()
        _left_alone.append(self._greenlets.getcurrent())
        self._hub.switch()

    # Points

    def point(self) -> None:
        """Before something that another thread could notice: anyone may run first."""
        thread = self.current
        if thread is None or self.quiet:
            return
        if self.ending:
            self._refuses()
            return
        self.steps += 1
        if self.steps > self.max_steps:
            self.give_up(OutOfSteps(f"still busy after {self.max_steps} steps"))
        if self._timers or self.asks_always or self._turns > FAIR:
            following = self._next() or thread
        elif len(self.runnable) == 1:
            following = thread
        else:  # nearly always, the short way
            following = self.runnable[self._pick(self.runnable)]
        if self.stepped is not None:
            self.stepped(following)
        actor = following.actor
        actor.steps += 1
        following.priority = -1.0
        if following is thread:
            self._turns += 1
            return
        self._turns = 0
        self.last = actor
        self._switch(thread, following)

    def touch(self, thing: object, part: str, *, write: bool) -> None:
        """A point, and after it an access to this part of something: a look, or also a change."""
        self.point()
        recorder = recording()
        if recorder is not None and not self.quiet:
            recorder.touch(thing, part, write=False)
            if write:
                recorder.touch(thing, part, write=True)

    def touch_outside(self, kind: str, name: str, told: str, *, write: bool) -> None:
        """The same for something that is no object of the program's: a file, a database.

        ``told`` is what reports say that was done to it.
        """
        self.point()
        recorder = recording()
        if recorder is not None and not self.quiet:
            recorder.touch_name(OUTSIDE, f"{kind} {name}", write=False, told=told)
            if write:
                recorder.touch_name(OUTSIDE, f"{kind} {name}", write=True, told=told)

    def wait(self, thing: object, why: str, until: float | None = None) -> bool:
        """Wait until ``wake`` is called for this thing, or until that time; whether it was woken.

        With ``thing`` None only time can end the wait.
        """
        thread = self.current
        assert thread is not None
        if self.ending:
            self._refuses()
            raise Ended
        thread.awaits, thread.why, thread.timed_out = thing, why, False
        self._wait_for(thread, thing, until)
        following = self._next()
        if following is None:
            self.give_up(self._stuck())
        else:
            self._begin_step(following)
            if following is not thread:
                self._switch(thread, following)
        return not thread.timed_out

    def join(self, thread: ControlledThread) -> None:
        """Wait until this thread has ended."""
        while not thread.over:
            self.wait(thread, f"waits for {thread.name} to end")

    def keep_plain(self, lock: object) -> None:
        """Taking this lock is no point: it belongs to the standard library's own housekeeping."""
        self.plain[id(lock)] = lock

    def sleep(self, seconds: float) -> None:
        """Let so much virtual time pass for the running thread; none is still a point."""
        self.point()
        if seconds > 0 and not self.quiet:
            self.wait(None, f"sleeps for {seconds:g} s", self.now + seconds)

    def give_up(self, outcome: BaseException) -> None:
        """End the execution in this way, from inside a thread."""
        if not self.ending:
            self._outcome = self._outcome or outcome
            thread = self.current
            assert thread is not None
            thread.locals.leave()
            thread.paused = self._greenlets.getcurrent()
            try:
                self._hub.switch()
            finally:
                thread.locals.enter()
        raise Ended

    def alarm(self, text: str) -> None:
        """From outside any thread: the execution ends as soon as the running one lets go."""
        self._outcome = self._outcome or Alarm(text)

    # Switching

    def _switch(self, thread: ControlledThread, following: ControlledThread) -> None:
        """From the running thread to another; returns when it is this one's turn again."""
        thread.locals.leave()
        self.current = following
        if self.traced is not None:
            self.traced()
        thread.paused = self._greenlets.getcurrent()  # the program may have its own greenlets
        try:
            following.paused.switch()
        finally:
            thread.locals.enter()

    def _enter(self, thread: ControlledThread) -> None:
        """From the hub to a thread; returns when one has ended or all have to."""
        self.current = thread
        thread.paused.switch()
        self.current = None

    # Telling

    @property
    def in_task(self) -> Callable[[], object]:
        """Tells which thread of ours is running; None where none is."""
        return lambda: self.current

    def label(self) -> str:
        """Whose work is running now."""
        return "" if self.current is None else self.current.owner.label

    def waiting(self) -> list[str]:
        """Where each thread that has not ended waits."""
        return [
            f"{thread.name} {thread.why}{self._held_by(thread)} at {self.place(thread)}"
            for thread in self.threads.values()
            if not thread.over and thread not in self.runnable and thread.name != "main"
        ]

    def place(self, thread: ControlledThread) -> str:
        """The program's line where this thread is."""
        return here_is() if thread is self.current else place_of(thread.paused)

    def _held_by(self, thread: ControlledThread) -> str:
        if thread.why != LOCKED or id(thread.awaits) not in self.holders:
            return ""
        _, holder = self.holders[id(thread.awaits)]
        return " held by itself" if holder is thread else f" held by {holder.name}"

    def _stuck(self) -> BaseException:
        for thread in self.threads.values():
            lock = id(thread.awaits)
            if thread.why == LOCKED and lock not in self.holders and thread.awaits is not None:
                return Alarm(
                    f"{thread.name} waits at {self.place(thread)} for a lock that nothing under "
                    "control has: it was taken before control began, or by other code; take it in "
                    "setup or in a body, or leave it out of the program"
                )
        return Deadlock("; ".join(self.waiting()))

    def step_counts(self) -> list[tuple[str, int]]:
        """The threads but the first, each with the steps it has taken."""
        return [(name, thread.actor.steps) for name, thread in list(self.threads.items())[1:]]
