"""What an authenticated user may ask of the platform: each request, and what the layer does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from isomodel.targets.factory.described import described
from isomodel.targets.factory.errors import AccessDenied, SessionClosed
from isomodel.targets.factory.layer import Layer
from isomodel.targets.factory.sessions import Session


class UnknownRequest(Exception):
    """There is no such request, or it lacks something."""


class Desk:
    """Answers requests; ``sessions`` are those that are open, by the number the client knows."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.sessions: dict[str, dict[int, Session]] = {}
        self._answers: dict[str, Callable[..., Awaitable[Any]]] = {
            "run_agent": self.run_agent,
            "send": self.send,
            "open_session": self.open_session,
            "write": self.write,
            "query": self.query,
            "close_session": self.close_session,
            "transfer": self.transfer,
            "create_context": self.create_context,
            "login": self.login,
            "refresh": self.refresh,
            "call": self.call,
            "whoami": self.whoami,
            "save": self.save,
            "load": self.load,
            "prefer": self.prefer,
            "track": self.track,
            "tracked": self.tracked,
            "flush": self.flush,
            "leave": self.leave,
        }

    async def answer(self, user: str, do: str, args: dict[str, Any]) -> Any:
        """What this user's request comes to; raises UnknownRequest or what the layer raises."""
        method = self._answers.get(do)
        if method is None:
            raise UnknownRequest(f"no request is called {do!r}")
        return await method(user, **args)

    # Agents and events

    async def run_agent(self, user: str, task: str) -> dict[str, Any]:
        """Let the agents work on a task; the events of the run come over the connection."""
        return await self.layer.run_agent(user, _conversation(user), task)

    async def send(self, user: str, message: str, times: int) -> int:
        """Send a message to all of the user's connections."""
        return await self.layer.send(user, _conversation(user), message, times)

    async def flush(self, user: str) -> None:
        """Wait until all events of the user are on their way."""
        await self.layer.connections.flush(user)

    # Sessions

    async def open_session(self, user: str) -> int:
        """Open a database session; its number."""
        session = await self.layer.open_session(user, _conversation(user))
        mine = self.sessions.setdefault(user, {})
        number = max(mine, default=0) + 1
        mine[number] = session
        return number

    async def write(self, user: str, session: int, text: str) -> None:
        """Add a row."""
        await self.layer.sessions.use(self._session(user, session)).write(text)

    async def query(self, user: str, session: int) -> list[str]:
        """Read the user's rows."""
        return await self.layer.sessions.use(self._session(user, session)).query()

    async def close_session(self, user: str, session: int) -> None:
        """Close the session."""
        self.layer.close_session(self._session(user, session))

    async def transfer(self, user: str, amount: int) -> int:
        """Move money to the user's savings, or nothing."""
        return await self.layer.transfer(user, _conversation(user), amount)

    # Contexts

    async def create_context(self, user: str, user_id: str, tag: str) -> dict[str, Any]:
        """Open a context under this id ("me" for the own one), and one within it."""
        name = user if user_id == "me" else user_id
        context = await self.layer.contexts.open(
            name, _conversation(user), metadata={"tags": [tag], "notes": {"kept": tag}}
        )
        try:
            answer: dict[str, Any] = _plain(described(context))
            return answer
        finally:
            self.layer.contexts.close(context.request_id)

    # Identity

    async def login(self, user: str) -> str:
        """A token for a new conversation."""
        return await self.layer.tokens.login(user)

    async def refresh(self, user: str, token: str) -> str:
        """A new token for the same conversation."""
        return await self.layer.tokens.refresh(token)

    async def call(self, user: str, token: str) -> dict[str, str]:
        """A call with this token; whom the system took the caller for."""
        return await self.layer.call(token)

    async def whoami(self, user: str, token: str) -> str:
        """Whom this token stands for."""
        return (await self.layer.tokens.authenticate(token)).user

    # State and analytics

    async def save(self, user: str, about: str, memory: str) -> None:
        """Save what to remember about somebody."""
        await self.layer.state.save(user, user, about, memory)

    async def load(self, user: str, owner: str) -> str | None:
        """Read what this owner saved about itself; raises AccessDenied unless it is the user."""
        return await self.layer.state.load(user, owner, owner)

    async def prefer(self, user: str, taste: str) -> str | None:
        """Say what one prefers from now on; what it was."""
        before = await self.layer.profiles.preferences(user)
        await self.layer.profiles.prefer(user, taste)
        return before

    async def track(self, user: str, what: str) -> None:
        """Record an analytics event."""
        await self.layer.analytics.track_event(user, what)

    async def tracked(self, user: str) -> list[str]:
        """The user's analytics."""
        return await self.layer.analytics.query_events(user)

    async def leave(self, user: str) -> None:
        """Free everything that is the user's but its connections, one of which asks."""
        self.sessions.pop(user, None)
        await self.layer.forget(user)

    def _session(self, user: str, number: int) -> Session:
        session = self.sessions.get(user, {}).get(number)
        if session is None:
            raise SessionClosed("there is no such session; open one")
        if session.user_id != user:
            raise AccessDenied("this session is another user's")
        return session


def _conversation(user: str) -> str:
    return f"home-of-{user}"


def _plain(value: Any) -> Any:
    """Frozen metadata as JSON has it."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value
