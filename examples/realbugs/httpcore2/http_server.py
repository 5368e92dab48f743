"""A stand-in HTTP/1.1 server over streams: it answers every GET with the path it was asked for."""

from __future__ import annotations

import asyncio


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection until its client closes it."""
    try:
        while line := await reader.readline():
            while (await reader.readline()).strip():
                pass
            body = line.split()[1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
    except ConnectionError:
        pass  # the client has gone in the middle of a request
    finally:
        writer.close()
