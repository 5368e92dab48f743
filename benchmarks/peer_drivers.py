"""What stands in for the peers' own drivers, so that the programs they publish run as they are.

A program is loaded with the peer's module in place, a few of whose names mean something else: what
would start a search hands over what it was to search (``Program``), what a model uses to start
threads and to make locks is the standard library's. Nothing in the program is changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import random
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

Main = Callable[[], Coroutine[Any, Any, object]]


class Program(NamedTuple):
    """What a search is given: a coroutine function, or functions for a thread each.

    ``asked`` is how the peer's own search was called.
    """

    main: Main | None = None
    bodies: tuple[Callable[..., object], ...] = ()
    setup: Callable[[], object] | None = None
    check: Callable[..., object] | None = None
    asked: Mapping[str, Any] = {}


_handed: list[Program] = []


class _Result:
    """What a program is told of the search it has started: what it expects to hear."""

    ok = True
    property_holds = False

    def assert_holds(self) -> None:
        """Nothing was searched yet."""

    def __await__(self) -> Generator[None, None, _Result]:
        return self
        yield


def captured(function: Callable[[], Any]) -> Program:
    """What this function hands to its peer's search, the last one that it starts."""
    _handed.clear()
    try:
        made = function()
        if asyncio.iscoroutine(made):
            asyncio.run(made)
    except KeyboardInterrupt:
        raise
    except BaseException:  # a test goes on to look at what was found, and nothing was yet
        if not _handed:
            raise
    if not _handed:
        raise LookupError(f"{function!r} has started no search")
    return _handed[-1]


def _hand_over(program: Program) -> _Result:
    _handed.append(program)
    return _Result()


@contextlib.contextmanager
def exchanged(peer: str, *, ours: bool) -> Iterator[None]:
    """These names of the peer mean ours inside the block; all of them, or only its search."""
    searches, primitives = _NAMES[peer]
    names = {**searches, **primitives} if ours else searches
    before = []
    for path, value in names.items():
        module, _, name = path.rpartition(".")
        holder = importlib.import_module(module)
        before.append((holder, name, getattr(holder, name)))
        setattr(holder, name, value)
    try:
        yield
    finally:
        for holder, name, value in before:
            setattr(holder, name, value)


def _as_it_is(function: Any = None, /, **options: Any) -> Any:
    """A decorator that leaves the test alone, with arguments or without."""
    return (lambda test: test) if function is None else function


# frontrun


def _explore(
    *, setup: Any, workers: Any, invariant: Any, count: int | None = None, **more: Any
) -> Any:
    bodies = (workers,) * (count or 1) if callable(workers) else tuple(workers)
    asked = {"setup": setup, "workers": bodies, "invariant": invariant, **more}
    return _hand_over(Program(None, bodies, setup, invariant, asked))


def _markers(*, setup: Any, threads: Mapping[str, Any], invariant: Any, **more: Any) -> Any:
    asked = {"setup": setup, "threads": threads, "invariant": invariant, **more}
    bodies = tuple(body for body, _ in threads.values())
    return _hand_over(Program(None, bodies, setup, invariant, asked))


# interleave-test


def _model(model: Any, **options: Any) -> Any:
    return _hand_over(Program(bodies=(model,)))


def _decorated(model: Any = None, /, **options: Any) -> Any:
    return (lambda inner: _model(inner)) if model is None else _model(model)


def _spawn(function: Any, *args: Any, name: str | None = None, **kwargs: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=args, kwargs=kwargs, name=name)
    thread.start()
    return thread


_LOCKS = ("Lock", "RLock", "Event", "Condition", "Semaphore", "BoundedSemaphore")

_NAMES: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "simloop": ({"simloop.sim_test": _as_it_is}, {}),
    "simloom": ({"simloom.test": _as_it_is}, {}),
    "seedloop": ({}, {}),
    "frontrun": (
        {
            "frontrun.explore": _explore,
            "frontrun.trace_markers.explore_marker_interleavings": _markers,
        },
        {},
    ),
    "interleave-test": (
        {"interleave_test.explore": _model, "interleave_test.interleave": _decorated},
        {
            "interleave_test.spawn": _spawn,
            **{f"interleave_test.{name}": getattr(threading, name) for name in _LOCKS},
        },
    ),
}


# simloop's network, of which its example uses names and latencies: ours has both


class _Net:
    """``loop.net``: a host's tasks are tasks; that latencies differ is explored anyway."""

    def set_defaults(self, **options: Any) -> None:
        """Latencies are choices of the schedule."""

    def host(self, name: str) -> SimpleNamespace:
        """Any name is reached."""
        return SimpleNamespace(create_task=asyncio.get_running_loop().create_task)


def with_net(test: Main) -> Main:
    """This test, on a loop that has a ``net``."""

    async def main() -> None:
        asyncio.get_running_loop().net = _Net()  # type: ignore[attr-defined]
        await test()

    return main


# seedloop's world: messages that take a while, and what must hold at every step


class World:
    """What a scenario of seedloop is given: each message takes 1 to 20 ms, as there."""

    def __init__(self) -> None:
        self.net = self
        self.rng = random
        self._boxes: dict[int, asyncio.Queue[tuple[int, object]]] = {}
        self._invariants: list[tuple[Callable[[], bool], str]] = []
        self._tasks: list[asyncio.Task[object]] = []
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def bind(self, address: int) -> _Endpoint:
        """An endpoint of the network."""
        self._boxes[address] = asyncio.Queue()
        return _Endpoint(self, address)

    def start(self, *nodes: Any) -> None:
        """Run these nodes until the scenario is over."""
        self._tasks += [asyncio.create_task(node.run()) for node in nodes]

    def always(self, holds: Callable[[], bool], *, name: str) -> None:
        """This must hold whenever a node has done something."""
        self._invariants.append((holds, name))

    def look(self) -> None:
        """Note the first invariant that does not hold."""
        for holds, name in self._invariants:
            if not holds() and not self._broken.done():
                self._broken.set_exception(AssertionError(name))

    def post(self, sender: int, to: int, message: object) -> None:
        """Put a message on its way."""
        self._tasks.append(asyncio.create_task(self._carry(sender, to, message)))

    async def take(self, address: int) -> tuple[int, object]:
        """The next message for this address."""
        return await self._boxes[address].get()

    async def _carry(self, sender: int, to: int, message: object) -> None:
        await asyncio.sleep(random.uniform(0.001, 0.02))
        self._boxes[to].put_nowait((sender, message))

    async def run(self, scenario: Any) -> None:
        """The whole scenario, to its end or to the first invariant that breaks."""
        first = asyncio.create_task(scenario(self))
        try:
            await asyncio.wait([first, self._broken], return_when=asyncio.FIRST_COMPLETED)
            self.look()
            if self._broken.done():
                self._broken.result()
            await first
        finally:
            self._broken.cancel()
            for task in (first, *self._tasks):
                task.cancel()


class _Endpoint:
    """One node's way into the network; it comes here after each thing it does."""

    def __init__(self, world: World, address: int) -> None:
        self.address = address
        self._world = world

    async def send(self, to: int, message: object) -> None:
        """Send, and go on at once."""
        self._world.look()
        self._world.post(self.address, to, message)

    async def recv(self) -> tuple[int, object]:
        """The next message, and who sent it."""
        self._world.look()
        return await self._world.take(self.address)


def in_a_world(scenario: Any) -> Main:
    """This scenario of seedloop's as a program."""

    async def main() -> None:
        await World().run(scenario)

    return main
