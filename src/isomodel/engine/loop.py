"""The asyncio loop under control: real tasks and futures, virtual time, every order a choice.

What two fidelities share; ``stock`` and ``portable`` differ in how they drive it. Nothing here
waits for the operating system. Arrivals from outside (I/O, executor results, the start of an
operation, calls from other threads) and timers are pending until the scheduler lets them in.

A fresh loop is made for every execution: that costs microseconds and leaks nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import heapq
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any

from isomodel.engine.handle import Handle
from isomodel.engine.network import Network
from isomodel.engine.owner import OWNER, Actor, ControlledTask, Owner, Part
from isomodel.engine.protocol import Option, Scheduler
from isomodel.values.execution import Arrival, Issue
from isomodel.values.schedule import Fault
from isomodel.values.trace import Step

copy_context = contextvars.copy_context


class NotSimulated(NotImplementedError):
    """The program asked the loop for real I/O, which does not exist in a simulation."""


class OutOfSteps(Exception):
    """The execution took more steps than it was allowed."""


class Blocked(Exception):
    """Nothing can ever happen again, and the execution is not over."""


class ControlledLoop(asyncio.AbstractEventLoop):
    """One execution of one program; see the module's text.

    ``met`` are the faults that became possible, in order, ``fired`` those that struck: a repeat
    needs the former, because even an option not taken is a question asked. ``idles`` counts the moments at which nothing was ready to run. ``record`` fills ``log`` and ``trace``. With ``every_choice`` the scheduler is asked even
    where only one thing can happen, is offered all timers, and latencies are over at once: what
    it takes to repeat a recorded order, clock included.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        faults: Iterable[Fault] = (),
        max_steps: int = 20_000,
        record: bool = False,
        every_choice: bool = False,
    ) -> None:
        self.scheduler = scheduler
        self.max_steps = max_steps
        self.now = 0.0
        self.steps = 0
        self.idles = 0
        self.errors: list[str] = []
        self.uncontrolled: list[Issue] = []
        self.log: list[Arrival] | None = [] if record else None
        self.trace: list[Step] | None = [] if record else None
        self.root = Owner("", "", Part(""), root=True)
        self.last = Actor("", self.root)
        self.fired: list[Fault] = []
        self.met: dict[Fault, None] = {}
        self._cancel_handles: dict[Fault, Handle] = {}
        self._every_choice = every_choice
        self._fails = {(fault.task, fault.at) for fault in faults if fault.kind == "fail"}
        self._cancels = [fault for fault in faults if fault.kind == "cancel"]
        self._tasks: dict[str, weakref.ref[asyncio.Task[Any]]] = {}
        self._actors: dict[str, Actor] = {}
        self._ready: deque[Handle] = deque()
        self._arrivals: list[Handle] = []
        self._timers: list[Handle] = []
        self._serial = 0
        self._closed = False
        self._running = False
        self._thread = threading.get_ident()
        self._task_factory: Any = None
        self._asyncgens: weakref.WeakSet[Any] = weakref.WeakSet()

    # What programs call

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        handle = Handle(callback, args, context if context is not None else copy_context())
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        if threading.get_ident() != self._thread:
            name = threading.current_thread().name
            self.uncontrolled.append(Issue("thread", f"call_soon_threadsafe from {name}"))
        handle = self.arrive("callback", callback, *args)
        if context is not None:
            handle.context = context
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        context = context if context is not None else copy_context()
        handle = Handle(callback, args, context)
        owner = context.get(OWNER, self.root)
        handle.owner, handle.kind, handle.number = owner, "timer", owner.count("timer")
        self._push_timer(handle, when)
        return handle

    def _push_timer(self, handle: Handle, when: float) -> None:
        self._serial += 1
        handle.serial = self._serial
        handle.time = when
        heapq.heappush(self._timers, handle)

    def time(self) -> float:
        return self.now

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Any,
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **options: Any,
    ) -> Any:
        owner = context.get(OWNER, self.root) if context is not None else OWNER.get(self.root)
        if self._task_factory is not None:
            if context is not None:
                options["context"] = context
            task = self._task_factory(self, coro, **options)
            if name is not None and hasattr(task, "set_name"):
                task.set_name(name)
            self._actor(task, owner)
            return task
        actor = self._new_actor(coro, owner)
        if actor.owner is not owner and context is None:
            context = copy_context()
            context.run(OWNER.set, actor.owner)
        task = ControlledTask(coro, loop=self, name=name or actor.name, context=context, **options)
        task.actor = actor
        self._tasks[actor.name] = weakref.ref(task)
        self._actors[actor.name] = actor
        return task

    def _new_actor(self, coro: Any, owner: Owner) -> Actor:
        name = getattr(coro, "__qualname__", type(coro).__name__).rpartition(".")[2]
        if owner.root:
            label = owner.numbered(name)
            if owner.label:
                label = f"{owner.label}/{label}"
            owner = Owner(label, owner.user, owner.part)
            return Actor(label, owner)
        return Actor(f"{owner.label}/{owner.numbered(name)}", owner)

    def _actor(self, task: asyncio.Task[Any], owner: Owner | None = None) -> Actor:
        """The actor of a task that another factory made, which has no room to store it."""
        for name, reference in self._tasks.items():
            if reference() is task:
                return self._actors[name]
        actor = self._new_actor(task.get_coro(), owner or OWNER.get(self.root))
        self._tasks[actor.name] = weakref.ref(task)
        self._actors[actor.name] = actor
        return actor

    def set_task_factory(self, factory: Any) -> None:
        self._task_factory = factory

    def get_task_factory(self) -> Any:
        return self._task_factory

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        pass

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def stop(self) -> None:
        self.uncontrolled.append(Issue("loop.stop", "the program stops the loop it runs on"))

    def close(self) -> None:
        self._closed = True
        self._ready.clear()
        self._arrivals.clear()
        self._timers.clear()

    def run_until_complete(self, future: Any) -> Any:
        raise RuntimeError("this event loop is already running")

    def run_forever(self) -> None:
        raise RuntimeError("this event loop is already running")

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")  # as text: an exception keeps its frames alive
        self.errors.append(f"{context.get('message')}: {type(error).__name__}: {error}")

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)

    def set_exception_handler(self, handler: Any) -> None:
        pass

    def get_exception_handler(self) -> Any:
        return None

    async def shutdown_asyncgens(self) -> None:
        for generator in list(self._asyncgens):
            await generator.aclose()

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        pass

    def set_default_executor(self, executor: Any) -> None:
        pass

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Two arrivals: the function runs, then its result is delivered."""
        future = self.create_future()

        def work() -> None:
            result: Any = None
            error: BaseException | None = None
            asyncio._set_running_loop(None)
            try:
                result = func(*args)
            except Exception as caught:
                error = caught
            finally:
                asyncio._set_running_loop(self)
            self.arrive("result", deliver, result, error)

        def deliver(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self.arrive("executor", work)
        return future

    # What the engine's own parts call

    @functools.cached_property
    def network(self) -> Network:
        """The in-memory network of this execution, made when it is first needed."""
        return Network(self)

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
        handle = Handle(callback, args, owner.context.copy())
        return self._pend(handle, owner, kind, latency)

    def _pend(self, handle: Handle, owner: Owner, kind: str, latency: float) -> Handle:
        handle.owner, handle.kind, handle.number = owner, kind, owner.count(kind)
        if latency > 0 and not self._every_choice:
            waiting = Handle(self._arrivals.append, (handle,), None)
            waiting.owner, waiting.kind, waiting.number = owner, "latency", handle.number
            waiting.future = handle.future
            self._push_timer(waiting, self.now + latency)
        else:
            self._arrivals.append(handle)
        return handle

    def io(
        self, name: str, latency: float, fails: type[BaseException] | None
    ) -> asyncio.Future[None]:
        """A future that the arrival of this I/O completes, or fails where a fault says so."""
        future: asyncio.Future[None] = asyncio.Future(loop=self)
        owner = OWNER.get(self.root)
        number = owner.io_count
        owner.io_count = number + 1
        if fails is not None and self._fails and (owner.label, number) in self._fails:
            fault = Fault("fail", owner.label, number)
            self.fired.append(fault)
            self.met[fault] = None
            error = fails(f"injected failure of {name}")
            handle = Handle(_fail, (future, error), None)
        else:
            handle = Handle(_complete, (future,), None)
        handle.future = future
        self._pend(handle, owner, name, latency)
        return future

    def task(self, name: str) -> asyncio.Task[Any] | None:
        """The task of this stable name, while it exists."""
        reference = self._tasks.get(name)
        return reference() if reference is not None else None

    def pending_tasks(self) -> list[asyncio.Task[Any]]:
        """Tasks that are not done, in the order in which they were made."""
        alive = (reference() for reference in self._tasks.values())
        return [task for task in alive if task is not None and not task.done()]

    def step_counts(self) -> list[tuple[str, int]]:
        """The tasks made so far but the main one, each with the steps it has taken."""
        return [(name, actor.steps) for name, actor in list(self._actors.items())[1:]]

    def name_of(self, task: asyncio.Task[Any]) -> str:
        """The stable name of this task."""
        return task.actor.name if isinstance(task, ControlledTask) else self._actor(task).name

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Be the running loop inside the block."""
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._asyncgens.add, finalizer=self._close_asyncgen)
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        self._running = True
        try:
            yield
        finally:
            self._running = False
            asyncio._set_running_loop(before)
            sys.set_asyncgen_hooks(*hooks)

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run ``main`` to its end; returns its result or raises what it raised.

        Raises Blocked when nothing can ever happen again, OutOfSteps past ``max_steps``.
        """
        with self.running():
            task = self.root.context.run(self.create_task, main)
            self.drive(task.done)
            return task.result()

    def start(self, coro: Coroutine[Any, Any, Any], owner: Owner) -> asyncio.Task[Any]:
        """Start ``coro`` as the main task of ``owner``, under the owner's own name."""
        context = owner.context.copy()
        task = ControlledTask.__new__(ControlledTask)
        task.actor = Actor(owner.label, owner)
        task.__init__(coro, loop=self, name=owner.label, context=context)  # type: ignore[misc]
        self._tasks[owner.label] = weakref.ref(task)
        self._actors[owner.label] = task.actor
        return task

    def settle(self) -> None:
        """Let everything happen that can without time passing."""
        self.drive(lambda: not self._busy())

    def _busy(self) -> bool:
        return bool(self._ready or self._live_arrivals())

    def _close_asyncgen(self, generator: Any) -> None:
        self._asyncgens.discard(generator)
        if not self._closed:
            self.create_task(generator.aclose())

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""
        raise NotImplementedError

    # Choices

    def _pending_cancels(self) -> list[Handle]:
        """The planned cancellations that are possible now, each an arrival from outside."""
        out = []
        for fault in self._cancels:
            task = self.task(fault.task)
            if task is None or task.done():
                continue
            actor = task.actor if isinstance(task, ControlledTask) else self._actor(task)
            # in a projected run its recorded place decides: steps spent waiting on others are gone
            soonest = 1 if self._every_choice else max(fault.at, 1)
            if actor.steps >= soonest and task is not asyncio.current_task(self):
                out.append(self._cancel_handle(fault, task, actor.owner))
        return out

    def _cancel_handle(self, fault: Fault, task: asyncio.Task[Any], owner: Owner) -> Handle:
        handle = self._cancel_handles.get(fault)
        if handle is None:
            handle = self._cancel_handles[fault] = Handle(self._cancel, (fault, task), None)
            handle.owner, handle.kind, handle.number = owner, "cancel", 0
            handle.task = fault
            self.met[fault] = None
        return handle

    def _cancel(self, fault: Fault, task: asyncio.Task[Any]) -> None:
        if not task.done():
            self.fired.append(fault)
            task.cancel()

    def _live_arrivals(self) -> list[Handle]:
        arrivals = self._arrivals
        for handle in arrivals:
            if handle.dead or (handle.future is not None and handle.future.done()):
                break
        else:
            return arrivals
        self._arrivals = arrivals = [
            handle
            for handle in arrivals
            if not (handle.dead or (handle.future is not None and handle.future.done()))
        ]
        return arrivals

    def _next_timer(self) -> Handle | None:
        timers = self._timers
        while timers:
            first = timers[0]
            if not (first.dead or (first.future is not None and first.future.done())):
                return first
            heapq.heappop(timers)
        return None

    def _take(self, option: Handle) -> list[Handle]:
        """Let this arrival or timer happen: what now has to be called, in order."""
        if option.kind == "cancel":
            self._cancels.remove(option.task)
            due = [option]
        elif option in self._arrivals:
            self._arrivals.remove(option)
            due = [option]
        else:
            due = self._pass_time(option)
        if self.log is not None:
            for handle in due:
                self._record(handle)
        return due

    def _pass_time(self, until: Handle) -> list[Handle]:
        """Advance the clock to this timer; everything due by then happens in deadline order."""
        self.now = max(self.now, until.time)
        timers = self._timers
        due: list[Handle] = []
        if timers[0] is not until:  # an alone run may repeat its joint run's order
            timers.remove(until)
            heapq.heapify(timers)
            return self._sorted_out([until])
        while timers and timers[0].time <= self.now:
            handle = heapq.heappop(timers)
            if not (handle.dead or (handle.future is not None and handle.future.done())):
                due.append(handle)
        return self._sorted_out(due)

    def _sorted_out(self, due: list[Handle]) -> list[Handle]:
        """Of these timers, the program's own; a latency that is over only frees its arrival."""
        for handle in due:
            if handle.kind == "latency":
                handle.callback(*handle.args)
        return [handle for handle in due if handle.kind != "latency"]

    def _record(self, handle: Handle) -> None:
        owner = handle.owner
        assert owner is not None
        assert self.log is not None
        assert self.trace is not None
        self.log.append(Arrival(handle.key, owner.user, self.now, owner.part.events))
        self.trace.append(Step(self.now, owner.label, f"{handle.kind} {handle.number}"))

    def mark(self, kind: str) -> None:
        """Log something of the running owner's that an alone run must repeat at this place."""
        owner = OWNER.get(self.root)
        handle = Handle(self.mark, (), None)
        handle.owner, handle.kind, handle.number = owner, kind, owner.count(kind)
        if self.log is not None:
            self._record(handle)

    def _count(self, handle: Handle) -> None:
        """Count a plain callback among the events of whoever it belongs to."""
        owner = handle.owner
        if owner is None and handle.context is not None:
            owner = handle.context.get(OWNER)
        if owner is not None:
            owner.part.events += 1

    def _run_handle(self, handle: Handle) -> None:
        try:
            if handle.context is None:
                handle.callback(*handle.args)
            else:
                handle.context.run(handle.callback, *handle.args)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self.call_exception_handler(
                {"message": f"exception in callback {handle.callback!r}", "exception": error}
            )

    def _choose(self, options: list[Any]) -> int:
        if len(options) == 1 and not self._every_choice:
            return 0
        index = self.scheduler.choose(options, self.last)
        if not 0 <= index < len(options):
            raise IndexError(f"the scheduler chose {index} of {len(options)} options")
        return index

    def _options(self) -> list[Option]:
        """Arrivals and the next timer, in the order in which they came up."""
        options: list[Any] = [*self._pending_cancels()] if self._cancels else []
        options += self._live_arrivals()
        timer = self._next_timer()
        if timer is not None:
            options += self._live_timers() if self._every_choice else [timer]
        return options

    def _live_timers(self) -> list[Handle]:
        return [timer for timer in sorted(self._timers) if not timer.dead]


def _complete(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _refuse(name: str) -> Callable[..., Any]:
    def refuse(self: ControlledLoop, *args: Any, **options: Any) -> Any:
        self.uncontrolled.append(Issue(f"loop.{name}", "real I/O asked of a simulated loop"))
        raise NotSimulated(
            f"loop.{name} is real I/O, which isomodel does not simulate; "
            "use streams or protocols over create_connection, or stand in for it with isomodel.io"
        )

    refuse.__name__ = name
    return refuse


for _name in (
    "add_reader remove_reader add_writer remove_writer add_signal_handler "
    "remove_signal_handler sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into sock_sendall "
    "sock_sendto sock_connect sock_accept sock_sendfile sendfile start_tls connect_read_pipe "
    "connect_write_pipe connect_accepted_socket subprocess_shell subprocess_exec "
    "create_datagram_endpoint getnameinfo"
).split():
    setattr(ControlledLoop, _name, _refuse(_name))


def _delegate(name: str) -> Callable[..., Any]:
    def delegate(self: ControlledLoop, *args: Any, **options: Any) -> Any:
        return getattr(self.network, name)(*args, **options)

    delegate.__name__ = name
    return delegate


for _name in (
    "create_connection create_server create_unix_connection create_unix_server getaddrinfo"
).split():
    setattr(ControlledLoop, _name, _delegate(_name))
