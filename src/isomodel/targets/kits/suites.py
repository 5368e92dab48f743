"""What a person writes: a kit, over a constructor and the names of methods.

Each function returns a target class, or, called without a constructor, a decorator of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from isomodel.targets.kits.bounded import Bounded, Fair, Hurried, Several, Ways, Working
from isomodel.targets.kits.caches import Cache, Expiring, Forgetting, Shelf
from isomodel.targets.kits.contexts import Clearing, Context, Place
from isomodel.targets.kits.making import Make, Method, declared
from isomodel.targets.kits.meetings import Barrier, Clearable, Event, Party, Signals
from isomodel.targets.kits.queues import Closing, Joined, Lane, Order, Queue
from isomodel.targets.kits.rates import Pace, Rate
from isomodel.targets.kits.wrappers import Group, Scope, Wrapper
from isomodel.values.errors import BadInput

Refusals = type[Exception] | tuple[type[Exception], ...]


def itself(unit: Any) -> Any:
    """A unit that is what it looks like."""
    return unit


def as_task(group: Any, child: Callable[[], Any]) -> Any:
    """Start a child as asyncio's task groups do."""
    return group.create_task(child())


def pool(
    make: Make | None = None,
    /,
    *,
    size: int,
    hold: Method | None = None,
    acquire: Method | None = None,
    release: Method | None = None,
    unit: Callable[[Any], Any] = itself,
    use: Callable[[Any, str], Any] | None = None,
    timeout: str = "",
    refuses: Refusals = (),
    fair: bool = True,
    **settings: Any,
) -> Any:
    """A pool of ``size`` units: never more are out, none is out twice, and none is lost.

    A unit is had by ``async with pool.hold()``, or else by ``acquire()`` and ``release(unit)``,
    each of which may be asynchronous or not. ``unit`` gets from what is acquired to the thing
    that only one may have (from a wrapper to its connection). ``use(unit, text)`` works with it,
    and its answer is what the user sees, which must be the user's own. ``timeout`` names the
    argument that limits the wait, in seconds, and ``refuses`` what is raised then. ``fair=False``
    where no promise is made that one who waits is ever served while others come again.
    ``settings`` are ``scopes``, ``cancels`` and ``patience``, as in every kit.
    """
    ways = _ways(size, hold, acquire, release, timeout, refuses, unit=unit, use=use, pooled=True)
    kit = _bounded("Pool", ways, fair)
    return declared(kit, make, ways=ways, methods=_methods(ways), **_checked(settings))


def lock(
    make: Make | None = None,
    /,
    *,
    size: int = 1,
    hold: Method | None = None,
    acquire: Method | None = None,
    release: Method | None = None,
    timeout: str = "",
    refuses: Refusals = (),
    fair: bool = True,
    **settings: Any,
) -> Any:
    """A lock, or a semaphore or limiter that lets ``size`` in: never more, and nobody is forgotten.

    As ``pool``, but the units are all the same, so that ``release()`` is given none. Acquiring
    does nothing but wait: who is refused although nobody is in the way is a finding.
    """
    ways = _ways(size, hold, acquire, release, timeout, refuses, unit=None, use=None, pooled=False)
    kit = _bounded("Lock", ways, fair)
    return declared(kit, make, ways=ways, methods=_methods(ways), **_checked(settings))


def queue(
    make: Make | None = None,
    /,
    *,
    size: int | None = None,
    order: Order = "fifo",
    put: Method = "put",
    get: Method = "get",
    done: Method | None = None,
    join: Method | None = None,
    close: Method | None = None,
    item: Callable[[str], Any] = itself,
    name: Callable[[Any], str] = itself,
    **settings: Any,
) -> Any:
    """A queue: each item is got once and by one, in order, and nobody waits who could go on.

    ``size`` is the most items that are in it before ``put`` waits (None: no limit; 0: each is
    handed over). With ``order="priority"`` the least item comes first. ``done`` says that an item
    was worked on, ``join`` waits until all were; after ``close`` nobody may go on waiting in
    ``get``. Items are short strings; ``item`` and ``name`` turn them into what the queue takes
    and back.
    """
    if size is not None and (not isinstance(size, int) or size < 0):
        raise BadInput(f"kits: size is {size!r}; it is the most items in the queue, or None")
    if join is not None and done is None:
        raise BadInput("kits: join needs done, which says that an item was worked on")
    lane = Lane(size, order, put, get, done, join, close, item, name)
    kit = _kit("Queue", Queue, (Joined, join), (Closing, close))
    methods = (put, get, done, join, close)
    return declared(kit, make, lane=lane, methods=methods, **_checked(settings))


def cache(
    make: Make | None = None,
    /,
    *,
    get: Method | None = None,
    forget: Method | None = None,
    ttl: float | None = None,
    single_flight: bool = False,
    **settings: Any,
) -> Any:
    """A cache: everybody gets the value of the own key, in time, and failures do not stay.

    ``make`` is given the loader, ``async def load(key: str) -> str``, which fails at times.
    ``get`` is called with a key (None: what was made is itself called). ``ttl``: seconds for
    which a value is good. ``forget`` is called with a key, and its value is loaded anew.
    ``single_flight``: no key is loaded twice at the same time.
    """
    if ttl is not None and ttl <= 0:
        raise BadInput(f"kits: ttl is {ttl!r}; it is the seconds for which a value is good")
    shelf = Shelf(get, forget, ttl, single_flight)
    kit = _kit("Cache", Cache, (Expiring, ttl), (Forgetting, forget))
    return declared(kit, make, shelf=shelf, methods=(get, forget), **_checked(settings))


def context(
    make: Make | None = None,
    /,
    *,
    set: Method = "set",
    get: Method = "get",
    clear: Method | None = None,
    unset: Any = None,
    **settings: Any,
) -> Any:
    """A context-local library: what is read is one's own or unset, in tasks and threads as well.

    ``set`` is called with a string, ``get`` and ``clear`` with nothing. Where nothing is set,
    ``get`` returns ``unset``, or raises LookupError or AttributeError.
    """
    kit = _kit("Context", Context, (Clearing, clear))
    place = Place(set, get, clear, unset)
    return declared(kit, make, place=place, methods=(set, get, clear), **_checked(settings))


def event(
    make: Make | None = None,
    /,
    *,
    set: Method = "set",
    wait: Method = "wait",
    clear: Method | None = None,
    **settings: Any,
) -> Any:
    """An event: whoever waits goes on once it is set, all of them, and nobody before."""
    kit = _kit("Event", Event, (Clearable, clear))
    signals = Signals(set, wait, clear)
    return declared(kit, make, signals=signals, methods=(set, wait, clear), **_checked(settings))


def barrier(
    make: Make | None = None, /, *, parties: int, wait: Method = "wait", **settings: Any
) -> Any:
    """A barrier: ``parties`` go on together, and nobody before they are complete."""
    if not isinstance(parties, int) or parties < 1:
        raise BadInput(f"kits: parties is {parties!r}; it is how many go on together, at least 1")
    party = Party(parties, wait)
    return declared(Barrier, make, party=party, methods=(wait,), **_checked(settings))


def rate(
    make: Make | None = None,
    /,
    *,
    rate: int,
    per: float,
    kind: Literal["bucket", "window"] = "bucket",
    acquire: Method = "acquire",
    **settings: Any,
) -> Any:
    """A rate limiter: ``rate`` permits in ``per`` seconds, and everybody gets one in the end.

    A ``bucket`` allows a burst of ``rate`` and as many again in any ``per`` seconds; a
    ``window`` no more than ``rate`` in any ``per`` seconds.
    """
    if rate < 1 or per <= 0:
        raise BadInput(f"kits: {rate!r} permits in {per!r} seconds; both must be positive")
    pace = Pace(rate, per, kind, acquire)
    return declared(Rate, make, pace=pace, methods=(acquire,), **_checked(settings))


def wrapper(make: Make | None = None, /, *, attempts: int | None = None, **settings: Any) -> Any:
    """A wrapper of calls (retry, time limit, breaker): whoever calls gets the own answer or error.

    ``make`` is given the function to wrap, ``async def answer(text: str) -> str``, which fails
    at times, and returns one that is called alike. ``attempts``: how often it calls the function
    for one call at most.
    """
    return declared(Wrapper, make, attempts=attempts, **_checked(settings))


def group(
    make: Make | None = None,
    /,
    *,
    start: Callable[[Any, Callable[[], Any]], Any] = as_task,
    **settings: Any,
) -> Any:
    """A task group: no child outlives it, and errors and cancellations stay within it.

    ``make`` makes what ``async with`` enters; ``start(group, child)`` has it run ``child()``.
    """
    return declared(Group, make, scope=Scope(start), **_checked(settings))


def _ways(
    size: int,
    hold: Method | None,
    acquire: Method | None,
    release: Method | None,
    timeout: str,
    refuses: Refusals,
    *,
    unit: Callable[[Any], Any] | None,
    use: Callable[[Any, str], Any] | None,
    pooled: bool,
) -> Ways:
    if not isinstance(size, int) or size < 1:
        raise BadInput(f"kits: size is {size!r}; it is the number of units, at least 1")
    if hold is not None and (acquire is not None or release is not None):
        raise BadInput("kits: hold and acquire/release are two ways to have a unit; name one")
    if timeout and not refuses:
        raise BadInput("kits: timeout needs refuses, the exception that is raised when it is over")
    return Ways(
        size=size,
        hold=hold,
        acquire=acquire or "acquire",
        release=release or "release",
        hands_back=pooled,
        unit=unit,
        use=use,
        timeout=timeout,
        refuses=refuses if isinstance(refuses, tuple) else (refuses,),
        prompt=not pooled,
    )


def _methods(ways: Ways) -> tuple[Method, ...]:
    return (ways.acquire, ways.release) if ways.hold is None else (ways.hold,)


def _bounded(name: str, ways: Ways, fair: bool) -> type:
    return _kit(
        name,
        Bounded,
        (Fair, fair),
        (Several, ways.size > 1),
        (Hurried, ways.timeout),
        (Working, ways.use),
    )


def _kit(name: str, base: type, *parts: tuple[type, object]) -> type:
    """The kit with those of its parts that apply."""
    applying = [part for part, applies in parts if applies]
    return type(name, (*applying, base), {"__doc__": base.__doc__})


SETTINGS = ("scopes", "cancels", "patience")
"""What every kit can be told besides its own options, as ``settings``.

``scopes`` and ``cancels`` are those of any target. ``patience``: the seconds, in virtual time,
after which a final check takes something for stuck.
"""


def _checked(settings: dict[str, Any]) -> dict[str, Any]:
    for name in settings:
        if name not in SETTINGS:
            raise BadInput(
                f"kits: there is no option {name!r}; every kit has {', '.join(SETTINGS)}"
            )
    return settings
