"""Events and barriers: whoever waits goes on when it is time, and not before."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import msgspec

from isomodel.engine.world import io
from isomodel.targets.declare import observe, operation
from isomodel.targets.kits.base import Due, Relieved, error_of
from isomodel.targets.kits.making import Method, called, settled

CROWD = 3
"""How many wait at once in a final check of an event."""


class Signals(msgspec.Struct, frozen=True):
    """What an event's methods are called."""

    set: Method
    wait: Method
    clear: Method | None


class Meeting(Relieved):
    """Some wait until it is time."""

    async def start(self) -> None:
        """Make it; nobody waits."""
        await super().start()
        self._waiting: dict[int, None] = {}

    async def _wait(self, method: Method, *args: Any) -> int:
        """Wait; the moment at which the wait began."""
        began = self.moment()
        self._waiting[began] = None
        self._relief.changed()
        try:
            await settled(called(self.system, method, *args))
        finally:
            del self._waiting[began]
            self._relief.changed()
        return began


class Event(Meeting):
    """Whoever waits goes on once it is set, all of them, and nobody before."""

    signals: ClassVar[Signals]

    async def start(self) -> None:
        """Make it, not set."""
        await super().start()
        self._is_set = False
        self._last_set = 0

    @operation
    async def wait(self, user: str) -> str:
        """Wait until it is set."""
        return await self.mine(self._until_set)

    @operation
    async def set(self, user: str) -> str:
        """Set it."""
        return await self.mine(self._set)

    @observe
    async def crowd(self, user: str) -> str:
        """Once all is quiet: everybody who waits goes on when it is set."""
        return await self.once("crowd", self._crowd)

    async def _until_set(self) -> str:
        already = self._is_set
        began = await self._wait(self.signals.wait)
        self.promise(
            "whoever waits goes on only once it is set",
            already or self._last_set > began,
            "one went on although it was not set at any time since",
        )
        return "went on"

    async def _set(self) -> str:
        self._is_set, self._last_set = True, self.moment()
        await settled(called(self.system, self.signals.set))
        return "set"

    def due(self) -> Due:
        """Set it for those who wait."""
        return (self._set(),) if self._waiting and not self._is_set else ()

    async def _crowd(self) -> None:
        tasks = [asyncio.create_task(self._until_set()) for _ in range(CROWD)]
        await asyncio.sleep(1.0)
        await self._set()
        stuck = await self.patiently(*tasks)
        self.promise(
            "everybody who waits goes on when it is set", not stuck, f"{len(stuck)} still wait"
        )
        await self.dismissed(*stuck)


class Clearable(Event):
    """It can be set back."""

    @operation
    async def clear(self, user: str) -> str:
        """Set it back."""
        return await self.mine(self._clear)

    async def _clear(self) -> str:
        assert self.signals.clear is not None
        await settled(called(self.system, self.signals.clear))
        self._is_set = False
        self._relief.changed()
        return "cleared"

    async def _crowd(self) -> None:
        await self._clear()
        early = asyncio.create_task(self._until_set())
        await asyncio.sleep(1.0)
        self.promise(
            "whoever waits goes on only once it is set", not early.done(), "it had been cleared"
        )
        await self.dismissed(early)
        await super()._crowd()


class Party(msgspec.Struct, frozen=True):
    """How many go on together, and what waiting for the others is called."""

    parties: int
    wait: Method


class Barrier(Meeting):
    """As many go on together as there are parties, and nobody before they are complete."""

    party: ClassVar[Party]

    async def start(self) -> None:
        """Make it; nobody has come."""
        await super().start()
        self._spans: list[tuple[int, int]] = []

    @operation
    async def wait(self, user: str) -> str:
        """Wait until all have come."""
        return await self.mine(self._meet)

    @observe
    async def again(self, user: str) -> str:
        """Once all is quiet, as many as it takes meet again."""
        return await self.once("again", self._again)

    async def _meet(self) -> str:
        open_ended = len(self._spans)
        began = self.moment()
        self._spans.append((began, 0))
        try:
            await self._wait(self.party.wait)
        finally:
            self._spans[open_ended] = (began, self.moment())
        beside = sum(1 for span in self._spans if span[1] == 0 or span[1] > began)
        self.promise(
            "nobody goes on before all have come",
            beside >= self.party.parties,
            f"{beside} of {self.party.parties} had come",
        )
        await io("work")
        return "went on"

    def due(self) -> Due:
        """Come, if somebody waits for more than have come."""
        come, parties = len(self._waiting), self.party.parties
        return [self._meet() for _ in range(parties - come)] if 0 < come < parties else ()

    async def _again(self) -> None:
        for _ in range(2):
            tasks = [asyncio.create_task(self._meet()) for _ in range(self.party.parties)]
            stuck = await self.patiently(*tasks)
            self.promise(
                "as many as it takes meet again",
                not stuck,
                f"{len(stuck)} of {len(tasks)} never went on",
            )
            errors = [error_of(task) for task in tasks if task not in stuck and error_of(task)]
            self.promise("as many as it takes meet again", not errors, f"failed: {errors!r}")
            await self.dismissed(*stuck)
