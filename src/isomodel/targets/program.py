"""Programs as targets: a function that makes all of its state, runs, and asserts what must hold.

Whatever it raises breaks a promise, and that it does not end breaks liveness; nothing else is known
of it. A coroutine function runs on the loop, any other in a thread of its own, where it may start
more of them, or loops.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from isomodel.targets.declare import operation
from isomodel.values.errors import BadInput


def target_of(function: Callable[[], Any], name: str) -> type:
    """A target class whose one operation calls this function; ``name`` is how it was called.

    ``function.runtime`` says where it runs, if there is such an attribute, and ``function.cancels``
    whom cancellations strike: as for any target, by default only what is asked for, ``main``.
    Raises BadInput if it needs arguments, or is a generator function, of which a call runs nothing.
    """
    needed = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        raise BadInput(
            f"{name}: a program is called without arguments, and this one takes "
            f"{', '.join(needed)}; name a function that makes all of its state"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise BadInput(
            f"{name}: calling a generator function runs nothing of it; name a function that goes "
            "through it"
        )
    waits = inspect.iscoroutinefunction(function)
    members = {
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "cancels": getattr(function, "cancels", "operations"),
        "errors": (),
        "main": operation(_awaiting(function) if waits else _calling(function)),
        "max_users": 1,
        "once": True,
        "runtime": getattr(function, "runtime", "asyncio" if waits else "threads"),
    }
    return type(function.__name__, (), members)


def _awaiting(function: Callable[[], Any]) -> Callable[..., Any]:
    async def main(self: object, user: str) -> None:
        with _leaving():
            await function()

    return main


def _calling(function: Callable[[], Any]) -> Callable[..., Any]:
    def main(self: object, user: str) -> None:
        with _leaving():
            function()

    return main


@contextlib.contextmanager
def _leaving() -> Iterator[None]:
    """To exit without an error, as scripts do, is to come to an end."""
    try:
        yield
    except SystemExit as end:
        if end.code:
            raise
