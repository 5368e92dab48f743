"""All that isomodel uses of trio and that trio does not call public, in this one file.

trio has no way from outside to say which task runs next. Its run loop is a generator, made to be
driven by another loop, which runs all tasks of its run queue between two yields: with one task in
that queue at a time, and deadlines, I/O and the queue of calls from outside replaced by parts that
wait for their turn, it does what the scheduler says, and every other line of it is trio's own.

``NEEDED`` lists the names, and ``missing`` those that the installed trio lacks.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
import sys
import warnings
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Any, Protocol

import sniffio
import trio
from trio import _threads as _its_threads
from trio._core import _run as _its_run

from isomodel.values.errors import BadInput

_run: Any = _its_run
_threads: Any = _its_threads

SUPPORTED = "0.27 to 0.35"

NEEDED = (
    "_run.CancelStatus",
    "_run.GLOBAL_RUN_CONTEXT",
    "_run.Runner.reschedule",
    "_run.Task",
    "_run.unrolled_run",
    "_threads.PARENT_TASK_DATA",
    "_threads._send_message_to_trio",
    "_threads.start_thread_soon",
)
"""What is looked for by name, from the modules ``trio._core._run`` and ``trio._threads``."""

FIELDS = {
    "Runner": ("asyncgens", "clock", "deadlines", "entry_queue", "instruments", "io_manager",
               "ki_manager", "runq", "strict_exception_groups", "system_context",
               "tasks", "waiting_for_idle"),
    "Task": ("_counter", "_runner"),
    "TrioToken": ("_reentry_queue",),
}  # fmt: skip
"""The attributes of instances: trio's classes are attrs classes, which say what they have."""


def missing() -> list[str]:
    """The names of ``NEEDED`` and ``FIELDS`` that this trio does not have."""
    out = []
    for name in NEEDED:
        try:
            operator.attrgetter(name)(sys.modules[__name__])
        except AttributeError:
            out.append(name)
    if _WAITERS not in trio.Event.__init__.__globals__:
        out.append("Event()._tasks")
    for cls, fields in FIELDS.items():
        known = {field.name for field in getattr(getattr(_run, cls, None), "__attrs_attrs__", ())}
        out += [f"_run.{cls}().{field}" for field in fields if field not in known]
    return out


def check() -> None:
    """Raise BadInput, in one line, if this trio cannot be controlled."""
    lacking = missing()
    if lacking:
        raise BadInput(
            f"trio {trio.__version__} cannot be controlled: it has moved {', '.join(lacking)}, "
            f"which is not public; install a trio of {SUPPORTED}, or a newer isomodel"
        )


class Host(Protocol):
    """Who drives a machine, and is told what happens in it."""

    def time(self) -> float:
        """Virtual time, in seconds."""

    def spawned(self, task: Any) -> None:
        """This task was made."""

    def exited(self, task: Any) -> None:
        """This task has ended."""

    def deadline(self, when: float, expire: Callable[[], None]) -> Callable[[], None]:
        """Call ``expire`` when that time has come; returns what takes that back."""

    def soon(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Call this in a moment, from whatever thread this was said in."""

    def thread(self, work: Callable[[], Any], deliver: Callable[[Any], object]) -> None:
        """Do this work in a thread, and let it deliver the outcome."""

    def in_thread(self) -> bool:
        """Whether the work of a thread is being done."""

    def refuse(self, what: str) -> Exception:
        """Take note that the program asked for this; the error to raise."""


class Machine:
    """One run of trio, taken one step at a time.

    ``running`` makes it the current one; all else is called inside such a block. ``start`` takes it
    to the point where its main task waits; ``step`` lets one task take a step.
    """

    def __init__(self, host: Host) -> None:
        install()
        self._host = host
        self._generator: Any = None
        self._hooks: Any = None
        self._runner: Any = None
        self._made: list[Any] = []
        self.over = False
        """Whether its main task and all others have ended."""

    # Its life

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Be the trio that the program finds itself in, inside the block."""
        here = _run.GLOBAL_RUN_CONTEXT.__dict__
        outside, library, hooks = dict(here), sniffio.thread_local.name, sys.get_asyncgen_hooks()
        here.clear()
        sniffio.thread_local.name = "trio"
        _run.CancelStatus = _NumberedStatus
        if self._generator is not None and not self.over:
            here["runner"] = self._runner
            sys.set_asyncgen_hooks(*self._hooks)
        try:
            yield
        finally:
            here.clear()
            here.update(outside)
            _run.CancelStatus = _Status
            sniffio.thread_local.name = library
            sys.set_asyncgen_hooks(*hooks)

    def start(self, main: Callable[[], Any], context: Context) -> None:
        """Begin, with ``main`` as the main task, and go on until all tasks wait."""
        self._runner = runner = _Runner(
            clock=_Clock(self._host),
            instruments=_Instruments(self._host),
            io_manager=_NoIO(self._host),
            ki_manager=_NoInterrupts(),
            strict_exception_groups=True,
            system_context=context,
            entry_queue=_EntryQueue(self._host),
            deadlines=_Deadlines(self._host),
        )
        runner.host = self._host
        runner.statuses = itertools.count()
        runner.first = None
        runner.asyncgens.install_hooks(runner)
        self._hooks = sys.get_asyncgen_hooks()
        _run.GLOBAL_RUN_CONTEXT.runner = runner
        self._generator = _run.unrolled_run(runner, main, (), host_uses_signal_set_wakeup_fd=True)
        next(self._generator)
        while runner.runq:
            self._generator.send(())

    def step(self, task: Any) -> None:
        """Let this task, which ``ready`` has returned, take its next step.

        Raises TrioInternalError if that is the end of the run as a whole.
        """
        runq = self._runner.runq
        if runq:  # made runnable by an earlier step, and not to run with this one
            self._made.extend(runq)
            runq.clear()
        runq.append(task)
        try:
            self._generator.send(())
        except StopIteration:
            self.over = True
        except BaseException:
            self.over = True
            raise

    def ready(self) -> list[Any]:
        """The tasks that can take a step now and were not returned before, in trio's order."""
        made, runq = self._made, self._runner.runq
        tasks = [*made, *runq]
        made.clear()
        runq.clear()
        return tasks

    def runnable(self) -> bool:
        """Whether there are such tasks."""
        return bool(self._made or self._runner.runq)

    def idle(self) -> bool:
        """Wake who waits for all others to wait (``wait_all_tasks_blocked``); whether there is one.

        trio orders them by address where they wait equally long; here, by their making.
        """
        waiting = self._runner.waiting_for_idle
        if not waiting:
            return False
        shortest = min(cushion for cushion, _ in waiting)
        keys = [key for key in waiting if key[0] == shortest]
        for key in sorted(keys, key=lambda key: waiting[key]._counter):
            self._runner.reschedule(waiting.pop(key))
        return True

    def abandon(self) -> None:
        """Let go of a run that does not end."""
        self.over = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._generator.close()
            for task in self._runner.tasks:
                _close(task.coro)
                for nursery in task.child_nurseries:
                    nursery._children.clear()  # they have ended by other ways than it knows

    def forget(self) -> None:
        """Let go of what has run: it refers to the host, which is to be free at once."""
        self._runner = self._generator = self._hooks = None

    # What its tasks see

    def current_task(self) -> Any:
        """The task that takes a step now; None where none does."""
        return getattr(_run.GLOBAL_RUN_CONTEXT, "task", None)

    @contextlib.contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Be a thread in which trio does not run, inside the block."""
        here = _run.GLOBAL_RUN_CONTEXT.__dict__
        inside, library = dict(here), sniffio.thread_local.name
        here.clear()
        sniffio.thread_local.name = None
        try:
            yield
        finally:
            here.update(inside)
            sniffio.thread_local.name = library


def _close(coroutine: Any) -> None:
    """End it here and now; what waits in its clean-up is told again, and nothing gets out."""
    for _ in range(10):
        with contextlib.suppress(BaseException):
            coroutine.close()
            return


# The parts of a run that are exchanged


class _Runner(_run.Runner):  # type: ignore[misc]
    """A run that numbers what it makes, so that sets of it have the same order every time."""

    host: Host
    statuses: Iterator[int]
    first: int | None


class _Clock(trio.abc.Clock):
    def __init__(self, host: Host) -> None:
        self._host = host

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self._host.time()

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return 0.0


class _Instruments(dict[str, list[Callable[..., object]]]):
    """Who is told of what: the host of tasks that come and go, and the program's instruments.

    trio's own looks each hook up in a dictionary written in Python, ten times a step.
    """

    def __init__(self, host: Host) -> None:
        super().__init__(task_spawned=[host.spawned], task_exited=[host.exited])
        self._hooks: dict[Any, list[tuple[str, Callable[..., object]]]] = {}

    def call(self, hook: str, *args: Any) -> None:
        for told in self[hook]:
            told(*args)

    def add_instrument(self, instrument: Any) -> None:
        names = [name for name in vars(trio.abc.Instrument) if not name.startswith("_")]
        self._hooks[instrument] = [(name, getattr(instrument, name)) for name in names]
        for name, told in self._hooks[instrument]:
            self.setdefault(name, []).append(told)

    def remove_instrument(self, instrument: Any) -> None:
        for name, told in self._hooks.pop(instrument):
            self[name].remove(told)


class _Deadlines:
    """The deadlines of cancel scopes: timers, each of which comes when the scheduler lets it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._pending: dict[Any, Callable[[], None]] = {}

    def add(self, deadline: float, scope: Any) -> None:
        def expire() -> None:
            _expire(scope)

        self._pending[scope] = self._host.deadline(deadline, expire)

    def remove(self, deadline: float, scope: Any) -> None:
        self._pending.pop(scope)()

    def next_deadline(self) -> float:
        return 0.0

    def expire(self, now: float) -> bool:
        return False


def _expire(scope: Any) -> None:
    """Cancel it; trio tells the reason, from the version on that knows of reasons."""
    reason, cancel = getattr(_run, "CancelReason", None), getattr(scope, "_cancel", None)
    if reason is None or cancel is None:
        scope.cancel()
    else:
        cancel(reason(source="deadline"))


class _EntryQueue:
    """What other threads call in trio's: an arrival each."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._once: dict[Any, None] = {}

    async def task(self) -> None:
        """Wait for the end: nothing is left to do for the task that trio has for this."""
        await trio.sleep_forever()

    def run_sync_soon(
        self, callback: Callable[..., object], *args: Any, idempotent: bool = False
    ) -> None:
        if not idempotent:
            self.host.soon(callback, args)
        elif (callback, args) not in self._once:
            self._once[callback, args] = None
            self.host.soon(self._call_once, (callback, args))

    def _call_once(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        del self._once[callback, args]
        callback(*args)

    def size(self) -> int:
        return 0

    def close(self) -> None:
        pass


class _NoInterrupts:
    """Ctrl-C is isomodel's own."""

    def install(self, *args: Any) -> None:
        pass

    def close(self) -> None:
        pass


class _NoIO:
    """An operating system without anything to wait for: each way to ask, refused by name."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def process_events(self, events: object) -> None:
        pass

    def notify_closing(self, fd: object) -> None:
        pass

    def force_wakeup(self) -> None:
        pass

    def close(self) -> None:
        pass

    def statistics(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def refuse(*args: Any, **options: Any) -> Any:
            raise self._host.refuse(f"trio.lowlevel.{name}")

        return refuse


# Order


_WAITERS = "__attr_factory__tasks"
"""What makes the set of those who wait for an event, for the constructor that attrs has written."""


class _InTurn(dict[Any, None]):
    """A set in the order in which its members came: asyncio's, and one of those that are trio's."""

    def add(self, task: Any) -> None:
        self[task] = None

    def remove(self, task: Any) -> None:
        del self[task]


def _waiters() -> Any:
    return set() if _host() is None else _InTurn()


_Status = _run.CancelStatus


class _NumberedStatus(_Status):  # type: ignore[misc, valid-type]
    """A cancel status with a hash that stays the same.

    trio keeps those below another, and the tasks of one, in sets: in whose order they are cancelled
    decides who runs first.
    """

    __slots__ = ("number",)
    number: int

    def __new__(cls, *args: Any, **options: Any) -> Any:
        self = super().__new__(cls)
        numbers = getattr(_run.GLOBAL_RUN_CONTEXT.runner, "statuses", None)
        self.number = id(self) if numbers is None else next(numbers)  # a run in a worker thread
        return self

    def __hash__(self) -> int:
        return self.number


def _hash_of_task(task: Any) -> int:
    """The number of a task in its run; in a run that is not ours, what it was."""
    runner = task._runner
    if type(runner) is not _Runner:
        return object.__hash__(task)
    if runner.first is None:
        runner.first = task._counter
    return int(task._counter - runner.first)


# Hooks


def install() -> None:
    """Take trio's hooks; what runs outside isomodel goes on as before.

    Raises BadInput, in one line, if this trio cannot be controlled.
    """
    if _threads.start_thread_soon is _start_thread_soon:
        return
    check()
    global _start, _send
    _start, _send = _threads.start_thread_soon, _threads._send_message_to_trio
    _threads.start_thread_soon = _start_thread_soon
    _threads._send_message_to_trio = _send_message_to_trio
    _run.Task.__hash__ = _hash_of_task
    trio.Event.__init__.__globals__[_WAITERS] = _waiters


_start: Any = None
_send: Any = None


def _host() -> Host | None:
    """Who drives the run that the caller is in, if it is one of ours."""
    return getattr(getattr(_run.GLOBAL_RUN_CONTEXT, "runner", None), "host", None)


def _start_thread_soon(
    work: Callable[[], Any], deliver: Callable[[Any], object], name: str | None = None
) -> None:
    """A worker thread of a controlled run is an arrival; any other is a thread."""
    host = _host()
    if host is None:
        _start(work, deliver, name)
    else:
        host.thread(work, deliver)


def _send_message_to_trio(token: Any, message: Any) -> Any:
    """A worker calls back into trio, and waits."""
    host = getattr(token or getattr(_threads.PARENT_TASK_DATA, "token", None), "_reentry_queue", 0)
    queue = host if isinstance(host, _EntryQueue) else None
    if queue is not None and queue.host.in_thread():
        raise queue.host.refuse("trio.from_thread")
    return _send(token, message)
