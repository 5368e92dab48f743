"""Names, addresses and ports: who can be reached where."""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import os
import socket
from collections.abc import Iterable
from typing import Any, TypeAlias

Address: TypeAlias = tuple[str, int] | str
"""(IP address, port) of a TCP endpoint; the path of a Unix socket."""

LOOPBACK = "127.0.0.1"

FIRST_EPHEMERAL_PORT = 49152

_EVERYWHERE = ("", "0.0.0.0", "::")
_LOCAL = (*_EVERYWHERE, "localhost", "localhost.localdomain", "::1", LOOPBACK)


@functools.lru_cache(maxsize=1024)
def ip_address(host: str | bytes | None) -> str:
    """The address of this host: every name has one, the same in every execution.

    The local machine has one address, whatever family it is called by. Other names get an
    address in 10.0.0.0/8 made from the name, so that a stand-in may listen under any name
    ("redis.internal") and be reached by it.
    """
    name = host.decode() if isinstance(host, bytes) else host or ""
    if name in _LOCAL:
        return LOOPBACK
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        digest = hashlib.sha256(name.lower().encode()).digest()
        return f"10.{digest[0]}.{digest[1]}.{digest[2]}"


def is_everywhere(host: str | bytes | None) -> bool:
    """Whether who listens here listens on every interface of the machine it runs on."""
    return (host.decode() if isinstance(host, bytes) else host or "") in _EVERYWHERE


def tcp_address(host: str | bytes | None, port: int | str | bytes | None) -> tuple[str, int]:
    """The address of ``port`` at ``host``; a service's name stands for its usual port."""
    return ip_address(host), port_number(port)


def port_number(port: int | str | bytes | None) -> int:
    """The number of this port or service."""
    name = port.decode() if isinstance(port, bytes) else port
    if isinstance(name, str) and name and not name.isdigit():
        return socket.getservbyname(name)
    return int(name or 0)


def unix_path(path: str | bytes | os.PathLike[str] | None) -> str:
    """The path of a Unix socket, as text."""
    if path is None:
        raise ValueError("no path and sock were specified")
    return os.fsdecode(path)


AddressInfo: TypeAlias = tuple[Any, Any, int, str, tuple[str, int] | tuple[str, int, int, int]]


def address_info(
    host: str | bytes | None, port: int | str | bytes | None, *, type: int = 0, proto: int = 0
) -> list[AddressInfo]:
    """What ``getaddrinfo`` answers: exactly one address."""
    address, number = tcp_address(host, port)
    kind = socket.SocketKind(type) if type else socket.SOCK_STREAM
    proto = proto or (socket.IPPROTO_UDP if kind == socket.SOCK_DGRAM else socket.IPPROTO_TCP)
    if ":" in address:
        return [(socket.AF_INET6, kind, proto, "", (address, number, 0, 0))]
    return [(socket.AF_INET, kind, proto, "", (address, number))]


class Ports:
    """Ephemeral ports, counted upwards: the same in every execution."""

    def __init__(self) -> None:
        self._next = FIRST_EPHEMERAL_PORT

    def take(self, ip: str, taken: Iterable[Address]) -> tuple[str, int]:
        """The next address at ``ip`` that is not among those ``taken``."""
        while (ip, self._next) in taken:
            self._next += 1
        address = (ip, self._next)
        self._next += 1
        return address
