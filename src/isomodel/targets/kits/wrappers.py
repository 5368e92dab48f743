"""Wrappers of calls (retries, time limits, breakers) and task groups: what is mine stays mine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from hypothesis import strategies as st

from isomodel.engine.world import io, note
from isomodel.targets.declare import Secret, operation
from isomodel.targets.kits.base import Kit
from isomodel.targets.kits.bounded import Mistake
from isomodel.targets.kits.making import settled
from isomodel.values.facts import Used


class CallFailed(Exception):
    """The wrapped function did not succeed, this time."""


class Wrapper(Kit):
    """Whoever calls gets the answer to the own call, or an error of the own call."""

    together = ()
    attempts: ClassVar[int | None]

    async def start(self) -> None:
        """Wrap a function that is watched."""
        self._attempts: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        await super().start()

    def given(self) -> tuple[Any, ...]:
        """The function to wrap."""
        return (self.answer,)

    async def answer(self, text: str) -> str:
        """What is called: fails at times."""
        self._attempts[text] = self._attempts.get(text, 0) + 1
        if self.attempts is not None:
            note(Used("attempts of one call", self._attempts[text], self.attempts))
        await io("call", fails=CallFailed)
        if self._attempts[text] <= self._failures.get(text, 0):
            raise CallFailed
        return f"answer to {text}"

    @operation(failures=st.integers(0, 4))
    async def call(self, user: str, text: Secret, failures: int) -> str:
        """Call what fails so many times; tell the answer, or the name of the error."""
        self._failures[text] = failures
        return await self.mine(lambda: self._call(text))

    async def _call(self, text: str) -> str:
        try:
            answer = str(await settled(self.system(text)))
        except Exception as error:  # its text may hold an address
            return type(error).__name__
        self.promise(
            "whoever calls gets the own answer",
            answer == f"answer to {text}",
            f"called with {text!r}, got {answer!r}",
        )
        return answer


class Scope(msgspec.Struct, frozen=True):
    """How a group starts a child, given as a coroutine function without arguments."""

    start: Callable[[Any, Callable[[], Any]], Any]


class Group(Kit):
    """No child outlives its group; errors and cancellations stay within it."""

    together = ()
    scope: ClassVar[Scope]

    async def start(self) -> None:
        """Keep what makes a group."""
        await super().start()
        self._running: dict[int, None] = {}

    @operation
    async def both(self, user: str, text: Secret) -> list[str]:
        """Let two children work, and collect what they say."""
        said: list[str] = []
        await self.mine(lambda: self._grouped(self._says(said, text), self._says(said, text)))
        return said

    @operation
    async def broken(self, user: str, text: Secret) -> list[str]:
        """Let one of two children fail."""
        said: list[str] = []
        outcome = "the error was swallowed"
        try:
            await self.mine(lambda: self._grouped(self._says(said, text), self._fails))
        except* Mistake:
            outcome = "failed as meant"
        return [outcome]

    async def _grouped(self, *children: Callable[[], Any]) -> None:
        mine: list[int] = []
        try:
            async with await settled(self.system()) as group:
                for child in children:
                    self.scope.start(group, self._watched(child, mine))
        finally:
            left = sum(1 for number in mine if number in self._running)
            note(Used("children that outlive their group", left, 0))

    def _watched(self, child: Callable[[], Any], mine: list[int]) -> Callable[[], Any]:
        async def watched() -> None:
            number = self.moment()
            mine.append(number)
            self._running[number] = None
            try:
                await child()
            finally:
                del self._running[number]

        return watched

    def _says(self, said: list[str], text: str) -> Callable[[], Any]:
        async def says() -> None:
            await io("work")
            said.append(f"{text}, done")

        return says

    async def _fails(self) -> None:
        await io("work")
        raise Mistake
