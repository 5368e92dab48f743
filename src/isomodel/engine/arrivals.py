"""What may come from outside: arrivals, timers, faults; and what each of them is called.

Nothing here waits for the operating system: all are pending until the scheduler lets them in.
"""

# ruff: noqa: D102 - what AbstractEventLoop declares is documented there

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from isomodel.engine.handle import GoOn, Handle, Latency, Pending, Post, Timer
from isomodel.engine.owner import OWNER, Actor, Owner, Part
from isomodel.engine.protocol import KINDS, Scheduler
from isomodel.engine.refusals import NoRealIO
from isomodel.values.execution import Arrival, Issue
from isomodel.values.schedule import Fault
from isomodel.values.trace import Step

copy_context = contextvars.copy_context


class Arrivals(NoRealIO):
    """The part of the loop that knows what is pending, and asks the scheduler."""

    overdue_comes_next = True
    """Whether a timer that was set to no later than now runs in the next iteration for sure."""

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        faults: Iterable[Fault] = (),
        max_steps: int = 20_000,
        record: bool = False,
        every_choice: bool = False,
    ) -> None:
        self.max_steps = max_steps
        self.now = 0.0
        self.steps = 0
        self.idles = 0
        self.uncontrolled: list[Issue] = []
        self.log: list[Arrival] | None = [] if record else None
        self.trace: list[Step] | None = [] if record else None
        self.root = Owner("", "", Part(""), root=True)
        self.last = Actor("", self.root)
        self.fired: list[Fault] = []
        self.met: dict[Fault, None] = {}
        self._every_choice = every_choice
        self.scheduler = scheduler
        self._fails: set[tuple[str, int]] = set()
        self._cancels: list[Fault] = []
        for fault in faults:
            if fault.kind == "fail":
                self._fails.add((fault.task, fault.at))
            else:
                self._cancels.append(fault)
        self._ready: deque[Handle] = deque()
        self._arrivals: list[Pending] = []
        self._posts: list[Post] = []
        self._timers: list[tuple[float, int, Timer]] = []
        self._overdue: list[Timer] = []
        self._serial = 0
        self._go_on = GoOn(self.root)

    @property
    def scheduler(self) -> Scheduler:
        """Who decides what happens next; may be exchanged between two calls of ``drive``."""
        return self._scheduler

    @scheduler.setter
    def scheduler(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._patient = not self._every_choice and getattr(scheduler, "patient", False)

    # Arrivals

    def owner(self) -> Owner:
        """Whose work is running now."""
        return OWNER.get(self.root)

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
        handle = Pending(callback, args, owner.context, owner, kind, owner.count(kind))
        if latency > 0:
            self._delay(handle, latency)
        else:
            self._arrivals.append(handle)
        return handle

    def io(
        self, name: str, latency: float, fails: type[BaseException] | None
    ) -> asyncio.Future[None]:
        """A future that the arrival of this I/O completes, or fails where a fault says so."""
        future: asyncio.Future[None] = asyncio.Future(loop=self)
        owner = OWNER.get(self.root)
        nth = owner.io_count
        owner.io_count = nth + 1
        if name in KINDS:
            name = f"io {name}"
        counts = owner.counts  # owner.count(name), of which this is the busiest caller
        number = counts.get(name, 0)
        counts[name] = number + 1
        handle = Pending(complete, (future,), None, owner, name, number, future)
        if fails is not None and self._fails and (owner.label, nth) in self._fails:
            fault = Fault("fail", owner.label, nth)
            self.fired.append(fault)
            self.met[fault] = None
            handle.callback = fail
            handle.args = (future, fails(f"injected failure of {name}"))
        if latency > 0:
            self._delay(handle, latency)
        else:
            self._arrivals.append(handle)
        return future

    def _delay(self, handle: Pending, latency: float) -> None:
        if self._every_choice:
            self._arrivals.append(handle)
            return
        waiting = Latency(self._comes, (handle,), None, handle.owner, "timer", handle.number)
        waiting.future = handle.future
        self._push(waiting, self.now + latency)

    def _comes(self, handle: Pending) -> None:
        """Its latency is over: from now on it may arrive."""
        self._arrivals.append(handle)

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
        timer = Timer(callback, args, context, owner, "timer", owner.count("timer"))
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
        self._arrivals = arrivals = [handle for handle in arrivals if not handle.is_off()]
        return arrivals

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
        if len(options) == 1 and not self._every_choice:
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
            self._timers = [entry for entry in timers if entry[2] is not until]
            heapq.heapify(self._timers)

    # Records

    def mark(self, kind: str) -> None:
        """Log something of the running owner's that an alone run must repeat at this place."""
        owner = OWNER.get(self.root)
        mark = Pending(self.mark, (), None, owner, kind, owner.count(kind))
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
