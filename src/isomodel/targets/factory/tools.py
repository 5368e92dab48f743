"""Tools: each request has a dispatcher of its own, with its own history."""

from __future__ import annotations

import asyncio
from contextvars import Context

from isomodel.targets.factory.backends import Audit, Prompts, Tools
from isomodel.targets.factory.contexts import UserExecutionContext


class ToolGuide:
    """How tools are used: one text for all users, loaded once.

    Nobody's task loads it, in a context of its own: a request that is cancelled while it waits
    takes nothing along, and nothing of the first request outlives it there.
    """

    def __init__(self, prompts: Prompts, audit: Audit) -> None:
        self._prompts = prompts
        self._audit = audit
        self._loading: asyncio.Task[str] | None = None

    async def text(self) -> str:
        """The text; raises StoreError, and then tries again the next time."""
        if self._loading is None or _failed(self._loading):
            self._loading = self.begin()
        return await asyncio.shield(self._loading)

    def begin(self) -> asyncio.Task[str]:
        """Load the text in the background."""
        with self._audit.nobodys():
            return asyncio.create_task(self._load(), context=Context())

    async def _load(self) -> str:
        return await self._prompts.load("tools")


def _failed(task: asyncio.Task[str]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


class ToolDispatcher:
    """Executes tools for one context."""

    def __init__(self, context: UserExecutionContext, tools: Tools) -> None:
        self.history: list[str] = []
        self._context = context
        self._tools = tools

    async def execute_tool(self, name: str, args: str) -> str:
        """Run a tool; raises ToolFailed, or ContextExpired also when it expires meanwhile."""
        self._context.check_live()
        result = await self._tools.call(name, args)
        self._context.check_live()
        self.history.append(f"{name}: {result}")
        return result


class ToolDispatcherFactory:
    """Makes a dispatcher for each context."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def create_for_user(self, context: UserExecutionContext) -> ToolDispatcher:
        """A new dispatcher, of this context alone."""
        return ToolDispatcher(context, self._tools)
