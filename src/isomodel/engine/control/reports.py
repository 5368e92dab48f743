"""What can't be put under control is reported by name: threads, processes, signals, other loops.

Sockets are too, but for those that the network in memory stands in for.

The call goes through: it may be harmless, and the program's own error would only hide the cause.
"""

from __future__ import annotations

import _socket
import contextlib
import importlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

from isomodel.engine.control.patches import Patches, Substitute, methods, through
from isomodel.engine.control.sources import Sources, active
from isomodel.engine.network.memory_socket import MemorySocket, stands_in

_NAMES = (
    ("thread", "_thread", ("start_new_thread", "start_new", "start_joinable_thread")),
    ("subprocess", "os", ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system")),
    ("subprocess", "_posixsubprocess", ("fork_exec",)),
    ("subprocess", "_winapi", ("CreateProcess",)),
    ("socket", "socket", ("getaddrinfo", "gethostbyname", "gethostbyaddr")),
    ("own event loop", "asyncio", ("new_event_loop",)),
    ("input", "builtins", ("input",)),
    ("signal", "signal", ("alarm", "setitimer", "raise_signal", "pause", "pthread_kill")),
    ("signal", "signal", ("sigwait", "sigwaitinfo", "sigtimedwait")),
    ("signal", "os", ("kill", "killpg")),
)
_RECEIVE = ("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into")
_IO = ("__init__", "accept", "connect", "connect_ex", "send", "sendall", "sendmsg", "sendto")


def install(patches: Patches) -> None:
    """Add the reporting functions to the patches."""
    patches.substitute(_substitutes())
    for name, method in list(methods(socket.socket, "socket", _IO + _RECEIVE)):
        patches.attribute(socket.socket, name, method)
    patches.attribute(socket.socket, "__new__", staticmethod(_new_socket))


def _substitutes() -> Iterator[Substitute]:
    for source, module, names in _NAMES:
        for original in _existing(module, names):
            yield Substitute(original, through(source, original))
    yield Substitute(signal.signal, _take_handler)


def _take_handler(sources: Sources, number: int, handler: Any) -> Any:
    """Nobody signals a simulated process: a handler is taken, and never called."""
    return signal.getsignal(number)


def _new_socket(
    cls: type[Any],
    family: int = -1,
    type: int = -1,
    proto: int = -1,
    fileno: int | None = None,
) -> Any:
    """A socket of the network in memory, where a controlled loop makes one for a stream."""
    make = _socket.socket.__new__
    if cls is socket.socket and active() is not None and stands_in(family, type, fileno):
        return make(MemorySocket)
    return make(cls)


def _existing(module: str, names: tuple[str, ...]) -> Iterator[Callable[..., Any]]:
    """Those of the module's functions that this platform and version have."""
    with contextlib.suppress(ImportError):
        space = vars(importlib.import_module(module))
        yield from (space[name] for name in names if name in space)
