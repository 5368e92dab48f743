"""Defects of tokens and of limits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from isomodel.targets.factory.backends import Identity
from isomodel.targets.factory.errors import InvalidToken
from isomodel.targets.factory.identity import RateLimiter, TokenService
from isomodel.targets.factory.layer import Parts
from isomodel.values.facts import Identified, Issued


class RememberingTokens(TokenService):
    """Keeps the identity it read last, and answers with it once it has looked again."""

    _identity: Identity | None = None

    async def authenticate(self, token: str) -> Identity:
        """Whom the token looked up last stands for."""
        self._identity = await self._store.get(token)
        if await self._store.get(token) is None or self._identity is None:
            raise InvalidToken("this token is not valid; log in again")
        self._audit.note(Identified(token, self._identity.user))
        return self._identity


class CrossedRefresh(TokenService):
    """Keeps the token under refresh while it looks whether it is valid."""

    _refreshing = ""

    async def refresh(self, token: str) -> str:
        """A new token for the conversation under refresh."""
        self._refreshing, fresh = token, self.mint()
        if (
            await self._store.get(token) is None
            or await self._store.rotate(self._refreshing, fresh) is None
        ):
            raise InvalidToken("this token is not valid; log in again")
        self._audit.note(Issued("token", fresh))
        return fresh


class LockedRefresh(TokenService):
    """Refreshes one token at a time, and frees the lock only when all went well."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._lock = asyncio.Lock()

    async def refresh(self, token: str) -> str:
        """A new token for the same conversation."""
        await self._lock.acquire()
        fresh = await super().refresh(token)
        self._lock.release()
        return fresh


class TwoUsersTokens(TokenService):
    """Keeps the tokens of the two users who logged in last: all that its own tests need."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._recent: list[str] = []

    async def login(self, user: str) -> str:
        """A new token; whoever logged in longest ago is logged out."""
        token = await super().login(user)
        self._recent = [*(other for other in self._recent if other != user), user]
        if len(self._recent) > 2:
            await self.logout(self._recent.pop(0))
        return token


class CommonLimiter(RateLimiter):
    """Counts the calls of all users together."""

    def check(self, user: str) -> None:
        """Count a call of anybody."""
        super().check("everybody")

    def forget(self, user: str) -> None:
        """Free what is kept about everybody."""
        super().forget("everybody")


def answer_with_last(parts: Parts) -> Parts:
    """Requests that answer with what the last one read."""
    return replace(parts, tokens=RememberingTokens)


def refresh_other_session(parts: Parts) -> Parts:
    """Refreshes that exchange whichever token came last."""
    return replace(parts, tokens=CrossedRefresh)


def keep_lock(parts: Parts) -> Parts:
    """A lock that stays taken when its holder is cancelled."""
    return replace(parts, tokens=LockedRefresh)


def forget_third_user(parts: Parts) -> Parts:
    """Tokens for two users at a time."""
    return replace(parts, tokens=TwoUsersTokens)


def limit_together(parts: Parts) -> Parts:
    """One limit for the calls of all users."""
    return replace(parts, limits=CommonLimiter)
