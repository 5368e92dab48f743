"""A small assistant service with a leak, and the target that finds it.

isomodel hunt --path examples assistant:Assistant
isomodel hunt --path examples assistant:FixedAssistant
"""

from __future__ import annotations

import isomodel
from isomodel import Secret, observe, operation


class Service:
    """What a team might have written: one instance serves all users."""

    def __init__(self) -> None:
        self.answers: dict[str, list[str]] = {}
        self.user = ""

    async def ask(self, user: str, question: str) -> str:
        self.user = user  # whom the answer is for
        await isomodel.io("language model")  # stands for the call over the network
        answer = f"about {question}"
        self.answers.setdefault(self.user, []).append(answer)
        return answer


class FixedService(Service):
    """The same, with the user kept where it belongs: in the request."""

    async def ask(self, user: str, question: str) -> str:
        await isomodel.io("language model")
        answer = f"about {question}"
        self.answers.setdefault(user, []).append(answer)
        return answer


class Assistant:
    """The declaration: what a user can do, and what a user can see."""

    async def start(self) -> None:
        self.service = Service()

    @operation
    async def ask(self, user: str, question: Secret) -> str:
        return await self.service.ask(user, question)

    @observe
    async def answers(self, user: str) -> list[str]:
        return self.service.answers.get(user, [])


class FixedAssistant(Assistant):
    """The same declaration over the fixed service."""

    async def start(self) -> None:
        self.service = FixedService()
