"""What can't be put under control is reported by name: threads, processes, sockets, other loops.

The call goes through: it may be harmless, and the program's own error would only hide the cause.
"""

from __future__ import annotations

import contextlib
import importlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

from isomodel.engine.patches import Patches, Substitute, methods, through

_NAMES = (
    ("thread", "_thread", ("start_new_thread", "start_new", "start_joinable_thread")),
    ("subprocess", "os", ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system")),
    ("subprocess", "_posixsubprocess", ("fork_exec",)),
    ("subprocess", "_winapi", ("CreateProcess",)),
    ("socket", "socket", ("getaddrinfo", "gethostbyname", "gethostbyaddr")),
    ("own event loop", "asyncio", ("new_event_loop",)),
    ("input", "builtins", ("input",)),
)
_RECEIVE = ("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into")
_IO = ("__init__", "accept", "connect", "connect_ex", "send", "sendall", "sendmsg", "sendto")


def install(patches: Patches) -> None:
    """Add the reporting functions to the patches."""
    patches.substitute(_substitutes())
    for name, method in list(methods(socket.socket, "socket", _IO + _RECEIVE)):
        patches.attribute(socket.socket, name, method)


def _substitutes() -> Iterator[Substitute]:
    for source, module, names in _NAMES:
        for original in _existing(module, names):
            yield Substitute(original, through(source, original))


def _existing(module: str, names: tuple[str, ...]) -> Iterator[Callable[..., Any]]:
    """Those of the module's functions that this platform and version have."""
    with contextlib.suppress(ImportError):
        space = vars(importlib.import_module(module))
        yield from (space[name] for name in names if name in space)
