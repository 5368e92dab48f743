"""A service that logs with structlog: each request binds its fields, and logs when it is done."""

from __future__ import annotations

from structlog.contextvars import bind_contextvars, merge_contextvars

import isomodel
from isomodel import Secret, operation


class Log:
    """Users whose requests log through one configuration."""

    async def start(self) -> None:
        """Bind what every line shall have."""
        bind_contextvars(service="shop")

    @operation
    async def handle(self, user: str, request: Secret) -> dict[str, object]:
        """Handle my request; the line that is logged at its end."""
        bind_contextvars(**{user: request})
        await isomodel.io("work")
        return merge_contextvars(None, "info", {"event": "done"})
