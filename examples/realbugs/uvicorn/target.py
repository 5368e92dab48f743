"""A service on uvicorn, behind a gateway with one client for all."""

from __future__ import annotations

import asyncio

import httpx
import uvicorn
from web_service import service

from isomodel import Secret, operation

UPLOAD = b"x" * 100_000


class Gateway:
    """Users whose requests go over the same connections."""

    async def start(self) -> None:
        """Start the server, and make the client."""
        config = uvicorn.Config(
            service, "api.internal", 80, lifespan="off", log_config=None, timeout_keep_alive=60
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
