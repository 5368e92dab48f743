"""A service on uvicorn that keeps in a ContextVar who asks, behind a gateway with one client."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import httpx
import uvicorn

from isomodel import Secret, operation

asking: ContextVar[str] = ContextVar("asking", default="nobody")
UPLOAD = b"x" * 100_000


async def service(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer who asks: whoever the query names, and nobody if it names nobody."""
    if scope["query_string"]:
        asking.set(scope["query_string"].decode())
    while (await receive()).get("more_body"):
        pass
    answer = asking.get().encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer})


class Gateway:
    """Users whose requests go over the same connections."""

    async def start(self) -> None:
        """Start the server, and make the client."""
        config = uvicorn.Config(
            service, "api.internal", 80, lifespan="off", log_config=None, timeout_keep_alive=3600
        )
        self.server = uvicorn.Server(config)
        self.serving = asyncio.create_task(self.server.serve())
        while not self.server.started:
            await asyncio.sleep(0.1)
        self.client = httpx.AsyncClient(verify=False, timeout=None)

    async def stop(self) -> None:
        """Close both."""
        await self.client.aclose()
        self.server.should_exit = True
        await self.serving

    @operation
    async def upload(self, user: str, name: Secret) -> str:
        """Send something large, under my name."""
        url = f"http://api.internal/?{name}"
        return (await self.client.post(url, content=UPLOAD)).text

    @operation
    async def whoami(self, user: str) -> str:
        """Ask without a name."""
        return (await self.client.get("http://api.internal/")).text
