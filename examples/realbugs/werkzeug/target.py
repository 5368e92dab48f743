"""A service that keeps what belongs to a request on werkzeug's LocalStack."""

from __future__ import annotations

from werkzeug.local import LocalStack

import isomodel
from isomodel import Secret, operation


class App:
    """Users whose requests are pushed on one stack."""

    async def start(self) -> None:
        """Push what every request shall find below its own."""
        self.stack = LocalStack()
        self.stack.push("application")

    @operation
    async def handle(self, user: str, request: Secret) -> str:
        """Handle my request; what is on top at its end."""
        self.stack.push(request)
        await isomodel.io("work")
        return self.stack.top
