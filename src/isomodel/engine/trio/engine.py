"""trio under control: real tasks, nurseries and cancel scopes, virtual time, every order a choice.

What two fidelities share; they differ in how they ``drive`` it (``fidelities``). ``private`` has
what runs trio's tasks, ``tasks`` what stands for them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context, copy_context
from typing import Any
from weakref import ref

import outcome
import trio

from isomodel.engine.actors import Actors
from isomodel.engine.control.sources import active
from isomodel.engine.executor import Line
from isomodel.engine.giving_up import Boundary
from isomodel.engine.handle import Handle, Post, TaskStep, Timer
from isomodel.engine.owner import OWNER, Actor, Owner, name_for
from isomodel.engine.protocol import Scheduler
from isomodel.engine.refusals import NotSimulated
from isomodel.engine.runtime import Blocked, Crashed, OutOfSteps
from isomodel.engine.trio.private import Machine
from isomodel.engine.trio.tasks import Awaited, Scope, TrioTask, boundary_for
from isomodel.engine.waiting import frames_of
from isomodel.values.execution import Arrival, Issue
from isomodel.values.facts import Fact
from isomodel.values.trace import Step

_ADVICE = {
    "trio.from_thread": (
        "a worker thread waits for trio (trio.from_thread); isomodel runs what is given to "
        "to_thread.run_sync as a whole, so it would wait for ever: return instead, or leave this "
        "function out of the target"
    ),
}


class TrioEngine(Actors):
    """One execution of one program; see ``engine.runtime.Runtime``."""

    __slots__ = (
        "_expected",
        "_fatal",
        "_known",
        "_line",
        "_lines",
        "_machine",
        "_nursery",
        "_steps",
        "_turns",
    )

    chooses_steps = False
    cancels_queue = False
    """Whether each step of a task is a choice of its own, and an arrival only makes it possible."""

    def __init__(self, scheduler: Scheduler, **options: Any) -> None:
        super().__init__(scheduler, **options)
        self._machine = Machine(self)
        self._known: dict[int, TrioTask] = {}  # by id: a task's own hash is slow
        self._nursery: trio.Nursery | None = None
        self._expected: TrioTask | None = None
        self._fatal: BaseException | None = None
        self._line: Line | None = None
        self._lines: dict[int, Line] = {}
        self._steps: list[TaskStep] = []
        self._turns = 0

    # Its life

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Be the trio that the program finds itself in, inside the block."""
        with self._machine.running():
            if self._nursery is None:
                self._machine.start(self._main, self.root.context)
            self._running = True
            try:
                yield
            finally:
                self._running = False

    async def _main(self) -> None:
        """The parent of all tasks that are started here; none of them lets an error out."""
        async with trio.open_nursery() as self._nursery:
            await trio.sleep_forever()

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run ``main`` to its end; returns its result or raises what it raised.

        Raises Blocked when nothing can ever happen again, OutOfSteps past ``max_steps``.
        """
        with self.running():
            actor = self._new_actor(name_for(main), self.root)
            actor.owner.root = True  # each task it starts is on its own, as operations are
            task = self._spawn(main, actor, actor.owner.context)
            self.drive(task.done)
            return task.result()

    def settle(self) -> None:
        """Let everything happen that can without time passing."""
        self.drive(lambda: not self._busy())

    def _busy(self) -> bool:
        self._gather()
        return bool(self._steps or self._ready or self._overdue) or bool(
            self._live_arrivals() or self._live_posts()
        )

    def nobodys_turn(self) -> bool:
        """Whether a callback or step that belongs to no user is ready to run."""
        return any(not step.owner.user for step in self._steps) or super().nobodys_turn()

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""
        raise NotImplementedError

    def dismiss(self) -> list[str]:
        """End every task; the names of those that swallow their cancellation again and again."""
        self._arrivals = [each for each in self._arrivals if each.kind != "start"]
        swallowing: list[str] = []
        with self.running():
            assert self._nursery is not None
            for _ in range(0 if self._machine.over else 3):
                self._nursery.cancel_scope.cancel()
                self.max_steps = self.steps + 1_000
                with contextlib.suppress(
                    Blocked, OutOfSteps, Crashed, SystemExit, KeyboardInterrupt
                ):
                    self.settle()
                swallowing = self.pending()
                if not swallowing:
                    break
            if not self._machine.over:
                self._machine.abandon()
        self._forget()
        return swallowing

    def _forget(self) -> None:
        super()._forget()
        self._steps.clear()
        self._known.clear()
        self._machine.forget()

    # Tasks

    def start(
        self, coro: Coroutine[Any, Any, Any], owner: Owner, context: Context | None = None
    ) -> TrioTask:
        """Start ``coro`` as the main task of ``owner``, in a copy of ``context``."""
        actor = self._enlist(owner.label, owner)
        context = owner.context if context is None else context.copy()
        context.run(OWNER.set, owner)
        return self._spawn(coro, actor, context)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, context: Context
    ) -> TrioTask:
        """Start ``coro`` in this very context: what it sets there stays set."""
        actor = self._new_actor(name_for(coro), context.get(OWNER, self.root))
        return self._spawn(coro, actor, context)

    def _spawn(self, coro: Coroutine[Any, Any, Any], actor: Actor, context: Context) -> TrioTask:
        task = self._expected = TrioTask(actor, trio.CancelScope())
        assert self._nursery is not None
        self._nursery.start_soon(task.body, coro, name=actor.name)
        task.task.context = context
        return task

    def pending(self) -> list[str]:
        """The names of the tasks that are not done, in the order in which they were made."""
        return [task.actor.name for task in self._known.values()]

    def waiting(self) -> list[str]:
        """Where each task that is not done waits, innermost last."""
        return [
            f"{task.actor.name} waits at {' > '.join(frames_of(task.get_coro()))}"
            for task in self._known.values()
        ]

    def can_go_on(self, name: str) -> bool:
        """Whether nothing keeps this task from its next step."""
        return any(step.actor.name == name for step in self._steps)

    def boundaries(self, label: str) -> list[Boundary]:
        """What this operation has to be called in: where it can be cancelled, and for faults."""
        planned = [f for f in self._cancels if f.task == label and f.kind in ("timeout", "scope")]
        for fault in planned:
            self._boundaries[fault] = boundary_for(fault)
        outermost = Scope("CancelledError")
        task = self.task(label)
        if task is not None:
            task.scope = outermost
        return [*(self._boundaries[fault] for fault in planned), outermost]

    def _victim(self, name: str) -> Actor | None:
        """The task a cancellation is planned for, if it is one that can be cancelled by itself."""
        actor = super()._victim(name)
        task = actor.reference() if actor is not None else None
        return actor if task is not None and task.scope is not None else None

    @property
    def in_task(self) -> Callable[[], object]:
        """Tells which task is taking a step now; None where none is."""
        return self._machine.current_task

    # Steps

    def _gather(self) -> None:
        """Take what trio has made runnable; what is its own runs at once, and is no choice."""
        machine, known = self._machine, self._known
        while tasks := machine.ready():
            for task in tasks:
                mine = known.get(id(task))
                if mine is None:
                    self._let(task)
                else:
                    actor = mine.actor
                    self._steps.append(TaskStep(task, (), None, actor, actor.owner))

    def _step(self, step: TaskStep) -> None:
        """Let this task take its step."""
        actor = step.actor
        if self.log is not None and self.trace is not None:
            part = actor.owner.part
            self.log.append(Arrival(step.key, actor.owner.user, self.now, part.events))
            self.trace.append(Step(self.now, actor.name, "step"))
            self.now = part.step(self.now)
        actor.steps += 1
        self.last = actor
        self._let(step.callback)

    def _let(self, task: Any) -> None:
        try:
            self._machine.step(task)
        except trio.TrioInternalError as error:
            raise Crashed(f"trio gave up: {_innermost(error)}") from error
        if self._fatal is not None:
            fatal, self._fatal = self._fatal, None
            raise fatal

    def _take(self, option: Any) -> None:
        """Let this arrival or timer happen, now."""
        super()._take(option)
        self._run_ready()

    def _run_ready(self) -> None:
        while self._ready:
            handle = self._ready.popleft()
            if handle.callback is not None:
                if self.log is not None:
                    self._count(handle)
                self._run_handle(handle)

    def _run_handle(self, handle: Handle) -> None:
        callback, args, context = handle.callback, handle.args, handle.context
        try:
            if context is None:
                callback(*args)
            else:
                context.run(callback, *args)
        except Exception as error:
            raise Crashed(
                f"trio gave up: what run_sync_soon called raised {type(error).__name__}: {error}"
            ) from error

    def _expire_overdue(self) -> None:
        """Deadlines set to no later than now pass at the next opportunity, for sure."""
        overdue = [timer for timer in self._overdue if timer.callback is not None]
        overdue.sort(key=lambda timer: timer.time)
        self._overdue.clear()
        for timer in overdue:
            if self.trace is not None:
                self._record_in_trace(timer)
            self._run_handle(timer)
        self._run_ready()

    def io(self, name: str, latency: float, fails: type[BaseException] | None) -> Awaited:  # type: ignore[override]
        """What the arrival of this I/O completes, or fails where a fault says so."""
        future = Awaited(loop=self)
        self._begin_io(future, name, latency, fails)
        return future

    # What the machine tells (engine.trio.private.Host)

    def spawned(self, task: Any) -> None:
        """Give the task its name."""
        if self._nursery is None:
            return  # trio's own
        mine, self._expected = self._expected, None
        if mine is None:
            owner = task.context.get(OWNER, self.root)
            actor = self._new_actor(name_for(task.coro), owner)
            if actor.owner is not owner:
                task.context.run(OWNER.set, actor.owner)
            mine = TrioTask(actor)
        mine.task = task
        mine.actor.reference = ref(mine)
        self._known[id(task)] = mine

    def exited(self, task: Any) -> None:
        """The task has ended."""
        mine = self._known.pop(id(task), None)
        if mine is not None:
            mine.task = None
            self._fatal = self._fatal or mine.fatal

    def deadline(self, when: float, expire: Callable[[], None]) -> Callable[[], None]:
        """A timer of whose scope it is."""
        owner = OWNER.get(self.root)
        number = owner.count("timer")
        timer = Timer(expire, (), copy_context(), self.last, owner, "timer", number)
        self._set_timer(timer, when)
        return timer.cancel

    def soon(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Called from trio's thread it comes next; from any other, it is an arrival."""
        line = self._line
        if line is None:
            if threading.get_ident() == self._thread:
                self._ready.append(Handle(callback, args, None))
                return
            name = threading.current_thread().name
            self.uncontrolled.append(Issue("thread", f"run_sync_soon from {name}"))
            line = self._lines.setdefault(threading.get_ident(), Line(self._posts))
        owner = OWNER.get(self.root)
        number = owner.count("callback")
        line.add(Post(callback, args, owner.context, self.last, owner, "callback", number))

    def thread(self, work: Callable[[], Any], deliver: Callable[[Any], object]) -> None:
        """A worker thread: it runs as a whole, when the scheduler lets it, and then delivers."""
        owner = OWNER.get(self.root)
        number = owner.count("executor")
        line = Line(self._posts)
        job = (line, work, deliver)
        line.add(Post(self._work, job, owner.context, self.last, owner, "executor", number))

    def _work(self, line: Line, work: Callable[[], Any], deliver: Callable[[Any], object]) -> None:
        self._line = line
        try:
            with self._machine.elsewhere():
                deliver(outcome.capture(work))
        finally:
            self._line = None

    def in_thread(self) -> bool:
        """Whether the work of a thread is being done."""
        return self._line is not None

    def refuse(self, what: str) -> NotSimulated:
        """Take note that the program asked for what is not simulated; the error to raise."""
        sources = active()
        if sources is not None:
            sources.report(what)
        return NotSimulated(
            _ADVICE.get(what)
            or f"{what} is real I/O, which isomodel does not simulate; stand in for it with "
            "isomodel.io"
        )

    # The world of a program that is no target (engine.world.World); its I/O is the engine's own

    def note(self, fact: Fact) -> None:
        """Programs have no invariants to judge facts."""

    def watch(self, thing: Any, what: str) -> None:
        """Programs have no last operation."""

    def acting_as(self, user: str) -> contextlib.AbstractContextManager[None]:
        """Raise RuntimeError, for want of users."""
        raise RuntimeError("acting_as needs a target: a program has no users")


def _innermost(error: BaseException) -> str:
    """What led to the end of a run, without what trio wraps around it."""
    if isinstance(error, BaseExceptionGroup):
        return _innermost(error.exceptions[0])
    if error.__cause__ is not None:
        return _innermost(error.__cause__)
    return f"{type(error).__name__}: {error}"
