"""Tools: each request has a dispatcher of its own, with its own history."""

from __future__ import annotations

from isomodel.targets.factory.backends import Tools
from isomodel.targets.factory.contexts import UserExecutionContext


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
