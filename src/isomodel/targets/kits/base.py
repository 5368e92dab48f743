"""What all kits have in common: the system, its promises, and relief for who waits by design."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, ClassVar, TypeVar

from isomodel.engine.arrivals import LONG
from isomodel.engine.world import io, note
from isomodel.targets.declare import USERS
from isomodel.targets.kits.making import Made, Make, Method, check_methods
from isomodel.values.facts import Broken

Result = TypeVar("Result")
Due = Sequence[Coroutine[Any, Any, Any]]

PATIENCE = 10 * LONG
"""Seconds of virtual time after which a final check takes something for stuck: more than a few slow
I/Os take one after another."""

CHECKED = "checked"

PAUSE = 1e6
"""Seconds of virtual time that nobody else waits for: over when nothing else can happen."""


def error_of(task: asyncio.Task[Any]) -> BaseException | None:
    """What a task that is done failed with; it may have been cancelled by the system."""
    return asyncio.CancelledError() if task.cancelled() else task.exception()


class Kit:
    """A target that is made by naming a constructor and methods.

    What it tests is shared by design: who waits for whom, and in which order one's own requests
    end, rightly depends on others. So all users are judged together, by promises and invariants,
    and not by noninterference; kits of what is nobody else's business say ``together = ()``.
    """

    together: ClassVar[tuple[tuple[str, ...], ...]] = (USERS,)
    make: ClassVar[Make]
    methods: ClassVar[tuple[Method | None, ...]] = ()
    patience: ClassVar[float] = PATIENCE
    cancels: ClassVar[str] = "operations"
    scopes: ClassVar[bool] = False

    async def start(self) -> None:
        """Make the system; raises BadInput if it lacks a method that is named."""
        self._made = Made()
        self._moment = 0
        self._checked: set[str] = set()
        await self._made.enter(type(self).make, *self.given())
        check_methods(self.system, self.methods)

    def given(self) -> tuple[Any, ...]:
        """What the constructor is given."""
        return ()

    @property
    def system(self) -> Any:
        """What is tested."""
        return self._made.system

    async def leave(self, user: str) -> None:
        """Log out; whatever task of this user's is still there has been forgotten."""

    async def stop(self) -> None:
        """Dismiss the system."""
        trouble = await self._made.leave(self.patience)
        self.promise("it can be closed in the end", not trouble, trouble)

    # For the kits

    def promise(self, what: str, kept: bool, why: str) -> None:
        """Report a promise that was not kept."""
        if not kept:
            note(Broken(what, why))

    def moment(self) -> int:
        """The number of this moment, larger than those of all before it."""
        self._moment += 1
        return self._moment

    async def once(self, name: str, check: Callable[[], Awaitable[None]]) -> str:
        """Make this final check for the first user who asks; what it sees, promises tell."""
        if name not in self._checked:
            self._checked.add(name)
            await check()
        return CHECKED

    async def mine(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """What ``work()`` returns; a cancellation must have been meant for this task.

        A request begins with I/O of its own, so that requests meet in any order.
        """
        try:
            await io("request")
            return await work()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            self.promise(
                "a cancellation strikes only whom it is meant for",
                task is None or task.cancelling() > 0,
                "CancelledError came to one whom nobody had cancelled",
            )
            raise

    async def patiently(self, *tasks: asyncio.Task[Any]) -> list[asyncio.Task[Any]]:
        """Wait for these tasks as long as anything can be expected; those that are still stuck."""
        await asyncio.wait(tasks, timeout=self.patience)
        return [task for task in tasks if not task.done()]

    async def dismissed(self, *tasks: asyncio.Task[Any]) -> None:
        """Cancel those of these tasks that are not done, and wait for them."""
        for task in tasks:
            task.cancel()
        if tasks:
            await self.patiently(*tasks)


class Relieved(Kit):
    """A kit whose users may wait by design for somebody who will not come."""

    async def start(self) -> None:
        """Make the system; nobody waits."""
        await super().start()
        self._relief = Relief(self.due)

    def due(self) -> Due:
        """What those wait for who wait by design."""
        raise NotImplementedError

    async def once(self, name: str, check: Callable[[], Awaitable[None]]) -> str:
        """As in every kit; nobody is helped any more."""
        await self._relief.end()
        return await super().once(name, check)

    async def stop(self) -> None:
        """Dismiss it."""
        await self._relief.end()
        await super().stop()


class Relief:
    """Helps those who wait by design for somebody who will not come.

    A getter waits for an item, a putter for room, and a scenario may end without. So once
    nothing else can happen, ``due`` is asked for what is due by the kit's own accounts, and that
    is done beside. Nothing is due where the system owes somebody: whom it has forgotten goes on
    waiting, and *liveness* sees it. Whatever changes the accounts has to tell (``changed``).
    """

    def __init__(self, due: Callable[[], Due]) -> None:
        self._due = due
        self._changed = asyncio.Event()
        self._tasks = [asyncio.create_task(self._relieve())]

    def changed(self) -> None:
        """Somebody begins to wait, goes on, or gives up."""
        self._changed.set()

    async def end(self) -> None:
        """Help nobody any more; whatever help is still under way is given up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks, timeout=PATIENCE)

    async def _relieve(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(PAUSE)
            self._changed.clear()
            self._tasks += [asyncio.create_task(each) for each in self._due()]
