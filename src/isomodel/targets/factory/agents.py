"""Agents: a new one for each request, made by a factory of the user, run by the user's engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from isomodel.targets.factory.backends import Audit, Prompts
from isomodel.targets.factory.contexts import UserExecutionContext
from isomodel.targets.factory.errors import TooManyAgents, UnknownAgent
from isomodel.targets.factory.events import EventEmitter
from isomodel.targets.factory.tools import ToolDispatcher
from isomodel.values.facts import Issued, Owned, Used

SPECIALISTS = {"triage": "research", "research": ""}
"""Each agent, and whom it hands over to ("" for nobody)."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Agent:
    """One agent of one request, with what it has learned so far."""

    id: str
    name: str
    prompt: str
    context: UserExecutionContext
    notes: list[str]

    @property
    def hands_over_to(self) -> str:
        """The agent that goes on after this one."""
        return SPECIALISTS[self.name]

    def read(self, guide: str) -> None:
        """Take instructions to heart, besides the own prompt."""
        self.prompt = f"{self.prompt} {guide}"

    def learn(self, note: str) -> None:
        """Remember something about this request."""
        self.notes.append(note)

    def answer(self) -> str:
        """What the agent concludes from all it has learned."""
        return f"{self.name}: {'; '.join(self.notes)}"


class AgentFactory:
    """Makes the agents of one user, at most ``most`` alive at a time."""

    def __init__(self, user_id: str, prompts: Prompts, audit: Audit, *, most: int = 1) -> None:
        self.user_id = user_id
        self.most = most
        self._state: dict[str, str] = {}
        self._alive: list[str] = []
        self._prompts = prompts
        self._audit = audit

    async def create_agent(self, name: str, context: UserExecutionContext) -> Agent:
        """A new agent; raises UnknownAgent, TooManyAgents, ContextExpired or StoreError.

        Its place is taken before anything is waited for, and given back if that fails.
        """
        context.check_live()
        if name not in SPECIALISTS:
            raise UnknownAgent(f"no agent is called {name!r}; known: {', '.join(SPECIALISTS)}")
        agent_id = f"agent-{uuid4().hex}"
        self.check_room()
        self.register(agent_id)
        try:
            prompt = await self._prompts.load(name)
        except BaseException:
            self.retire(agent_id)
            raise
        agent = Agent(agent_id, name, prompt, context, [])
        self._audit.watch(agent, "agent")
        return agent

    def retire(self, agent_id: str) -> None:
        """Give the agent's place back; again is harmless."""
        if agent_id in self._alive:
            self._alive.remove(agent_id)

    @property
    def alive(self) -> int:
        """How many agents of this user are alive."""
        return len(self._alive)

    @property
    def previous_task(self) -> str:
        """The task of this user's last finished run, "" before any."""
        return self._state.get("previous", "")

    def finished(self, task: str) -> None:
        """Remember the task of the run that just ended."""
        self._state["previous"] = task

    def check_room(self) -> None:
        """Raise TooManyAgents if this user runs as many agents as one user may."""
        if len(self._alive) >= self.most:
            raise TooManyAgents(f"at most {self.most} agents may run for one user")

    def register(self, agent_id: str) -> None:
        """Count this agent as alive."""
        self._alive.append(agent_id)
        self._audit.note(Issued("agent", agent_id))
        self._audit.note(Used(f"agents of {self.user_id}", len(self._alive), self.most))


class ExecutionEngine:
    """Runs the agents of one user; it keeps the finished runs, and nothing of a run under way."""

    def __init__(self, user_id: str, audit: Audit) -> None:
        self.id = f"engine-{uuid4().hex}"
        self.user_id = user_id
        self.finished_runs: list[str] = []
        self._audit = audit

    async def run(
        self,
        task: str,
        guide: str,
        context: UserExecutionContext,
        agents: AgentFactory,
        tools: ToolDispatcher,
        emitter: EventEmitter,
    ) -> dict[str, Any]:
        """Triage the task, hand it over to a specialist, and return what that one found.

        Specialists work by the ``guide`` to the tools.
        """
        self._audit.note(Owned("engine", self.id, self.user_id))
        previous = agents.previous_task
        agent = await agents.create_agent("triage", context)
        try:
            await emitter.emit("agent_started", agent.name)
            await emitter.emit("agent_thinking", task)
            agents.retire(agent.id)
            agent = await agents.create_agent(agent.hands_over_to, context)
            agent.read(guide)
            await self._work(agent, task, tools, emitter)
        finally:
            agents.retire(agent.id)
        agents.finished(task)
        self.finished_runs.append(context.request_id)
        return {
            "agent": agent.id,
            "answer": agent.answer(),
            "previous": previous,
            "prompt": agent.prompt,
            "run": len(self.finished_runs),
            "tools": list(tools.history),
        }

    async def _work(
        self, agent: Agent, task: str, tools: ToolDispatcher, emitter: EventEmitter
    ) -> None:
        await emitter.emit("tool_executing", "search")
        agent.learn(await tools.execute_tool("search", task))
        await emitter.emit("tool_completed", "search")
        await emitter.emit("agent_completed", agent.answer())


class EngineFactory:
    """Makes one engine for each user."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def create_engine(self, user_id: str) -> ExecutionEngine:
        """A new engine, of this user alone."""
        return ExecutionEngine(user_id, self._audit)
