"""Real I/O, which a simulated loop does not have: every way to ask for it, refused by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn

from isomodel.values.execution import Issue


class NotSimulated(NotImplementedError):
    """The program asked the loop for real I/O, which does not exist in a simulation."""


ADVICE = {
    "start_tls": "connect and serve without TLS: nothing leaves this process",
    "add_reader": "await the loop's sock_ methods or streams instead of a file descriptor",
    "add_writer": "await the loop's sock_ methods or streams instead of a file descriptor",
    "create_datagram_endpoint": "only byte streams are simulated; stand in for it with isomodel.io",
    "subprocess_shell": "stand in for the process with isomodel.io",
    "subprocess_exec": "stand in for the process with isomodel.io",
}
"""What to do instead, where there is more to say than in general."""

IN_GENERAL = "use streams or protocols over create_connection, or stand in for it with isomodel.io"


class _Refused:
    """A method that reports that it was asked for, and raises NotSimulated."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, loop: Any, kind: type) -> Callable[..., Any]:
        name = self._name

        def refuse(*args: Any, **options: Any) -> Any:
            loop.refuse(name, ADVICE.get(name, IN_GENERAL))

        return refuse


class NoRealIO(asyncio.AbstractEventLoop):
    """A loop without an operating system beneath it."""

    __slots__ = ()

    uncontrolled: list[Issue]

    def refuse(self, what: str, advice: str) -> NoReturn:
        """Report that the program asked for this real I/O, and raise NotSimulated."""
        self.uncontrolled.append(Issue(f"loop.{what}", "real I/O asked of a simulated loop"))
        raise NotSimulated(f"loop.{what} is real I/O, which is not simulated by isomodel; {advice}")

    add_reader: Any = _Refused()
    add_writer: Any = _Refused()
    sock_recvfrom: Any = _Refused()
    sock_recvfrom_into: Any = _Refused()
    sock_sendto: Any = _Refused()
    sock_sendfile: Any = _Refused()
    sendfile: Any = _Refused()
    start_tls: Any = _Refused()
    connect_read_pipe: Any = _Refused()
    connect_write_pipe: Any = _Refused()
    subprocess_shell: Any = _Refused()
    subprocess_exec: Any = _Refused()
    create_datagram_endpoint: Any = _Refused()
