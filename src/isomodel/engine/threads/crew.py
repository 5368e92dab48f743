"""The crew: the threads of one execution, of which one runs at a time, and who is next.

A thread can be interrupted only at a *point*, which comes before each thing it does that another
thread could notice: an access to what may be shared, a lock, a queue. What lies between two points
is one step. At a point the scheduler is asked, by the protocol that the asyncio engine has too:
each thread that can run is an option, and so is the next timer. Schedules, shrinking and replay
are therefore the same for both.

Virtual time passes when nothing else can happen. When the scheduler says so, it also passes while
threads are at work, but from wait to wait none of them takes more than ``SLACK``: a short sleep may
end in the middle of what another thread does, a time limit of seconds does not. A thread that
has taken ``FAIR`` steps while others could run has to wait until one of them did: no loop that
looks for something again and again keeps it from happening.
"""

from __future__ import annotations

import contextlib
import heapq
from _thread import get_ident
from collections.abc import Callable
from typing import Any

from isomodel.engine.owner import Actor, Owner, Part
from isomodel.engine.protocol import Scheduler
from isomodel.engine.threads import greenlets
from isomodel.engine.threads.here import here
from isomodel.engine.threads.locals import Locals, interpreters_own
from isomodel.engine.threads.where import here_is, place_of
from isomodel.tracking.hooks import recording
from isomodel.values.execution import Issue

FAIR = 500
"""Steps that one thread may take in a row while another one could run."""

SLACK = 0.1
"""Seconds for which an operating system may keep a thread from running, or its work may take."""

STUBBORN = 1_000
"""How often a thread may refuse to end before it is left alone."""


LOCKED = "waits for a lock"

OUTSIDE = "outside"
"""The owner in labels of what is no object of the program's."""


class Ended(BaseException):
    """Raised in a thread that still waits when its execution is over."""


class Deadlock(Exception):
    """No thread can ever run again; tells where each waits, and who has what it waits for."""


class OutOfSteps(Exception):
    """The execution took more steps than it was allowed."""


class Alarm(Exception):
    """A thread left control: it blocks in something that is not under control, or never yields."""


class Timer:
    """An option: that time passes until a thread's time limit."""

    __slots__ = ("actor", "key", "kind", "live", "owner", "priority", "thread", "when")

    def __init__(self, thread: ControlledThread, when: float) -> None:
        self.thread = thread
        self.actor = thread.actor
        self.owner = thread.owner
        self.key = f"{thread.owner.label} timer {thread.owner.count('timer')}"
        self.kind = "timer"
        self.priority = -1.0
        self.when = when
        self.live = True


class ControlledThread:
    """One thread, and at the same time the option that it takes its next step.

    ``since`` is when its last wait ended. ``awaits`` is what it is blocked on, ``why`` that in
    words, ``timed_out`` whether its time limit ended the last wait. ``paused`` is where it goes on.
    """

    __slots__ = (
        "actor",
        "awaits",
        "daemon",
        "greenlet",
        "ident",
        "key",
        "kind",
        "locals",
        "on_end",
        "owner",
        "paused",
        "priority",
        "sentinel",
        "since",
        "timed_out",
        "timer",
        "why",
    )

    def __init__(
        self, name: str, owner: Owner, number: int, ident: int, locals_: Locals, now: float
    ) -> None:
        self.actor = Actor(name, owner, number)
        self.owner = owner
        self.key = f"{name} step"
        self.kind = "step"
        self.priority = -1.0
        self.ident = ident
        self.daemon = False
        self.since = now
        self.greenlet: Any = None
        self.paused: Any = None
        self.locals = locals_
        self.sentinel: Any = None
        self.on_end: list[Callable[[], object]] = []
        self.awaits: object = None
        self.why = ""
        self.timed_out = False
        self.timer: Timer | None = None

    @property
    def name(self) -> str:
        """Its stable name."""
        return self.actor.name


class Crew:
    """The threads of one execution, made fresh for each.

    ``asks_always``: the scheduler is asked even where only one thing can happen, as an observer
    has to be. ``errors`` has what threads have raised that nobody caught, with their names.
    """

    def __init__(self, scheduler: Scheduler, *, max_steps: int = 20_000) -> None:
        self._greenlets = greenlets.load()
        self.scheduler = scheduler
        self._pick: Callable[[list[Any]], int] = getattr(scheduler, "pick", self._choose)
        self.max_steps = max_steps
        self.asks_always = False
        self.now = 0.0
        self.steps = 0
        self.quiet = 0
        self.root = Owner("", "", Part(""), root=True)
        self.last = Actor("", self.root)
        self.current: ControlledThread | None = None
        self.os_thread = get_ident()
        self.runnable: list[ControlledThread] = []
        self.threads: dict[str, ControlledThread] = {}
        self.errors: list[tuple[str, BaseException]] = []
        self.uncontrolled: list[Issue] = []
        self.holders: dict[int, ControlledThread] = {}
        self.reentrant: dict[int, tuple[Any, Any]] = {}
        self.plain: dict[int, object] = {}
        self.ends: dict[int, str] = {}
        self.on_ending: list[Callable[[], object]] = []
        self.ending = False
        self.traced: Callable[[], object] | None = None
        self._waiting: dict[int, list[ControlledThread]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._serial = 0
        self._turns = 0
        self._outcome: BaseException | None = None
        self._refusals = 0
        self._hub: Any = None
        self._shared = interpreters_own()

    # Its life

    def run(self, main: Callable[[], object]) -> None:
        """Run ``main`` as the first thread, to its end.

        Raises Deadlock, OutOfSteps or Alarm, or what ``main`` raised. What other threads raised
        is in ``errors``. Whoever still waits at the end is ended.
        """
        self._hub = self._greenlets.getcurrent()
        before, here.crew = here.crew, self
        outside = Locals(self._shared)
        outside.leave()
        first = self.spawn("main", main, ident=self.os_thread)
        try:
            while not first.greenlet.dead and self._outcome is None:
                following = self._next()
                if following is None:
                    self._outcome = self._stuck()
                    break
                self._begin_step(following)
                self._enter(following)
        finally:
            self._end_all()
            here.crew = before
            outside.enter()
        if self._outcome is not None:
            raise self._outcome
        for name, error in self.errors:
            if name == "main":
                raise error

    def spawn(
        self, name: str, body: Callable[[], object], *, ident: int | None = None
    ) -> ControlledThread:
        """A new thread, able to take its first step, which ends before its first point."""
        creator = self.current.owner if self.current is not None else self.root
        label = creator.numbered(name)
        if creator.label and creator.label != "main":
            label = f"{creator.label}/{label}"
        while label in self.threads:
            label += "~"
        owner = Owner(label, "", creator.part)
        number = len(self.threads) + 1
        thread = ControlledThread(
            label, owner, number, ident or 1_000 + number, Locals(self._shared), self.now
        )
        thread.greenlet = self._greenlets.greenlet(lambda: self._live(thread, body), self._hub)
        thread.paused = thread.greenlet
        self.threads[label] = thread
        self.runnable.append(thread)
        return thread

    def _live(self, thread: ControlledThread, body: Callable[[], object]) -> None:
        """What the greenlet of a thread does."""
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
            for action in thread.on_end:
                action()
            if thread in self.runnable:
                self.runnable.remove(thread)
            thread.locals.forget()
            self.wake(thread)
            self.current = None

    def failed(self, thread: ControlledThread, error: BaseException) -> None:
        """This was raised in a thread, and nobody caught it."""
        if not self.ending:
            self.errors.append((thread.name, error))

    def _end_all(self) -> None:
        """End every thread that has not ended by itself."""
        self.ending = True
        for action in self.on_ending:
            action()
        for thread in list(self.threads.values()):
            while not thread.greenlet.dead and self._refusals < STUBBORN:
                self._refusals += 1
                self.current = thread
                self.last = thread.actor
                with contextlib.suppress(Ended):  # from one that never began
                    (thread.greenlet if thread.paused.dead else thread.paused).throw(Ended)
        self.current = None

    # Points

    def point(self) -> None:
        """Before something that another thread could notice: anyone may run first."""
        thread = self.current
        if thread is None or self.quiet or self.ending:
            return
        self.steps += 1
        if self.steps > self.max_steps:
            self.give_up(OutOfSteps(f"still busy after {self.max_steps} steps"))
        if self._timers or self.asks_always or self._turns > FAIR:
            following = self._next() or thread
        elif len(self.runnable) == 1:
            thread.actor.steps += 1
            return
        else:  # nearly always, the short way
            following = self.runnable[self._pick(self.runnable)]
        actor = following.actor
        actor.steps += 1
        following.priority = -1.0
        if following is thread:
            self._turns += 1
            return
        self._turns = 0
        self.last = actor
        self._switch(thread, following)

    def _choose(self, options: list[Any]) -> int:
        return self.scheduler.choose(options, self.last)

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
            self._refusals += 1
            raise Ended
        thread.awaits, thread.why, thread.timed_out = thing, why, False
        self.runnable.remove(thread)
        if thing is not None:
            self._waiting.setdefault(id(thing), []).append(thread)
        if until is not None:
            thread.timer = Timer(thread, until)
            self._serial += 1
            heapq.heappush(self._timers, (until, self._serial, thread.timer))
        following = self._next()
        if following is None:
            self.give_up(self._stuck())
        else:
            self._begin_step(following)
            if following is not thread:
                self._switch(thread, following)
        return not thread.timed_out

    def wake(self, thing: object) -> None:
        """Whoever waits for this thing can look again."""
        for thread in self._waiting.pop(id(thing), ()):
            self._resume(thread)

    def join(self, thread: ControlledThread) -> None:
        """Wait until this thread has ended."""
        while not thread.greenlet.dead:
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
            self._hub.switch()
        raise Ended

    def alarm(self, text: str) -> None:
        """From outside any thread: the execution ends as soon as the running one lets go."""
        self._outcome = self._outcome or Alarm(text)

    def _resume(self, thread: ControlledThread) -> None:
        if thread.timer is not None:
            thread.timer.live = False
            thread.timer = None
        thread.awaits = None
        thread.since = self.now
        self.runnable.append(thread)

    # Who is next

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
        return timer.when <= min(thread.since for thread in self.runnable) + SLACK

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
            if not thread.greenlet.dead and thread not in self.runnable and thread.name != "main"
        ]

    def place(self, thread: ControlledThread) -> str:
        """The program's line where this thread is."""
        return here_is() if thread is self.current else place_of(thread.paused)

    def _held_by(self, thread: ControlledThread) -> str:
        holder = self.holders.get(id(thread.awaits))
        if holder is None or id(thread.awaits) in self.ends:
            return ""
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
