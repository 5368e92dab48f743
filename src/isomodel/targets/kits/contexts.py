"""Context-local libraries: what I set is mine, and nobody else's, for as long as I act."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import msgspec

from isomodel.engine.world import io
from isomodel.targets.declare import Secret, observe, operation
from isomodel.targets.kits.base import Kit
from isomodel.targets.kits.making import Method, called, settled

UNSET = "unset"


class Place(msgspec.Struct, frozen=True):
    """How the value is set, read and cleared, and what is read where none is set."""

    set: Method
    get: Method
    clear: Method | None
    unset: Any


class Context(Kit):
    """What is read is one's own or unset; nothing of it outlives its request."""

    together = ()
    place: ClassVar[Place]

    @operation
    async def visit(self, user: str, value: Secret) -> list[Any]:
        """Begin without a value, set one, and find it again after something took its time."""
        return await self.mine(lambda: self._visit(value))

    @operation
    async def delegate(self, user: str, value: Secret) -> list[Any]:
        """Have tasks of one's own see it or nothing, and keep to themselves what they set."""
        return await self.mine(lambda: self._delegate(value))

    @operation
    async def thread(self, user: str, value: Secret) -> list[Any]:
        """Have a thread of one's own see it or nothing."""
        return await self.mine(lambda: self._thread(value))

    @observe
    async def residue(self, user: str) -> Any:
        """What is set where nobody has set anything."""
        return self._unset("nothing is set where nobody set anything", await self._read())

    async def _visit(self, value: str) -> list[Any]:
        first = self._unset("a request begins unset", await self._read())
        await self._set(value)
        at_once = self._own(value, await self._read())
        await io("work")
        return [first, at_once, self._own(value, await self._read())]

    async def _delegate(self, value: str) -> list[Any]:
        await self._set(value)
        async with asyncio.TaskGroup() as group:
            child = group.create_task(self._child(value))
            await io("work")
            mine = self._own(value, await self._read())
        return [mine, child.result(), self._own(value, await self._read())]

    async def _child(self, value: str) -> Any:
        await io("begin")
        inherited = self._own_or_unset(value, await self._read())
        other = f"child of {value}"
        await self._set(other)
        await io("work")
        self._own(other, await self._read())
        return inherited

    async def _thread(self, value: str) -> list[Any]:
        await self._set(value)
        seen = await asyncio.to_thread(self._in_thread)
        return [self._own_or_unset(value, seen), self._own(value, await self._read())]

    def _in_thread(self) -> Any:
        return self._plain(self._get())

    # Reading

    def _get(self) -> Any:
        try:
            return called(self.system, self.place.get)
        except (LookupError, AttributeError):
            return self.place.unset

    async def _read(self) -> Any:
        try:
            return self._plain(await settled(self._get()))
        except (LookupError, AttributeError):
            return UNSET

    def _plain(self, value: Any) -> Any:
        return UNSET if value == self.place.unset else value

    async def _set(self, value: str) -> None:
        await settled(called(self.system, self.place.set, value))

    # Judging

    def _unset(self, promise: str, seen: Any) -> Any:
        self.promise(promise, seen == UNSET, f"{seen!r} is set")
        return seen

    def _own(self, value: str, seen: Any) -> Any:
        self.promise("what I set is what I see", seen == value, f"set {value!r}, saw {seen!r}")
        return seen

    def _own_or_unset(self, value: str, seen: Any) -> Any:
        self.promise(
            "what my tasks see is mine or unset",
            seen in (value, UNSET),
            f"set {value!r}, saw {seen!r}",
        )
        return seen


class Clearing(Context):
    """The value can be cleared."""

    @operation
    async def forget(self, user: str, value: Secret) -> Any:
        """Set a value and clear it."""
        return await self.mine(lambda: self._forget(value))

    async def _forget(self, value: str) -> Any:
        assert self.place.clear is not None
        await self._set(value)
        await io("work")
        await settled(called(self.system, self.place.clear))
        return self._unset("what was cleared is unset", await self._read())
