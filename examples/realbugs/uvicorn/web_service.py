"""An ASGI application that keeps in a ContextVar who asks."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

asking: ContextVar[str] = ContextVar("asking", default="nobody")


async def service(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer who asks: whoever the query names, and nobody if it names nobody."""
    if scope["query_string"]:
        asking.set(scope["query_string"].decode())
    while (await receive()).get("more_body"):
        pass
    answer = asking.get().encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer})
