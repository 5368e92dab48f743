"""The platform as isomodel's target: users with clients, over sockets, to one server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from typing import Any

from hypothesis import strategies as st

from isomodel.engine.world import note
from isomodel.targets.declare import Secret, observe, operation
from isomodel.targets.factory.layer import Layer
from isomodel.targets.factory.memory import memory_backends
from isomodel.targets.factory.target import ABOUT, FactoryLayer
from isomodel.targets.platform import credentials, wire
from isomodel.targets.platform.client import ConnectionLost, PlatformClient
from isomodel.targets.platform.server import PlatformServer
from isomodel.values.facts import Total

HOST, PORT = "platform.internal", 8000
KEY = b"a key that only the platform and whoever issues credentials know"
NOTICED = 120.0
"""Seconds after which the server has noticed, by its pings, that a connection is dead."""

VALID = 86_400.0
"""Seconds that a credential is valid."""


class Home:
    """What a user keeps: what arrived, and its token."""

    def __init__(self) -> None:
        self.inbox: list[list[str]] = []
        self.token: str | None = None

    def take(self, event: wire.Pushed) -> None:
        """Keep an event."""
        self.inbox.append([event.kind, event.payload])


class Platform(FactoryLayer):
    """The reference factory layer behind a WebSocket server."""

    uncertain = (ConnectionLost,)
    errors = None  # type: ignore[assignment]  # they come over the wire, by name

    async def start(self) -> None:
        """Make the layer, and serve it."""
        self.layer = Layer(memory_backends(), self._parts)
        self.listening = await PlatformServer(self.layer, KEY).listen(HOST, PORT)
        self.homes: defaultdict[str, Home] = defaultdict(Home)
        self.clients: defaultdict[str, list[PlatformClient]] = defaultdict(list)
        self.connecting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def stop(self) -> None:
        """Close the server, and with it what is left of its connections."""
        self.listening.close()
        await self.listening.wait_closed()

    # Agents and events

    @operation
    async def run_agent(self, user: str, task: Secret) -> dict[str, Any]:
        """Let the agents work on a task."""
        answer: dict[str, Any] = await self._ask(user, "run_agent", task=task)
        return answer

    @operation(times=st.sampled_from((1, 2, 4)))
    async def send(self, user: str, message: Secret, times: int) -> int:
        """Send a message to one's own clients, so many times in a row."""
        return int(await self._ask(user, "send", message=message, times=times))

    @operation
    async def connect(self, user: str) -> str:
        """Open one more connection."""
        await self._connect(user)
        return "connected"

    @operation
    async def disconnect(self, user: str) -> int:
        """Close the oldest connection; the number that remain."""
        client = await self._client_of(user)
        await client.close()
        return len(self._open(user))

    reconnect = None  # type: ignore[assignment]  # the protocol has no resuming: clients connect anew
    log_out = None  # type: ignore[assignment]  # nor a way to end all of a user's connections

    # Sessions

    @operation(makes="session")
    async def open_session(self, user: str) -> Any:
        """Open a database session."""
        return await self._ask(user, "open_session")

    @operation
    async def write(self, user: str, session: Any, text: Secret) -> None:
        """Add a row."""
        await self._ask(user, "write", session=session, text=text)

    @operation
    async def query(self, user: str, session: Any) -> list[str]:
        """Read one's rows."""
        return list(await self._ask(user, "query", session=session))

    @operation(ends="session")
    async def close_session(self, user: str, session: Any) -> None:
        """Close the session."""
        await self._ask(user, "close_session", session=session)

    @operation(atomic=True, amount=st.sampled_from((1, 2, 9)))
    async def transfer(self, user: str, amount: int) -> int:
        """Move money to one's savings, or nothing."""
        return int(await self._ask(user, "transfer", amount=amount))

    # Contexts

    @operation(
        user_id=st.sampled_from(("me", "", "   ", "placeholder")),
        accepts=lambda user_id, tag: user_id == "me",
    )
    async def create_context(self, user: str, user_id: str, tag: Secret) -> dict[str, Any]:
        """Open a context under this id ("me" for one's own), and one within it."""
        answer: dict[str, Any] = await self._ask(user, "create_context", user_id=user_id, tag=tag)
        return answer

    # Identity

    @operation
    async def login(self, user: str) -> str:
        """Log in; a new conversation."""
        self.homes[user].token = await self._ask(user, "login")
        return "logged in"

    @operation
    async def refresh(self, user: str) -> str:
        """Exchange the token for a new one of the same conversation."""
        token = await self._token_of(user)
        self.homes[user].token = await self._ask(user, "refresh", token=token)
        return "refreshed"

    @operation
    async def call(self, user: str) -> dict[str, str]:
        """Call with the token; whom the system took the caller for."""
        token = await self._token_of(user)
        answer: dict[str, str] = await self._ask(user, "call", token=token)
        return answer

    # State and analytics

    @operation(about=st.sampled_from(ABOUT))
    async def save(self, user: str, about: str, memory: Secret) -> None:
        """Save what to remember about somebody."""
        await self._ask(user, "save", about=about, memory=memory)

    @operation(owner=st.sampled_from(("alice", "bob")))
    async def load(self, user: str, owner: str) -> str | None:
        """Read what this user saved about itself, which only its owner may."""
        answer: str | None = await self._ask(user, "load", owner=owner)
        return answer

    @operation
    async def prefer(self, user: str, taste: Secret) -> str | None:
        """Say what one prefers from now on; what it was."""
        answer: str | None = await self._ask(user, "prefer", taste=taste)
        return answer

    @operation
    async def track(self, user: str, what: Secret) -> None:
        """Record an analytics event."""
        await self._ask(user, "track", what=what)

    # What each user sees in the end

    @observe
    async def inbox(self, user: str) -> list[list[str]]:
        """Everything that arrived over the user's connections."""
        for client in self._open(user):
            with contextlib.suppress(ConnectionLost):  # then nothing more comes over it
                await client.ask("flush")
        return self.homes[user].inbox

    @observe
    async def stored(self, user: str) -> dict[str, Any]:
        """What the database and the store hold for the user."""
        return {**self.state(user), "memory": await self._ask(user, "load", owner=user)}

    @observe
    async def tracked(self, user: str) -> list[str]:
        """The user's analytics."""
        events = list(await self._ask(user, "tracked"))
        note(Total(f"events of {user}", len(events)))
        return events

    @observe
    async def whoami(self, user: str) -> str | None:
        """Whom the user's token stands for."""
        token = self.homes[user].token
        return None if token is None else str(await self._ask(user, "whoami", token=token))

    # What isomodel asks

    async def leave(self, user: str) -> None:
        """Log out, and close every connection."""
        for _ in range(3):  # a connection that is dying may still look open
            with contextlib.suppress(ConnectionLost):
                await self._ask(user, "leave")
                break
        for client in self._open(user):
            await client.close()
        await asyncio.sleep(NOTICED)
        self.homes.pop(user, None)
        self.clients.pop(user, None)

    def roots(self, user: str) -> dict[str, object]:
        """What is this user's own, at home and at the server."""
        found = super().roots(user)
        return {**found, "client": self.homes.get(user)}

    async def _ask(self, user: str, do: str, **args: Any) -> Any:
        return await (await self._client_of(user)).ask(do, **args)

    def _open(self, user: str) -> list[PlatformClient]:
        return [client for client in self.clients[user] if client.is_open]

    async def _client_of(self, user: str) -> PlatformClient:
        """The oldest connection that is open, or else a new one."""
        async with self.connecting[user]:
            return next(iter(self._open(user)), None) or await self._connect(user)

    async def _connect(self, user: str) -> PlatformClient:
        credential = credentials.issue(KEY, user, time.time() + VALID)
        take = self.homes[user].take
        client = await PlatformClient.connect(f"ws://{HOST}:{PORT}", credential, take)
        self.clients[user].append(client)
        return client

    async def _token_of(self, user: str) -> str:
        home = self.homes[user]
        if home.token is None:
            home.token = await self._ask(user, "login")
        return home.token or ""
