"""Real I/O, which a simulated loop does not have: every way to ask for it, refused by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from isomodel.values.execution import Issue


class NotSimulated(NotImplementedError):
    """The program asked the loop for real I/O, which does not exist in a simulation."""


class _Refused:
    """A method that reports that it was asked for, and raises NotSimulated."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, loop: Any, kind: type) -> Callable[..., Any]:
        name = self._name

        def refuse(*args: Any, **options: Any) -> Any:
            loop.uncontrolled.append(Issue(f"loop.{name}", "real I/O asked of a simulated loop"))
            raise NotSimulated(
                f"loop.{name} is real I/O, which isomodel does not simulate; use streams or "
                "protocols over create_connection, or stand in for it with isomodel.io"
            )

        return refuse


class NoRealIO(asyncio.AbstractEventLoop):
    """A loop without an operating system beneath it."""

    __slots__ = ()

    uncontrolled: list[Issue]

    add_reader: Any = _Refused()
    remove_reader: Any = _Refused()
    add_writer: Any = _Refused()
    remove_writer: Any = _Refused()
    add_signal_handler: Any = _Refused()
    remove_signal_handler: Any = _Refused()
    sock_recv: Any = _Refused()
    sock_recv_into: Any = _Refused()
    sock_recvfrom: Any = _Refused()
    sock_recvfrom_into: Any = _Refused()
    sock_sendall: Any = _Refused()
    sock_sendto: Any = _Refused()
    sock_connect: Any = _Refused()
    sock_accept: Any = _Refused()
    sock_sendfile: Any = _Refused()
    sendfile: Any = _Refused()
    start_tls: Any = _Refused()
    connect_read_pipe: Any = _Refused()
    connect_write_pipe: Any = _Refused()
    connect_accepted_socket: Any = _Refused()
    subprocess_shell: Any = _Refused()
    subprocess_exec: Any = _Refused()
    create_datagram_endpoint: Any = _Refused()
    getnameinfo: Any = _Refused()
