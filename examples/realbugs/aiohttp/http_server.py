"""A server that answers with what it was asked, and keeps its connections."""

from __future__ import annotations

import asyncio


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection."""
    while line := await reader.readline():
        body = line.split()[1].removeprefix(b"/")
        while (await reader.readline()).strip():
            pass
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
    writer.close()
