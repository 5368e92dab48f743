"""Scope: which modules a program consists of, and the functions in them.

What the program's author wrote (neither the standard library's, nor installed, nor ours), the
installed packages that these modules name, and the standard library's own primitives for
synchronisation, which are Python code like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

import isomodel

PRIMITIVES = (
    "asyncio.locks",
    "asyncio.queues",
    "asyncio.taskgroups",
    "asyncio.timeouts",
    "asyncio.mixins",
)

MOST_FILES = 400
"""Of installed packages; the rest is left alone, and what it does to containers not seen."""

_LIBRARY = str(Path(asyncio.__file__).parent.parent)
_INSTALLED = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
_OURS = str(Path(isomodel.__file__).parent)
_BUILT_IN = str(Path(_OURS, "targets", "factory"))


def modules_of(roots: Iterable[Any]) -> tuple[ModuleType, ...]:
    """The modules of the program to which these functions or classes belong."""
    names = {getattr(root, "__module__", "") for root in roots}
    own = [module for name, module in _loaded() if name in names or _is_own(module)]
    found = dict.fromkeys(own)
    for package in sorted(_named_packages(own)):
        for name, module in _loaded():
            if name.partition(".")[0] == package and len(found) < MOST_FILES:
                found.setdefault(module)
    for name in PRIMITIVES:
        found.setdefault(sys.modules[name])
    return tuple(module for module in found if _has_source(module))


def functions_of(modules: Iterable[ModuleType], roots: Iterable[Any] = ()) -> list[FunctionType]:
    """The functions that these modules' namespaces, classes and closures lead to."""
    files = {module.__file__ for module in modules}
    seen: set[int] = set()
    found: list[FunctionType] = []
    todo: list[Any] = [*roots, *(each for module in modules for each in vars(module).values())]
    while todo:
        thing = todo.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, FunctionType):
            if thing.__code__.co_filename in files:
                found.append(thing)
            todo += _inside(thing)
        elif isinstance(thing, type):
            if _file_of(thing) in files:
                todo += vars(thing).values()
        elif not isinstance(thing, ModuleType) and _file_of(type(thing)) in files:
            todo += _attributes(thing)
        else:
            todo += _parts(thing)
    return found


def _attributes(thing: Any) -> list[Any]:
    """What an instance of one of the program's classes keeps, where that can be told."""
    found = list(getattr(thing, "__dict__", {}).values())
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            with contextlib.suppress(AttributeError):
                found.append(object.__getattribute__(thing, name))
    return found


def _inside(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not bound yet
            continue
    yield from vars(function).values()


def _parts(thing: Any) -> Iterable[Any]:
    """What a wrapper of functions has in it."""
    if isinstance(thing, property):
        return thing.fget, thing.fset, thing.fdel
    if isinstance(thing, (staticmethod, classmethod, MethodType)):
        return (thing.__func__,)
    if isinstance(thing, functools.partial):
        return (thing.func, *thing.args)
    if isinstance(thing, functools.cached_property):
        return (thing.func,)
    if isinstance(thing, (tuple, list)) and len(thing) < 100:
        return thing
    if isinstance(thing, dict) and len(thing) < 100:
        return thing.values()
    return ()


def _file_of(kind: type) -> str | None:
    return getattr(sys.modules.get(kind.__module__), "__file__", None)


def _loaded() -> list[tuple[str, ModuleType]]:
    return [
        (name, module) for name, module in list(sys.modules.items()) if type(module) is ModuleType
    ]


def _is_own(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None) or ""
    if not file or file.startswith(_INSTALLED):
        return False
    if file.startswith(_OURS):
        return file.startswith(_BUILT_IN)
    return not file.startswith(_LIBRARY)


def _named_packages(modules: Iterable[ModuleType]) -> set[str]:
    """Installed packages of which something is in the namespace of one of these modules."""
    names: set[str] = set()
    for module in modules:
        for thing in list(vars(module).values()):
            name = thing.__name__ if isinstance(thing, ModuleType) else None
            name = name or getattr(thing, "__module__", None)
            if isinstance(name, str):
                names.add(name.partition(".")[0])
    installed = {
        name.partition(".")[0]
        for name, module in _loaded()
        if (getattr(module, "__file__", None) or "").startswith(_INSTALLED)
    }
    return (names & installed) - _TOOLS


_TOOLS = frozenset(
    ["hypothesis", "pytest", "_pytest", "msgspec", "numpy", "pandas", "mypy", "ruff"]
)
"""Packages whose objects no two users share, or whose code is not Python."""


def _has_source(module: ModuleType) -> bool:
    return (getattr(module, "__file__", None) or "").endswith(".py")
