"""A toy service with one bug, as a target of ours and as a Hypothesis state machine.

A request remembers its user in a place that all share, waits, and hands its result to whoever is
remembered then. Four steps show it, by hand, with a rule that lets a waiting request go on:
``create`` for one user, ``dispatch`` of the other, ``dispatch`` of the one, and the other goes
on. For ours that is Size(2, 3, 2, 0), found by the same reasoning: the one's ``create`` and
``dispatch`` come between the two steps of the other's, and its own last step after them. The
rest is noise, which shrinking has to remove.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from isomodel import Secret, io, observe, operation
from isomodel.values.case import Size

USERS = ("alice", "bob", "carol")
MINIMUM = Size(2, 3, 2, 0)
MINIMUM_STEPS = 4


class Service:
    """The system under test; ``pause`` is how it waits."""

    def __init__(self, pause: Callable[[], Awaitable[None]]) -> None:
        self.results: dict[str, list[str]] = {}
        self.queue: deque[str] = deque(maxlen=3)
        self._pause = pause
        self._current: str | None = None

    def create(self, user: str) -> None:
        self.results.setdefault(user, [])

    async def dispatch(self, user: str, result: str) -> None:
        self._current = user
        await self._pause()
        served = self._current or user
        if served in self.results:
            self.results[served].append(result)
        self._current = None

    async def emit(self, user: str) -> None:
        await self._pause()
        self.queue.append(user)

    async def overflow(self, user: str) -> None:
        for _ in range(2):
            self.queue.append(user)
            await self._pause()

    async def expire(self, user: str) -> None:
        await self._pause()
        self.results.pop(user, None)

    async def error(self, user: str) -> None:
        await self._pause()
        raise RuntimeError(user)


class Toy:
    """The service as our target."""

    async def start(self) -> None:
        self.service = Service(lambda: io("wait"))

    @operation
    async def create(self, user: str) -> None:
        self.service.create(user)

    @operation
    async def dispatch(self, user: str, result: Secret) -> None:
        await self.service.dispatch(user, result)

    @operation
    async def emit(self, user: str) -> None:
        await self.service.emit(user)

    @operation
    async def overflow(self, user: str) -> None:
        await self.service.overflow(user)

    @operation
    async def expire(self, user: str) -> None:
        await self.service.expire(user)

    @operation
    async def error(self, user: str) -> None:
        await self.service.error(user)

    @observe
    async def results(self, user: str) -> list[str]:
        return list(self.service.results.get(user, ()))


class _Pause:
    """An await that ends when its coroutine is resumed."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Machine(RuleBasedStateMachine):
    """The service as a state machine: a rule for each operation, one that resumes a request.

    Coroutines are driven by hand, which is faster than any loop. ``steps`` are the rules run in
    the example that failed last, which is the one that Hypothesis ends with.
    """

    failures = 0
    steps: tuple[str, ...] = ()
    failed: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self) -> None:
        super().__init__()
        self._service = Service(lambda: _Pause())  # type: ignore[arg-type, return-value]
        self._waiting: list[Any] = []
        self._ran: list[str] = []

    def _begin(self, what: str, user: str, *arguments: str) -> None:
        self._ran.append(f"{what} {user}")
        self._resume(getattr(self._service, what)(user, *arguments))

    def _resume(self, coroutine: Any) -> None:
        try:
            coroutine.send(None)
            self._waiting.append(coroutine)
        except (StopIteration, RuntimeError):
            pass
        for user, results in self._service.results.items():
            if any(whose != user for whose in results):
                type(self).steps = tuple(self._ran)
                type(self).failures += 1
                self.failed()
                raise AssertionError("isolation")

    @rule(user=st.sampled_from(USERS))
    def create(self, user: str) -> None:
        self._ran.append(f"create {user}")
        self._service.create(user)

    @rule(
        what=st.sampled_from(("emit", "overflow", "expire", "error")), user=st.sampled_from(USERS)
    )
    def other(self, what: str, user: str) -> None:
        self._begin(what, user)

    @rule(user=st.sampled_from(USERS))
    def dispatch(self, user: str) -> None:
        self._begin("dispatch", user, user)

    @precondition(lambda self: self._waiting)
    @rule(number=st.integers(0, 5))
    def resume(self, number: int) -> None:
        self._ran.append("resume")
        self._resume(self._waiting.pop(number % len(self._waiting)))

    def teardown(self) -> None:
        for coroutine in self._waiting:
            coroutine.close()
