"""From a constructor and the names of methods to a target class.

What makes the system is a function or a class, a coroutine function, or a generator function that
yields the system and dismisses it afterwards, as in pytest's fixtures. Methods are named, or given
as functions of the system and the arguments.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from isomodel.values.errors import BadInput

Make = Callable[..., Any]
Method = str | Callable[..., Any]
"""The name of a method, or a function that is given the system and then the arguments."""

Kind = TypeVar("Kind", bound=type)


def declared(kit: Kind, make: Make | None, **members: Any) -> Any:
    """A target: ``kit`` over what ``make`` makes; without ``make``, a decorator of it.

    It has the name and module of the decorated function. Made by a call, it belongs to the module
    of the caller, and is found there by the name that it is bound to.
    """
    if make is None:
        return lambda function: _target(kit, function, function.__module__, members)
    return _target(kit, make, sys._getframe(2).f_globals.get("__name__", "__main__"), members)


def _target(kit: type, make: Make, module: str, members: dict[str, Any]) -> type:
    if not callable(make):
        raise BadInput(
            f"kits: {type(make).__name__} is not callable; give what makes the system, "
            "such as `lambda: Pool(size=2)`"
        )
    named = inspect.isfunction(make) and make.__name__ != "<lambda>"
    name = make.__name__ if named else kit.__name__
    attributes = {
        **members,
        "make": staticmethod(make),
        "__module__": module,
        "__qualname__": make.__qualname__ if named else name,
        "__doc__": inspect.getdoc(make) if named else kit.__doc__,
    }
    return type(name, (kit,), attributes)


def called(system: Any, method: Method, *args: Any, **options: Any) -> Any:
    """What the method returns."""
    if isinstance(method, str):
        return getattr(system, method)(*args, **options)
    return method(system, *args, **options)


def check_methods(system: Any, methods: Iterable[Method | None]) -> None:
    """Raise BadInput, in one line, if the system lacks a method that is named."""
    for method in methods:
        if isinstance(method, str) and not callable(getattr(system, method, None)):
            known = ", ".join(name for name in dir(system) if not name.startswith("_"))
            kind = type(system).__name__
            raise BadInput(f"kits: {kind} has no method {method!r}; it has {known or 'none'}")


async def settled(value: Any) -> Any:
    """``value``, or what it turns out to be if it has to be awaited."""
    return await value if inspect.isawaitable(value) else value


class Made:
    """The system of one execution, and how it is dismissed.

    A generator is entered and left by one task of its own, since cancel scopes and task groups
    that are open at its ``yield`` can only be left by the task that entered them.
    """

    def __init__(self) -> None:
        self.system: Any = None
        self._keeper: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()

    async def enter(self, make: Make, *args: Any) -> None:
        """Make the system; raises what ``make`` raises."""
        made = make(*args)
        if inspect.isgenerator(made):
            made = _asynchronous(made)
        if inspect.isasyncgen(made):
            entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._keeper = asyncio.create_task(self._keep(made, entered))
            await entered
        else:
            self.system = await settled(made)

    async def _keep(self, generator: Any, entered: asyncio.Future[None]) -> None:
        try:
            self.system = await anext(generator)
        except BaseException as error:
            entered.set_exception(error)
            return
        entered.set_result(None)
        await self._leave.wait()
        if await anext(generator, None) is not None:
            raise BadInput("kits: what makes the system yields twice; it should yield it once")

    async def leave(self, patience: float) -> str:
        """Dismiss the system; what went wrong, if anything did."""
        if self._keeper is None:
            return ""
        self._leave.set()
        await asyncio.wait((self._keeper,), timeout=patience)
        if not self._keeper.done():
            return f"it was not dismissed within {patience:g} s"
        error = self._keeper.exception()
        return f"it raised {type(error).__name__}: {error}" if error is not None else ""


async def _asynchronous(generator: Any) -> Any:
    for made in generator:
        yield made
