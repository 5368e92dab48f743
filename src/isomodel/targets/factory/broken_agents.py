"""Defects 414-05, 414-07, 414-09 and 414-11: agents, their factories, and their engines.

State "of the class" lives in a class made when the defect is armed, so that no execution
inherits it from another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from isomodel.targets.factory.agents import Agent, AgentFactory, EngineFactory, ExecutionEngine
from isomodel.targets.factory.contexts import UserExecutionContext
from isomodel.targets.factory.layer import Parts


def share_factory_state(parts: Parts) -> Parts:
    """One state object behind the factories of all users."""

    class SharedStateFactory(AgentFactory):
        """Keeps its state on the class."""

        _shared: ClassVar[dict[str, str]] = {}

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._state = self._shared

    return replace(parts, agents=SharedStateFactory)


def race_in_factory(parts: Parts) -> Parts:
    """Number and room are checked before the prompt is loaded, and used after."""

    class RacingFactory(AgentFactory):
        """Numbers all agents in a row, and acts on what it checked before a wait."""

        _made: ClassVar[list[str]] = []

        async def create_agent(self, name: str, context: UserExecutionContext) -> Agent:
            """A new agent, under the next number."""
            self.check_room()
            agent_id = f"agent-{len(self._made) + 1}"
            prompt = await self._prompts.load(name)
            self._made.append(agent_id)
            self.register(agent_id)
            return Agent(agent_id, name, prompt, context, [])

    return replace(parts, agents=RacingFactory)


def keep_notes(parts: Parts) -> Parts:
    """What agents learn is kept by the name of the agent, not by request."""

    class NotesByNameFactory(AgentFactory):
        """Gives every agent the notes of its predecessors of the same name."""

        _notes: ClassVar[dict[str, list[str]]] = {}

        async def create_agent(self, name: str, context: UserExecutionContext) -> Agent:
            """An agent that has not forgotten anything."""
            agent = await super().create_agent(name, context)
            agent.notes = self._notes.setdefault(name, agent.notes)
            return agent

    return replace(parts, agents=NotesByNameFactory)


class PooledEngineFactory(EngineFactory):
    """Makes a few engines, and lets every further user have one of them."""

    most = 1

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._engines: list[ExecutionEngine] = []
        self._users = 0

    def create_engine(self, user_id: str) -> ExecutionEngine:
        """The next engine, in turn."""
        if len(self._engines) < self.most:
            self._engines.append(super().create_engine(user_id))
        self._users += 1
        return self._engines[(self._users - 1) % self.most]


def share_engine(parts: Parts) -> Parts:
    """One engine for several users."""
    return replace(parts, engines=PooledEngineFactory)
