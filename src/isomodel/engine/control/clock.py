"""The clock under control: ``time`` and ``datetime`` read virtual time inside an execution.

The time of day is 2024-01-01T00:00:00Z plus virtual time; the monotonic clocks are virtual time
itself, as ``loop.time()`` is. Local time is in the machine's zone, so that naive values from
``now()``, ``fromtimestamp()`` and ``localtime()`` agree. Out of reach: time that C code reads on
its own (a database's ``CURRENT_TIMESTAMP``). Virtual time stands still while a step runs: a loop
that spins until a clock moves on never ends.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from typing import Any

from isomodel.engine.control.patches import Patches, Substitute
from isomodel.engine.control.sources import EPOCH, Sources, active

WAITS = frozenset({"queue", "socketserver", "subprocess", "threading"})
"""These measure how long the thread has really been blocked: virtual time would not pass."""


def install(patches: Patches) -> None:
    """Add the controlled clocks to the patches."""
    patches.substitute(_substitutes())
    for name, controlled in (("now", _now), ("utcnow", _utcnow)):
        method = _class_method(datetime.datetime.__dict__[name], controlled)
        patches.attribute(datetime.datetime, name, method)


def _substitutes() -> Iterator[Substitute]:
    yield Substitute(time.time, Sources.wall)
    yield Substitute(time.time_ns, lambda sources: EPOCH * 10**9 + _nanoseconds(sources))
    for clock in ("monotonic", "perf_counter", "process_time", "thread_time"):
        if hasattr(time, clock):
            elapsed = Substitute(getattr(time, clock), lambda sources: sources.now(), spared=WAITS)
            yield elapsed
            yield Substitute(getattr(time, clock + "_ns"), _nanoseconds)
    if hasattr(time, "clock_gettime"):
        yield Substitute(time.clock_gettime, _clock_gettime)
        yield Substitute(time.clock_gettime_ns, _clock_gettime_ns)
    yield Substitute(time.sleep, _sleep)
    yield from _calendar()


def _calendar() -> Iterator[Substitute]:
    """The functions that mean now where they are given no time."""

    def seconds(original: Callable[..., Any]) -> Substitute:
        def controlled(sources: Sources, secs: float | None = None, /) -> Any:
            return original(sources.wall() if secs is None else secs)

        return Substitute(original, controlled)

    localtime, strftime, asctime = time.localtime, time.strftime, time.asctime
    yield from map(seconds, (time.localtime, time.gmtime, time.ctime))
    yield Substitute(
        strftime,
        lambda sources, form, *when: strftime(form, *(when or (localtime(sources.wall()),))),
    )
    yield Substitute(
        asctime, lambda sources, *when: asctime(*(when or (localtime(sources.wall()),)))
    )


def _nanoseconds(sources: Sources) -> int:
    return round(sources.now() * 1e9)


def _clock_gettime(sources: Sources, clock: int, /) -> float:
    return sources.wall() if clock == time.CLOCK_REALTIME else sources.now()


def _clock_gettime_ns(sources: Sources, clock: int, /) -> int:
    return _nanoseconds(sources) + (EPOCH * 10**9 if clock == time.CLOCK_REALTIME else 0)


def _sleep(sources: Sources, seconds: float, /) -> None:
    """Report the call, which blocks every user of the loop, and let virtual time pass instead."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    sources.report("time.sleep")
    if sources.advance is not None:
        sources.advance(seconds)


# ``date.today`` needs no patch: it asks ``time.time``, by that name.

_fromtimestamp = datetime.datetime.__dict__["fromtimestamp"]


def _now(sources: Sources, cls: type[datetime.datetime], tz: Any = None) -> Any:
    return _fromtimestamp(cls, sources.wall(), tz)


def _utcnow(sources: Sources, cls: type[datetime.datetime]) -> Any:
    return _fromtimestamp(cls, sources.wall(), datetime.UTC).replace(tzinfo=None)


def _class_method(original: Callable[..., Any], controlled: Callable[..., Any]) -> Any:
    def method(cls: type, *args: Any, **kwargs: Any) -> Any:
        sources = active()
        if sources is None:
            return original(cls, *args, **kwargs)
        return controlled(sources, cls, *args, **kwargs)

    method.__name__ = original.__name__
    method.__qualname__ = original.__qualname__
    method.__doc__ = original.__doc__
    return classmethod(method)
