"""Write buffer limits: when a protocol is told to pause writing, and when to go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from isomodel.engine.network.host import Host

DEFAULT_HIGH = 64 * 1024


class Flow:
    """The limits of one transport, in bytes, with the rules of stock asyncio."""

    def __init__(self, host: Host, transport: asyncio.Transport) -> None:
        self._host = host
        self._transport = transport
        self._paused = False
        self.high = DEFAULT_HIGH
        self.low = DEFAULT_HIGH // 4

    def limit(self, high: int | None, low: int | None) -> None:
        """Set both limits; either follows from the other."""
        if high is None:
            high = DEFAULT_HIGH if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self.high, self.low = high, low

    def grew(self, protocol: asyncio.BaseProtocol | None) -> None:
        """The buffer has grown: above the high limit the protocol has to pause."""
        if protocol is None or self._paused:
            return
        if self._transport.get_write_buffer_size() > self.high:
            self._paused = True
            self._tell(protocol.pause_writing, protocol)

    def shrank(self, protocol: asyncio.BaseProtocol | None) -> None:
        """The buffer has shrunk: down at the low limit the protocol may go on."""
        if protocol is None or not self._paused:
            return
        if self._transport.get_write_buffer_size() <= self.low:
            self._paused = False
            self._tell(protocol.resume_writing, protocol)

    def _tell(self, method: Callable[[], None], protocol: asyncio.BaseProtocol) -> None:
        try:
            method()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._host.call_exception_handler(
                {
                    "message": f"protocol.{method.__name__}() failed",
                    "exception": error,
                    "transport": self._transport,
                    "protocol": protocol,
                }
            )
