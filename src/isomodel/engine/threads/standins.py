"""What stands in for the few functions on which ``threading`` is built: start, identity, time.

They are put into the modules of the standard library that use them, while executions run, and do
what they always did for whoever is not a thread of ours. Names of threads are counted anew in each
execution, as they would be in a new process.
"""

from __future__ import annotations

import _thread
import _threading_local
import asyncio
import concurrent.futures._base as futures
import concurrent.futures.thread as pools
import functools
import gc
import itertools
import logging
import queue
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import BuiltinMethodType
from typing import Any

from isomodel.engine.threads import sqlite
from isomodel.engine.threads.crew import Crew
from isomodel.engine.threads.here import active
from isomodel.engine.threads.locks import give, take
from isomodel.engine.threads.loop import new_event_loop
from isomodel.engine.threads.members import ControlledThread, Ended

_threading: Any = threading
_pools: Any = pools

_start_thread = _thread.start_new_thread
_get_ident = _thread.get_ident


def names() -> Iterator[tuple[Any, str, Any]]:
    """Each module or class, with one of its names and what takes its place."""
    yield _thread, "start_new_thread", _start
    yield _thread, "start_new", _start
    if hasattr(_threading, "_start_new_thread"):
        yield _threading, "_start_new_thread", _start
    if sys.version_info >= (3, 13):
        yield _threading, "local", _threading_local.local
    if hasattr(_threading, "_start_joinable_thread"):
        yield _threading, "_start_joinable_thread", _joinable(_threading._start_joinable_thread)
        yield _threading, "_ThreadHandle", _handle(_threading._ThreadHandle)
    else:
        yield _threading, "_set_sentinel", _sentinel(_threading._set_sentinel)
    for name in ("__enter__", "wait", "notify"):
        yield threading.Condition, name, _adopting(getattr(threading.Condition, name))
    for kind in (threading.Thread, futures.Future):
        yield kind, "__init__", _numbering(kind.__init__)
        yield kind, "__hash__", _number_of
    yield futures, "id", _number_of
    yield _threading, "get_ident", ident
    yield _thread, "get_ident", ident
    yield _threading, "get_native_id", _native(_threading.get_native_id)
    for module in (asyncio, asyncio.events):
        yield module, "new_event_loop", new_event_loop(asyncio.events.new_event_loop)
    for module in (sqlite3, sqlite3.dbapi2):
        yield module, "connect", sqlite.connecting(sqlite3.connect)
    yield _threading, "_time", _clock(time.monotonic)
    yield queue, "time", _clock(time.monotonic)


def ident() -> int:
    """Which thread this is."""
    crew = active()
    return _get_ident() if crew is None or crew.current is None else crew.current.ident


def _native(original: Callable[[], int]) -> Callable[[], int]:
    def get_native_id() -> int:
        crew = active()
        return original() if crew is None or crew.current is None else crew.current.ident

    return get_native_id


def _clock(original: Callable[[], float]) -> Callable[[], float]:
    def monotonic() -> float:
        crew = active()
        return original() if crew is None else crew.now

    return monotonic


def adopt_conditions() -> None:
    """Conditions keep methods of their locks: have those made before control use ours, too."""
    for thing in gc.get_objects():
        if issubclass(type(thing), threading.Condition):  # a proxy would pass itself off as one
            _adopt(thing)


def _adopt(condition: Any) -> None:
    lock = condition._lock
    for name in ("acquire", "release", "_release_save", "_acquire_restore", "_is_owned"):
        if type(vars(condition).get(name)) is BuiltinMethodType:
            setattr(condition, name, getattr(lock, name))


def _adopting(original: Callable[..., Any]) -> Callable[..., Any]:
    """A method of conditions, for one that the garbage collector does not tell of."""

    @functools.wraps(original)
    def method(self: Any, *args: Any, **options: Any) -> Any:
        if active() is not None:
            _adopt(self)
        return original(self, *args, **options)

    return method


# Order

_NUMBER = "_isomodel_number"


def _numbering(original: Callable[..., None]) -> Callable[..., None]:
    """Number what our threads make, so that sets of it have one order in every execution."""

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **options: Any) -> None:
        crew = active()
        if crew is not None:
            crew.made += 1
            self.__dict__[_NUMBER] = crew.made
        original(self, *args, **options)

    return __init__


def _number_of(thing: Any) -> int:
    number: int | None = thing.__dict__.get(_NUMBER)
    return object.__hash__(thing) if number is None else number


# Starting


def _start(function: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: Any = None) -> int:
    crew = active()
    if crew is None:
        return _start_thread(function, args, kwargs or {})
    return _spawn(crew, function, lambda: function(*args, **(kwargs or {}))).ident


def _spawn(crew: Crew, function: Any, body: Callable[[], object]) -> ControlledThread:
    """A thread of ours, which as a rule runs a ``Thread`` object."""
    thread: Any = getattr(function, "__self__", None)
    if not isinstance(thread, _threading.Thread):
        return crew.spawn(_short(function), body)
    target = getattr(thread, "_target", None)
    name = _short(target) if target is not None else type(thread).__name__
    started = crew.spawn(name, body)
    started.daemon = thread.daemon
    # the starter waits until a thread has begun, which here would be two switches for nothing
    crew.keep_plain(thread._started._cond._lock)
    thread._started.set()
    if hasattr(thread, "_tstate_lock"):
        thread._tstate_lock = _held_until_the_end_of(started, crew)
    return started


def _short(function: Any) -> str:
    name = getattr(function, "__qualname__", None) or type(function).__name__
    return str(name).rpartition(".")[2].replace(" ", "_")


def _sentinel(original: Callable[[], Any]) -> Callable[[], Any]:
    """A lock that is released when the running thread has ended."""

    def set_sentinel() -> Any:
        crew = active()
        thread = None if crew is None else crew.current
        if crew is None or thread is None:
            return original()
        lock = thread.sentinel or _held_until_the_end_of(thread, crew)
        give(lock)  # the caller takes it at once
        return lock

    return set_sentinel


def _held_until_the_end_of(thread: ControlledThread, crew: Crew) -> Any:
    lock = thread.sentinel = _thread.allocate_lock()
    crew.keep_plain(lock)
    crew.ends[id(lock)] = f"waits for {thread.name} to end"
    take(lock)

    def ended() -> None:
        take(lock, False)  # whether or not somebody has taken it since
        give(lock)
        crew.wake(lock)

    thread.on_end.append(ended)
    return lock


class _Handle:
    """What Python 3.13 has instead of that lock."""

    def __init__(self) -> None:
        self.ident = 0
        self._done = False

    def is_done(self) -> bool:
        return self._done

    def _set_done(self) -> None:
        self._done = True
        crew = active()
        if crew is not None:
            crew.wake(self)

    def join(self, timeout: float | None = None) -> None:
        crew = active()
        if crew is None:
            return
        until = None if timeout is None or timeout < 0 else crew.now + timeout
        while not self._done and not (until is not None and crew.now >= until):
            crew.wait(self, "waits for a thread to end", until)


def _handle(original: Any) -> Callable[[], Any]:
    def make() -> Any:
        return original() if active() is None else _Handle()

    return make


def _joinable(original: Callable[..., Any]) -> Callable[..., Any]:
    def start(function: Any, /, handle: Any = None, daemon: bool = True) -> Any:
        crew = active()
        if crew is None:
            return original(function, handle=handle, daemon=daemon)
        handle = handle or _Handle()
        started = _spawn(crew, function, function)
        started.daemon = daemon
        handle.ident = started.ident
        started.on_end.append(handle._set_done)
        return handle

    return start


# One execution


class _Active(dict[int, Any]):
    """The ``Thread`` objects by identity; one for a body is made when it is asked for."""

    def __missing__(self, ident: int) -> Any:
        crew = active()
        if crew is None or crew.current is None or crew.current.ident != ident:
            raise KeyError(ident)
        crew.quiet += 1
        try:
            thread: Any = threading.Thread(name=crew.current.name, daemon=False)
            thread._started.set()
            thread._set_ident()
        finally:
            crew.quiet -= 1
        self[ident] = thread
        return thread


def _but_of_ended(hook: Callable[[Any], object]) -> Callable[[Any], object]:
    """Told of errors in finalisers, unless that is how we end a thread that waits in one."""

    def unraisable(error: Any, /) -> None:
        if not isinstance(error.exc_value, Ended):
            hook(error)

    return unraisable


class Interpreter:
    """What ``threading`` keeps for the process: as new when an execution begins, as before after.

    ``leave`` is what the interpreter does at its end: it waits for all threads but daemons.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._before: list[tuple[Any, str, Any]] = []

    def enter(self) -> None:
        """Begin."""
        self._set(_threading, "_counter", itertools.count(1).__next__)
        self._set(_threading, "_active", _Active(_threading._active))
        self._set(_threading, "_limbo", {})
        self._set(_threading, "excepthook", self._uncaught)
        self._set(sys, "unraisablehook", _but_of_ended(sys.unraisablehook))
        for name in ("_shutdown_locks", "_dangling"):
            if hasattr(_threading, name):
                self._set(_threading, name, type(getattr(_threading, name))())
        self._set(pools, "_threads_queues", type(_pools._threads_queues)())
        counter = itertools.count().__next__
        self._set(pools.ThreadPoolExecutor, "_counter", counter)
        for lock in ("_active_limbo_lock", "_shutdown_locks_lock"):
            if hasattr(_threading, lock):
                self._crew.keep_plain(getattr(_threading, lock))
        self._crew.keep_plain(_pools._global_shutdown_lock)
        # taken only where a logger has not yet cached its level: in a process's first executions
        self._crew.keep_plain(logging._lock)  # type: ignore[attr-defined]
        self._crew.on_ending.append(self._silence)

    def _silence(self) -> None:
        """Pools log whatever ends a worker, and so they would our ending it."""
        self._set(_pools._base.LOGGER, "disabled", True)

    def _set(self, holder: Any, name: str, value: Any) -> None:
        self._before.append((holder, name, getattr(holder, name)))
        setattr(holder, name, value)

    def leave(self) -> None:
        """The program's main function has returned: pools are told, and threads waited for."""
        for work in list(_pools._threads_queues.values()):
            work.put(None)
        me = self._crew.current
        for thread in list(self._crew.threads.values()):
            while thread is not me and not thread.daemon and not thread.over:
                self._crew.wait(thread, f"waits for {thread.name} to end")

    def undo(self) -> None:
        """After the execution."""
        for holder, name, value in reversed(self._before):
            setattr(holder, name, value)
        self._before.clear()

    def _uncaught(self, args: Any) -> None:
        """What a thread raised, and nobody caught."""
        error = args.exc_value
        current = self._crew.current
        if error is None or isinstance(error, (Ended, SystemExit)) or current is None:
            return
        self._crew.failed(current, error)
