"""What the network needs of the loop that owns it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import Any, NoReturn, Protocol, TypeAlias

from isomodel.values.schedule import FaultKind

Owner: TypeAlias = Any
"""Whose work it is; opaque here, and only compared."""


class Withdrawable(Protocol):
    """What is to happen, and can be called off."""

    def cancel(self) -> None:
        """It shall not happen."""


class Host(Protocol):
    """A loop that lets things arrive from outside, each owned by somebody."""

    working_for: Owner | None
    """Whose callback is being called: what it does in an empty context is this one's work, too."""

    def arrive(
        self,
        kind: str,
        callback: Callable[..., object],
        *args: Any,
        latency: float = 0.0,
        owner: Owner | None = None,
    ) -> Withdrawable:
        """Call ``callback`` when the scheduler lets it arrive, not before ``latency`` seconds."""

    def struck(self, owner: Owner, users: Iterable[Owner], *kinds: FaultKind) -> FaultKind | None:
        """Which of these faults strikes what is about to ``arrive`` for ``owner``, if any.

        ``users`` are those of the connection, up to now and, as the collection grows, later.
        """

    def waited(self, owner: Owner) -> bool:
        """Whether what runs now is the work of ``owner``, and nothing but time has led to it."""

    def met_stale(self, owner: Owner) -> None:
        """Note that what ``owner`` sends meets an end that was closed while it was idle."""

    def server_for(self, owner: Owner) -> Owner:
        """Whose the work of a server is on a connection that ``owner`` has made.

        Its attribute ``fresh`` is True while the connection is being made.
        """

    def turn(self, server: Owner, owner: Owner) -> None:
        """From now on the server's work on this connection is for ``owner``."""

    def be(self, owner: Owner) -> None:
        """From now on what runs in the present context is the work of ``owner``."""

    def refuse(self, what: str, advice: str) -> NoReturn:
        """Report that the program asked for this real I/O, and raise NotSimulated."""

    def owner(self) -> Owner:
        """Whose work is running now."""

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Withdrawable:
        """As asyncio's loops."""

    def create_future(self) -> asyncio.Future[Any]:
        """As asyncio's loops."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """As asyncio's loops."""
