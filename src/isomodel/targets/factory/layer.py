"""The layer: all components, made from parts, and the requests that go through them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from isomodel.targets.factory.agents import AgentFactory, EngineFactory, ExecutionEngine
from isomodel.targets.factory.analytics import Analytics
from isomodel.targets.factory.backends import Backends
from isomodel.targets.factory.contexts import LiveContexts, UserExecutionContext
from isomodel.targets.factory.events import WebSocketConnectionPool
from isomodel.targets.factory.identity import RateLimiter, TokenService
from isomodel.targets.factory.logs import RequestLog
from isomodel.targets.factory.profiles import Profiles
from isomodel.targets.factory.sessions import (
    RequestScopedSessionManager,
    Session,
    SessionPool,
    Slots,
)
from isomodel.targets.factory.state import StateStore
from isomodel.targets.factory.tools import ToolDispatcherFactory, ToolGuide


@dataclass(frozen=True, slots=True)
class Parts:
    """The classes the layer is made of; a defect replaces one."""

    contexts: type[LiveContexts] = LiveContexts
    agents: type[AgentFactory] = AgentFactory
    engines: type[EngineFactory] = EngineFactory
    tools: type[ToolDispatcherFactory] = ToolDispatcherFactory
    guide: type[ToolGuide] = ToolGuide
    connections: type[WebSocketConnectionPool] = WebSocketConnectionPool
    slots: type[Slots] = Slots
    pool: type[SessionPool] = SessionPool
    sessions: type[RequestScopedSessionManager] = RequestScopedSessionManager
    tokens: type[TokenService] = TokenService
    limits: type[RateLimiter] = RateLimiter
    state: type[StateStore] = StateStore
    analytics: type[Analytics] = Analytics
    profiles: type[Profiles] = Profiles
    log: type[RequestLog] = RequestLog


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes of what is bounded; times in seconds."""

    pool_size: int = 2
    pool_patience: float = 1.0
    queue_capacity: int = 3
    connections_per_user: int = 2
    agents_per_user: int = 1
    calls_per_user: int = 3
    call_window: float = 10.0
    context_ttl: float = 30.0


@dataclass(frozen=True, slots=True)
class Workspace:
    """What the layer keeps for one user between requests."""

    agents: AgentFactory
    engine: ExecutionEngine


class Layer:
    """One instance of the platform."""

    def __init__(
        self, backends: Backends, parts: Parts = Parts(), limits: Limits = Limits()
    ) -> None:
        audit = backends.audit
        self.parts = parts
        self.limits = limits
        self.backends = backends
        self.contexts = parts.contexts(backends.requests, audit, limits.context_ttl)
        self.engines = parts.engines(audit)
        self.guide = parts.guide(backends.prompts, audit)
        self.tools = parts.tools(backends.tools)
        self.connections = parts.connections(
            audit, capacity=limits.queue_capacity, most=limits.connections_per_user
        )
        slots = parts.slots(limits.pool_size, limits.pool_patience)
        self.pool = parts.pool(backends.database, slots)
        self.sessions = parts.sessions(self.pool, audit)
        self.tokens = parts.tokens(backends.tokens, audit)
        self.rates = parts.limits(
            audit,
            asyncio.get_running_loop().time,
            most=limits.calls_per_user,
            window=limits.call_window,
        )
        self.state = parts.state(backends.state)
        self.analytics = parts.analytics(backends.analytics, audit)
        self.profiles = parts.profiles(backends.state)
        self.log = parts.log(backends.log)
        self.workspaces: dict[str, Workspace] = {}

    def workspace(self, user: str) -> Workspace:
        """What is kept for this user, made at its first request."""
        found = self.workspaces.get(user)
        if found is None:
            agents = self.parts.agents(
                user,
                self.backends.prompts,
                self.backends.audit,
                most=self.limits.agents_per_user,
            )
            found = Workspace(agents, self.engines.create_engine(user))
            self.workspaces[user] = found
        return found

    @asynccontextmanager
    async def request(
        self, user: str, conversation: str, connection: str | None = None
    ) -> AsyncIterator[UserExecutionContext]:
        """A context for the length of the block."""
        context = await self.contexts.open(user, conversation, connection)
        try:
            with self.log.serving(user):
                yield context
        finally:
            self.contexts.close(context.request_id)

    async def run_agent(self, user: str, conversation: str, task: str) -> dict[str, Any]:
        """Let the agents work on a task; their events have arrived when it returns."""
        guide = await self.guide.text()
        connection = next(iter(self.connections.connections(user)), None)
        async with self.request(user, conversation, connection) as context:
            workspace = self.workspace(user)
            result = await workspace.engine.run(
                task,
                guide,
                context,
                workspace.agents,
                self.tools.create_for_user(context),
                self.connections.create_emitter(context),
            )
            await self.connections.flush(user)
            self.log.write(f"ran {task}")
            return result

    async def send(self, user: str, conversation: str, message: str, times: int = 1) -> int:
        """Send a message to all connections of the user; the number of arrivals."""
        async with self.request(user, conversation) as context:
            emitter = self.connections.create_emitter(context)
            taken = 0
            for _ in range(times):
                taken += await emitter.message(message)
            await self.connections.flush(user)
            self.log.write(f"sent {message}")
            return taken

    async def open_session(self, user: str, conversation: str) -> Session:
        """A session that lives until it is closed, or its context expires."""
        context = await self.contexts.open(user, conversation)
        try:
            session = await self.sessions.create_session(context.request_id, context=context)
        except BaseException:
            self.contexts.close(context.request_id)
            raise
        self.contexts.outlive_request(context)
        return session

    def close_session(self, session: Session) -> None:
        """End the session and its context; again is harmless."""
        self.sessions.close(session)
        self.contexts.close(session.request_id)

    async def transfer(self, user: str, conversation: str, amount: int) -> int:
        """Move money to the user's savings, wholly or not at all; the savings after it."""
        async with self.request(user, conversation) as context:
            session = await self.sessions.create_session(context.request_id, context=context)
            savings = await self.sessions.use(session).transfer(amount)
            self.sessions.close(session)
            return savings

    async def call(self, token: str) -> dict[str, str]:
        """An authenticated call, within the limits of whoever the token stands for."""
        identity = await self.tokens.authenticate(token)
        self.rates.check(identity.user)
        return {"user": identity.user, "conversation": identity.session}

    async def leave(self, user: str) -> None:
        """Free everything that is this user's."""
        self.connections.disconnect_all(user)
        await self.forget(user)

    async def forget(self, user: str) -> None:
        """Free everything that is this user's but its connections."""
        self.contexts.close_all(user)
        self.rates.forget(user)
        self.profiles.forget(user)
        self.workspaces.pop(user, None)
        await self.tokens.logout(user)
