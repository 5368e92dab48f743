"""The factory layer as isomodel's target: what its users can do, and what they see."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, ClassVar
from uuid import uuid4

from hypothesis import strategies as st

from isomodel.engine.world import note
from isomodel.targets.declare import Resource, Secret, observe, operation
from isomodel.targets.factory import errors
from isomodel.targets.factory.account import (
    RUN_BEFORE,
    expect,
    has_arrived,
    refusal_is_due,
)
from isomodel.targets.factory.client import Client
from isomodel.targets.factory.contexts import TAGS
from isomodel.targets.factory.defects import DEFECTS
from isomodel.targets.factory.described import described
from isomodel.targets.factory.errors import (
    PoolExhausted,
    TooManyAgents,
    TooManyConnections,
)
from isomodel.targets.factory.layer import Layer, Parts
from isomodel.targets.factory.leftover import leftovers_of
from isomodel.targets.factory.memory import (
    OPENING_BALANCE,
    MemoryDatabase,
    MemoryLog,
    MemoryRequests,
    MemoryTransport,
    memory_backends,
)
from isomodel.targets.factory.sessions import Session
from isomodel.values.execution import Leftover
from isomodel.values.facts import Issued, Total

ABOUT = ("alice", "bob")
"""Whom users may remember something about."""

PROMPT = "Follow what is said of research. Follow what is said of tools."
"""What specialists work by."""


class FactoryLayer:
    """The reference factory layer, with in-memory back ends."""

    max_users = 3
    errors = (
        *(errors.InvalidId, errors.ContextExpired, errors.TooManyAgents, errors.ToolFailed),
        *(errors.TransportLost, errors.TooManyConnections, errors.NoConnection),
        *(errors.PoolExhausted, errors.SessionClosed, errors.SessionBusy, errors.DatabaseError),
        *(errors.StoreError, errors.Overdrawn, errors.InvalidToken, errors.RateLimited),
        errors.AccessDenied,
    )
    """What users may meet: no request of theirs is illegal by itself but an invalid id."""

    defects: ClassVar[dict[str, str]] = {each.id: each.title for each in DEFECTS.values()}

    def __init__(self) -> None:
        self._parts = Parts()
        self._clients: dict[str, Client] = {}
        self._transports: dict[str, list[MemoryTransport]] = {}

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
        client, before = self._client(user), self.layer.connections.connections(user)
        most = self.layer.limits.agents_per_user
        account = client.account
        with (
            account.one_of("runs", most, TooManyAgents),
            account.writing(RUN_BEFORE, task),
            account.adding("line", f"ran {task}"),
            account.staying(),
        ):
            result = await self.layer.run_agent(user, client.conversation, task)
            account.holds(RUN_BEFORE, result["previous"] or None)
        found = f"search({task})"
        seen = result["answer"], result["tools"], result["prompt"]
        wanted = f"research: {found}", [f"search: {found}"], PROMPT
        expect(seen == wanted, "a run is about its own task", f"it found {seen}")
        expect(result["run"] > 0, "finished runs are counted", "this one is not")
        has_arrived(client.inbox, "agent_completed", task, self._stayed(user, before))
        return result

    @operation(times=st.sampled_from((1, 2, 4)))
    async def send(self, user: str, message: Secret, times: int) -> int:
        """Send a message to one's own clients, so many times in a row."""
        self._ensure_connected(user)
        client, before = self._client(user), self.layer.connections.connections(user)
        account = client.account
        with account.staying(), account.adding("line", f"sent {message}"):
            taken = await self.layer.send(user, client.conversation, message, times)
        least = times * self._stayed(user, before)
        has_arrived(client.inbox, "message", message, least)
        expect(taken >= least, "what arrives is counted", f"{taken} of {least}")
        return taken

    @operation
    async def connect(self, user: str) -> str:
        """Open one more connection."""
        transport = self._transport(user)
        with self._limited_connections(user):
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
        with client.account.staying():
            session = await self.layer.open_session(user, client.conversation)
        client.sessions[session] = asyncio.get_running_loop().time()
        return session

    @operation
    async def write(self, user: str, session: Session, text: Secret) -> None:
        """Add a row."""
        client, ttl = self._client(user), self.layer.limits.context_ttl
        with client.account.adding("row", text), client.using(session, ttl):
            await self.layer.sessions.use(session).write(text)

    @operation
    async def query(self, user: str, session: Session) -> list[str]:
        """Read one's rows."""
        client, ttl = self._client(user), self.layer.limits.context_ttl
        sure = client.account.added()
        with client.using(session, ttl):
            rows = await self.layer.sessions.use(session).query()
        client.account.listed("row", rows, sure)
        return rows

    @operation(ends="session")
    async def close_session(self, user: str, session: Session) -> None:
        """Close the session."""
        self._client(user).gives_up(session)
        self.layer.close_session(session)

    @operation(atomic=True, amount=st.sampled_from((1, 2, 9)))
    async def transfer(self, user: str, amount: int) -> int:
        """Move money to one's savings, or nothing."""
        client = self._client(user)
        with client.account.moving(amount, OPENING_BALANCE), client.account.staying():
            return await self.layer.transfer(user, client.conversation, amount)

    # Contexts and time

    @operation(
        user_id=st.sampled_from(("me", "", "   ", "placeholder")),
        accepts=lambda user_id, tag: user_id == "me",
    )
    async def create_context(self, user: str, user_id: str, tag: Secret) -> dict[str, Any]:
        """Open a context under this id ("me" for one's own), and one within it."""
        name, conversation = user if user_id == "me" else user_id, self._client(user).conversation
        connection = next(iter(self.layer.connections.connections(user)), None)
        try:
            context = await self.layer.contexts.open(
                name,
                conversation,
                connection,
                metadata={"tags": [tag], "notes": {"kept": [{"by": tag}]}},
            )
        except errors.InvalidId as error:
            expect(user_id != "me", "who is valid is not refused", str(error))
            raise
        try:
            seen = described(context)
            given = {"tags": (*TAGS, tag), "notes": {"kept": ({"by": tag},)}}
            connected = context.websocket_connection_id
            opened = seen["user"], seen["conversation"], seen["parent"], connected
            wanted = name, conversation, given, connection or ""
            expect(opened == wanted, "a context is what was asked for", f"it is {opened}")
            return seen
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
        client, token = self._client(user), await self._token(user)
        client.token = await self.layer.tokens.refresh(token)
        client.account.refreshed(token, client.token)
        return "refreshed"

    @operation
    async def call(self, user: str) -> dict[str, str]:
        """Call with the token; whom the system took the caller for."""
        account, token, limits = (
            self._client(user).account,
            await self._token(user),
            self.layer.limits,
        )
        now = asyncio.get_running_loop().time
        with account.calling(now, limits.calls_per_user, limits.call_window):
            caller = await self.layer.call(token)
        account.talks(token, caller["conversation"])
        return caller

    @operation
    async def log_out(self, user: str) -> str:
        """Leave, with whatever is still under way; the next operation comes back."""
        client = self._client(user)
        client.token = None
        client.account.left()
        client.gives_up(*client.sessions)
        await self.layer.leave(user)
        return "logged out"

    # State and analytics

    @operation(about=st.sampled_from(ABOUT))
    async def save(self, user: str, about: str, memory: Secret) -> None:
        """Save what to remember about somebody."""
        with self._client(user).account.writing(f"memory {about}", memory):
            await self.layer.state.save(user, user, about, memory)

    @operation(owner=st.sampled_from(("alice", "bob")))
    async def load(self, user: str, owner: str) -> str | None:
        """Read, or else try to write, what this user saved about itself: only its owner may."""
        if owner != user:
            with suppress(errors.AccessDenied):
                await self.layer.state.save(user, owner, owner, "changed by a stranger")
                expect(False, "only its owner writes what was saved", f"{owner} is not {user}")
        found = await self.layer.state.load(user, owner, owner)
        expect(owner == user, "only its owner reads what was saved", f"{owner} is not {user}")
        return found

    @operation
    async def prefer(self, user: str, taste: Secret) -> str | None:
        """Say what one prefers from now on; what it was."""
        before = await self.layer.profiles.preferences(user)
        with self._client(user).account.writing("preferences", taste):
            await self.layer.profiles.prefer(user, taste)
        return before

    @operation
    async def track(self, user: str, what: Secret) -> None:
        """Record an analytics event."""
        with self._client(user).account.adding("event", what):
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
        client, state = self._client(user), self.state(user)
        account = client.account
        client.settled(self.layer, asyncio.get_running_loop().time())
        requests = self.layer.backends.requests
        assert isinstance(requests, MemoryRequests)
        account.recorded(requests.made(user))
        account.listed("row", state["rows"])
        account.saved(state["checking"], state["savings"], OPENING_BALANCE)
        account.holds("preferences", preferences)
        for about, value in zip(ABOUT, memory, strict=True):
            account.holds(f"memory {about}", value)
        return {**state, "memory": memory, "preferences": preferences}

    @observe
    async def logged(self, user: str) -> list[str]:
        """The lines of the log about the user."""
        log = self.layer.backends.log
        assert isinstance(log, MemoryLog)
        lines = list(log.lines.get(user, ()))
        self._client(user).account.listed("line", lines)
        return lines

    @observe
    async def tracked(self, user: str) -> list[str]:
        """The user's analytics."""
        events = await self.layer.analytics.query_events(user)
        note(Total(f"events of {user}", len(events)))
        self._client(user).account.listed("event", events)
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
        still_open = [each for each in self._transports.pop(user, ()) if not each.closed]
        if still_open:
            self._transports[user] = still_open

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
        transports = chain.from_iterable(self._transports.values())
        return list(leftovers_of(self.layer, transports))

    def _client(self, user: str) -> Client:
        found = self._clients.get(user)
        if found is None:
            found = self._clients[user] = Client(user)
        return found

    def _stayed(self, user: str, before: Sequence[str]) -> int:
        """How many of these connections still live; ids of connections are never used twice."""
        return len({*before} & {*self.layer.connections.connections(user)})

    @contextmanager
    def _limited_connections(self, user: str) -> Iterator[None]:
        """Only who has as many open, or in the making, as may be, is refused one more."""
        try:
            yield
        except TooManyConnections as error:
            used = sum(not each.closed for each in self._transports.get(user, ()))
            refusal_is_due(used, self.layer.limits.connections_per_user, error)
            raise

    def _ensure_connected(self, user: str) -> None:
        connections = self.layer.connections
        if not connections.connections(user):
            with self._limited_connections(user):
                connections.check_room(user)
            transport = self._transport(user)
            transport.opened = True  # of a client that came before
            connections.register_connection(user, transport.connection, transport)
            note(Issued("connection", transport.connection))

    def _transport(self, user: str) -> MemoryTransport:
        """What a client of the user opens: its name is also the id of a new connection."""
        transport = MemoryTransport(user, f"ws-{uuid4().hex}", self._client(user).inbox)
        self._transports.setdefault(user, []).append(transport)
        return transport

    async def _token(self, user: str) -> str:
        client = self._client(user)
        if client.token is None:
            client.token = await self.layer.tokens.login(user)
        return client.token
