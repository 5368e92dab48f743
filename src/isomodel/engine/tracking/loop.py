"""A portable loop that knows where a transition begins and ends, and what each one touched.

A *transition* is one choice and all that follows from it before the next one: a step of a task,
or an arrival, with the plain callbacks they make ready. Beside what tracked objects note, it
touches here: futures and tasks (awaited, completed, cancelled), timers and the clock, and what
its task can reach in ways that nobody notes (``reach``).

Everything that cannot be told apart counts as touched: callbacks that are left over for the next
transition, worker threads, and the simulated network make a transition conflict with all others.

The children of a ``gather`` or a task group that end well only count down; in which order is
seen by nobody, so these ends commute.
"""

# ruff: noqa: D102 - what AbstractEventLoop declares is documented there

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from isomodel.engine.accesses import Tracked
from isomodel.engine.core import complete, fail
from isomodel.engine.handle import Handle, Pending, Post, TaskStep, Timer
from isomodel.engine.owner import OWNER, WAKEUP_TYPE, Actor, ControlledTask, NumberedFuture
from isomodel.engine.portable import PortableLoop
from isomodel.engine.protocol import KINDS, Option, Scheduler
from isomodel.engine.tracking.reach import makes_no_difference
from isomodel.engine.tracking.sink import (
    EVERYTHING,
    MADE,
    READ,
    UPDATE,
    WRITE,
    Label,
    Touched,
    here,
)

CLOCK: Label = ("clock", "")
TIMERS: Label = ("timers", "")
THREADS: Label = ("threads", "")
END: Label = ("end", "")
"""Written by the last step of a program (targets have none), after which nothing happens."""

STATE, DONE, CALLBACKS = "state", "done", "callbacks"
"""Parts of a future: whether its task can go on, whether it is completed, who waits for it."""


class Guide(Scheduler, Protocol):
    """A scheduler that is told what its choices led to."""

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The index of the transition that happens next."""

    def touched(self, touched: Touched) -> None:
        """What the last transition touched; it is over."""

    def may_pass(self, waiting: Sequence[str]) -> bool:
        """Whether time may pass although these steps are ready."""

    def withheld(self, key: str) -> None:
        """This timer would be an option, if time could pass."""

    def narrowed(self) -> None:
        """Options were left out, for the sake of those that have waited long."""


def touch(label: Label, mode: int) -> None:
    """Note an access of the running transition, if there is one."""
    sink = here.sink
    if sink is not None:
        sink.touch(label, mode)


class _Noting:
    """What futures and tasks have in common: they note what is done to them."""

    __slots__ = ()
    notes_itself = True

    @property
    def noted_as(self) -> str:
        """The label of this future."""
        assert here.sink is not None
        return here.sink.label(self)

    def _touch(self, part: str, mode: int) -> None:
        if here.sink is not None:
            here.sink.touch((self.noted_as, part), mode)


class NotedFuture(_Noting, NumberedFuture):
    """A stock (C) future that notes who looks at it and who completes it."""

    __slots__ = ()

    def set_result(self, result: Any) -> None:
        self._touch(DONE, WRITE)
        self._touch(CALLBACKS, WRITE)
        asyncio.Future.set_result(self, result)
        if here.sink is not None:
            _loop_of(self).tracked.reach.notice(result, self.noted_as)

    def set_exception(self, exception: Any) -> None:
        self._touch(DONE, WRITE)
        self._touch(CALLBACKS, WRITE)
        asyncio.Future.set_exception(self, exception)

    def cancel(self, msg: Any = None) -> bool:
        self._touch(DONE, WRITE)
        self._touch(CALLBACKS, WRITE)
        return asyncio.Future.cancel(self, msg)

    def add_done_callback(self, fn: Any, /, *, context: Any = None) -> None:
        self._touch(DONE, READ)
        if type(fn) is not WAKEUP_TYPE:
            self._touch(CALLBACKS, WRITE)
            _loop_of(self).tracked.reach.gathers(fn)
        asyncio.Future.add_done_callback(self, fn, context=context)

    def remove_done_callback(self, fn: Any, /) -> int:
        self._touch(CALLBACKS, WRITE)
        return asyncio.Future.remove_done_callback(self, fn)

    def __await__(self) -> Any:
        self._touch(DONE, READ)
        return asyncio.Future.__await__(self)

    __iter__ = __await__

    def done(self) -> bool:
        self._touch(DONE, READ)
        return asyncio.Future.done(self)

    def cancelled(self) -> bool:
        self._touch(DONE, READ)
        return asyncio.Future.cancelled(self)

    def result(self) -> Any:
        self._touch(DONE, READ)
        return asyncio.Future.result(self)

    def exception(self) -> Any:
        self._touch(DONE, READ)
        return asyncio.Future.exception(self)


NotedFuture.__name__ = NotedFuture.__qualname__ = "Future"


class NotedTask(_Noting, ControlledTask):
    """A task that notes who looks at it, and who cancels it."""

    __slots__ = ()

    @property
    def noted_as(self) -> str:
        """Tasks are called by their names."""
        return f"task {self.actor.name}"

    def cancel(self, msg: Any = None) -> bool:
        self._touch(STATE, WRITE)
        if here.sink is not None:
            waits_for = self._fut_waiter  # type: ignore[attr-defined]
            for place, mode in (
                _loop_of(self).tracked.reach.reached_from((waits_for,), self.noted_as).items()
            ):
                here.sink.touch(place, WRITE if mode == READ else mode)
        return ControlledTask.cancel(self, msg)

    def uncancel(self) -> int:
        self._touch(STATE, WRITE)
        return ControlledTask.uncancel(self)

    def cancelling(self) -> int:
        self._touch(STATE, READ)
        return ControlledTask.cancelling(self)

    def add_done_callback(self, fn: Any, /, *, context: Any = None) -> None:
        self._touch(DONE, READ)
        if type(fn) is not WAKEUP_TYPE:
            self._touch(CALLBACKS, WRITE)
            _loop_of(self).tracked.reach.gathers(fn)
        ControlledTask.add_done_callback(self, fn, context=context)

    def remove_done_callback(self, fn: Any, /) -> int:
        self._touch(CALLBACKS, WRITE)
        return ControlledTask.remove_done_callback(self, fn)

    def __await__(self) -> Any:
        self._touch(DONE, READ)
        return ControlledTask.__await__(self)

    __iter__ = __await__

    def done(self) -> bool:
        self._touch(DONE, READ)
        return ControlledTask.done(self)

    def cancelled(self) -> bool:
        self._touch(DONE, READ)
        return ControlledTask.cancelled(self)

    def result(self) -> Any:
        self._touch(DONE, READ)
        return ControlledTask.result(self)

    def exception(self) -> Any:
        self._touch(DONE, READ)
        return ControlledTask.exception(self)

    def __hash__(self) -> int:
        return self.actor.number


NotedTask.__name__ = NotedTask.__qualname__ = "Task"


def _loop_of(future: Any) -> TrackedLoop:
    loop: TrackedLoop = asyncio.Future.get_loop(future)  # type: ignore[assignment]
    return loop


class NotedTimer(Timer):
    """A timer that notes who cancels it."""

    def cancel(self) -> None:
        touch((self.key, "timer"), WRITE)
        touch(TIMERS, UPDATE)
        super().cancel()

    def cancelled(self) -> bool:
        touch((self.key, "timer"), READ)
        return super().cancelled()


class TrackedLoop(PortableLoop):
    """One execution whose transitions are told apart, while its scheduler is a guide.

    ``failing`` lists the I/O that could be made to fail: owner and number.
    """

    timer_type = NotedTimer

    def __init__(self, guide: Guide, tracked: Tracked, **options: Any) -> None:
        super().__init__(guide, **options)
        self.tracked = tracked
        self.guide: Guide = guide
        self.failing: dict[tuple[str, int], None] = {}
        self._open = self._surveyed = False
        self._stepping: TaskStep | None = None
        self._reached: dict[str, Any] = {}
        self._new: list[Any] = []

    # Transitions

    @property
    def _guided(self) -> bool:
        return self._scheduler is self.guide

    def _next(self) -> None:
        if self._open:
            self._close()
        elif self._guided and not self._surveyed:
            self._surveyed = True
            for task in self.pending_tasks():
                self._look_through(task)
        super()._next()

    def _choose(self, options: list[Any]) -> int:
        if not self._guided:
            return super()._choose(options)
        index = self.guide.choose(options, self.last)
        self._opens(options[index])
        return index

    def _opens(self, option: Any) -> None:
        is_step = type(option) is TaskStep
        self.tracked.turn(option.actor.name if is_step else option.key, compare=False)
        self._open = True
        sink = self.tracked.sink
        if self._ready or not self.tracked.sees_all or "network" in self.__dict__:
            sink.forget_all()
        if is_step:
            self._stepping = option
            name = option.actor.name
            sink.touched[f"task {name}", STATE] = READ
            sink.touched.update(self._reached.get(name, {}))
            for value in option.context.values():
                self.tracked.reach.notice(value, "context")
        elif isinstance(option, Timer):
            sink.touch((option.key, "timer"), WRITE)
            sink.touch(TIMERS, WRITE)
            if option.time > self.now:
                sink.touch(CLOCK, WRITE)
        elif isinstance(option, Post):
            sink.touch(THREADS, WRITE)

    def _close(self) -> None:
        """The transition is over: all it made ready at once has run."""
        self._open = False
        sink = self.tracked.sink
        stepping, self._stepping = self._stepping, None
        if stepping is not None:
            self._stepped_on(stepping)
        for task in self._new:
            self._look_through(task)
        self._new.clear()
        while self._ready and makes_no_difference(self._ready[0].callback):
            super()._run_handle(self._ready.popleft())
        if self._ready:
            sink.forget_all()
        touched = self.tracked.turn("")
        touched.setdefault(EVERYTHING, READ)
        touched.setdefault(END, READ)
        self.guide.touched(touched)

    def finish(self) -> None:
        """The part of the execution that is guided is over."""
        if self._open:
            self._close()
        self._reached.clear()
        self.tracked.rest()

    def _stepped_on(self, step: TaskStep) -> None:
        task = step.actor.reference()
        if task is None:
            return
        if asyncio.Future.done(task):
            name = f"task {step.actor.name}"
            is_first = step.actor is next(iter(self._actors.values()))
            if is_first and step.actor.owner.root:
                touch(END, WRITE)
            for part in (STATE, DONE, CALLBACKS):
                touch((name, part), WRITE)
            self._reached.pop(step.actor.name, None)
            if not asyncio.Future.cancelled(task) and task._exception is None:
                result = asyncio.Future.result(task)
                self.tracked.reach.notice(result, name)
                if is_first:
                    self.tracked.reach.read_all(result, name)  # it is what the program comes to
        else:
            self._look_through(task)

    def _look_through(self, task: Any) -> None:
        """Find out what this task can use in its next step, while it stands still."""
        actor = self._actor(task)
        sink = self.tracked.sink
        before, sink.who = sink.who, actor.name
        reached = self.tracked.reach.reached_from((task.get_coro(),), f"in {actor.name}")
        self._reached[actor.name] = reached
        sink.who = before

    def _run_handle(self, handle: Handle) -> None:
        if not self._open or type(handle) is TaskStep or handle.callback is complete:
            super()._run_handle(handle)
            return
        sink, reach = self.tracked.sink, self.tracked.reach
        counted = reach.counts_down(handle.callback, handle.args)
        if counted is None:
            for place, mode in reach.reached_from(
                (handle.callback, *handle.args), "callback"
            ).items():
                sink.touch(place, mode)
            super()._run_handle(handle)
            return
        kept, sink.touched = sink.touched, {}
        super()._run_handle(handle)
        own, sink.touched = sink.touched, kept
        for place, mode in own.items():
            if mode == WRITE and not place[0].startswith(counted[0]):
                sink.touch(place, mode)
        sink.touch(counted, UPDATE)

    # Time

    def _others(self) -> list[Any]:
        """What may happen instead of a step.

        Time may pass while steps are ready if it could have passed where they came to be so: if
        arrivals made them ready, and nothing that steps did since depends on those. Then the
        arrivals could as well have come just now, where ``PortableLoop`` lets time pass.
        """
        if not self._guided:
            return super()._others()
        options = self._options()
        if self._steps and options and options[-1].kind == "timer":
            if self._steps[-1].actor is None:
                self._find_actors()
            if not self.guide.may_pass([step.key for step in self._steps]):
                self.guide.withheld(options[-1].key)
                return [option for option in options if option.kind != "timer"]
        return options

    def _fair_options(self) -> list[Any]:
        options = super()._fair_options()
        if self._guided and len(options) < len(self._offered_steps()) + len(self._others()):
            self.guide.narrowed()
        return options

    def time(self) -> float:
        touch(CLOCK, READ)
        return super().time()

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> Timer:
        timer = super().call_at(when, callback, *args, context=context)
        self._sets_timer(timer.key, when)
        return timer

    def _delay(self, handle: Pending, latency: float) -> None:
        self._sets_timer(f"{handle.owner.label} latency {handle.number}", self.now + latency)
        super()._delay(handle, latency)

    def _sets_timer(self, key: str, when: float) -> None:
        """Of two timers set to one time the one that was set first comes first."""
        touch((key, MADE), WRITE)
        touch(CLOCK, READ)
        touch(TIMERS, UPDATE)
        touch(("timers at", when), WRITE)

    # Futures, tasks, I/O

    def create_future(self) -> asyncio.Future[Any]:
        future = NotedFuture(loop=self)
        if here.sink is not None:
            here.sink.made(future)
        return future

    def io(
        self, name: str, latency: float, fails: type[BaseException] | None
    ) -> asyncio.Future[None]:
        future = self.create_future()
        owner = OWNER.get(self.root)
        nth = owner.io_count
        owner.io_count = nth + 1
        if name in KINDS:
            name = f"io {name}"
        number = owner.count(name)
        handle = Pending(complete, (future,), None, self.last, owner, name, number, future)
        if fails is not None:
            self.failing[owner.label, nth] = None
            if self._planned:
                touch((owner.label, "io"), WRITE)
            if self._strikes("fail", owner.label, nth):
                handle.callback = fail
                handle.args = (future, fails(f"injected failure of {name}"))
        if latency > 0:
            self._delay(handle, latency)
        else:
            self._arrivals.append(handle)
        return future

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        touch(THREADS, WRITE)
        return super().run_in_executor(executor, func, *args)

    def create_task(self, coro: Any, **options: Any) -> Any:
        return self._noted(super().create_task(coro, **options))

    def start(self, coro: Any, owner: Any, context: Any = None) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = self._noted(super().start(coro, owner, context))
        return task

    def actors(self) -> list[Actor]:
        """The tasks made so far."""
        return list(self._actors.values())

    def _noted(self, task: Any) -> Any:
        if type(task) is ControlledTask:
            task.__class__ = NotedTask
        if self._open:
            self._new.append(task)
        return task

    def _actor(self, task: Any) -> Actor:
        actor: Actor = task.actor if isinstance(task, ControlledTask) else super()._actor(task)
        return actor
