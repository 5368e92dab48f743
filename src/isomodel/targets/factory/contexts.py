"""Contexts: who a request acts for. Immutable, validated, and free of everything when they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from isomodel.targets.factory.backends import Audit, KeyValue
from isomodel.targets.factory.errors import ContextExpired, InvalidId
from isomodel.values.facts import Accepted, Issued

PLACEHOLDERS = frozenset({"placeholder", "default", "temp", "none", "null", "undefined", "test"})
EMPTY: Mapping[str, Any] = MappingProxyType({})
TAGS = ("factory",)
"""What every context is tagged with, before what its request adds."""


def is_valid_id(value: str) -> bool:
    """Whether this may be an id: neither empty nor blank nor a placeholder."""
    return bool(value) and not value.isspace() and value.lower() not in PLACEHOLDERS


def check_id(field: str, value: str) -> None:
    """Raise InvalidId if this is no id."""
    if not is_valid_id(value):
        raise InvalidId(f"{field} must be a real id, not {value!r}")


def frozen(value: Any) -> Any:
    """This JSON value with nothing in it that can be changed: sharing it is copying it."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    return value


class Lifetime:
    """What must be released when a context ends: synchronous calls, last in first out."""

    __slots__ = ("_releases", "over")

    def __init__(self) -> None:
        self.over = False
        self._releases: list[Callable[[], None]] = []

    def on_end(self, release: Callable[[], None]) -> None:
        """Call ``release`` when the context ends: now, if it already has."""
        if self.over:
            release()
        else:
            self._releases.append(release)

    def end(self) -> None:
        """Release everything, once; each release runs even if another one failed."""
        self.over = True
        errors = []
        while self._releases:
            try:
                self._releases.pop()()
            except Exception as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup("clean-up of a context failed", errors)


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class UserExecutionContext:
    """For whom, in which session and request, over which connection ("" for none)."""

    user_id: str
    session_id: str
    request_id: str
    websocket_connection_id: str
    metadata: Mapping[str, Any]
    depth: int
    lifetime: Lifetime

    @classmethod
    def create_for_user(
        cls,
        user_id: str,
        session_id: str,
        request_id: str,
        websocket_connection_id: str | None = None,
        *,
        metadata: Mapping[str, Any] = EMPTY,
    ) -> UserExecutionContext:
        """A new context of this user; raises InvalidId."""
        check_id("user_id", user_id)
        check_id("session_id", session_id)
        check_id("request_id", request_id)
        if websocket_connection_id is not None:
            check_id("websocket_connection_id", websocket_connection_id)
        connection = websocket_connection_id or ""
        values = frozen(metadata) if metadata else EMPTY
        return cls(user_id, session_id, request_id, connection, values, 0, Lifetime())

    def create_child(self, **metadata: Any) -> UserExecutionContext:
        """A context one level deeper: it inherits metadata by value and ends with its parent."""
        self.check_live()
        child = UserExecutionContext(
            self.user_id,
            self.session_id,
            f"request-{uuid4().hex}",
            self.websocket_connection_id,
            frozen({**self.metadata, **metadata}),
            self.depth + 1,
            Lifetime(),
        )
        self.lifetime.on_end(child.lifetime.end)
        return child

    def check_live(self) -> None:
        """Raise ContextExpired once the context has ended."""
        if self.lifetime.over:
            raise ContextExpired("the context of this request has ended")


class LiveContexts:
    """Opens contexts and ends them: with their request, or ``ttl`` seconds after it."""

    def __init__(self, requests: KeyValue, audit: Audit, ttl: float) -> None:
        self.live: dict[str, UserExecutionContext] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._requests = requests
        self._audit = audit
        self._ttl = ttl

    async def open(
        self,
        user_id: str,
        session_id: str,
        websocket_connection_id: str | None = None,
        *,
        metadata: Mapping[str, Any] = EMPTY,
    ) -> UserExecutionContext:
        """A live context for a new request; raises InvalidId or StoreError."""
        values = self.described(metadata) if metadata else EMPTY
        context = UserExecutionContext.create_for_user(
            user_id, session_id, self.new_id(), websocket_connection_id, metadata=values
        )
        await self.admit(context)
        return context

    def new_id(self) -> str:
        """An id that no other request has, in this process or another."""
        return f"request-{uuid4().hex}"

    def described(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """This metadata, with the tags that every context has before its own."""
        return {**metadata, "tags": [*TAGS, *metadata.get("tags", ())]}

    async def admit(self, context: UserExecutionContext) -> None:
        """Record the request, and let the context live until it is closed."""
        await self._requests.put(context.request_id, context.user_id)
        request_id, user_id = context.request_id, context.user_id
        self.live[request_id] = context
        self._audit.note(Accepted("user_id", user_id, is_valid_id(user_id)))
        self._audit.note(Issued("request", request_id))
        self._audit.watch(context, "context")

    def outlive_request(self, context: UserExecutionContext) -> None:
        """Let the context go on after its request, until it is closed or its time is over."""
        request_id = context.request_id
        loop = asyncio.get_running_loop()
        self._timers[request_id] = loop.call_later(self._ttl, self.close, request_id)

    def close(self, request_id: str) -> None:
        """End this context and free all that hangs on it; again is harmless."""
        context = self.live.pop(request_id, None)
        if context is not None:
            timer = self._timers.pop(request_id, None)
            if timer is not None:
                timer.cancel()
            context.lifetime.end()

    def close_all(self, user_id: str) -> None:
        """End every context of this user."""
        for context in [each for each in self.live.values() if each.user_id == user_id]:
            self.close(context.request_id)
