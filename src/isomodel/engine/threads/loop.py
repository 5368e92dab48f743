"""asyncio's event loop in a thread of ours, beside others that are: one search over all of them.

The loop is the controlled one of fidelity ``stock``. Where it would ask the operating system for
news, its thread waits, so that others run; what they send with ``call_soon_threadsafe`` wakes it.
Executors are the standard library's own, whose workers are threads of ours, so that what runs in
them can be interrupted, and can wait for the loop or for one another. There is one clock.
"""

# ruff: noqa: D102 - what AbstractEventLoop declares is documented there

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from isomodel.engine.executor import WORKERS, Line
from isomodel.engine.handle import Post, Timer
from isomodel.engine.owner import OWNER, Owner, Part
from isomodel.engine.protocol import Scheduler
from isomodel.engine.stock import StockLoop
from isomodel.engine.threads.crew import Crew
from isomodel.engine.threads.here import active

WAITS = "waits for something to happen on its event loop"


class ThreadedLoop(StockLoop):
    """One event loop among the threads of a crew."""

    __slots__ = ("_crew", "_senders")

    threads_run = True

    def __init__(self, crew: Crew, **options: Any) -> None:
        super().__init__(crew.scheduler, max_steps=crew.max_steps, **options)
        self._crew = crew
        self._senders: dict[int, Line] = {}
        self._patient = False
        self._thread = _ident(crew)
        name = crew.label()
        self.root = Owner(name, "", Part(""), root=True)
        self.last.owner = self.root
        self.last.name = f"{name} loop"

    # Choices

    @property
    def scheduler(self) -> Scheduler:
        scheduler: Scheduler = self._scheduler
        return scheduler

    @scheduler.setter
    def scheduler(self, scheduler: Scheduler) -> None:
        """Whether it is patient or not, each iteration begins with a look at what has come.

        That look is a point: were there fewer under some schedulers, then one that only records or
        observes another's choices would change the execution.
        """
        StockLoop.scheduler.fset(self, scheduler)  # type: ignore[attr-defined]
        self._patient = False
        self._crew.scheduler = scheduler

    # Time

    def time(self) -> float:
        self.now = max(self.now, self._crew.now)
        return self.now

    def _pass_time(self, until: Timer) -> None:
        super()._pass_time(until)
        self._crew.now = max(self._crew.now, self.now)

    # Other threads

    def _enter(self) -> tuple[Any, Any]:
        self._thread = _ident(self._crew)
        return super()._enter()

    def call_soon_threadsafe(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Any:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        crew = active()
        if crew is None or _ident(crew) == self._thread:
            return self.call_soon(callback, *args, context=context)
        crew.touch(self, "callbacks", write=True)
        owner = OWNER.get(self.root)
        if context is None:
            context = contextvars.copy_context()
        number = owner.count("callback")
        post = Post(callback, args, context, self.last, owner, "callback", number)
        self._senders.setdefault(_ident(crew), Line(self._posts)).add(post)
        crew.wake(self)
        return post

    def _threads_sent(self) -> bool:
        """Nothing can happen on this loop by itself: wait for somebody who sends something."""
        if active() is None:
            return False
        while not self._live_posts():
            self._crew.wait(self, WAITS)
        return True

    def _poll(self, *, hurried: bool = False) -> None:
        self._let_others_run(idle=not self._ready)
        super()._poll(hurried=hurried)

    def _admit_one(self) -> bool:
        self._let_others_run(idle=False)
        return super()._admit_one()

    def _let_others_run(self, *, idle: bool) -> None:
        if active() is None:
            return
        waits = not (self._overdue or self._cancels or self._live_arrivals() or self._live_posts())
        timers = super()._offered_timers() if idle and waits and self._timers else []
        if timers and timers[0].kind == "timer":
            self._crew.wait(self, WAITS, timers[0].time)
        else:
            self._crew.point()
        self.time()

    def _offered_timers(self) -> list[Timer]:
        """Not those for which what threads have sent, or are at work on, would wait for long."""
        timers = super()._offered_timers()
        if timers and timers[0].kind == "timer" and active() is not None:
            since = min((thread.since for thread in self._crew.others()), default=timers[0].time)
            if timers[0].time > (self.now if self._live_posts() else since) + self._crew.slack:
                return []
        return timers

    # Executors

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        if executor is None:
            if self._default_executor is None:
                self._default_executor = ThreadPoolExecutor(WORKERS, "asyncio")
            executor = self._default_executor
        return asyncio.wrap_future(executor.submit(func, *args), loop=self)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        executor, self._default_executor = self._default_executor, None
        if executor is not None:
            await self.run_in_executor(ThreadPoolExecutor(1), executor.shutdown)


def _ident(crew: Crew) -> int:
    return crew.os_thread if crew.current is None else crew.current.ident


def new_event_loop(original: Callable[[], Any]) -> Callable[[], Any]:
    """``asyncio.new_event_loop``, which inside a thread of ours makes a loop of ours."""

    def make() -> Any:
        crew = active()
        return original() if crew is None else ThreadedLoop(crew)

    return make
