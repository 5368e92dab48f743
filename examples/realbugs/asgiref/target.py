"""A service that keeps what belongs to a request in asgiref's Local."""

from __future__ import annotations

from asgiref.local import Local

import isomodel
from isomodel import Secret, operation


class App:
    """Users whose requests share one Local."""

    async def start(self) -> None:
        """Set what every request shall see."""
        self.local = Local()
        self.local.service = "shop"

    @operation
    async def handle(self, user: str, request: Secret) -> str:
        """Handle my request; whose it is at its end."""
        self.local.request = request
        await isomodel.io("work")
        return self.local.request
