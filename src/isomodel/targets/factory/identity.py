"""Identity: tokens that stand for one user, and limits that one user's burst cannot pass on."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable

from isomodel.targets.factory.backends import Audit, Identity, TokenStore
from isomodel.targets.factory.errors import InvalidToken, RateLimited
from isomodel.values.facts import Identified, Issued, Used


class TokenService:
    """Issues, checks and refreshes tokens."""

    def __init__(self, store: TokenStore, audit: Audit) -> None:
        self._store = store
        self._audit = audit

    async def login(self, user: str) -> str:
        """A new token, for a new conversation of this user."""
        token = self.mint()
        await self._store.put(token, Identity(user, f"conversation-{secrets.token_hex(8)}"))
        self._audit.note(Issued("token", token))
        return token

    async def authenticate(self, token: str) -> Identity:
        """Whom the token stands for; raises InvalidToken."""
        identity = await self._store.get(token)
        if identity is None:
            raise InvalidToken("this token is not valid; log in again")
        self._audit.note(Identified(token, identity.user))
        return identity

    async def refresh(self, token: str) -> str:
        """A new token for the same conversation; calls under way with the old one go on."""
        fresh = self.mint()
        if await self._store.rotate(token, fresh) is None:
            raise InvalidToken("this token is not valid; log in again")
        self._audit.note(Issued("token", fresh))
        return fresh

    async def logout(self, user: str) -> None:
        """Forget every token of this user."""
        await self._store.revoke(user)

    def mint(self) -> str:
        """A token nobody can guess."""
        return f"token-{secrets.token_hex(16)}"


class RateLimiter:
    """At most ``most`` calls of each user in any ``window`` seconds."""

    def __init__(self, audit: Audit, now: Callable[[], float], *, most: int, window: float) -> None:
        self.most = most
        self.window = window
        self._audit = audit
        self._now = now
        self._calls: dict[str, deque[float]] = {}

    def check(self, user: str) -> None:
        """Count a call of this user; raises RateLimited."""
        calls = self._calls.setdefault(user, deque())
        now = self._now()
        while calls and calls[0] <= now - self.window:
            calls.popleft()
        if len(calls) >= self.most:
            raise RateLimited(f"more than {self.most} calls in {self.window:g} s")
        calls.append(now)
        self._audit.note(Used(f"calls of {user}", len(calls), self.most))

    def forget(self, user: str) -> None:
        """Free what is kept about this user."""
        self._calls.pop(user, None)

    def users(self) -> list[str]:
        """The users something is kept about."""
        return list(self._calls)
