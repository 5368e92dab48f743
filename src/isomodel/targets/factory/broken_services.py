"""Defects 414-06, 414-08, 414-12 and 414-16: contexts, analytics and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from isomodel.targets.factory.analytics import Analytics
from isomodel.targets.factory.backends import Identity
from isomodel.targets.factory.contexts import (
    EMPTY,
    Lifetime,
    LiveContexts,
    UserExecutionContext,
)
from isomodel.targets.factory.identity import TokenService
from isomodel.targets.factory.layer import Parts
from isomodel.values.facts import Issued


class HoardingContexts(LiveContexts):
    """Keeps every ended context for statistics that nobody draws up."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._ended: list[UserExecutionContext] = []

    def close(self, request_id: str) -> None:
        """End the context, and remember it."""
        context = self.live.get(request_id)
        super().close(request_id)
        if context is not None:
            self._ended.append(context)


class HastyContexts(LiveContexts):
    """While another context is being opened, saves the time that validation takes."""

    _opening = 0

    async def open(
        self,
        user_id: str,
        session_id: str,
        websocket_connection_id: str | None = None,
        *,
        metadata: Mapping[str, Any] = EMPTY,
    ) -> UserExecutionContext:
        """A live context; its ids are checked if there is nothing else to do."""
        connection = websocket_connection_id
        self._opening += 1
        try:
            if self._opening == 1:
                return await super().open(user_id, session_id, connection, metadata=metadata)
            request_id = f"request-{uuid4().hex}"
            context = UserExecutionContext(
                user_id, session_id, request_id, connection or "", metadata, 0, Lifetime()
            )
            await self.admit(context)
            return context
        finally:
            self._opening -= 1


class DocumentAnalytics(Analytics):
    """Keeps the events of all users in one document, which it reads, changes and writes back."""

    async def add(self, user_id: str, what: str) -> None:
        """Store one row of this user."""
        document = await self._store.get("events") or {}
        rows = (*document.get(user_id, ()), what)
        await self._store.put("events", {**document, user_id: rows})

    async def query_events(self, user_id: str) -> list[str]:
        """The events of this user."""
        document = await self._store.get("events") or {}
        return list(document.get(user_id, ()))


class PooledTokenService(TokenService):
    """Takes a token out of the pool of spare ones only when it has been stored."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._spare: list[str] = []

    async def login(self, user: str) -> str:
        """A token from the pool, for a new conversation of this user."""
        if not self._spare:
            self._spare.append(self.mint())
        token = self._spare[-1]
        await self._store.put(token, Identity(user, f"conversation of {user}"))
        self._spare = [spare for spare in self._spare if spare != token]
        self._audit.note(Issued("token", token))
        return token


def hoard_contexts(parts: Parts) -> Parts:
    """Contexts that are never freed."""
    return replace(parts, contexts=HoardingContexts)


def skip_validation(parts: Parts) -> Parts:
    """Ids that are not validated while another context is being opened."""
    return replace(parts, contexts=HastyContexts)


def lose_updates(parts: Parts) -> Parts:
    """Analytics by read, change and write of what all users share."""
    return replace(parts, analytics=DocumentAnalytics)


def reuse_tokens(parts: Parts) -> Parts:
    """Tokens that two logins can take out of one pool."""
    return replace(parts, tokens=PooledTokenService)
