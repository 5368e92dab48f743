"""The asyncio loop under control: real tasks and futures, virtual time, every order a choice.

What two fidelities share; ``stock`` and ``portable`` differ in how they drive it. Its parts:
``arrivals`` (what may come from outside), ``executor`` (threads), ``tasks`` (who runs, under which
name), ``refusals`` (what does not exist here), ``network``.

A fresh loop is made for every execution: that costs microseconds and leaks nothing.
"""

# ruff: noqa: D102 - what AbstractEventLoop declares is documented there

from __future__ import annotations

import asyncio
import contextlib
import functools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from isomodel.engine import anyio_backend
from isomodel.engine.core import Blocked, OutOfSteps
from isomodel.engine.network import Network
from isomodel.engine.owner import OWNER, Owner, Serving
from isomodel.engine.refusals import NotSimulated
from isomodel.engine.runtime import IN_CALLBACK
from isomodel.engine.tasks import Tasks
from isomodel.values.execution import Issue
from isomodel.values.facts import Fact
from isomodel.values.scenario import SERVER

__all__ = ["Blocked", "ControlledLoop", "NotSimulated", "OutOfSteps"]


class ControlledLoop(Tasks):
    """One execution of one program; see the module's text.

    ``met`` are the faults that became possible, in order, ``fired`` those that struck: a repeat
    needs the former, because even an option not taken is a question asked. ``idles`` counts the
    moments at which nothing was ready to run. ``record`` fills ``log`` and ``trace``. With
    ``every_choice`` the scheduler is asked even where only one thing can happen, is offered all
    timers, and latencies are over at once: what it takes to repeat a recorded order, clock
    included. ``errors`` are what the exception handler was told, the program's own or not.
    """

    __slots__ = ()

    slow_callback_duration = 0.1

    _exception_handler: Any = None
    _stopping: bool | None = None

    @functools.cached_property
    def _asyncgens(self) -> dict[int, weakref.ref[Any]]:
        return {}

    get_debug: Any = bool
    """False; the C code asks once for every task and future, and calls no frame for this."""

    def set_debug(self, enabled: bool) -> None:
        pass

    # Its life

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Forget everything that is still pending."""
        if self._running:
            raise RuntimeError("Cannot close a running event loop")
        self._closed = True
        self._forget()

    def dismiss(self) -> list[str]:
        """End every task and close; the names of those that swallow their cancellation."""
        if not self.pending_tasks():
            self.close()
            return []
        with self.running():
            for _ in range(3):
                for task in self.pending_tasks():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    task.cancel()
                self.max_steps = self.steps + 1_000
                with contextlib.suppress(Blocked, OutOfSteps, SystemExit, KeyboardInterrupt):
                    self.settle()
            swallowing = self.pending()
        self.close()
        return swallowing

    @functools.cached_property
    def in_task(self) -> Callable[[], object]:
        """Tells which task is taking a step now; None where none is."""
        return functools.partial(asyncio.current_task, self)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Be the running loop inside the block."""
        outside = self._enter()
        try:
            yield
        finally:
            self._leave(*outside)

    def _adopt_anyio(self) -> None:
        """What anyio would do outside the loop's control, it does under it."""
        anyio_backend.adopt()

    def settle(self) -> None:
        """Let everything happen that can without time passing."""
        self.drive(lambda: not self._busy())

    def _busy(self) -> bool:
        return bool(self._ready or self._overdue or self._live_arrivals() or self._live_posts())

    # For runners that are given this loop: asyncio.Runner, anyio, pytest-asyncio

    def run_until_complete(self, future: Any) -> Any:
        self._check_idle()
        new = not asyncio.isfuture(future)
        task = self.root.context.run(asyncio.ensure_future, future, loop=self)
        if new:
            task._log_destroy_pending = False
        self._drive_until(task.done)
        if not task.done():
            raise RuntimeError("Event loop stopped before Future completed.")
        return task.result()

    def run_forever(self) -> None:
        self._check_idle()
        self._drive_until(lambda: False)

    def stop(self) -> None:
        if self._stopping is None:
            self.uncontrolled.append(Issue("loop.stop", "the program stops the loop it runs on"))
        else:
            self._stopping = True

    def _drive_until(self, done: Callable[[], bool]) -> None:
        self._stopping = bool(self._stopping)
        try:
            with self.running():
                self.drive(lambda: self._stopping or done())
        finally:
            self._stopping = None

    def _check_idle(self) -> None:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        if self._running:
            raise RuntimeError("This event loop is already running")
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("Cannot run the event loop while another loop is running")

    # The world of a program that is no target (engine.world.World); its I/O is the loop's own

    def note(self, fact: Fact) -> None:
        """Programs have no invariants to judge facts."""

    def watch(self, thing: Any, what: str) -> None:
        """Programs have no last operation."""

    def acting_as(self, user: str) -> contextlib.AbstractContextManager[None]:
        """Raise RuntimeError, for want of users."""
        raise RuntimeError("acting_as needs a target: a program has no users")

    # Servers at the other end of simulated connections

    @functools.cached_property
    def _faces(self) -> dict[str, Owner]:
        return {}

    def server_for(self, owner: Owner) -> Serving:
        """Whose the work of a server is on a connection that ``owner`` has made."""
        server = Serving("", "", owner.part, root=True)
        self.turn(server, owner)
        return server

    def turn(self, server: Serving, owner: Owner) -> None:
        """From now on the server's work on this connection is for ``owner``.

        What a user does and what is done for it are numbered apart.
        """
        label = SERVER + owner.label
        face = self._faces.get(label)
        if face is None:
            face = self._faces[label] = Owner(label, owner.user, owner.part)
        server.turn(face)

    def be(self, owner: Owner) -> None:
        """From now on what runs in the present context is the work of ``owner``."""
        OWNER.set(owner)

    # Errors

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self._note(context)
        if self._exception_handler is None:
            return
        try:
            self._exception_handler(self, context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._note({"message": "Unhandled error in exception handler", "exception": error})

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Where asyncio writes a log; ``errors`` has it already."""

    def _note(self, context: dict[str, Any]) -> None:
        """Keep an error as text: an exception would keep alive what its frames refer to."""
        text = str(context.get("message"))
        error = context.get("exception")
        self.errors.append(text if error is None else f"{text}: {type(error).__name__}: {error}")

    def set_exception_handler(self, handler: Any) -> None:
        if handler is not None and not callable(handler):
            raise TypeError(f"A callable object or None is expected, got {handler!r}")
        self._exception_handler = handler

    def get_exception_handler(self) -> Any:
        return self._exception_handler

    def _failed(self, callback: Any, error: BaseException) -> None:
        self.call_exception_handler(
            {"message": f"{IN_CALLBACK}{_name(callback)}", "exception": error}
        )

    # Asynchronous generators

    def _asyncgen_begins(self, generator: Any) -> None:
        self._asyncgens[id(generator)] = weakref.ref(generator)

    def _asyncgen_dropped(self, generator: Any) -> None:
        self._asyncgens.pop(id(generator), None)
        if not self._closed:
            self.call_soon(self.create_task, generator.aclose())

    async def shutdown_asyncgens(self) -> None:
        """Close those that are not finished, in the order in which they began."""
        generators = [reference() for reference in self._asyncgens.values()]
        self._asyncgens.clear()
        closing = [generator.aclose() for generator in generators if generator is not None]
        await asyncio.gather(*closing, return_exceptions=True)

    # The network

    @functools.cached_property
    def network(self) -> Network:
        """The in-memory network of this execution, made when it is first needed."""
        return Network(self)

    async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
        return await self.network.getaddrinfo(*args, **options)

    async def getnameinfo(self, *args: Any, **options: Any) -> Any:
        return await self.network.getnameinfo(*args, **options)

    async def connect_accepted_socket(self, *args: Any, **options: Any) -> Any:
        return await self.network.connect_accepted_socket(*args, **options)

    async def sock_connect(self, sock: Any, address: Any) -> None:
        await self.network.raw.sock_connect(sock, address)

    async def sock_accept(self, sock: Any) -> Any:
        return await self.network.raw.sock_accept(sock)

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        return await self.network.raw.sock_recv(sock, nbytes)

    async def sock_recv_into(self, sock: Any, buf: Any) -> int:
        return await self.network.raw.sock_recv_into(sock, buf)

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        await self.network.raw.sock_sendall(sock, data)

    def remove_reader(self, fd: Any) -> bool:
        return False

    def remove_writer(self, fd: Any) -> bool:
        return False

    def add_signal_handler(  # type: ignore[override]
        self, sig: int, callback: Callable[..., object], *args: Any
    ) -> None:
        """Take it: nobody signals a simulated process."""

    def remove_signal_handler(self, sig: int) -> bool:
        return False

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        return await self.network.create_connection(*args, **options)

    async def create_server(self, *args: Any, **options: Any) -> Any:
        return await self.network.create_server(*args, **options)

    async def create_unix_connection(self, *args: Any, **options: Any) -> Any:
        return await self.network.create_unix_connection(*args, **options)

    async def create_unix_server(self, *args: Any, **options: Any) -> Any:
        return await self.network.create_unix_server(*args, **options)


def _name(callback: Any) -> str:
    """What a callback is called, without an address."""
    return getattr(callback, "__qualname__", None) or type(callback).__name__
