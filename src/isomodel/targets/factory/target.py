"""The factory layer as isomodel's target: what its users can do, and what they see."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import uuid4

from hypothesis import strategies as st

from isomodel.engine.world import note
from isomodel.targets.declare import Resource, Secret, observe, operation
from isomodel.targets.factory.backends import Event
from isomodel.targets.factory.contexts import UserExecutionContext
from isomodel.targets.factory.defects import DEFECTS
from isomodel.targets.factory.errors import PoolExhausted
from isomodel.targets.factory.layer import Layer, Parts
from isomodel.targets.factory.memory import (
    MemoryDatabase,
    MemoryLog,
    MemoryTransport,
    memory_backends,
)
from isomodel.targets.factory.sessions import Session
from isomodel.values.execution import Leftover
from isomodel.values.facts import Issued, Total

ABOUT = ("alice", "bob")
"""Whom users may remember something about."""


class Client:
    """What a user keeps at home: what arrived, its token, and its open sessions."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.conversation = f"home-of-{user}"
        self.inbox: list[Event] = []
        self.token: str | None = None
        self.sessions: list[Session] = []


def described(context: UserExecutionContext) -> dict[str, Any]:
    """What a user can learn of a context: its child ends, and cannot change it, nor be revived."""
    inner: list[str] = []
    child = context.create_child(step="one", inner=inner)
    inner.append("too late")
    child.lifetime.end()
    return {
        "child": child.depth,
        "metadata": child.metadata,
        "user": child.user_id,
        "conversation": child.session_id,
        "own request": child.request_id != context.request_id,
        "over": [child.lifetime.over, context.lifetime.over],
        "parent": context.metadata,
        "frozen": not _can_change(context.metadata) and not _can_change(child.metadata),
    }


def _can_change(value: Any) -> bool:
    """Whether anything in this metadata is of a type that can be changed."""
    if isinstance(value, MappingProxyType):
        return any(map(_can_change, value.values()))
    if isinstance(value, tuple):
        return any(map(_can_change, value))
    return not isinstance(value, str | int)


class FactoryLayer:
    """The reference factory layer, with in-memory back ends."""

    max_users = 3
    defects: ClassVar[dict[str, str]] = {each.id: each.title for each in DEFECTS.values()}

    def __init__(self) -> None:
        self._parts = Parts()
        self._clients: dict[str, Client] = {}
        self._transports: list[MemoryTransport] = []

    def arm(self, name: str) -> None:
        """Break the layer in this known way."""
        self._parts = DEFECTS[name].arm(self._parts)

    async def start(self) -> None:
        """Make the layer."""
        self.layer = Layer(memory_backends(), self._parts)

    # Agents, tools and events

    @operation
    async def run_agent(self, user: str, task: Secret) -> dict[str, Any]:
        """Let the agents work on a task."""
        self._ensure_connected(user)
        return await self.layer.run_agent(user, self._client(user).conversation, task)

    @operation(times=st.sampled_from((1, 2, 4)))
    async def send(self, user: str, message: Secret, times: int) -> int:
        """Send a message to one's own clients, so many times in a row."""
        self._ensure_connected(user)
        conversation = self._client(user).conversation
        return await self.layer.send(user, conversation, message, times)

    @operation
    async def connect(self, user: str) -> str:
        """Open one more connection."""
        transport = self._transport(user)
        await self.layer.connections.connect(user, transport.connection, transport)
        note(Issued("connection", transport.connection))
        return "connected"

    @operation
    async def reconnect(self, user: str) -> int:
        """Let the oldest connection go on over a new transport; how many there are then."""
        self._ensure_connected(user)
        connections = self.layer.connections
        oldest = connections.connections(user)[0]
        await connections.resume(user, oldest, self._transport(user))
        return len(connections.connections(user))

    @operation
    async def disconnect(self, user: str) -> int:
        """Close the oldest connection; the number that remain."""
        self._ensure_connected(user)
        connections = self.layer.connections
        for connection in connections.connections(user)[:1]:
            connections.disconnect(user, connection)
        return len(connections.connections(user))

    # Sessions

    @operation(makes="session")
    async def open_session(self, user: str) -> Session:
        """Open a database session."""
        client = self._client(user)
        session = await self.layer.open_session(user, client.conversation)
        client.sessions.append(session)
        return session

    @operation
    async def write(self, user: str, session: Session, text: Secret) -> None:
        """Add a row."""
        await self.layer.sessions.use(session).write(text)

    @operation
    async def query(self, user: str, session: Session) -> list[str]:
        """Read one's rows."""
        return await self.layer.sessions.use(session).query()

    @operation(ends="session")
    async def close_session(self, user: str, session: Session) -> None:
        """Close the session."""
        self.layer.close_session(session)

    @operation(atomic=True, amount=st.sampled_from((1, 2, 9)))
    async def transfer(self, user: str, amount: int) -> int:
        """Move money to one's savings, or nothing."""
        return await self.layer.transfer(user, self._client(user).conversation, amount)

    # Contexts and time

    @operation(
        user_id=st.sampled_from(("me", "", "   ", "placeholder")),
        accepts=lambda user_id, tag: user_id == "me",
    )
    async def create_context(self, user: str, user_id: str, tag: Secret) -> dict[str, Any]:
        """Open a context under this id ("me" for one's own), and one within it."""
        name = user if user_id == "me" else user_id
        context = await self.layer.contexts.open(
            name, self._client(user).conversation, metadata={"tags": [tag], "notes": {"kept": tag}}
        )
        try:
            return described(context)
        finally:
            self.layer.contexts.close(context.request_id)

    @operation(seconds=st.sampled_from((0.5, 5.0, 60.0)))
    async def wait(self, user: str, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    # Identity

    @operation
    async def login(self, user: str) -> str:
        """Log in; the new conversation."""
        client = self._client(user)
        client.token = await self.layer.tokens.login(user)
        return "logged in"

    @operation
    async def refresh(self, user: str) -> str:
        """Exchange the token for a new one of the same conversation."""
        token = await self._token(user)
        self._client(user).token = await self.layer.tokens.refresh(token)
        return "refreshed"

    @operation
    async def call(self, user: str) -> dict[str, str]:
        """Call with the token; whom the system took the caller for."""
        return await self.layer.call(await self._token(user))

    # State and analytics

    @operation(about=st.sampled_from(ABOUT))
    async def save(self, user: str, about: str, memory: Secret) -> None:
        """Save what to remember about somebody."""
        await self.layer.state.save(user, user, about, memory)

    @operation(owner=st.sampled_from(("alice", "bob")))
    async def load(self, user: str, owner: str) -> str | None:
        """Read what this user saved about itself, which only its owner may."""
        return await self.layer.state.load(user, owner, owner)

    @operation
    async def prefer(self, user: str, taste: Secret) -> str | None:
        """Say what one prefers from now on; what it was."""
        before = await self.layer.profiles.preferences(user)
        await self.layer.profiles.prefer(user, taste)
        return before

    @operation
    async def track(self, user: str, what: Secret) -> None:
        """Record an analytics event."""
        await self.layer.analytics.track_event(user, what)

    # What each user sees in the end

    @observe
    async def inbox(self, user: str) -> list[list[str]]:
        """Everything that arrived at the user's clients."""
        await self.layer.connections.flush(user)
        return [[event.kind, event.payload] for event in self._client(user).inbox]

    @observe
    async def stored(self, user: str) -> dict[str, Any]:
        """What the database and the store hold for the user."""
        memory = [await self.layer.state.load(user, user, about) for about in ABOUT]
        preferences = await self.layer.profiles.preferences(user)
        return {**self.state(user), "memory": memory, "preferences": preferences}

    @observe
    async def logged(self, user: str) -> list[str]:
        """The lines of the log about the user."""
        log = self.layer.backends.log
        assert isinstance(log, MemoryLog)
        return list(log.lines.get(user, ()))

    @observe
    async def tracked(self, user: str) -> list[str]:
        """The user's analytics."""
        events = await self.layer.analytics.query_events(user)
        note(Total(f"events of {user}", len(events)))
        return events

    @observe
    async def whoami(self, user: str) -> str | None:
        """Whom the user's token stands for."""
        token = self._client(user).token
        return None if token is None else (await self.layer.tokens.authenticate(token)).user

    # What isomodel asks

    async def leave(self, user: str) -> None:
        """Log out."""
        self._clients.pop(user, None)
        await self.layer.leave(user)

    def state(self, user: str) -> dict[str, Any]:
        """What is durable of this user."""
        database = self.layer.backends.database
        assert isinstance(database, MemoryDatabase)
        return {
            "rows": database.rows.get(user, ()),
            "checking": database.balance(user, "checking"),
            "savings": database.balance(user, "savings"),
        }

    def roots(self, user: str) -> dict[str, object]:
        """What is this user's own."""
        layer = self.layer
        found: dict[str, object] = {
            "client": self._clients.get(user),
            "channels": layer.connections.channels(user),
            "profile": layer.profiles.cached(user),
        }
        workspace = layer.workspaces.get(user)
        if workspace is not None:
            found["factory"] = workspace.agents
            found["engine"] = workspace.engine
        return found

    def common(self) -> list[object]:
        """What is shared by design: the components, and what they talk to."""
        layer, backends = self.layer, self.layer.backends
        return [
            *(layer, layer.connections, layer.pool, layer.pool.slots, layer.sessions),
            *(layer.contexts, layer.tokens, layer.rates, layer.state, layer.analytics),
            *(layer.guide, layer.profiles, layer.log, backends.log),
            *(backends.database, backends.requests, backends.state, backends.analytics),
            *(backends.tokens, backends.tools, backends.prompts, backends.audit),
        ]

    def shared(self) -> list[Resource]:
        """What users compete for by design: the database connections."""
        slots = self.layer.pool.slots
        return [
            Resource("database connections", slots, "take", PoolExhausted, slots.size, "give_back")
        ]

    def leftovers(self) -> list[Leftover]:
        """What should be gone once all users have left."""
        return list(self._leftovers())

    def _leftovers(self) -> Iterator[Leftover]:
        layer = self.layer
        for user in layer.connections.users():
            yield Leftover("connection", "in the routing table", user)
        for context in layer.contexts.live.values():
            yield Leftover("context", "still live", context.user_id)
        for session in layer.sessions.open.values():
            yield Leftover("session", "still open", session.user_id)
        for _ in layer.pool.slots.taken:
            yield Leftover("slot", "of the connection pool")
        for user in layer.workspaces:
            yield Leftover("workspace", "still kept", user)
        for user in layer.rates.users():
            yield Leftover("rate limit", "entry still kept", user)
        for user in layer.profiles.users():
            yield Leftover("profile", "still cached", user)
        for transport in self._transports:
            if not transport.closed:
                yield Leftover("transport", "still open", transport.user)

    def _client(self, user: str) -> Client:
        found = self._clients.get(user)
        if found is None:
            found = self._clients[user] = Client(user)
        return found

    def _ensure_connected(self, user: str) -> None:
        connections = self.layer.connections
        if not connections.connections(user):
            connections.check_room(user)
            transport = self._transport(user)
            connections.register_connection(user, transport.connection, transport)
            note(Issued("connection", transport.connection))

    def _transport(self, user: str) -> MemoryTransport:
        """What a client of the user opens: its name is also the id of a new connection."""
        transport = MemoryTransport(user, f"ws-{uuid4().hex}", self._client(user).inbox)
        self._transports.append(transport)
        return transport

    async def _token(self, user: str) -> str:
        client = self._client(user)
        if client.token is None:
            client.token = await self.layer.tokens.login(user)
        return client.token
