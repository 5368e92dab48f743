"""Tasks of trio under stable names, what they wait for, and how their callers give them up."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from typing import TYPE_CHECKING, Any

import trio

from isomodel.engine.giving_up import Boundary, GivenUp
from isomodel.engine.owner import Actor
from isomodel.engine.runtime import Cancelled
from isomodel.values.schedule import Fault

if TYPE_CHECKING:
    from isomodel.engine.trio.engine import TrioEngine


class TrioTask:
    """A task, as ``engine.runtime.Doing``: one that was started here, or a child of a nursery.

    One that was started here has a scope, in which whoever asked for it can give it up. A child has
    none: trio cancels scopes and not tasks, and those of its nursery are the program's to cancel.
    """

    __slots__ = ("__weakref__", "_error", "_value", "actor", "fatal", "scope", "task")

    def __init__(self, actor: Actor, scope: Any = None) -> None:
        self.actor = actor
        self.task: Any = None
        self.scope = scope
        self.fatal: BaseException | None = None
        self._error: BaseException | None = None
        self._value: Any = None

    async def body(self, coro: Coroutine[Any, Any, Any]) -> None:
        """Run this; keep what it returns or raises, and let nothing out."""
        try:
            with self.scope:
                self._value = await coro
                return
            self._error = Cancelled()
        except BaseException as error:
            self._error = error
            self.fatal = _fatal(error)

    def done(self) -> bool:
        """Whether it has ended."""
        return self.task is None

    def result(self) -> Any:
        """What it returned; raises what it raised, Cancelled if it was cancelled."""
        if self._error is not None:
            raise self._error
        return self._value

    def cancel(self) -> None:
        """Cancel it, at all of its checkpoints, if it can be cancelled by itself."""
        if self.scope is not None:
            self.scope.cancel()

    def get_coro(self) -> Any:
        """What it runs."""
        return self.task.coro if self.task is not None else None


def _fatal(error: BaseException) -> BaseException | None:
    """The end of the process in this error, if it is one, or one of several."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for each in error.exceptions if (found := _fatal(each))), None)
    return error if isinstance(error, SystemExit | KeyboardInterrupt) else None


class Awaited:
    """What simulated I/O completes: awaited like a function of trio's, that is, a checkpoint."""

    __slots__ = ("_done", "_engine", "_error", "_task", "actor")

    def __init__(self, *, loop: TrioEngine) -> None:
        self._engine = loop
        self._task: Any = None
        self._error: BaseException | None = None
        self._done = False
        self.actor: Actor | None = None
        """The task that waits for it."""

    def get_loop(self) -> TrioEngine:
        """The runtime in which it was made."""
        return self._engine

    def done(self) -> bool:
        """Whether nothing more can come of it: it has come, or nobody waits for it any more."""
        return self._done

    def set_result(self, result: None) -> None:
        """It has come."""
        self._done = True
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)

    def set_exception(self, error: BaseException) -> None:
        """It has failed."""
        self._error = error
        self.set_result(None)

    def __await__(self) -> Generator[Any, Any, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
        except trio.Cancelled:
            self._done = True
            raise
        if not self._done:
            self._task = trio.lowlevel.current_task()
            self.actor = self._engine.last
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        if self._error is not None:
            raise self._error

    def _abort(self, raise_cancel: Any) -> trio.lowlevel.Abort:
        self._done = True
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


class Scope:
    """``with trio.CancelScope()``: what a caller waits in, and gives up when it is struck."""

    def __init__(self, left_with: str) -> None:
        self._scope = trio.CancelScope()
        self._left_with = left_with

    async def around(self, awaitable: Awaitable[Any]) -> Any:
        """The result of ``awaitable``; raises GivenUp."""
        with self._scope:
            return await awaitable
        raise GivenUp(self._left_with)

    def strike(self) -> None:
        """Cancel all that goes on in it, until it is left."""
        self._scope.cancel()

    cancel = strike


def boundary_for(fault: Fault) -> Boundary:
    """What an operation has to be called in, so that this fault can strike it.

    All are cancel scopes; they differ in what the caller is left with.
    """
    return Scope("TimeoutError" if fault.kind == "timeout" else "CancelledError")
