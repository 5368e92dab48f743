"""Scope: which modules and classes are a program's own, found from where it begins."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Iterator

from isomodel.engine.control.sources import is_machinery
from isomodel.engine.graph import is_own_module


def modules_from(names: Iterable[str], also: Iterable[str] = ()) -> list[types.ModuleType]:
    """These modules, and all of the program's own that they lead to by what they import.

    Modules of packages in ``also`` count as its own, although they are installed.
    """
    packages = tuple(also)
    found: dict[str, types.ModuleType] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        module = sys.modules.get(name)
        if name in found or not isinstance(module, types.ModuleType) or is_machinery(name):
            continue
        found[name] = module
        waiting += [other for other in _led_to(module) if is_one_of(other, packages)]
    return list(found.values())


def is_one_of(module: str, packages: tuple[str, ...]) -> bool:
    """Whether this module is the program's own, or belongs to one of these packages."""
    return is_own_module(module) or any(
        module == package or module.startswith(package + ".") for package in packages
    )


def _led_to(module: types.ModuleType) -> Iterator[str]:
    for value in list(vars(module).values()):
        if isinstance(value, types.ModuleType):
            yield value.__name__
        elif isinstance(value, type | types.FunctionType):
            yield str(value.__module__)
        else:
            yield type(value).__module__


def classes_of(modules: Iterable[types.ModuleType]) -> list[type]:
    """The classes that these modules define."""
    return [
        value
        for module in modules
        for value in list(vars(module).values())
        if isinstance(value, type) and value.__module__ == module.__name__
    ]
