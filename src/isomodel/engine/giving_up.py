"""How a caller gives up what it waits for: a time limit of asyncio's, or a scope of anyio's.

A cancellation that somebody sends to a task ends with it. A caller's own does more: asyncio's
limit takes it back (``uncancel``) and raises TimeoutError in its place; anyio's scope delivers it
anew at every await until the scope is left, so that a clean-up that waits is cancelled, too. Both
are the libraries' own; only the moment is the scheduler's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol

from isomodel.values.schedule import Fault, FaultKind

BOUNDED: frozenset[FaultKind] = frozenset(("timeout", "scope"))
"""Faults for which an operation is called in something that its caller can give up."""


class GivenUp(Exception):
    """The caller waits no longer; the text is the name of the error that it is left with."""


class Boundary(Protocol):
    """What a caller waits in, and gives up when it is struck."""

    async def around(self, awaitable: Awaitable[Any]) -> Any:
        """The result of ``awaitable``; raises GivenUp."""

    def strike(self) -> None:
        """Give up now, if it still waits."""


class Limit:
    """``async with asyncio.timeout(...)``."""

    def __init__(self) -> None:
        self._limit: Any = asyncio.timeout(None)
        self._waits = False

    async def around(self, awaitable: Awaitable[Any]) -> Any:
        """The result, or GivenUp."""
        try:
            async with self._limit:
                self._waits = True
                return await awaitable
        except TimeoutError:
            if self._limit.expired():
                raise GivenUp("TimeoutError") from None
            raise
        finally:
            self._waits = False

    def strike(self) -> None:
        """What its timer calls once the deadline has passed."""
        if self._waits:
            self._limit._on_timeout()


class Scope:
    """``with anyio.CancelScope()``."""

    def __init__(self) -> None:
        import anyio  # only for targets that say that they use it

        self._scope = anyio.CancelScope()
        self._waits = False

    async def around(self, awaitable: Awaitable[Any]) -> Any:
        """The result, or GivenUp."""
        try:
            with self._scope:
                self._waits = True
                return await awaitable
        finally:
            self._waits = False
        raise GivenUp("CancelledError")

    def strike(self) -> None:
        """Cancel all that goes on in it, until it is left."""
        if self._waits:
            self._scope.cancel()


def boundary_for(fault: Fault) -> Boundary:
    """What an operation has to be called in, so that this fault can strike it."""
    return Limit() if fault.kind == "timeout" else Scope()
