"""The runtime "threads": a target whose operations are plain functions, each in its own thread.

Requests arrive on an event loop, as they do in a server that hands each to a worker thread. The
loop runs in a thread of ours, and so does every operation; what a thread does is recorded as what a
task does. An operation that is cancelled leaves its thread behind, as with ``asyncio.to_thread``.
"""

# ruff: noqa: D102 - what Runtime declares is documented there

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

from isomodel.engine.control.sources import here as control_here
from isomodel.engine.executor import _deliver
from isomodel.engine.owner import OWNER
from isomodel.engine.protocol import Scheduler
from isomodel.engine.runtime import Blocked, OutOfSteps
from isomodel.engine.stock import StockLoop
from isomodel.engine.threads import locks
from isomodel.engine.threads.crew import Crew
from isomodel.engine.threads.here import active
from isomodel.engine.threads.loop import ThreadedLoop
from isomodel.engine.threads.members import Alarm, ControlledThread, Deadlock, Ended
from isomodel.engine.threads.runtime import EXPECTED, control
from isomodel.engine.threads.standins import Interpreter
from isomodel.values.execution import Arrival, Issue
from isomodel.values.trace import Step


class ThreadsRuntime(ThreadedLoop):
    """One execution of a target whose operations run in threads."""

    __slots__ = ("_interpreter",)

    def __init__(self, scheduler: Scheduler, *, max_steps: int = 20_000, **options: Any) -> None:
        crew = Crew(scheduler, max_steps=max_steps)
        super().__init__(crew, **options)
        crew.root = self.root
        crew.stepped = self._note_step if self.log is not None else None
        self._interpreter = Interpreter(crew)

    # Choices: the loop and its threads are one

    @property
    def asks_always(self) -> bool:
        return self._asks_always

    @asks_always.setter
    def asks_always(self, always: bool) -> None:
        StockLoop.asks_always.fset(self, always)  # type: ignore[attr-defined]
        self._crew.asks_always = always

    def _note_step(self, thread: ControlledThread) -> None:
        owner = thread.owner
        if not owner.label or self.log is None or self.trace is None:
            return
        self.log.append(Arrival(thread.key, owner.user, self.now, owner.part.events))
        self.trace.append(Step(self.now, thread.name, "step", self._crew.place(thread)))
        self.now = owner.part.step(self.now)

    # Its life

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Threads are under control inside the block; the loop runs where ``drive`` is called."""
        sources = control_here.sources
        if sources is not None:
            sources.advance = self._crew.sleep
            sources.expected = EXPECTED
        with control.installed(), self._crew.under_way():
            self._interpreter.enter()
            try:
                yield
            finally:
                self._interpreter.undo()

    def drive(self, done: Callable[[], bool]) -> None:
        if active() is not None:
            super().drive(done)
            return
        failed: list[BaseException] = []

        def loop() -> None:
            outside = self._enter()
            try:
                StockLoop.drive(self, done)
            except BaseException as error:
                failed.append(error)
            finally:
                self._leave(*outside)

        thread = self._crew.spawn("loop", loop, ident=self._crew.os_thread, owner=self.root)
        try:
            self._crew.drive(thread)
        except Deadlock:
            self._crew.end_one(thread)
            raise Blocked("; ".join(self.waiting())) from None
        except OutOfSteps:
            self._crew.end_one(thread)
            raise
        except Alarm as alarm:
            self._crew.end_one(thread)
            self.uncontrolled.append(Issue("thread", str(alarm)))
            raise OutOfSteps(str(alarm)) from None
        for error in failed:
            if not isinstance(error, Ended):
                raise error

    def waiting(self) -> list[str]:
        """Where threads wait; then tasks."""
        named = [text for text in self._crew.waiting() if not text.startswith("loop")]
        return [*named, *super().waiting()]

    def pending(self) -> list[str]:
        threads = self._crew.threads.values()
        alive = [each.name for each in threads if not each.over and not each.daemon]
        return [*super().pending(), *alive]

    def dismiss(self) -> list[str]:
        swallowing = super().dismiss()
        with control.installed(), self._crew.under_way():
            self._interpreter.enter()  # nothing is to be printed of how they are ended
            try:
                self._crew.end()
            finally:
                self._interpreter.undo()
            locks.release_all(self._crew)
        self.uncontrolled += [Issue("thread", where) for where in self._crew.stubborn]
        return [name for name in swallowing if name not in self._crew.threads]

    # Operations

    async def in_thread(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """What the function returns or raises in a thread of the running owner's."""
        future = self.create_future()
        context = contextvars.copy_context()

        def body() -> None:
            try:
                result = context.run(function, *args, **options)
            except Ended:
                raise
            except BaseException as error:
                self.call_soon_threadsafe(_deliver, future, None, error)
            else:
                self.call_soon_threadsafe(_deliver, future, result, None)

        name = getattr(function, "__name__", type(function).__name__)
        self._crew.spawn(name, body, owner=OWNER.get(self.root))
        return await future
