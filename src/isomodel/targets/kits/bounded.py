"""Pools, locks, semaphores, limiters: at most so many hold a unit, and every unit comes back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

import msgspec

from isomodel.engine.world import io, note
from isomodel.targets.declare import Secret, observe, operation
from isomodel.targets.kits.base import Kit, error_of
from isomodel.targets.kits.making import Method, called, settled
from isomodel.values.facts import Used

ROUNDS = 8
"""How often the others may take a unit again before one who waits counts as starved."""

ENDED = "ended"
"""What a user sees of a request, whatever became of it."""

HURRY = 1.0
"""Seconds that a user in a hurry waits for a unit."""

Work = Callable[[Any], Any]
"""What is done with a unit; awaited if it returns something awaitable."""


class Mistake(Exception):
    """What a user does wrong while holding a unit: none of the system's business."""


class Ways(msgspec.Struct, frozen=True):
    """How a unit is had and given back, how it is told from others, and what is promised.

    ``hold`` returns an asynchronous context manager; without it ``acquire`` and ``release`` are
    called, the latter with the unit if ``hands_back``. ``unit`` gets from what was acquired to
    the thing that only one may have (None: units are all the same).
    """

    size: int
    hold: Method | None
    acquire: Method
    release: Method
    hands_back: bool
    unit: Callable[[Any], Any] | None
    use: Callable[[Any, str], Any] | None
    timeout: str
    refuses: tuple[type[Exception], ...]
    prompt: bool


class Bounded(Kit):
    """At most so many hold a unit at once; in the end every unit can be had again."""

    ways: ClassVar[Ways]

    async def start(self) -> None:
        """Make the system, of which nobody holds anything."""
        await super().start()
        self._holders = 0
        self._units: list[Any] = []
        self._held: list[int] = []
        self._requests: dict[int, bool] = {}

    @operation
    async def hold(self, user: str) -> str:
        """Hold a unit while something else takes its time."""
        return await self._request(_works)

    @operation
    async def touch(self, user: str) -> str:
        """Take a unit and give it back at once."""
        return await self._request(_nothing)

    @operation
    async def fail(self, user: str) -> str:
        """Raise an error while holding a unit."""
        raised = asyncio.Event()
        try:
            await self._request(lambda unit: _errs(raised))
        except Mistake:
            return ENDED
        self.promise(
            "whoever raises an error while holding a unit sees it",
            not raised.is_set(),
            "it was swallowed",
        )
        return ENDED

    async def _request(self, work: Work, **options: Any) -> str:
        """Hold a unit, or be refused, which may rightly depend on others."""
        with contextlib.suppress(*self.ways.refuses):
            await self.mine(lambda: self._hold(work, **options))
        return ENDED

    @observe
    async def capacity(self, user: str) -> str:
        """Once all is quiet: as many as there are units hold one at once, and one more waits."""
        return await self.once("capacity", self._capacity)

    async def _capacity(self) -> None:
        size, enough = self.ways.size, asyncio.Event()
        tasks = [
            asyncio.create_task(self._hold(lambda unit: enough.wait())) for _ in range(size + 1)
        ]
        await self.patiently(*tasks)
        served, early = self._holders, [task for task in tasks if task.done()]
        self.promise(
            "every unit is free in the end",
            served >= size,
            f"{served} of {size} can be had at once{_errors(early)}",
        )
        enough.set()
        stuck = await self.patiently(*tasks)
        self.promise(
            "whoever waits is served in the end",
            not stuck,
            f"{len(stuck)} still wait although all units were given back",
        )
        await self.dismissed(*stuck)
        wrong = [t for t in tasks if t not in stuck and not self._fine(t)]
        self.promise("a unit can be had", not wrong, f"acquiring one failed{_errors(wrong)}")

    def _fine(self, task: asyncio.Task[Any]) -> bool:
        """Whether acquiring ended as it may: well, or refused."""
        return error_of(task) is None or isinstance(error_of(task), self.ways.refuses)

    async def _hold(self, work: Work, **options: Any) -> None:
        """Hold a unit while ``work`` goes on."""
        number = self._asking()
        try:
            async with self._a_unit(**options) as unit:
                self._taken(unit)
                try:
                    await settled(work(unit))
                finally:
                    self._given(unit)
        except self.ways.refuses:
            self.promise(
                "nobody is refused a unit that is free",
                self._requests[number] or not self.ways.prompt,
                "refused although at no time so many others held or wanted one",
            )
            raise
        finally:
            del self._requests[number]

    @contextlib.asynccontextmanager
    async def _a_unit(self, **options: Any) -> AsyncIterator[Any]:
        """As a careful caller holds one."""
        ways = self.ways
        if ways.hold is not None:
            async with called(self.system, ways.hold, **options) as unit:
                yield unit
            return
        unit = await settled(called(self.system, ways.acquire, **options))
        try:
            yield unit
        finally:
            given = (unit,) if ways.hands_back else ()
            await settled(called(self.system, ways.release, *given))

    def _asking(self) -> int:
        """A new request; of each it is kept whether others ever wanted all units."""
        number = self.moment()
        self._requests[number] = False
        if len(self._requests) > self.ways.size:
            self._requests = dict.fromkeys(self._requests, True)
        return number

    def _taken(self, unit: Any) -> None:
        self._holders += 1
        note(Used("units", self._holders, self.ways.size))
        if self.ways.unit is not None:
            number = self._number(self.ways.unit(unit))
            self._held[number] += 1
            note(Used(f"unit {number}", self._held[number], 1))

    def _given(self, unit: Any) -> None:
        self._holders -= 1
        if self.ways.unit is not None:
            self._held[self._number(self.ways.unit(unit))] -= 1

    def _number(self, unit: Any) -> int:
        """The number of this very unit, which is kept so that no other gets its address."""
        for number, known in enumerate(self._units):
            if known is unit:
                return number
        self._units.append(unit)
        self._held.append(0)
        return len(self._units) - 1


class Several(Bounded):
    """There is more than one unit."""

    @operation
    async def crowd(self, user: str) -> str:
        """Hold as many units as there are, side by side, so that whoever comes has to wait."""
        return await self.mine(self._crowd)

    async def _crowd(self) -> str:
        async with asyncio.TaskGroup() as group:
            for _ in range(self.ways.size):
                group.create_task(self._one_of_many())
        return ENDED

    async def _one_of_many(self) -> None:
        with contextlib.suppress(*self.ways.refuses):
            await self._hold(_works)


class Fair(Bounded):
    """Nobody starves."""

    @observe
    async def progress(self, user: str) -> str:
        """One who waits is served, though the others take a unit again as soon as it is free."""
        return await self.once("progress", self._progress)

    async def _progress(self) -> None:
        served = asyncio.Event()
        greedy = [asyncio.create_task(self._again_and_again(served)) for _ in range(self.ways.size)]
        await asyncio.sleep(0.5)
        patient = asyncio.create_task(self._once(served))
        stuck = await self.patiently(patient, *greedy)
        starved = not stuck and not any(error_of(task) or task.result() for task in greedy)
        self.promise(
            "who comes again and again does not keep others waiting",
            not starved,
            f"one who waited was passed over {ROUNDS} times",
        )
        await self.dismissed(*stuck)

    async def _again_and_again(self, served: asyncio.Event) -> bool:
        """Whether the one who waits was served in the meantime."""
        for _ in range(ROUNDS):
            await self._hold(lambda unit: asyncio.sleep(1.0))
        return served.is_set()

    async def _once(self, served: asyncio.Event) -> None:
        await self._hold(lambda unit: served.set())


class Hurried(Bounded):
    """Some wait only so long for a unit."""

    @operation
    async def hurry(self, user: str) -> str:
        """Wait only for a while; whether that is enough is a matter of what others do."""
        return await self._request(_works, **{self.ways.timeout: HURRY})


class Working(Bounded):
    """Units are worked with, and answer."""

    async def start(self) -> None:
        """Make the system; nothing was asked of a unit."""
        await super().start()
        self._asked: list[str] = []

    @operation
    async def work(self, user: str, text: Secret) -> str:
        """Ask something of a unit; the answer must have nothing of what else was asked."""
        self._asked.append(text)
        return await self._request(lambda unit: self._ask(unit, text))

    async def _ask(self, unit: Any, text: str) -> None:
        assert self.ways.use is not None
        answer = repr(await settled(self.ways.use(unit, text)))
        foreign = [other for other in self._asked if other != text and other in answer]
        self.promise(
            "a unit answers what it is asked",
            not foreign,
            f"asked {text!r}, it answered {answer}",
        )


async def _works(unit: Any) -> None:
    await io("work")


def _nothing(unit: Any) -> None:
    pass


async def _errs(raised: asyncio.Event) -> None:
    await io("work")
    raised.set()
    raise Mistake


def _errors(tasks: list[asyncio.Task[Any]]) -> str:
    """What these tasks failed with, as the end of a sentence."""
    seen = {f"{type(error).__name__}: {error}": None for task in tasks if (error := error_of(task))}
    return f" ({'; '.join(seen)})" if seen else ""
