"""Locks and simple queues of the interpreter, taken and waited for under control, in place.

The methods of these classes are exchanged while executions run: all that the standard library
builds on them (``threading``, ``queue``, ``concurrent.futures``, ``logging``), and every lock that
was made before, waits under control, too. A lock is really taken, so that threads outside cannot
take it; waiting is what the crew does instead. Where nothing under control has what a thread waits
for, that is an alarm and no deadlock.
"""

from __future__ import annotations

import _queue
import _thread
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from isomodel.engine.threads.crew import Crew
from isomodel.engine.threads.here import active
from isomodel.engine.threads.members import LOCKED

_LOCK: Any = type(_thread.allocate_lock())
_RLOCK: Any = _thread.RLock
_QUEUE: Any = _queue.SimpleQueue

_NOTIFIED = threading.Condition.wait.__code__
"""Where a lock is taken twice on purpose: its second release is the notification."""

take: Callable[..., bool] = _LOCK.__dict__["acquire"]
"""The lock's own ``acquire``."""
give: Callable[[Any], None] = _LOCK.__dict__["release"]
"""The lock's own ``release``."""
_take_again: Callable[..., bool] = _RLOCK.__dict__["acquire"]
_give_back: Callable[[Any], None] = _RLOCK.__dict__["release"]
_put = _QUEUE.__dict__["put"]
_get = _QUEUE.__dict__["get"]


def methods() -> Iterator[tuple[type, str, Any]]:
    """Each class, with the name of a method and what takes its place."""
    once: dict[str, Any] = {
        "acquire": _acquire,
        "__enter__": _acquire,
        "acquire_lock": _acquire,
        "release": _release,
        "release_lock": _release,
        "__exit__": _exit(_release),
        "locked": _locked,
        "locked_lock": _locked,
    }
    again = _Again()
    often: dict[str, Any] = {
        "acquire": again.acquire,
        "__enter__": again.acquire,
        "release": again.release,
        "__exit__": _exit(again.release),
        "_is_owned": again.is_owned,
        "_release_save": again.release_save,
        "_acquire_restore": again.acquire_restore,
        "_recursion_count": again.recursion_count,
    }
    yield from ((_LOCK, name, method) for name, method in once.items())
    for name, method in often.items():
        if name in _RLOCK.__dict__:
            yield _RLOCK, name, _plain(method)
    yield _QUEUE, "put", _queue_put
    yield _QUEUE, "put_nowait", lambda self, item: _queue_put(self, item)
    yield _QUEUE, "get", _queue_get
    yield _QUEUE, "get_nowait", lambda self: _queue_get(self, False)
    for name in ("empty", "qsize"):
        yield _QUEUE, name, _queue_looked_at(_QUEUE.__dict__[name])


def release_all(crew: Crew) -> None:
    """Give back the locks that were not released when the execution ended."""
    for lock, held in crew.reentrant.values():
        for _ in range(held.count):
            _give_back(lock)
    for lock, _ in crew.holders.values():
        if type(lock) is _LOCK and _locked_of(lock):
            give(lock)
    crew.reentrant.clear()
    crew.holders.clear()


# Locks


def _acquire(self: Any, blocking: bool = True, timeout: float = -1) -> bool:
    crew = active()
    if crew is None:
        return take(self, blocking, timeout)
    limit = None
    if not (blocking is True and timeout == -1):
        limit = _limit(take, _thread.allocate_lock, blocking, timeout)
    if id(self) not in crew.plain:
        crew.touch(self, "holder", write=True)
    if not take(self, False):
        until = None if limit is None else crew.now + limit
        notified = sys._getframe(1).f_code is _NOTIFIED
        why = crew.ends.get(id(self), "waits to be notified" if notified else LOCKED)
        while not take(self, False):
            if not blocking or (until is not None and crew.now >= until):
                return False
            crew.wait(self, why, until)
    assert crew.current is not None
    crew.holders[id(self)] = self, crew.current
    return True


def _release(self: Any) -> None:
    give(self)
    crew = active()
    if crew is not None:
        crew.holders.pop(id(self), None)
        crew.wake(self)


def _locked(self: Any) -> bool:
    crew = active()
    if crew is not None and id(self) not in crew.plain:
        crew.touch(self, "holder", write=False)
    return bool(_locked_of(self))


_locked_of = _LOCK.__dict__["locked"]


def _exit(release: Callable[[Any], None]) -> Callable[..., None]:
    def __exit__(self: Any, *error: object) -> None:
        release(self)

    return __exit__


def _limit(
    original: Callable[..., bool], kind: Callable[[], Any], blocking: Any, timeout: Any
) -> float | None:
    """For how long to wait; None: for ever.

    Raises what the original raises for bad arguments: it is asked to take a lock of nobody's.
    """
    original(kind(), blocking, timeout)
    return None if timeout == -1 else float(timeout)


# Reentrant locks


def _plain(method: Callable[..., Any]) -> Callable[..., Any]:
    """A function, which becomes a method of the class it is put in; a bound method would not."""

    def function(self: Any, *args: Any, **options: Any) -> Any:
        return method(self, *args, **options)

    return function


class Held:
    """Who has a reentrant lock, and how many times."""

    __slots__ = ("count", "thread")

    def __init__(self, thread: Any) -> None:
        self.thread = thread
        self.count = 0


class _Again:
    """Reentrant locks: the original takes all threads of ours for one, so who has it is kept here.

    The original is taken as often as the lock is, which keeps real threads out.
    """

    def acquire(self, lock: Any, blocking: bool = True, timeout: float = -1) -> bool:
        crew = active()
        if crew is None:
            return _take_again(lock, blocking, timeout)
        limit = None
        if not (blocking is True and timeout == -1):
            limit = _limit(_take_again, _RLOCK, blocking, timeout)
        if id(lock) not in crew.plain:
            crew.touch(lock, "holder", write=True)
        until = None if limit is None else crew.now + limit
        while True:
            held = crew.reentrant.get(id(lock), (None, None))[1]
            if (held is None or held.thread is crew.current) and _take_again(lock, False):
                break
            if not blocking or (until is not None and crew.now >= until):
                return False
            crew.wait(lock, LOCKED, until)
        if held is None:
            held = Held(crew.current)
            crew.reentrant[id(lock)] = (lock, held)
            crew.holders[id(lock)] = lock, held.thread
        held.count += 1
        return True

    def release(self, lock: Any) -> None:
        crew = active()
        held = None if crew is None else crew.reentrant.get(id(lock), (None, None))[1]
        if crew is None or (held is None and crew.ending):
            _give_back(lock)
            return
        if held is None or held.thread is not crew.current:
            raise RuntimeError("cannot release un-acquired lock")
        _give_back(lock)
        held.count -= 1
        if not held.count:
            del crew.reentrant[id(lock)]
            crew.holders.pop(id(lock), None)
            crew.wake(lock)

    def is_owned(self, lock: Any) -> bool:
        crew = active()
        if crew is None:
            return bool(_is_owned(lock))
        held = crew.reentrant.get(id(lock), (None, None))[1]
        return held is not None and held.thread is crew.current

    def recursion_count(self, lock: Any) -> int:
        crew = active()
        if crew is None:
            return int(_RLOCK_COUNT(lock))
        held = crew.reentrant.get(id(lock), (None, None))[1]
        return held.count if held is not None and held.thread is crew.current else 0

    def release_save(self, lock: Any) -> Any:
        crew = active()
        if crew is None:
            return _save(lock)
        count = self.recursion_count(lock)
        if not count:
            raise RuntimeError("cannot release un-acquired lock")
        for _ in range(count):
            self.release(lock)
        return count

    def acquire_restore(self, lock: Any, saved: Any) -> None:
        crew = active()
        if crew is None:
            _restore(lock, saved)
            return
        for _ in range(saved):
            self.acquire(lock)


_is_owned = _RLOCK.__dict__["_is_owned"]
_save = _RLOCK.__dict__["_release_save"]
_restore = _RLOCK.__dict__["_acquire_restore"]
_RLOCK_COUNT: Any = _RLOCK.__dict__.get("_recursion_count")


# Simple queues


def _queue_put(self: Any, item: Any, block: bool = True, timeout: float | None = None) -> None:
    crew = active()
    if crew is not None:
        crew.touch(self, "items", write=True)
    _put(self, item)
    if crew is not None:
        crew.wake(self)


def _queue_get(self: Any, block: bool = True, timeout: float | None = None) -> Any:
    crew = active()
    if crew is None:
        return _get(self, block, timeout)
    if block and timeout is not None and timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")
    crew.touch(self, "items", write=True)
    until = None if timeout is None else crew.now + timeout
    while True:
        try:
            return _get(self, False)
        except queue.Empty:
            if not block or (until is not None and crew.now >= until):
                raise
        crew.wait(self, "waits for an item of a queue", until)


def _queue_looked_at(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def looked_at(self: Any) -> Any:
        crew = active()
        if crew is not None:
            crew.touch(self, "items", write=False)
        return original(self)

    return looked_at
