"""Rate limiters: never more permits in a time than promised, and none is used up by who gave up."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal

import msgspec

from isomodel.targets.declare import observe, operation
from isomodel.targets.kits.base import Kit, error_of
from isomodel.targets.kits.making import Method, called, settled

TOLERANCE = 1e-6
"""Permits; a limiter may count in floating point numbers."""


class Pace(msgspec.Struct, frozen=True):
    """``rate`` permits in ``per`` seconds.

    ``bucket``: a burst of so many, and as many again in every so many seconds; ``window``: no
    more than that in any so many seconds.
    """

    rate: int
    per: float
    kind: Literal["bucket", "window"]
    acquire: Method


class Rate(Kit):
    """Never more permits than promised; everybody gets one in the end."""

    pace: ClassVar[Pace]

    async def start(self) -> None:
        """Make the limiter; no permit is out."""
        await super().start()
        self._granted: list[tuple[float, float]] = []

    @operation
    async def ask(self, user: str) -> str:
        """Wait for a permit."""
        return await self.mine(self._ask)

    @operation
    async def rest(self, user: str) -> str:
        """Let some time pass: a binary fraction, so that sums of times are exact."""
        await asyncio.sleep(self.pace.per * 0.625)
        return "rested"

    @observe
    async def afresh(self, user: str) -> str:
        """After a while of quiet, as many permits as promised can be had at once."""
        return await self.once("afresh", self._afresh)

    async def _ask(self) -> str:
        asked = asyncio.get_running_loop().time()
        await settled(called(self.system, self.pace.acquire))
        got = asyncio.get_running_loop().time()
        self._granted.append((asked, got))
        self._check(got)
        return "granted"

    def _check(self, until: float) -> None:
        """Permits asked for and got within a time were all given within it."""
        pace = self.pace
        for since in dict.fromkeys(asked for asked, _ in self._granted):
            given = sum(1 for asked, got in self._granted if asked >= since and got <= until)
            most = float(pace.rate)
            if pace.kind == "bucket":
                most += pace.rate * (until - since) / pace.per
            elif until - since >= pace.per:
                continue
            self.promise(
                "no more permits than promised",
                given <= most + TOLERANCE,
                f"{given} permits within {until - since:g} s, where {most:g} are the most",
            )

    async def _afresh(self) -> None:
        await asyncio.sleep(2 * self.pace.per)
        tasks = [asyncio.create_task(self._ask()) for _ in range(self.pace.rate)]
        await asyncio.wait(tasks, timeout=self.pace.per / 128)
        got = sum(1 for task in tasks if task.done() and error_of(task) is None)
        self.promise(
            "after a quiet time all permits are there",
            got == len(tasks),
            f"{got} of {len(tasks)} could be had at once",
        )
        stuck = await self.patiently(*tasks)
        await self.dismissed(*stuck)
