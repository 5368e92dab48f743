"""Caches and single-flight: the value of one's own key, fresh, and no failure that stays."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import msgspec
from hypothesis import strategies as st

from isomodel.engine.world import io, note
from isomodel.targets.declare import Secret, observe, operation
from isomodel.targets.kits.base import Kit
from isomodel.targets.kits.making import Method, called, settled
from isomodel.values.facts import Used


class LoadFailed(Exception):
    """The value of a key could not be loaded, this time."""


class Shelf(msgspec.Struct, frozen=True):
    """How a value is had, and what is promised.

    ``get`` is called with the key (None: the system itself is). ``ttl``: seconds for which a value
    is good. ``single_flight``: no key is loaded twice at the same time.
    """

    get: Method | None
    forget: Method | None
    ttl: float | None
    single_flight: bool


class Load:
    """One call of the loader.

    ``seen`` is when somebody first got its value: it has been kept since then at the latest. Time
    may pass between the end of a load and that, where the cache takes a step of its own.
    """

    def __init__(self, key: str, began: int) -> None:
        self.key = key
        self.began = began
        self.ended = 0
        self.task = asyncio.current_task()
        self.seen: float | None = None


class Cache(Kit):
    """Everybody gets the value of the own key, fresh; no failure and no cancellation stays."""

    shelf: ClassVar[Shelf]

    async def start(self) -> None:
        """Make the cache, over a loader that is watched."""
        self._loads: list[Load] = []
        self._forgotten: dict[str, int] = {}
        self._times_forgotten: dict[str, int] = {}
        await super().start()

    def given(self) -> tuple[Any, ...]:
        """The loader."""
        return (self.load,)

    async def load(self, key: str) -> str:
        """The value of this key: what the cache is to keep. Fails at times."""
        load = Load(key, self.moment())
        number = len(self._loads)
        self._loads.append(load)
        if self.shelf.single_flight:
            note(Used(f"concurrent loads of {key}", self._under_way(key), self._most(key)))
        try:
            await io("load", fails=LoadFailed)
        except LoadFailed:
            raise LoadFailed(number) from None
        finally:
            load.ended = self.moment()
        return f"{number}: value of {key}"

    def _under_way(self, key: str) -> int:
        """Loads of this key that go on; one that was cancelled may still have to be told."""
        loads = (load for load in self._loads if load.key == key and not load.ended)
        return sum(1 for load in loads if load.task is None or not load.task.cancelling())

    def _most(self, key: str) -> int:
        """One, and each time it is forgotten one more that nobody is told of any longer."""
        return 1 + self._times_forgotten.get(key, 0)

    @operation(key=st.sampled_from("abc"))
    async def get(self, user: str, key: str) -> str:
        """Get what all share under this key."""
        await self.mine(lambda: self._shared(key))
        return "answered"

    @operation
    async def own(self, user: str, key: Secret) -> str:
        """Get what only this user asks for."""
        try:
            value = await self.mine(lambda: self._get(key))
        except LoadFailed:
            return "the load failed"  # its number is no user's business
        return value.partition(": ")[2]

    @observe
    async def answers(self, user: str) -> str:
        """Once all is quiet, every key answers: nothing is poisoned."""
        return await self.once("answers", self._answers)

    async def _shared(self, key: str) -> None:
        began = self.moment()
        try:
            await self._get(key)
        except LoadFailed as error:
            load = self._load_of(error.args[0] if error.args else None)
            self.promise(
                "a failure is not kept",
                load is not None and load.key == key and load.ended > began,
                "it was answered with a failure from before it was asked",
            )

    async def _get(self, key: str) -> str:
        began, now = self.moment(), asyncio.get_running_loop().time()
        if self.shelf.get is None:
            value = await settled(self.system(key))
        else:
            value = await settled(called(self.system, self.shelf.get, key))
        self._check(str(value), key, began, now)
        return str(value)

    def _check(self, value: str, key: str, began: int, now: float) -> None:
        """The value is one that was loaded for this key, and still good when it was asked for."""
        number, _, rest = value.partition(": ")
        load = self._load_of(int(number) if number.isdigit() else None)
        loaded = load is not None and load.key == key and rest == f"value of {key}"
        self.promise(
            "whoever asks gets the value of the own key",
            loaded,
            f"asked for {key!r}, got {value!r}",
        )
        if load is None or not loaded:
            return
        ttl, age = self.shelf.ttl, 0.0 if load.seen is None else now - load.seen
        self.promise(
            "no value outlives its time",
            ttl is None or age <= ttl,
            f"{key!r} had been there for {age:g} s when it was asked for",
        )
        if load.seen is None:
            load.seen = asyncio.get_running_loop().time()
        self.promise(
            "what was forgotten is loaded anew",
            load.began > self._forgotten.get(key, 0) or load.ended > began,
            f"the value of {key!r} is from before it was forgotten",
        )

    def _load_of(self, number: Any) -> Load | None:
        known = isinstance(number, int) and 0 <= number < len(self._loads)
        return self._loads[number] if known else None

    async def _answers(self) -> None:
        for key in dict.fromkeys(load.key for load in self._loads):
            task = asyncio.create_task(self._get(key))
            stuck = await self.patiently(task)
            error = None if stuck or task.cancelled() else task.exception()
            trouble = "it never does" if stuck else "it is cancelled" if task.cancelled() else ""
            if error is not None:
                trouble = f"it raises {type(error).__name__}: {error}"
            self.promise("every key answers in the end", not trouble, f"{key!r}: {trouble}")
            await self.dismissed(*stuck)


class Expiring(Cache):
    """Values are good for a while."""

    @operation
    async def later(self, user: str) -> str:
        """Let the better part of their time pass."""
        assert self.shelf.ttl is not None
        await asyncio.sleep(self.shelf.ttl * 0.625)
        return "later"


class Forgetting(Cache):
    """Values can be forgotten."""

    @operation(key=st.sampled_from("abc"))
    async def forget(self, user: str, key: str) -> str:
        """Have this key loaded anew."""
        await self.mine(lambda: self._forget(key))
        return "forgotten"

    async def _forget(self, key: str) -> None:
        assert self.shelf.forget is not None
        self._times_forgotten[key] = self._times_forgotten.get(key, 0) + 1
        began = self.moment()
        await settled(called(self.system, self.shelf.forget, key))
        self._forgotten[key] = max(began, self._forgotten.get(key, 0))
