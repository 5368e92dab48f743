"""What may come from outside: arrivals, timers, faults; and what each of them is called.

Nothing here waits for the operating system: all are pending until the scheduler lets them in.
"""

# ruff: noqa: D102 - what AbstractEventLoop declares is documented there

from __future__ import annotations

import asyncio
import contextvars
import functools
import heapq
from asyncio import Future
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from isomodel.engine.handle import GoOn, Handle, Jump, Latency, Pending, Post, Timer
from isomodel.engine.owner import OWNER, Actor, Owner, Part
from isomodel.engine.protocol import KINDS, Scheduler
from isomodel.engine.refusals import NoRealIO
from isomodel.values.execution import Arrival, Issue
from isomodel.values.schedule import OF_IO, Fault, FaultKind
from isomodel.values.trace import Step

copy_context = contextvars.copy_context

LONG = 60.0
"""Seconds that a slow I/O takes, and the clock jumps, at least: few time limits are longer."""


class Arrivals(NoRealIO):
    """The part of the loop that knows what is pending, and asks the scheduler."""

    __slots__ = (
        "_arrivals",
        "_asks_always",
        "_cancels",
        "_every_choice",
        "_overdue",
        "_patient",
        "_pick",
        "_planned",
        "_posts",
        "_ready",
        "_running",
        "_scheduler",
        "_timers",
        "errors",
        "fired",
        "idles",
        "last",
        "log",
        "max_steps",
        "met",
        "now",
        "root",
        "steps",
        "trace",
        "uncontrolled",
    )

    overdue_comes_next = True
    """Whether a timer that was set to no later than now runs in the next iteration for sure."""

    cancels_queue = True
    """Whether a cancellation at step 0 is queued behind the first step of its task."""

    _serial = 0

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        faults: Collection[Fault] = (),
        max_steps: int = 20_000,
        record: bool = False,
        every_choice: bool = False,
    ) -> None:
        self.max_steps = max_steps
        self.now = 0.0
        self.steps = 0
        self.idles = 0
        self.uncontrolled: list[Issue] = []
        self.errors: list[str] = []
        self.log: list[Arrival] | None = [] if record else None
        self.trace: list[Step] | None = [] if record else None
        self._running = False
        self.root = Owner("", "", Part(""), root=True)
        self.last = Actor("", self.root)
        self.fired: list[Fault] = []
        self.met: dict[Fault, None] = {}
        self._every_choice = every_choice
        self._asks_always = False
        self._scheduler = scheduler
        self._patient = not every_choice and getattr(scheduler, "patient", False)
        self._pick = getattr(scheduler, "pick", self._choose)
        self._planned = {fault for fault in faults if fault.kind in OF_IO}
        self._cancels = [fault for fault in faults if fault.kind not in OF_IO]
        self._ready: deque[Handle] = deque()
        self._arrivals: list[Pending] = []
        self._posts: list[Post] = []
        self._timers: list[tuple[float, int, Timer]] = []
        self._overdue: list[Timer] = []
        self._begin()

    def _begin(self) -> None:
        """Make what the other parts of the loop need: an ``__init__`` in each costs far more."""

    @functools.cached_property
    def _go_on(self) -> GoOn:
        return GoOn(self.root)

    @property
    def scheduler(self) -> Scheduler:
        """Who decides what happens next; may be exchanged between two calls of ``drive``."""
        return self._scheduler

    @scheduler.setter
    def scheduler(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        impatient = self._every_choice or self._asks_always
        self._patient = not impatient and getattr(scheduler, "patient", False)
        self._pick = getattr(scheduler, "pick", self._choose)

    @property
    def asks_always(self) -> bool:
        """Whether the scheduler is asked even where only one thing can happen, as an observer
        of all that happens has to be."""
        return self._asks_always

    @asks_always.setter
    def asks_always(self, always: bool) -> None:
        self._asks_always = always
        self.scheduler = self._scheduler

    # Arrivals

    def owner(self) -> Owner:
        """Whose work is running now."""
        return OWNER.get(self.root)

    def label(self) -> str:
        """The label of the operation that is running now, "" outside any."""
        return OWNER.get(self.root).label

    def arrive(
        self,
        kind: str,
        callback: Callable[..., object],
        *args: Any,
        latency: float = 0.0,
        owner: Owner | None = None,
    ) -> Handle:
        """Let ``callback`` be called when the scheduler lets it arrive, not before ``latency``.

        It runs as ``owner``'s, by default the one that is running now.
        """
        owner = owner or OWNER.get(self.root)
        if self._planned and kind != "start":  # the network
            latency += self._delayed(owner, owner.count("network"))
        handle = Pending(callback, args, owner.context, self.last, owner, kind, owner.count(kind))
        if latency > 0:
            self._delay(handle, latency)
        else:
            self._arrivals.append(handle)
        return handle

    def io(
        self, name: str, latency: float, fails: type[BaseException] | None
    ) -> asyncio.Future[None]:
        """A future that the arrival of this I/O completes, or fails where a fault says so."""
        future: asyncio.Future[None] = Future(loop=self)
        owner = OWNER.get(self.root)
        nth = owner.io_count
        owner.io_count = nth + 1
        if name in KINDS:
            name = f"io {name}"
        counts = owner.counts  # owner.count(name), of which this is the busiest caller
        number = counts.get(name, 0)
        counts[name] = number + 1
        handle = Pending(complete, (future,), None, self.last, owner, name, number, future)
        if self._planned:
            if fails is not None and self._strikes("fail", owner.label, nth):
                handle.callback = fail
                handle.args = (future, fails(f"injected failure of {name}"))
            latency += self._delayed(owner, nth)
        if latency > 0:
            self._delay(handle, latency)
        else:
            self._arrivals.append(handle)
        return future

    def _delay(self, handle: Pending, latency: float) -> None:
        if self._every_choice:
            self._arrivals.append(handle)
            return
        waiting = Latency(
            self._comes, (handle,), None, handle.actor, handle.owner, "timer", handle.number
        )
        waiting.future = handle.future
        self._push(waiting, self.now + latency)

    def _comes(self, handle: Pending) -> None:
        """Its latency is over: from now on it may arrive."""
        self._arrivals.append(handle)

    # Faults of I/O and of the clock

    def _strikes(self, kind: FaultKind, label: str, at: int) -> bool:
        """Whether this fault is planned; if so, it strikes now."""
        fault = Fault(kind, label, at)
        if fault not in self._planned:
            return False
        self._planned.discard(fault)
        self.fired.append(fault)
        self.met[fault] = None
        return True

    def _delayed(self, owner: Owner, at: int) -> float:
        """By how many seconds this I/O is slower than it would be."""
        return self._long() if self._strikes("slow", owner.label, at) else 0.0

    def _long(self) -> float:
        """More seconds than until any timer that is pending, and at least ``LONG``."""
        latest = max((when for when, _, timer in self._timers if not timer.is_off()), default=0.0)
        return max(LONG, latest - self.now + 1.0)

    def _jump(self, jump: Jump) -> None:
        """The clock has moved on: the next poll finds all timers due, in their order."""
        self.fired.append(jump.args[0])
        if not self._every_choice:  # a projected clock has jumped by itself
            self.now += self._long()
        if self.log is not None:
            self._record(jump)
        while not self._every_choice and self._is_due():
            timer = heapq.heappop(self._timers)[2]
            if type(timer) is Latency and not timer.is_off():
                timer.callback(*timer.args)
            elif not timer.is_off():
                if self.log is not None:
                    self._record(timer)
                self._ready.append(timer)

    def _is_set(self, label: str, number: int) -> bool:
        """Whether this timer is pending."""
        return any(
            timer.number == number
            and timer.owner.label == label
            and type(timer) is Timer
            and not timer.is_off()
            for _, _, timer in self._timers
        )

    # Timers

    def time(self) -> float:
        return self.now

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Timer:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Timer:
        if context is None:
            context = copy_context()
        owner = context.get(OWNER) or OWNER.get(self.root)
        number = owner.count("timer")
        timer = Timer(callback, args, context, self.last, owner, "timer", number)
        if when <= self.now and self.overdue_comes_next:
            timer.time = when
            self._overdue.append(timer)
        else:
            self._push(timer, when)
        return timer

    def _push(self, timer: Timer, when: float) -> None:
        self._serial += 1
        timer.time = when
        heapq.heappush(self._timers, (when, self._serial, timer))

    # Choices

    def _options(self) -> list[Any]:
        """Cancellations, arrivals (those from threads last), and the next timer."""
        options: list[Any] = self._possible_cancels() if self._cancels else []
        if self._arrivals:
            options += self._live_arrivals()
        if self._posts:
            options += self._live_posts()
        if self._timers:
            options += self._offered_timers()
        return options

    def _live_arrivals(self) -> list[Pending]:
        arrivals = self._arrivals
        for handle in arrivals:
            future = handle.future
            if handle.callback is None or (future is not None and future.done()):
                break
        else:
            return arrivals
        arrivals[:] = [handle for handle in arrivals if not handle.is_off()]
        return arrivals

    def awaiting(self) -> list[Owner]:
        """Whose I/O is still to arrive."""
        late = (timer for _, _, timer in self._timers if type(timer) is Latency)
        return [
            handle.owner
            for handle in (*self._live_arrivals(), *late)
            if handle.kind != "start" and not handle.is_off()
        ]

    def timed(self) -> list[Owner]:
        """Who waits for time to pass."""
        return [timer.owner for _, _, timer in self._timers if not timer.is_off()]

    def _live_posts(self) -> list[Post]:
        for handle in self._posts[:]:
            while handle.callback is None:
                following = handle.line.advance()
                if following is None:
                    break
                handle = following
        return self._posts

    def _offered_timers(self) -> list[Timer]:
        """The next timer; all of them for a run that repeats a recorded order."""
        timers = self._timers
        while timers and timers[0][2].is_off():
            heapq.heappop(timers)
        if not timers:
            return []
        if self._every_choice:
            offered = [entry[2] for entry in sorted(timers) if not entry[2].is_off()]
        else:
            offered = [timers[0][2]]
        for timer in offered:
            timer.kind = "due" if timer.time <= self.now else "timer"
        return offered

    def _is_due(self) -> bool:
        """Whether a timer's time has come, because another one was set to the same time."""
        return bool(self._timers) and self._timers[0][0] <= self.now

    def _possible_cancels(self) -> list[Pending]:
        """The planned cancellations that are possible now, each an arrival from outside."""
        raise NotImplementedError

    def _choose(self, options: list[Any]) -> int:
        if len(options) == 1 and not self._every_choice and not self.asks_always:
            return 0
        index = self._scheduler.choose(options, self.last)
        if not 0 <= index < len(options):
            raise IndexError(f"the scheduler chose {index} of {len(options)} options")
        return index

    def _take(self, option: Pending) -> None:
        """Let this arrival or timer happen: it is ready now."""
        if isinstance(option, Timer):
            self._pass_time(option)
            if type(option) is Latency:
                option.callback(*option.args)
                return
        elif option.kind == "cancel":
            self._cancels.remove(option.args[0])
            if type(option) is Jump:
                self._jump(option)
                return
        elif type(option) is Post:
            option.line.advance()
        else:
            self._arrivals.remove(option)
        if self.log is not None:
            self._record(option)
        self._ready.append(option)

    def _pass_time(self, until: Timer) -> None:
        if until.time > self.now:
            self.now = until.time
        timers = self._timers
        if timers[0][2] is until:
            heapq.heappop(timers)
        else:  # an alone run may repeat its joint run's order
            timers[:] = [entry for entry in timers if entry[2] is not until]
            heapq.heapify(timers)

    # Records

    def mark(self, kind: str) -> None:
        """Log something of the running owner's that an alone run must repeat at this place."""
        owner = OWNER.get(self.root)
        mark = Pending(self.mark, (), None, self.last, owner, kind, owner.count(kind))
        if self.log is not None:
            self._record(mark)

    def _record(self, handle: Pending) -> None:
        owner = handle.owner
        assert self.log is not None
        self.log.append(Arrival(handle.key, owner.user, self.now, owner.part.events))
        self._record_in_trace(handle)

    def _record_in_trace(self, handle: Pending) -> None:
        assert self.trace is not None
        kind = "timer" if isinstance(handle, Timer) else handle.kind
        if type(handle) is Jump:
            kind = "jump"
        self.trace.append(Step(self.now, handle.owner.label, f"{kind} {handle.number}"))

    def _count(self, handle: Handle) -> None:
        """Count a plain callback among the events of whoever it belongs to."""
        if isinstance(handle, Pending):
            handle.owner.part.events += 1
        elif handle.context is not None:
            owner = handle.context.get(OWNER)
            if owner is not None:
                owner.part.events += 1

    def _forget(self) -> None:
        """Drop all that is pending."""
        self._ready.clear()
        self._arrivals.clear()
        self._posts.clear()
        self._timers.clear()
        self._overdue.clear()


def complete(future: asyncio.Future[None]) -> None:
    """What the arrival of simulated I/O does."""
    if not future.done():
        future.set_result(None)


def fail(future: asyncio.Future[None], error: BaseException) -> None:
    """What it does where a fault makes it fail."""
    if not future.done():
        future.set_exception(error)
