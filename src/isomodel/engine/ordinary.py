"""The ordinary event loop, on which the arrivals of a recorded execution are held to their order.

``asyncio.SelectorEventLoop`` as it is: ready queue, iterations, timers and tasks are asyncio's
own. What a simulated I/O, a start, a thread or a cancellation brings waits at a gate in the
selector, where real I/O comes from: it may pass when everything recorded before it has passed and
the loop has polled as often as it had then. While the loop has nothing to do, its selector really
waits, for ``LATENCY``.

The clock follows the record, so that a time limit of a minute does not take one. Timers fire when
asyncio finds them due; those set to one time are set a little apart, as on a real clock, which
had moved on when the second was set.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import selectors
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator
from typing import Any

import msgspec

from isomodel.engine import anyio_backend
from isomodel.engine.handle import Jump, Latency, Pending, Post, Timer
from isomodel.engine.loop import Blocked, ControlledLoop, OutOfSteps
from isomodel.engine.owner import OWNER, name_for, task_of
from isomodel.engine.protocol import Scheduler, default
from isomodel.engine.stock import StockLoop
from isomodel.values.schedule import Fault
from isomodel.values.trace import Step

LATENCY = 0.001
"""Seconds that the selector waits where nothing is ready; the order rests on the gate, not on them.
"""

APART = 1e-8
"""Seconds between timers that were set to one time; ten times the resolution of asyncio's clock."""


class Moment(msgspec.Struct, frozen=True):
    """Something that came from outside: at which poll of the loop, under which key, when.

    Without a key, only time passes. ``after`` is 0 for what comes with the poll. What threads send
    may come later: 1 when timers have joined, 2 and more when so many callbacks but one have run
    with something to come.
    """

    poll: int
    key: str
    time: float
    after: int = 0


class RecordedLoop(StockLoop):
    """The simulated stock loop, which writes down at which of its polls what arrived."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.moments: list[Moment] = []
        self._polls = 0
        self._after = 0

    def _poll(self, *, hurried: bool = False) -> None:
        self._polls += 1
        self._after = 0
        super()._poll(hurried=hurried)
        self._after = 1

    def _admit_posts(self) -> None:
        self._after += 1
        super()._admit_posts()

    def _take(self, option: Pending) -> None:
        super()._take(option)
        key = "" if isinstance(option, Latency) else option.key
        after = self._after if isinstance(option, Post) else 0
        self.moments.append(Moment(self._polls, key, self.now, after))
        if self._after == 0 and key and isinstance(option, Timer | Jump):
            self._after = 1


class _Reached(Exception):
    """What the loop was run for has come about."""


class _Selector(selectors.DefaultSelector):
    """The system's selector, which asks before each poll what is to arrive in it."""

    gate: Callable[[], float] = staticmethod(lambda: 0.0)

    def select(self, timeout: float | None = None) -> Any:
        return super().select(self.gate())


class OrdinaryLoop(asyncio.SelectorEventLoop, ControlledLoop):  # type: ignore[misc]
    """One execution on asyncio's own loop; see the module's text.

    ``parted`` says where the record could no longer be followed, "" if it was followed to its
    end. From there on the loop goes on by the default rule.
    """

    call_exception_handler = ControlledLoop.call_exception_handler
    create_task = ControlledLoop.create_task
    call_soon_threadsafe = ControlledLoop.call_soon_threadsafe  # type: ignore[assignment]
    run_in_executor = ControlledLoop.run_in_executor  # type: ignore[assignment]
    set_default_executor = ControlledLoop.set_default_executor
    shutdown_default_executor = ControlledLoop.shutdown_default_executor
    getaddrinfo = ControlledLoop.getaddrinfo
    getnameinfo = ControlledLoop.getnameinfo
    sock_connect = ControlledLoop.sock_connect
    sock_accept = ControlledLoop.sock_accept
    sock_recv = ControlledLoop.sock_recv  # type: ignore[assignment]
    sock_recv_into = ControlledLoop.sock_recv_into
    sock_sendall = ControlledLoop.sock_sendall
    connect_accepted_socket = ControlledLoop.connect_accepted_socket
    create_connection = ControlledLoop.create_connection
    create_server = ControlledLoop.create_server
    create_unix_connection = ControlledLoop.create_unix_connection
    create_unix_server = ControlledLoop.create_unix_server

    def __init__(
        self,
        scheduler: Scheduler,
        order: Iterable[Moment],
        *,
        faults: Collection[Fault] = (),
        max_steps: int = 20_000,
    ) -> None:
        ControlledLoop.__init__(self, scheduler, faults=faults, max_steps=max_steps, record=True)
        selector = _Selector()
        asyncio.SelectorEventLoop.__init__(self, selector)
        self.set_debug(False)
        selector.gate = self._gate
        self.parted = ""
        self._order = deque(sorted(order, key=lambda moment: (moment.poll, moment.after)))
        self._rings = False
        self._polls = 0
        self._after = 0
        self._instant: float | None = None
        self._until: Callable[[], bool] = lambda: False
        self._set: dict[str, tuple[asyncio.TimerHandle, Timer]] = {}
        self._late: list[tuple[Pending, float]] = []

    # What asyncio's loop is asked, with the books kept

    def time(self) -> float:
        """The recorded time; once after each poll the moment up to which timers are due."""
        instant, self._instant = self._instant, None
        return self.now if instant is None else instant

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """As it is, and counted when it runs."""
        if context is None:
            context = contextvars.copy_context()
        return asyncio.SelectorEventLoop.call_soon(
            self, self._run, callback, *args, context=context
        )

    def _run(self, callback: Callable[..., object], *args: Any) -> None:
        self.steps += 1
        task = task_of(callback)
        if task is None:
            self.owner().part.events += 1
        else:
            actor = self.last = self._actor(task)
            actor.steps += 1
            self.now = actor.owner.part.step(self.now)
            assert self.trace is not None
            self.trace.append(Step(self.now, actor.name, "step"))
        self._call(callback, *args)

    def _call(self, callback: Callable[..., object], *args: Any) -> None:
        """Call it; before the first, and after each, threads may send something."""
        if self._after == 0:
            self._after = 1
            self._let_in()
        try:
            callback(*args)
        finally:
            if self._posts:
                self._after += 1
                self._let_in()

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """As it is, under a key, and a little after every timer that was set before."""
        if context is None:
            context = contextvars.copy_context()
        owner = context.get(OWNER) or self.owner()
        number = owner.count("timer")
        timer = Timer(callback, args, context, self.last, owner, "timer", number)
        timer.time = when
        self._serial += 1
        if when > self.now:
            when += self._serial * APART
        else:
            timer.kind = "due"  # at the very next poll
        handle = asyncio.SelectorEventLoop.call_at(self, when, self._ring, timer, context=context)
        self._set[timer.key] = (handle, timer)
        return handle

    def _ring(self, timer: Timer) -> None:
        self.steps += 1
        self._count(timer)
        self._call(timer.callback, *timer.args)

    # Running

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""
        before = asyncio._get_running_loop()
        self._until = done
        asyncio._set_running_loop(None)
        try:
            asyncio.SelectorEventLoop.run_forever(self)
        except _Reached:
            pass
        finally:
            asyncio._set_running_loop(before)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Be the running loop inside the block."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        anyio_backend.adopt()
        try:
            yield
        finally:
            asyncio._set_running_loop(before)

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run ``main`` to its end; returns its result or raises what it raised."""
        with self.running():
            actor = self._new_actor(name_for(main), self.root)
            task = self._make(main, actor, actor.name, actor.owner.context, {})
            self.drive(task.done)
            return task.result()

    def close(self) -> None:
        """Close it, and forget everything that is still pending."""
        asyncio.SelectorEventLoop.close(self)
        self._forget()
        self._set.clear()

    def _busy(self) -> bool:
        if any(timer.kind == "due" for _, timer in self._live_timers()):
            return True
        late = [handle for handle, due in self._late if due > self.now]
        on_time = any(handle not in late for handle in self._live_arrivals())
        return bool(on_time or self._ready or self._overdue or self._live_posts())

    def _is_set(self, label: str, number: int) -> bool:
        handle, _ = self._set.get(f"{label} timer {number}", (None, None))
        return handle is not None and not handle.cancelled()

    def timed(self) -> list[Timer]:
        """What waits for time to pass."""
        return [timer for _, timer in self._live_timers()]

    def _live_timers(self) -> list[tuple[asyncio.TimerHandle, Timer]]:
        self._set = {key: pair for key, pair in self._set.items() if not pair[0].cancelled()}
        return list(self._set.values())

    # The gate

    def _gate(self) -> float:
        """Let in what is to arrive in this poll; how long the selector shall wait, in seconds."""
        if self._until():
            raise _Reached
        if self.steps > self.max_steps:
            raise OutOfSteps
        self._polls += 1
        self._after = 0
        idle = not self._ready
        self.idles += idle
        if self._cancels:
            self._possible_cancels()  # numbers them in the order in which they become possible
        self._rings = self._ring_overdue()
        self._instant = self.now
        self._let_in()
        self._instant = max(self._instant, self.now)
        self._ring_due()
        if not (self._ready or self._rings):
            self._go_on_alone()
        return LATENCY if idle else 0.0

    def _ring_overdue(self) -> bool:
        """Write down the timers that were set to no later than then: now they fire."""
        overdue = [pair for pair in self._live_timers() if pair[1].kind == "due"]
        for _, timer in sorted(overdue, key=_when):
            del self._set[timer.key]
            self._record_in_trace(timer)
        return bool(overdue)

    def _ring_due(self) -> None:
        """Write down the timers that asyncio will find due, since the clock has moved on."""
        for handle, timer in sorted(self._live_timers(), key=_when):
            if handle.when() <= (self._instant or 0.0):
                self._fires(handle, timer)

    def _let_in(self) -> None:
        now = (self._polls, self._after)
        while not self.parted and self._order:
            if (self._order[0].poll, self._order[0].after) > now:
                break
            moment = self._order.popleft()
            self.now = max(self.now, moment.time)
            if moment.key and not self._arrives(moment.key):
                self.parted = f"at {self.now:g} s, {moment.key!r} was not there to arrive"

    def _arrives(self, key: str) -> bool:
        pending: list[Any] = [*self._possible_cancels(), *self._live_arrivals()]
        pending += self._live_posts()
        for option in pending:
            if option.key == key:
                self._take(option)
                return True
        handle, timer = self._set.get(key, (None, None))
        if handle is None or timer is None or handle.cancelled():
            return False
        self._fires(handle, timer)
        return True

    def _fires(self, handle: asyncio.TimerHandle, timer: Timer) -> None:
        del self._set[timer.key]
        self._rings = True
        self._record(timer)
        self._instant = max(self._instant or 0.0, handle.when())

    def _take(self, option: Pending) -> None:
        if option.kind == "cancel":
            self._cancels.remove(option.args[0])
            if type(option) is Jump:
                self._record(option)
                return
        elif isinstance(option, Post):
            option.line.advance()
        else:
            self._arrivals.remove(option)
        self._record(option)
        context = option.context or contextvars.Context()
        asyncio.SelectorEventLoop.call_soon(self, self._comes_in, option, context=context)

    def _comes_in(self, option: Pending) -> None:
        self.steps += 1
        if option.callback is not None:
            self._count(option)
            self._call(option.callback, *option.args)

    def _go_on_alone(self) -> None:
        """Nothing is ready, and the record has nothing for this poll."""
        options: list[Any] = [*self._possible_cancels(), *self._live_arrivals()]
        options += self._live_posts()
        timers = sorted(self._live_timers(), key=_when)
        if (options or timers) and not self.parted:
            self.parted = f"at {self.now:g} s the loop had nothing to do, and had in the record"
        if options:
            self._take(options[default(options, self.last)])
        elif timers:
            self.now = max(self.now, timers[0][1].time)
            self._fires(*timers[0])
        else:
            raise Blocked("; ".join(self.waiting()))

    def _delay(self, handle: Pending, latency: float) -> None:
        self._arrivals.append(handle)  # the gate knows when it may pass
        self._late.append((handle, self.now + latency))


def _when(pair: tuple[asyncio.TimerHandle, Timer]) -> float:
    return pair[0].when()
