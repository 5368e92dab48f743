"""Scope: which modules a program consists of, the functions in them, and what stands in them.

What the program's author wrote, the installed packages that these modules name, and the standard
library's own primitives for synchronisation, which are Python code like any other.

The author's modules are those that can be reached by name from where the program begins, with
what else is loaded of their packages; neither the standard library's, nor installed, nor ours. A
module that is loaded only later is not among them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

import isomodel
from isomodel.tracking.containers import TRAITS
from isomodel.tracking.recorder import Label

PRIMITIVES = (
    "asyncio.locks",
    "asyncio.queues",
    "asyncio.taskgroups",
    "asyncio.timeouts",
    "asyncio.mixins",
)

OF_LOOPS = {"trio": ("trio._sync", "trio._channel")}
"""Of libraries that run tasks, the primitives: what their loops touch is no program's conflict."""

MOST_FILES = 400
"""Of installed packages; the rest is left alone, and what it does to containers not seen."""

SMALL = 40
"""Modules that the package may have loaded which a target is written for."""

MOST_PARTS = 1_000
"""Of a container in which functions are looked for; what is larger holds data."""

_CACHED = type(functools.lru_cache(len))
_LIBRARY = str(Path(asyncio.__file__).parent.parent)
_INSTALLED = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
_OURS = str(Path(isomodel.__file__).parent)
_BUILT_IN = str(Path(_OURS, "targets", "factory"))


def modules_of(
    roots: Iterable[Any], packages: Iterable[str] | None = None
) -> tuple[ModuleType, ...]:
    """The modules of the program to which these functions or classes belong.

    ``packages`` are the only others whose code counts, where they are given.
    """
    own = _own_modules(_homes_of(roots))
    found = dict.fromkeys(own)
    if packages is not None:
        wanted = tuple(packages)
        for name, module in _loaded():
            if any(name == each or name.startswith(each + ".") for each in wanted):
                found.setdefault(module)
        return tuple(module for module in found if _has_source(module))
    for package in sorted(_named_packages(own)):
        for name, module in _loaded():
            if name.partition(".")[0] == package and len(found) < MOST_FILES and _is_seen(name):
                found.setdefault(module)
    for name in PRIMITIVES:
        found.setdefault(sys.modules[name])
    return tuple(module for module in found if _has_source(module))


def packages_under_test(root: type) -> tuple[str, ...]:
    """The small installed packages that the module of this class names: it is there to use them."""
    module = sys.modules.get(root.__module__)
    if module is None or not _is_own(module):
        return ()
    loaded = [name.partition(".")[0] for name, _ in _loaded()]
    return tuple(name for name in sorted(_named_packages([module])) if loaded.count(name) <= SMALL)


def _homes_of(roots: Iterable[Any]) -> set[str]:
    """The modules of these, and of what they are made of: a lambda may have all of it inside."""
    homes: set[str] = set()
    seen: dict[int, Any] = {}
    todo = list(roots)
    while todo:
        thing = todo.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing  # kept, so that its id stays its own
        homes.add(str(_home(thing)))
        if isinstance(thing, FunctionType):
            todo += _inside(thing)
        elif isinstance(thing, MethodType):
            todo += (thing.__func__, thing.__self__)
        elif not isinstance(thing, type):
            todo += _parts(thing)
    return homes


def _is_seen(name: str) -> bool:
    """Whether what this module of an installed package touches is of interest."""
    package = name.partition(".")[0]
    return package not in OF_LOOPS or name in OF_LOOPS[package]


def _own_modules(roots: set[str]) -> list[ModuleType]:
    """These modules and what of the author's can be reached from them, in order of loading."""
    loaded = dict(_loaded())
    own = {name for name, module in loaded.items() if _is_own(module)}
    found: set[str] = set()
    todo = sorted(roots & loaded.keys())
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        package = name.partition(".")[0]
        near = {each for each in own if "." in each and each.partition(".")[0] == package}
        todo += ((_named_in(loaded[name]) | near) & own) - found
    return [module for name, module in loaded.items() if name in found]


def _named_in(module: ModuleType) -> set[str]:
    """The modules of which something is in the namespace of this one."""
    names: set[str] = set()
    for thing in list(vars(module).values()):
        home = _home(thing)
        if isinstance(home, str):
            names.add(home)
    return names


def _home(thing: Any) -> Any:
    """The module of a function or class, or of the class of anything else; a module's own name."""
    if isinstance(thing, ModuleType):
        return thing.__name__
    if isinstance(thing, (type, FunctionType)):
        return thing.__module__
    return type(thing).__module__


class Standing:
    """Objects that are there before the program begins, each with the label of its place.

    They are kept alive, so that their ids stay theirs.
    """

    def __init__(self) -> None:
        self.labels: dict[int, Label] = {}
        self._objects: list[Any] = []

    def add(self, thing: Any, label: Label) -> None:
        """Take note of it, unless it has another place already."""
        traits = TRAITS[type(thing)]
        if not (traits.silent or traits.named or id(thing) in self.labels):
            self.labels[id(thing)] = label
            self._objects.append(thing)


def standing_of(modules: Iterable[ModuleType], functions: Iterable[FunctionType]) -> Standing:
    """What these modules, and the closures and defaults of these functions, refer to."""
    standing = Standing()
    for module in modules:
        for name, thing in vars(module).items():
            if not name.startswith("__"):
                standing.add(thing, (("module", module.__name__), name))
    for function in functions:
        label = ("function", f"{function.__module__}.{function.__qualname__}")
        for number, thing in enumerate(function.__defaults__ or ()):
            standing.add(thing, (label, number))
        for name, thing in (function.__kwdefaults__ or {}).items():
            standing.add(thing, (label, name))
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        for name, cell in cells:
            with contextlib.suppress(ValueError):  # not bound yet
                standing.add(cell.cell_contents, (label, name))
    return standing


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
    if isinstance(thing, (functools.cached_property, functools.partialmethod)):
        return (thing.func,)
    if isinstance(thing, functools.singledispatchmethod):
        return (thing.func, *thing.dispatcher.registry.values())
    if isinstance(thing, _CACHED):
        return (thing.__wrapped__,)
    if isinstance(thing, (tuple, list)) and len(thing) < MOST_PARTS:
        return thing
    if isinstance(thing, (dict, MappingProxyType)) and len(thing) < MOST_PARTS:
        return list(thing.values())
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
    names = {name.partition(".")[0] for module in modules for name in _named_in(module)}
    installed = {
        name.partition(".")[0]
        for name, module in _loaded()
        if (getattr(module, "__file__", None) or "").startswith(_INSTALLED)
    }
    return (names & installed) - _TOOLS


_TOOLS = frozenset(
    ["isomodel", "hypothesis", "pytest", "_pytest", "msgspec", "numpy", "pandas", "mypy", "ruff"]
)
"""Packages whose objects no two users share, or whose code is not Python; and this one."""


def _has_source(module: ModuleType) -> bool:
    return (getattr(module, "__file__", None) or "").endswith(".py")
