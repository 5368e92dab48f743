"""Queues: every item is got once, in the order promised, and nobody waits who could go on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import msgspec
from hypothesis import strategies as st

from isomodel.engine.world import io, note
from isomodel.targets.declare import observe, operation
from isomodel.targets.kits.base import Due, Relieved, error_of
from isomodel.targets.kits.making import Method, called, settled
from isomodel.values.facts import Delivered, Dropped, Sent, Used

Order = Literal["fifo", "lifo", "priority", "none"]


class Lane(msgspec.Struct, frozen=True):
    """What a queue's methods are called, and what it promises.

    ``size`` is the most items in it (None: no limit); ``order`` that in which they leave.
    """

    size: int | None
    order: Order
    put: Method
    get: Method
    done: Method | None
    join: Method | None
    close: Method | None
    item: Callable[[str], Any]
    name: Callable[[Any], str]


class Item:
    """One item's way through the queue; moments are numbers, 0 for what has not happened."""

    def __init__(self, name: str, began: int) -> None:
        self.name = name
        self.began = began
        self.put = 0
        self.given_up = False
        self.asked = 0
        self.got = 0


class Queue(Relieved):
    """Every item is got once and by one, in order; nobody waits who could go on."""

    lane: ClassVar[Lane]

    async def start(self) -> None:
        """Make the queue, with nothing in it."""
        await super().start()
        self._items: dict[str, Item] = {}
        self._gets = 0
        self._putting = 0
        self._getting = 0

    @operation(urgency=st.sampled_from("123"))
    async def put(self, user: str, urgency: str) -> str:
        """Put an item, as soon as there is room."""
        return await self.mine(lambda: self._put(urgency))

    @operation
    async def get(self, user: str) -> str:
        """Get an item, as soon as there is one, and work on it."""
        return await self.mine(self._get_and_work)

    @observe
    async def drain(self, user: str) -> str:
        """Once all is quiet: what was put is there, in order, and room for as many again."""
        return await self.once("drain", self._drain)

    # Putting and getting

    async def _put(self, urgency: str) -> str:
        item = Item(f"{urgency}-{len(self._items):03}", self.moment())
        self._items[item.name] = item
        note(Sent(item.name, ""))
        self._putting += 1
        self._relief.changed()
        try:
            await settled(called(self.system, self.lane.put, self.lane.item(item.name)))
        except BaseException:
            item.given_up = True
            raise
        finally:
            self._putting -= 1
            self._relief.changed()
        item.put = self.moment()
        if self.lane.size is not None:
            surplus = sum(1 for each in self._items.values() if each.put) - self._gets
            note(Used("places in the queue", max(surplus, 0), self.lane.size))
        return "put"

    async def _get(self) -> Item | None:
        asked = self.moment()
        self._gets += 1
        self._getting += 1
        self._relief.changed()
        try:
            value = await settled(called(self.system, self.lane.get))
        finally:
            self._getting -= 1
            self._relief.changed()
        return self._arrived(self.lane.name(value), asked)

    def _arrived(self, name: str, asked: int) -> Item | None:
        note(Delivered(name, "", f"get {asked}"))
        item = self._items.get(name)
        if item is None or item.got:
            return None
        item.asked, item.got = asked, self.moment()
        if self.lane.order == "fifo":
            self._check_overtaking(item)
        return item

    def _check_overtaking(self, item: Item) -> None:
        """Nothing that was put after this item had been put was got before it was asked for."""
        for other in self._items.values():
            overtook = other.got and other.got < item.asked and item.put and item.put < other.began
            self.promise(
                "items leave in the order in which they were put",
                not overtook,
                f"{item.name} was put before {other.name} and got after it",
            )

    async def _get_and_work(self) -> str:
        await self._get()
        try:
            await io("work")
        finally:
            if self.lane.done is not None:
                await settled(called(self.system, self.lane.done))
                self._finished()
        return "got"

    def _finished(self) -> None:
        """An item is done with."""

    # Relief

    def _there(self, *, at_most: bool = False) -> int:
        """Items that must be in the queue; with ``at_most``, those besides that may be."""
        return sum(
            1
            for item in self._items.values()
            if not item.got and (item.put or (at_most and item.given_up))
        )

    def due(self) -> Due:
        """Put an item for those who wait for one, or get one for those who wait for room."""
        if self._getting and not self._there():
            return (self._put("1"),)
        size, waits = self.lane.size, self._putting and not self._getting
        if waits and size is not None and self._there(at_most=True) >= size:
            return (self._get_and_work(),)
        return ()

    # Final checks

    async def _drain(self) -> None:
        got: list[Item] = []
        while self._there(at_most=True):
            task = asyncio.create_task(self._get_and_note(got))
            if await self.patiently(task):
                await self.dismissed(task)
                break
            error = error_of(task)
            if error is not None:
                self.promise("an item can be got", False, f"getting one failed: {error!r}")
                break
        self._check_order(got)
        for item in self._items.values():
            if item.given_up and not item.got:
                note(Dropped(item.name, "its put was given up"))
        await self._fill()

    async def _get_and_note(self, got: list[Item]) -> None:
        item = await self._get()
        if item is not None:
            got.append(item)
        if self.lane.done is not None:
            await settled(called(self.system, self.lane.done))
            self._finished()

    def _check_order(self, got: list[Item]) -> None:
        """What is drained by one, one after another, leaves in the promised order."""
        for first, second in itertools.pairwise(got):
            known = first.put and second.put
            wrong = {
                "fifo": known and second.put < first.began,
                "lifo": known and first.put < second.began,
                "priority": first.name[0] > second.name[0],
                "none": False,
            }[self.lane.order]
            self.promise(
                f"items leave in {self.lane.order} order",
                not wrong,
                f"{first.name} came before {second.name}",
            )

    async def _fill(self) -> None:
        """All room is free in the end, and no more; a closed queue lets go of who waits."""
        size = self.lane.size
        if size is None or self._there():
            return
        tasks = [asyncio.create_task(self._put("1")) for _ in range(size + 1)]
        await self.patiently(*tasks)
        room = sum(1 for task in tasks if task.done() and error_of(task) is None)
        self.promise("all room is free in the end", room >= size, f"room for {room} of {size}")
        got: list[Item] = []
        for _ in range(size + 1):
            task = asyncio.create_task(self._get_and_note(got))
            if await self.patiently(task):
                await self.dismissed(task)
        stuck = [task for task in tasks if not task.done()]
        self.promise(
            "whoever waits for room is let in", not stuck, f"{len(stuck)} still wait to put"
        )
        await self.dismissed(*stuck)


class Joined(Queue):
    """One can wait until all that was put has been worked on."""

    async def start(self) -> None:
        """Make the queue, with nothing left to work on."""
        await super().start()
        self._joining = 0
        self._idle_at = 0
        self._done = 0

    @operation
    async def join(self, user: str) -> str:
        """Wait until everything is done."""
        return await self.mine(self._join)

    def _left(self) -> int:
        return sum(1 for item in self._items.values() if item.put) - self._done

    def _finished(self) -> None:
        self._done += 1
        self._relief.changed()
        if self._left() <= 0:
            self._idle_at = self.moment()

    async def _join(self) -> str:
        began, idle = self.moment(), self._left() <= 0
        assert self.lane.join is not None
        self._joining += 1
        self._relief.changed()
        try:
            await settled(called(self.system, self.lane.join))
        finally:
            self._joining -= 1
            self._relief.changed()
        self.promise(
            "whoever joins waits until all is done",
            idle or self._left() <= 0 or self._idle_at > began,
            f"{self._left()} items were put and not done",
        )
        return "joined"

    def due(self) -> Due:
        """Besides: work on what is left, for those who wait until all is done."""
        due = super().due()
        return due or ((self._get_and_work(),) if self._joining and self._there() else ())


class Closing(Queue):
    """Who waits when it is closed is let go."""

    async def stop(self) -> None:
        """Close it while somebody waits for an item."""
        assert self.lane.close is not None
        if not self._there():
            waiting = asyncio.create_task(self._get())
            await asyncio.sleep(1.0)
            closing = asyncio.create_task(_awaited(called(self.system, self.lane.close)))
            stuck = await self.patiently(closing, waiting)
            self.promise("it can be closed", closing not in stuck, "closing it never ends")
            self.promise(
                "whoever waits is let go when it is closed",
                waiting not in stuck,
                "one who waited for an item still waits",
            )
            await self.dismissed(*stuck)
        await super().stop()


async def _awaited(value: Any) -> Any:
    return await settled(value)
