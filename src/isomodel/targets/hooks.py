"""Hooks: the optional methods of a target, and whether each can be called as isomodel calls it."""

from __future__ import annotations

import contextlib
import inspect
from types import FunctionType
from typing import Any, Literal

import msgspec

from isomodel.values.errors import BadInput


class Hook(msgspec.Struct, frozen=True):
    """An optional method: what it is given, and whether it may, must or cannot be awaited."""

    takes: tuple[str, ...] = ()
    waits: Literal["may", "must", "never"] = "never"


HOOKS = {
    "start": Hook(waits="may"),
    "stop": Hook(waits="may"),
    "leave": Hook(("user",), "must"),
    "state": Hook(("user",)),
    "roots": Hook(("user",)),
    "common": Hook(),
    "shared": Hook(),
    "leftovers": Hook(),
    "arm": Hook(("name",)),
}


def hook_of(target: object, name: str) -> Any:
    """The target's method of this name, or None: what ``start`` calls ``self.state`` is no hook."""
    return getattr(target, name) if hasattr(type(target), name) else None


def check_hooks(name: str, cls: type, *, threads: bool) -> None:
    """Raises BadInput for a hook that could not be called. ``threads``: nothing is awaited."""
    with contextlib.suppress(ValueError):  # no signature is known
        try:
            inspect.signature(cls).bind()
        except TypeError as error:
            raise BadInput(
                f"{name}: cannot be made anew for each execution ({error}); "
                "give its arguments defaults, or subclass it with `def __init__(self)`"
            ) from None
    for key, hook in HOOKS.items():
        method = inspect.getattr_static(cls, key, None)
        if method is None or (inspect.isclass(method) and not callable(method)):
            continue
        if not callable(getattr(cls, key)):
            raise BadInput(f"{name}: {key} is {method!r}; write `{_written(key, hook)}`")
        if isinstance(method, FunctionType):
            _check(name, key, hook, method, threads=threads)


def _check(name: str, key: str, hook: Hook, method: FunctionType, *, threads: bool) -> None:
    awaited = inspect.iscoroutinefunction(method)
    right = f"write `{_written(key, hook)}`"
    if hook.waits == "must" and not awaited and not threads:
        raise BadInput(f"{name}: {key} is not a coroutine; {right}")
    if hook.waits == "never" and awaited:
        raise BadInput(f"{name}: {key} is a coroutine, and nobody awaits it; {right}")
    try:
        inspect.signature(method).bind(None, *hook.takes)
    except TypeError as error:
        raise BadInput(f"{name}: {key} cannot be called ({error}); {right}") from None


def _written(key: str, hook: Hook) -> str:
    keyword = "def" if hook.waits == "never" else "async def"
    return f"{keyword} {key}({', '.join(('self', *hook.takes))})"
