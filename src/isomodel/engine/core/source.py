"""The part of the engine that runs once a step: what waits, the queues, the two drive loops.

This file is the only one that is compiled, where it can be (see the package's text): plain Python
that Cython reads too, with the types of its attributes in ``compiled.pxd`` beside it. Whatever
runs less often than once a step belongs in the modules around it.
"""

# ruff: noqa: D102 - what AbstractEventLoop declares is documented there

from __future__ import annotations

import asyncio
from asyncio import Future, _get_running_loop, _set_running_loop
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextvars import Context, ContextVar, copy_context
from heapq import heapify, heappop
from sys import get_asyncgen_hooks, modules, set_asyncgen_hooks
from threading import get_ident
from typing import Any
from weakref import ref

from isomodel.values.execution import Arrival, Issue
from isomodel.values.schedule import OF_IO, Fault
from isomodel.values.trace import Step

__all__ = [
    "DUE",
    "FAIR",
    "HASTE",
    "JOIN",
    "JOIN_OF_FAULTS",
    "KINDS",
    "OWNER",
    "STEP_TYPE",
    "WAKEUP_NAME",
    "WAKEUP_TYPE",
    "Actor",
    "Blocked",
    "Candidate",
    "ControlledTask",
    "Core",
    "GoOn",
    "Handle",
    "Jump",
    "Latency",
    "NumberedFuture",
    "Numbers",
    "OutOfSteps",
    "Owner",
    "Part",
    "Pending",
    "PortableCore",
    "Post",
    "RandomWalk",
    "StockCore",
    "TaskStep",
    "Timer",
    "UnderControl",
    "complete",
    "enter",
    "fail",
    "here",
    "io",
    "loops_alive",
    "name_for",
    "registering",
    "task_of",
]

KINDS = frozenset(("go on", "step", "cancel", "timer", "due"))
"""Kinds that mean something to a scheduler; every other one is that of an ordinary arrival."""

FAIR = 100
"""How many turns something may wait while others go on: no arrival keeps a program waiting for
ever that looks for it again and again (``while not ready: await asyncio.sleep(0)``)."""


class OutOfSteps(Exception):
    """The execution took more steps than it was allowed."""


class Blocked(Exception):
    """Nothing can ever happen again, and the execution is not over; tells where tasks wait."""


# Who runs


class Part:
    """Users judged together, and how many steps their tasks have taken, each at what time.

    ``events`` counts everything of theirs that ran, steps and plain callbacks. ``kept`` holds
    the times of an earlier run, in which a projected one lets the clock follow.
    """

    __slots__ = ("events", "kept", "name", "steps", "times")

    def __init__(self, name: str, kept: Sequence[float] | None = None) -> None:
        self.name = name
        self.steps = 0
        self.events = 0
        self.times: list[float] = []
        self.kept = kept

    def step(self, now: float) -> float:
        """Count a step of one of its tasks; returns what the clock shows in it."""
        if self.kept is not None and self.steps < len(self.kept):
            now = max(now, self.kept[self.steps])
        self.steps += 1
        self.events += 1
        self.times.append(now)
        return now


class Owner:
    """An operation of a user, or background work: what arrivals and tasks belong to.

    ``counts`` numbers its arrivals by kind and its tasks by name; both are stable, whatever
    other owners do. ``root`` marks work that belongs to no operation: each task it starts
    becomes an owner of its own.
    """

    __slots__ = ("counts", "io_count", "label", "part", "root", "user")

    def __init__(self, label: str, user: str, part: Part, root: bool = False) -> None:
        self.label = label
        self.user = user
        self.part = part
        self.root = root
        self.counts: dict[str, int] = {}
        self.io_count = 0

    @property
    def context(self) -> Context:
        """A new context, in which this owner runs and nothing else is set."""
        return context_of(self)  # type: ignore[no-any-return]

    def count(self, kind: str) -> int:
        """The number of this one among those of its kind, from 0."""
        number: int = self.counts.get(kind, 0)
        self.counts[kind] = number + 1
        return number

    def numbered(self, name: str) -> str:
        """``name``, with a number from its second use on."""
        kind = "task " + name
        number: int = self.counts.get(kind, 0) + 1
        self.counts[kind] = number
        return name if number == 1 else f"{name}#{number}"

    def heir(self) -> Owner | None:
        """Whose the tasks are that it begins now; None if each is on its own."""
        return None if self.root else self


def context_of(owner: Owner) -> Any:
    """A new context, in which this owner runs and nothing else is set."""
    context: Any = _new_context()
    context.run(_set_owner, owner)
    return context


_short_names: dict[str, str] = {}


def name_for(coroutine: Any) -> str:
    """What a task that runs this coroutine is called."""
    qualified: str = getattr(coroutine, "__qualname__", None) or type(coroutine).__name__
    name = _short_names.get(qualified)
    if name is None:
        if len(_short_names) > 4_096:
            _short_names.clear()
        name = _short_names[qualified] = qualified.rpartition(".")[2]
    return name


OWNER: ContextVar[Owner] = ContextVar("isomodel_owner")


def _no_task() -> None:
    """Stands in for the reference of an actor whose task is not made yet."""


class Actor:
    """One task under its stable name, with the number of steps it has taken.

    ``number`` is its hash: what iterates over a set of tasks (``asyncio.wait``, a task group
    that aborts) meets them in the same order every time, not in that of their addresses.
    """

    __slots__ = ("name", "number", "owner", "reference", "steps")

    def __init__(self, name: str, owner: Owner, number: int = 0) -> None:
        self.name = name
        self.owner = owner
        self.number = number
        self.steps = 0
        self.reference: Callable[[], Any] = _actorless


class ControlledTask(asyncio.Task[Any]):
    """A stock (C) task that knows its actor; to be set before ``__init__``."""

    __slots__ = ("actor",)
    actor: Actor

    def __hash__(self) -> int:
        return self.actor.number


ControlledTask.__name__ = ControlledTask.__qualname__ = "Task"  # as its texts call it


class NumberedFuture(asyncio.Future[Any]):
    """A stock (C) future with a hash that stays the same: sets of it have one order, too.

    It gets its number when its hash is first asked for, which few futures ever are. Simulated I/O
    has plain ones, for which asyncio's C code knows a shorter way: who awaits it has no set of it.
    """

    __slots__ = ("number",)
    number: int

    def __hash__(self) -> int:
        try:
            return self.number
        except AttributeError:
            core: Any = self.get_loop()
            core.hashed += 1
            self.number = core.hashed
            return self.number


NumberedFuture.__name__ = NumberedFuture.__qualname__ = "Future"


def _task_callback_types() -> tuple[type, type, str]:
    """The types of the callbacks by which a C task takes its first and its later steps.

    They are not public; a task that is never run shows both.
    """
    seen: list[Any] = []

    class Probe(asyncio.AbstractEventLoop):
        def call_soon(  # type: ignore[override]
            self, callback: Any, *args: Any, context: Any = None
        ) -> Any:
            seen.append(callback)

        def get_debug(self) -> bool:
            return False

        def call_exception_handler(self, context: Any) -> None:
            pass

    loop = Probe()  # type: ignore[abstract]
    future: asyncio.Future[None] = asyncio.Future(loop=loop)

    async def wait() -> None:
        await future

    coroutine = wait()
    task = asyncio.Task(coroutine, loop=loop, name="probe")
    seen[0]()
    future.set_result(None)
    first, wakeup = seen[0], seen[1]
    wakeup(future)
    del task
    return type(first), type(wakeup), wakeup.__name__


STEP_TYPE, WAKEUP_TYPE, WAKEUP_NAME = _task_callback_types()

# Names that the compiled form keeps in C: a module's own it would look up anew each time.
_step_type, _wakeup_type, _wakeup_name, _task_type = (
    STEP_TYPE,
    WAKEUP_TYPE,
    WAKEUP_NAME,
    ControlledTask,
)
_owner_of, _set_owner, _copy_context = OWNER.get, OWNER.set, copy_context
_new_future, _arrival, _step_taken, _kinds = Future, Arrival, Step, KINDS
_is_done, _set_result = Future.done, Future.set_result
_new_context, _new_queue, _new_reference, _ident = Context, deque, ref, get_ident
_loop_now, _be_loop = _get_running_loop, _set_running_loop
_hooks_now, _set_hooks, _modules = get_asyncgen_hooks, set_asyncgen_hooks, modules
_actorless = _no_task
_new_task: Any = ControlledTask.__new__
_init_task: Any = ControlledTask.__init__


def task_of(callback: Any) -> Any:
    """The task that takes a step when this callback is called, or None for a plain callback.

    A callback bound to a task is not yet its step: ``task.cancel`` is a plain one.
    """
    kind = type(callback)
    if kind is STEP_TYPE or (kind is WAKEUP_TYPE and callback.__name__ == WAKEUP_NAME):
        task = callback.__self__
        return task if isinstance(task, asyncio.Task) else None
    return None


def stepping(callback: Any) -> Any:
    """The task of our own making that takes a step when this is called; None for all others."""
    kind = type(callback)
    if kind is _step_type or kind is _wakeup_type:
        task = callback.__self__
        if type(task) is _task_type and (kind is _step_type or callback.__name__ == _wakeup_name):
            return task
    return None


def _called(handle: Handle) -> None:
    """Call what waited, in its context."""
    callback, args, context = handle.callback, handle.args, handle.context
    count = len(args)
    if context is None:
        callback(*args)
    elif count == 1:  # nearly always one or none, and unpacking is slow
        context.run(callback, args[0])
    elif count == 0:
        context.run(callback)
    else:
        context.run(callback, *args)


# How schedules are drawn


_WORD = 2**64 - 1
_MULTIPLIER = 6364136223846793005
_INCREMENT = 1442695040888963407
_UNIT = 2.0**-53
_GOLDEN, _FIRST_MIX, _SECOND_MIX = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


class Numbers:
    """Random numbers, a pure function of a seed: 64 bits each, of which the upper are good.

    A linear congruential generator (Knuth's MMIX constants): seeding the standard generator,
    whose state is 2.5 kB, takes as long as a tenth of a small execution.
    """

    __slots__ = ("state",)

    def __init__(self, seed: int) -> None:
        """Neighbouring seeds begin with bits that differ in half of their places (splitmix64)."""
        self.state = seed & _WORD
        self.state = (self.state * _GOLDEN + _GOLDEN) & _WORD
        self.state = ((self.state ^ (self.state >> 30)) * _FIRST_MIX) & _WORD
        self.state = ((self.state ^ (self.state >> 27)) * _SECOND_MIX) & _WORD
        self.state ^= self.state >> 31

    def unit(self) -> float:
        """A number from [0, 1)."""
        return _unit(self)

    def below(self, end: int) -> int:
        """An integer from 0 to ``end - 1``, which is at least 0."""
        return _below(self, end)

    def any_of(self, options: Any) -> int:
        """The index of any of these options, all equally likely."""
        return _below(self, len(options))

    def highest(self, options: Any) -> int:
        """The index of the option of the highest priority; one that has none yet is given one."""
        return _highest(self, options)


def _unit(numbers: Numbers) -> float:
    """A number from [0, 1)."""
    numbers.state = (numbers.state * _MULTIPLIER + _INCREMENT) & _WORD
    return (numbers.state >> 11) * _UNIT


def _below(numbers: Numbers, end: Any) -> int:
    """An integer from 0 to ``end - 1``, which is at least 0."""
    return int(_unit(numbers) * end)


def _highest(numbers: Numbers, options: Any) -> int:
    """The index of the option of the highest priority; one that has none yet is given one."""
    best = 0
    most = -1.0
    for index, option in enumerate(options):
        if isinstance(option, Candidate):
            candidate: Candidate = option
            priority = candidate.priority
            if priority < 0:
                priority = candidate.priority = _priority(numbers)
        else:  # one that is no event loop's, as a thread is
            priority = option.priority
            if priority < 0:
                priority = option.priority = _priority(numbers)
        if priority > most:
            best, most = index, priority
    return best


def _priority(numbers: Numbers) -> float:
    numbers.state = (numbers.state * _MULTIPLIER + _INCREMENT) & _WORD
    return float(numbers.state)


WALKS = ("latencies",) * 9 + ("uniform",)

JOIN = (0.0,) * 11 + (0.3,)
"""Probability that something more arrives while work is ready; one of these an execution.

Usually arrivals come one by one; but what only breaks when two share a tick needs company.
"""

JOIN_OF_FAULTS = (0.0, 0.3)
"""The same where a cancellation is planned: those matter most in the tick of a hand-over."""

HASTE = (0.02, 0.02, 0.1, 0.3)
"""Probability that time passes although something else could happen; one an execution."""

DUE = 0.5
"""Probability that a timer that is due comes at once, while work is ready."""


class RandomWalk:
    """A scheduler for one execution, a pure function of ``seed``; see ``schedulers.random``.

    ``company`` says that arrivals shall share a tick more often.
    """

    __slots__ = ("_haste", "_join", "_latencies", "_numbers", "patient")

    def __init__(self, seed: int, *, company: bool = False) -> None:
        self._numbers = numbers = Numbers(seed)
        joins = JOIN_OF_FAULTS if company else JOIN
        self._latencies = WALKS[_below(numbers, len(WALKS))] == "latencies"
        self._join = joins[_below(numbers, len(joins))]
        self._haste = HASTE[_below(numbers, len(HASTE))]
        self.patient = not self._join

    def pick(self, options: Any) -> int:
        """One of these steps and arrivals, by this execution's walk."""
        return _walked(self, options)

    def choose(self, options: Any, last: Any) -> int:
        """One option, by this execution's walk; the timer comes last and has its own odds."""
        first, end = 0, len(options)
        if options[0].kind == "go on":
            if options[-1].kind == "due" and _unit(self._numbers) < DUE:
                return end - 1
            if self.patient or _unit(self._numbers) >= self._join:
                return 0
            first = 1
        if options[-1].kind == "timer":
            if _unit(self._numbers) < self._haste:
                return end - 1
            end -= 1
            if end <= first:
                return 0
        return first + _walked(self, options[first:end])


def _walked(self: RandomWalk, options: Any) -> int:
    """One of these steps and arrivals, by this execution's walk."""
    if self._latencies:
        return _highest(self._numbers, options)
    return _below(self._numbers, len(options))


# What waits


class Handle:
    """A callback that is to be called, as asyncio's Handle.

    ``context`` None calls it as it is. ``callback`` None: it was cancelled.
    """

    __slots__ = ("__weakref__", "args", "callback", "context")

    def __init__(self, callback: Any, args: tuple[Any, ...], context: Context | None) -> None:
        self.callback = callback
        self.args = args
        self.context = context

    def cancel(self) -> None:
        """Never call it; what it refers to is free at once."""
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        """Whether it will never be called."""
        return self.callback is None

    def get_context(self) -> Context | None:
        """The context in which it is called."""
        return self.context


class Candidate(Handle):
    """What may be next: an arrival, or a task's step. ``priority`` is for the scheduler, below 0
    at first.
    """

    __slots__ = ("actor", "kind", "owner", "priority")
    priority: float


class Pending(Candidate):
    """An option: something that may arrive from outside.

    ``owner``, ``kind`` and ``number`` make its key. ``actor`` is the task that began it.
    ``future`` is what it completes: once that is done (its waiter was cancelled), it never
    happens. ``known_as`` takes the place of a kind in the key, where that is not all that it
    depends on.
    """

    __slots__ = ("future", "number")
    known_as = ""

    def __init__(
        self,
        callback: Any,
        args: tuple[Any, ...],
        context: Context | None,
        actor: Actor,
        owner: Owner,
        kind: str,
        number: int,
        future: asyncio.Future[Any] | None = None,
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.actor = actor
        self.owner = owner
        self.kind = kind
        self.number = number
        self.future = future
        self.priority = -1.0

    @property
    def key(self) -> str:
        """The stable name of this option: whose, of which kind, which of them."""
        return f"{self.owner.label} {self.known_as or self.kind} {self.number}"

    def is_off(self) -> bool:
        """Whether it can never happen any more."""
        return self.callback is None or (self.future is not None and self.future.done())


class Jump(Pending):
    """A jump of the clock. It comes like a cancellation: at once, if the schedule says no more."""

    __slots__ = ()
    known_as = "jump"


class Post(Pending):
    """What comes from the thread that is ``line``."""

    __slots__ = ("line",)
    line: Any


class Timer(Pending):
    """What happens at a time, as asyncio's TimerHandle.

    Its kind is "timer" while time has to pass for it, and "due" once its time has come.
    """

    __slots__ = ("time",)
    known_as = "timer"
    time: float

    def when(self) -> float:
        """The virtual time at which it is due, in seconds."""
        return self.time


class Latency(Timer):
    """A timer after which an arrival is possible: nothing of the program's own.

    It has a name of its own, so that the program's timers keep their numbers without it.
    """

    __slots__ = ()
    known_as = "latency"


class TaskStep(Candidate):
    """An option: the next step of a task, where any task may be next.

    It is queued while its task is still being made, so ``actor`` and ``owner`` may come later.
    """

    __slots__ = ()

    def __init__(
        self, callback: Any, args: tuple[Any, ...], context: Context | None, actor: Any, owner: Any
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.actor = actor
        self.owner = owner
        self.kind = "step"
        self.priority = -1.0

    @property
    def key(self) -> str:
        """The task's name: it has at most one next step."""
        return f"{self.actor.name} step"


class GoOn:
    """The option that nothing arrives now: what is ready runs."""

    __slots__ = ("kind", "owner", "priority")
    key = "go on"
    actor = None

    def __init__(self, owner: Owner) -> None:
        self.kind = "go on"
        self.owner = owner
        self.priority = -1.0


def complete(future: asyncio.Future[None]) -> None:
    """What the arrival of simulated I/O does."""
    if not future.done():
        future.set_result(None)


_complete = complete


def fail(future: asyncio.Future[None], error: BaseException) -> None:
    """What it does where a fault makes it fail."""
    if not future.done():
        future.set_exception(error)


# The execution under way


class UnderControl:
    """What an execution has under control, and who asks for it (see ``engine.sources.Sources``)."""

    __slots__ = (
        "_draws",
        "advance",
        "expected",
        "issues",
        "now",
        "outer",
        "owner",
        "seed",
        "thread",
    )

    def __init__(
        self, seed: Any, now: Any, owner: Any, advance: Any, outer: Any, expected: Any
    ) -> None:
        self.seed = seed
        self.now = now
        self.owner = owner
        self.advance = advance
        self.outer = outer
        self.expected = expected
        self.thread = _ident()
        self.issues: dict[tuple[str, str, int], Issue] = {}
        self._draws: dict[str, Any] = {}


class Here:
    """Holds the controlled execution under way in this process, if any.

    ``core`` is the same one where its I/O is a core's own, as that of a program is.
    """

    __slots__ = ("core", "world")

    def __init__(self) -> None:
        self.world: Any = None
        self.core: Core | None = None


here = _here = Here()


def enter(world: Any) -> Any:
    """Make ``world`` the current execution; returns the one before it, to be entered again."""
    before = _here.world
    _here.world = world
    own = world is not None and getattr(type(world), "io", None) is _io_of_core
    _here.core = world if own else None
    return before


def io(
    name: Any = "io", *, latency: float = 0.0, fails: type[BaseException] | None = None
) -> Awaitable[None]:
    """Wait for simulated I/O: ``await isomodel.io("query")``.

    When it arrives is the scheduler's choice, never before ``latency`` seconds of virtual time.
    With ``fails`` a fault may make it raise that exception instead.
    """
    core = _here.core
    if core is not None:
        future: Any = _new_future(loop=core)  # type: ignore[arg-type]
        begin_io(core, future, name, latency, fails)
        return future  # type: ignore[no-any-return]
    world = here.world
    if world is not None:
        return world.io(name, latency, fails)  # type: ignore[no-any-return]
    trio: Any = modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.sleep(latency)  # type: ignore[no-any-return]
    return asyncio.sleep(latency)


# The loop


class Made:
    """Weak references to the cores of this process, in the order in which they were made.

    ``number`` counts them, so that tasks of two of them have different hashes.
    """

    __slots__ = ("enough", "number", "references")

    def __init__(self) -> None:
        self.references: list[Any] = []
        self.enough = 50
        self.number = -1

    def add(self, core: Any) -> None:
        """Remember it; forgets those that are gone, each time they may have doubled."""
        self.number += 1
        if len(self.references) > self.enough:
            self.references = [each for each in self.references if each() is not None]
            self.enough = 50 + 2 * len(self.references)
        self.references.append(_new_reference(core))


_made = Made()


def loops_alive() -> list[Any]:
    """asyncio's loops among them; other runtimes have cores, too."""
    found = [each() for each in _made.references]
    return [loop for loop in found if isinstance(loop, asyncio.AbstractEventLoop)]


def registering(add: Callable[[Any], None]) -> Callable[[Any], None]:
    """``add`` for a register of tasks that need not hold those that loops of ours know."""

    def register(task: Any) -> None:
        if type(task) is not _task_type:
            add(task)

    return register


class Core:
    """What a loop holds, and what it does at every step; the rest is in the classes above it.

    Where a class above says that it is ``plain``, it does nothing else at a choice nor at what is
    chosen, and its methods for these are not looked up.
    """

    __slots__ = (
        "_actors",
        "_arrivals",
        "_asks_always",
        "_boundaries",
        "_cancel_handles",
        "_cancels",
        "_closed",
        "_every_choice",
        "_go_on",
        "_number",
        "_overdue",
        "_patient",
        "_plain",
        "_planned",
        "_posts",
        "_ready",
        "_running",
        "_scheduler",
        "_shortcut",
        "_task_factory",
        "_thread",
        "_timers",
        "_walk",
        "errors",
        "fired",
        "hashed",
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
    _patient: bool
    _scheduler: Any
    _shortcut: Any
    _walk: RandomWalk | None

    def __init__(
        self,
        scheduler: Any,
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
        self.hashed = 0
        self.uncontrolled: list[Issue] = []
        self.errors: list[str] = []
        self.log: Any = [] if record else None
        self.trace: Any = [] if record else None
        self._running = self._closed = False
        self.root = Owner("", "", Part(""), True)
        self.last = Actor("", self.root)
        self.fired: list[Fault] = []
        self.met: dict[Fault, None] = {}
        self._every_choice = every_choice
        self._asks_always = False
        obey(self, scheduler)
        self._plain: bool = getattr(self, "plain", False)
        self._planned: set[Fault] = set()
        self._cancels: list[Fault] = []
        if faults:
            self._planned.update(fault for fault in faults if fault.kind in OF_IO)
            self._cancels.extend(fault for fault in faults if fault.kind not in OF_IO)
        self._ready: deque[Any] = _new_queue()
        self._arrivals: list[Pending] = []
        self._posts: list[Post] = []
        self._go_on: GoOn = GoOn(self.root)
        self._timers: list[tuple[float, int, Timer]] = []
        self._overdue: list[Timer] = []
        self._thread = _ident()
        _made.add(self)
        self._task_factory: Any = None
        self._actors: dict[str, Actor] = {}
        self._cancel_handles: dict[Fault, Pending] = {}
        self._boundaries: dict[Fault, Any] = {}
        # only the low bits of a hash decide the order of a set, and collisions look higher
        self._number = (_made.number & 0xFFFFF) << 40

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Any:
        if context is None:
            context = _copy_context()
        handle: Handle = Handle.__new__(Handle)
        handle.callback = callback
        handle.args = args
        handle.context = context
        self._ready.append(handle)
        return handle

    def create_task(
        self,
        coro: Any,
        *,
        name: Any = None,
        context: Context | None = None,
        **options: Any,
    ) -> Any:
        loop: Any = self
        owner: Any = _owner_of(None)
        if owner is None:  # work of nobody's, or a context that the program has made, and empty
            owner = loop._owner_around()
            if owner is not self.root and context is None:
                context = _copy_context()
        if context is not None or self._task_factory is not None or options:
            return loop._create_task_with(coro, name, context, options, owner)
        if owner.heir() is owner:
            actor = enlist(self, f"{owner.label}/{owner.numbered(name_for(coro))}", owner)
        else:
            actor = new_actor(self, name_for(coro), owner)
            context = _copy_context()
            context.run(_set_owner, actor.owner)
        return make(self, coro, actor, name or actor.name, context, None)

    def _new_actor(self, name: str, owner: Owner) -> Actor:
        return new_actor(self, name, owner)

    def _enlist(self, name: str, owner: Owner) -> Actor:
        return enlist(self, name, owner)

    def _make(
        self,
        coro: Any,
        actor: Actor,
        name: Any,
        context: Context | None,
        options: dict[str, Any],
    ) -> ControlledTask:
        return make(self, coro, actor, name, context, options)

    def pending_tasks(self) -> list[asyncio.Task[Any]]:
        """Tasks that are not done, in the order in which they were made."""
        pending = []
        for each in self._actors.values():
            actor: Actor = each
            task = actor.reference()
            if task is not None and not task.done():
                pending.append(task)
        return pending

    def create_future(self) -> asyncio.Future[Any]:
        return NumberedFuture(loop=self)  # type: ignore[arg-type]

    def time(self) -> float:
        return self.now

    def is_running(self) -> bool:
        return self._running

    def label(self) -> str:
        """The label of the operation that is running now, "" outside any."""
        owner: Owner = _owner_of(self.root)
        return owner.label

    def io(
        self, name: Any, latency: float, fails: type[BaseException] | None
    ) -> asyncio.Future[None]:
        """A future that the arrival of this I/O completes, or fails where a fault says so."""
        future: Any = _new_future(loop=self)  # type: ignore[arg-type]
        begin_io(self, future, name, latency, fails)
        return future  # type: ignore[no-any-return]

    def _begin_io(
        self, future: Any, name: Any, latency: float, fails: type[BaseException] | None
    ) -> None:
        begin_io(self, future, name, latency, fails)

    def _live_arrivals(self) -> list[Pending]:
        return live(self._arrivals)

    def _options(self) -> list[Any]:
        """Cancellations, arrivals (those from threads last), and the next timer."""
        loop: Any = self
        options: list[Any] = loop._possible_cancels() if self._cancels else []
        if self._arrivals:
            options += live(self._arrivals)
        if self._posts:
            options += self._live_posts()
        if self._timers:
            options += self._offered_timers()
        return options

    def _later_options(self) -> list[Any]:
        """What may still join once a timer has: further timers, and what threads send."""
        options: list[Any] = [*self._live_posts()] if self._posts else []
        options += self._offered_timers()
        return [option for option in options if type(option) is not Latency]

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
            heappop(timers)
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

    def _obey(self, scheduler: Any) -> None:
        obey(self, scheduler)

    def _pick(self, options: list[Any]) -> int:
        return _picked(self, options)

    def _choose(self, options: list[Any]) -> int:
        if len(options) == 1 and not self._every_choice and not self._asks_always:
            return 0
        index: int = self._scheduler.choose(options, self.last)
        if not 0 <= index < len(options):
            raise IndexError(f"the scheduler chose {index} of {len(options)} options")
        return index

    def _take(self, option: Pending) -> None:
        """Let this arrival or timer happen: it is ready now."""
        loop: Any = self
        if isinstance(option, Timer):
            self._pass_time(option)
            if type(option) is Latency:
                option.callback(*option.args)
                return
        elif option.kind == "cancel":
            self._cancels.remove(option.args[0])
            if type(option) is Jump:
                loop._jump(option)
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
            heappop(timers)
        else:  # an alone run may repeat its joint run's order
            timers[:] = [entry for entry in timers if entry[2] is not until]
            heapify(timers)

    def _run_handle(self, handle: Handle) -> None:
        run_handle(self, handle)

    def _enter(self) -> tuple[Any, Any]:
        """Become the running loop, whose asynchronous generators are its own; what was before."""
        loop: Any = self
        outside = _loop_now(), _hooks_now()
        _set_hooks(loop._asyncgen_begins, loop._asyncgen_dropped)
        _be_loop(loop)
        self._running = True
        if "anyio" in _modules:  # whose back end is imported by its first call, too late
            loop._adopt_anyio()
        return outside

    def _leave(self, loop: Any, hooks: Any) -> None:
        self._running = False
        _be_loop(loop)
        _set_hooks(*hooks)

    def _forget(self) -> None:
        """Drop all that is pending."""
        for pending in (
            self._ready,
            self._arrivals,
            self._posts,
            self._timers,
            self._overdue,
            self._cancel_handles,
            self._boundaries,
        ):
            if pending:
                pending.clear()

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""
        raise NotImplementedError

    def run(self, main: Any) -> Any:
        """Run ``main`` to its end; returns its result or raises what it raised.

        Raises Blocked when nothing can ever happen again, OutOfSteps past ``max_steps``.
        """
        loop: Any = self
        outside = loop._enter()
        try:
            actor = new_actor(self, name_for(main), self.root)
            actor.owner.root = True  # each task it starts is on its own, as operations are
            task = make(self, main, actor, actor.name, context_of(actor.owner), None)
            loop.drive(task.done)
            return task.result()
        finally:
            loop._leave(*outside)

    # Records

    def _record(self, handle: Pending) -> None:
        owner: Owner = handle.owner
        self.log.append(_arrival(handle.key, owner.user, self.now, owner.part.events))
        self._record_in_trace(handle)

    def _record_in_trace(self, handle: Pending) -> None:
        kind = handle.known_as or handle.kind
        owner: Owner = handle.owner
        self.trace.append(_step_taken(self.now, owner.label, f"{kind} {handle.number}"))

    def _record_step(self, actor: Actor) -> None:
        owner: Owner = actor.owner
        part: Part = owner.part
        self.now = part.step(self.now)
        self.trace.append(_step_taken(self.now, actor.name, "step"))

    def _count(self, handle: Handle) -> None:
        """Count a plain callback among the events of whoever it belongs to."""
        owner: Owner | None = None
        if isinstance(handle, Pending):
            owner = handle.owner
        elif handle.context is not None:
            owner = handle.context.get(OWNER)
        if owner is not None:
            owner.part.events += 1


_io_of_core = Core.io

# What runs often and no class above overrides: functions, which the compiled form calls directly


def obey(core: Core, scheduler: Any) -> None:
    """From now on this one decides what happens next."""
    core._scheduler = scheduler
    if type(scheduler) is RandomWalk:
        core._walk = scheduler
        core._shortcut = None
        patient = core._walk.patient
    else:
        core._walk = None
        core._shortcut = getattr(scheduler, "pick", None)
        patient = getattr(scheduler, "patient", False)
    core._patient = patient and not (core._every_choice or core._asks_always)


def _picked(core: Core, options: list[Any]) -> int:
    """The scheduler's choice where all options are steps and arrivals."""
    loop: Any = core
    if core._walk is not None:
        return _walked(core._walk, options)
    if core._shortcut is not None:
        return core._shortcut(options)  # type: ignore[no-any-return]
    return loop._choose(options)  # type: ignore[no-any-return]


def new_actor(core: Core, name: str, owner: Owner) -> Actor:
    """For a task of this owner's, or for one that is to be an owner of its own."""
    heir = owner.heir()
    if heir is not None:
        return enlist(core, f"{owner.label}/{owner.numbered(name)}", heir)
    label = owner.numbered(name)
    if owner.label:
        label = f"{owner.label}/{label}"
    return enlist(core, label, Owner(label, owner.user, owner.part))


def enlist(core: Core, name: str, owner: Owner) -> Actor:
    """A new actor under this name, or one like it."""
    actors = core._actors
    if name in actors:  # two owners of one label, or a label used twice
        number = 2
        while f"{name}~{number}" in actors:
            number += 1
        name = f"{name}~{number}"
    actor = Actor(name, owner, core._number)
    actors[name] = actor
    core._number += 1
    return actor


def make(
    core: Core,
    coro: Any,
    actor: Actor,
    name: Any,
    context: Context | None,
    options: dict[str, Any] | None,
) -> ControlledTask:
    """The task that is this actor."""
    task: Any = _new_task(_task_type)
    task.actor = actor
    actor.reference = _new_reference(task)
    if options:
        _init_task(task, coro, loop=core, name=name, context=context, **options)
    else:
        _init_task(task, coro, loop=core, name=name, context=context)
    return task  # type: ignore[no-any-return]


def live(arrivals: list[Pending]) -> list[Pending]:
    """The same list, without those that can never happen any more."""
    for each in arrivals:
        handle: Pending = each
        future: Any = handle.future
        if handle.callback is None:
            break
        if type(future) is _new_future:  # nearly always
            if _is_done(future):
                break
        elif future is not None and future.done():
            break
    else:
        return arrivals
    arrivals[:] = [handle for handle in arrivals if not handle.is_off()]
    return arrivals


def run_handle(core: Core, handle: Handle) -> None:
    """Call what waited; what it raises is the exception handler's."""
    loop: Any = core
    callback = handle.callback
    try:
        _called(handle)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        loop._failed(callback, error)


def complete_at_once(core: Core, arrival: Pending) -> None:
    """What running this live arrival of simulated I/O would do, where it would be run next."""
    if core.log is not None:
        arrival.owner.part.events += 1
    future: Any = arrival.args[0]
    if type(future) is _new_future:
        _set_result(future, None)
    else:
        future.set_result(None)


def admit_one(core: Core) -> bool:
    """What ``_poll`` does where only arrivals are pending and one of them is enough.

    Simulated I/O, which would be alone in its iteration, happens at once.
    """
    arrivals = live(core._arrivals)
    count = len(arrivals)
    if not count:
        return False
    place = _picked(core, arrivals) if count > 1 else 0
    option: Pending = arrivals[place]
    del arrivals[place]
    if core.log is not None:
        core._record(option)
    if option.callback is _complete:
        core.steps += 1
        complete_at_once(core, option)
    else:
        core._ready.append(option)
    return True


def begin_io(
    core: Core, future: Any, name: Any, latency: float, fails: type[BaseException] | None
) -> None:
    """Have an arrival complete this future, or fail it where a fault says so."""
    loop: Any = core
    owner: Owner = _owner_of(core.root)
    nth = owner.io_count
    owner.io_count = nth + 1
    if name in _kinds:
        name = f"io {name}"
    counts = owner.counts
    number: Any = counts.get(name, 0)
    counts[name] = number + 1
    handle: Pending = Pending.__new__(Pending)
    handle.callback = _complete
    handle.args = (future,)
    handle.context = None
    handle.actor = core.last
    handle.owner = owner
    handle.kind = name
    handle.number = number
    handle.future = future
    handle.priority = -1.0
    if core._planned:
        if fails is not None and loop._fails(owner, nth):
            handle.callback = fail
            handle.args = (future, fails(f"injected failure of {name}"))
        latency += loop._delayed(owner, nth)
    if latency > 0:
        loop._delay(handle, latency)
    else:
        core._arrivals.append(handle)


class StockCore(Core):
    """Drives a loop whose ready callbacks run first-in first-out."""

    __slots__ = ()

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""
        loop: Any = self
        ready, arrivals, posts = self._ready, self._arrivals, self._posts
        timers, overdue, cancels = self._timers, self._overdue, self._cancels
        patient, plain = self._patient, self._plain
        recording = self.log is not None
        turns, fair = 0, FAIR
        following = ready.popleft
        while not done():
            if not ready:
                self.idles += 1
                turns = 0
                if not patient or timers or posts or cancels or overdue:
                    self._poll()
                elif arrivals and (admit_one(self) if plain else loop._admit_one()) and not ready:
                    continue
                if not ready:
                    if loop._threads_sent():
                        continue
                    raise Blocked("; ".join(loop.waiting()))
            elif turns >= fair:
                self._poll(hurried=True)
                turns = 0
            elif not patient or cancels or overdue or (timers and timers[0][0] <= self.now):
                self._poll()
            turns += 1
            batch = len(ready)
            self.steps += batch
            if self.steps > self.max_steps:
                raise OutOfSteps
            while batch:
                batch -= 1
                handle: Handle = following()
                callback = handle.callback
                if callback is None:
                    continue
                task = stepping(callback)
                if task is not None:
                    actor: Actor = task.actor
                    self.last = actor
                    actor.steps += 1
                    if recording:
                        self._record_step(actor)
                else:
                    kind = type(callback)
                    if kind is _wakeup_type or kind is _step_type:
                        loop._look_closer(handle)
                    elif recording:
                        self._count(handle)
                try:
                    _called(handle)
                except (KeyboardInterrupt, SystemExit):
                    raise
                except BaseException as error:
                    loop._failed(callback, error)
                if posts and not patient:
                    loop._admit_posts()

    def _admit_one(self) -> bool:
        return admit_one(self)

    def _poll(self, *, hurried: bool = False) -> None:
        """Let arrivals join this iteration, one question each, until nothing more shall.

        ``hurried``: at least one has to.
        """
        ready = self._ready
        if ready and self._cancels and not self._every_choice:
            loop: Any = self
            loop._cancel_behind_first_steps()
        overdue = self._take_overdue() if self._overdue else []
        timed = False
        while True:
            options = self._later_options() if timed else self._options()
            if ready or overdue:
                if not options:
                    break
                if not hurried:
                    self._go_on.owner = self.last.owner
                    options.insert(0, self._go_on)
            elif not options:
                return
            option = options[self._choose(options)]
            if option is self._go_on:
                break
            if isinstance(option, Timer | Jump) and type(option) is not Latency:
                ready.extend(overdue)
                overdue.clear()
                timed = True
            self._take(option)
            hurried = False
            if ready and self._patient and not (self._cancels or self._is_due()):
                break
        ready.extend(overdue)

    def _take_overdue(self) -> list[Timer]:
        overdue = [timer for timer in self._overdue if timer.callback is not None]
        overdue.sort(key=_time_of)
        self._overdue.clear()
        if self.trace is not None:
            for timer in overdue:
                self._record_in_trace(timer)
        return overdue


def _time_of(timer: Timer) -> float:
    return timer.time


class PortableCore(Core):
    """Drives a loop on which any task may take the next step."""

    __slots__ = (
        "_behind",
        "_nameless",
        "_stepped",
        "_steps",
        "_turns",
        "_turns_of_last",
        "_waiting_steps",
    )

    def __init__(self, scheduler: Any, **options: Any) -> None:
        Core.__init__(self, scheduler, **options)
        self._steps: list[TaskStep] = []
        self._nameless: list[TaskStep] = []
        self._behind: list[tuple[Actor, Actor, int]] = []
        self._turns = 0
        self._turns_of_last = 0
        self._stepped = False
        self._waiting_steps = 0

    def _forget(self) -> None:
        """Drop all that is pending."""
        Core._forget(self)
        self._steps.clear()
        self._nameless.clear()

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Any:
        """Queue a plain callback, or make a task's next step an option."""
        loop: Any = self
        if context is None:
            context = _copy_context()
        task = stepping(callback)
        if task is not None:
            actor: Actor = task.actor
            step: TaskStep = TaskStep.__new__(TaskStep)
            step.callback = callback
            step.args = args
            step.context = context
            step.actor = actor
            step.owner = actor.owner
            step.kind = "step"
            step.priority = -1.0
            self._steps.append(step)
            return step
        kind = type(callback)
        if (kind is _wakeup_type or kind is _step_type) and task_of(callback) is not None:
            return loop._queue_foreign(TaskStep(callback, args, context, None, None))
        handle: Handle = Handle.__new__(Handle)
        handle.callback = callback
        handle.args = args
        handle.context = context
        self._ready.append(handle)
        return handle

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""
        loop: Any = self
        ready = self._ready
        recording = self.log is not None
        batch = len(ready)
        while not done():
            self.steps += 1
            if self.steps > self.max_steps:
                raise OutOfSteps
            if not batch:
                if self._plain:
                    choose_next(self)
                else:
                    loop._next()
                batch = len(ready)
                continue
            batch -= 1
            handle: Handle = ready.popleft()
            if handle.callback is not None:
                if recording:
                    self._count(handle)
                if self._plain:
                    run_handle(self, handle)
                else:
                    loop._run_handle(handle)

    def _next(self) -> None:
        choose_next(self)


def choose_next(core: PortableCore) -> None:
    """The next step of some task, or an arrival, or neither while callbacks are ready."""
    loop: Any = core
    steps = core._steps
    if not steps:
        core.idles += not core._ready
    elif core._nameless:
        loop._find_actors()
    if core._stepped:
        core._waiting_steps = len(steps)
        core._stepped = False
    if core._behind:
        steps = loop._offered_steps()
    core._turns += 1
    if core._ready or core._turns > FAIR or core._turns_of_last > FAIR:
        options = loop._fair_options()
    elif core._timers or core._posts or core._cancels:
        options = steps + loop._others()
    else:
        options = steps + live(core._arrivals)
        count = len(options)
        alone = core._plain and steps is core._steps
        if count > 1 or (count and alone and not (core._every_choice or core._asks_always)):
            place = _picked(core, options) if count > 1 else 0
            if alone:
                happens_alone(core, place)
            else:
                happens(core, options[place])
            return
    if not options:
        if core._ready or loop._threads_sent():
            return
        raise Blocked("; ".join(loop.waiting()))
    happens(core, options[loop._choose(options)])


def happens(core: PortableCore, option: Any) -> None:
    """Let the option that was chosen happen."""
    loop: Any = core
    if type(option) is TaskStep:
        core._steps.remove(option)
        begin_step(core, option)
        loop._run_handle(option)
    elif option is not core._go_on:
        core._turns = 0
        loop._take(option)


def happens_alone(core: PortableCore, place: Any) -> None:
    """The same for one of the steps or arrivals, where nothing is ready before it.

    Simulated I/O, which would be run next, happens at once.
    """
    waiting = len(core._steps)
    if place < waiting:
        step: TaskStep = core._steps.pop(place)
        begin_step(core, step)
        run_handle(core, step)
        return
    core._turns = 0
    arrival: Pending = core._arrivals[place - waiting]
    if arrival.callback is not _complete or core.steps >= core.max_steps:
        core._take(arrival)
        return
    del core._arrivals[place - waiting]
    if core.log is not None:
        core._record(arrival)
    core.steps += 1
    complete_at_once(core, arrival)


def begin_step(core: PortableCore, step: TaskStep) -> None:
    """Count the step of this task, and note it where that is wanted."""
    actor: Actor = step.actor
    if core.log is not None:
        owner: Owner = actor.owner
        part: Part = owner.part
        core.log.append(_arrival(step.key, owner.user, core.now, part.events))
        core.trace.append(_step_taken(core.now, actor.name, "step"))
        core.now = part.step(core.now)
    actor.steps += 1
    core._stepped = True
    core._turns_of_last = core._turns_of_last + 1 if actor is core.last else 0
    core.last = actor
