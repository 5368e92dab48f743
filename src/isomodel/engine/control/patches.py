"""Patches: putting substitutes in the place of functions, everywhere they are known by name.

The interpreter offers no hook for ``from time import time``, so every module's names are looked
through once, and those of modules imported later when they appear. Out of reach stays an
original that was bound before installation as a default argument, as a class attribute, in a
container or in C code. (Python-level methods of ``random`` and those of ``datetime`` are
controlled there too: they are patched in the object and in the type.)
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import sys
from _thread import get_ident
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from isomodel.engine.control.sources import Sources, here, is_machinery

_ABSENT = object()
_LIBRARY = sys.stdlib_module_names - {"__main__"}


class Substitute:
    """A function that asks ``controlled`` inside an execution and ``original`` outside.

    Like a built-in function, and unlike a Python function, it does not turn into a method when
    it is a class attribute; it is pickled and copied by name. ``outside`` may stand in for the
    original outside; ``spared`` names modules that keep the original.
    """

    def __init__(
        self,
        original: Callable[..., Any],
        controlled: Callable[..., Any],
        *,
        outside: Callable[..., Any] | None = None,
        spared: frozenset[str] = frozenset(),
    ) -> None:
        functools.update_wrapper(self, original)
        self.original = original
        self.spared = spared
        self._controlled = controlled
        self._outside = outside or original

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what the execution under way in this thread wants, or what was always done."""
        sources = here.sources
        if sources is None or sources.thread != get_ident():
            return self._outside(*args, **kwargs)
        return self._controlled(sources, *args, **kwargs)

    def __reduce__(self) -> str:
        return str(self.original.__name__)

    def __repr__(self) -> str:
        return repr(self.original)


def through(source: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """``original`` as a controlled function that reports ``source`` and then does its work."""

    def reported(sources: Sources, *args: Any, **kwargs: Any) -> Any:
        sources.report(source)
        return original(*args, **kwargs)

    return reported


class Patches:
    """What is patched in this process, and how to put it back, once.

    ``seen`` is the number of modules at the last scan: as long as it holds there is nothing new.
    """

    def __init__(self) -> None:
        self.seen = 0
        self._substitutes: dict[int, Substitute] = {}
        self._builtins: dict[str, Substitute] = {}
        self._added: list[tuple[dict[str, Any], str]] = []
        self._scanned: set[str] = set()
        self._rebound: list[dict[str, Any]] = []
        self._undo = contextlib.ExitStack()

    def substitute(self, substitutes: Iterable[Substitute]) -> None:
        """Have the next scan put these in the place of their originals, in every module."""
        for substitute in substitutes:
            self._substitutes[id(substitute.original)] = substitute
        self._scanned.clear()
        self.seen = 0

    def builtin(self, name: str, substitute: Substitute) -> None:
        """Have the next scan put this before a built-in function of the same name.

        In every module outside the standard library that has not bound the name itself.
        """
        self._builtins[name] = substitute
        self._scanned.clear()
        self.seen = 0

    def attribute(self, holder: type, name: str, value: Any) -> None:
        """Set an attribute of a class, of one written in C too."""
        before = holder.__dict__.get(name, _ABSENT)
        set_in_type(holder, name, value)
        self._undo.callback(set_in_type, holder, name, before)

    def on_undo(self, undo: Callable[[], None]) -> None:
        """Call ``undo`` when everything is put back."""
        self._undo.callback(undo)

    def scan(self) -> None:
        """Rebind the names of all modules that no scan has looked through."""
        for name, module in sys.modules.copy().items():
            if name not in self._scanned:
                self._scanned.add(name)
                self._rebind(name, namespace(module))
        self.seen = len(sys.modules)

    def undo(self) -> None:
        """Put back every original, also in modules imported meanwhile or removed."""
        for space, name in self._added:
            if type(space.get(name)) is Substitute:
                del space[name]
        self._added.clear()
        for space in (*self._rebound, *map(namespace, sys.modules.copy().values())):
            for name, value in space.copy().items():
                if type(value) is Substitute:
                    space[name] = value.original
        self._undo.close()

    def _rebind(self, module: str, space: dict[str, Any]) -> None:
        """Put substitutes into the namespace; originals where the module must keep them."""
        keeps, changed = is_machinery(module), False
        for name, value in space.copy().items():  # a finaliser may change it meanwhile
            found = value if type(value) is Substitute else self._substitutes.get(id(value))
            if found is not None:
                kept = keeps or module in found.spared
                space[name] = found.original if kept else found
                changed = True
        if changed:
            self._rebound.append(space)
        if not keeps and module.partition(".")[0] not in _LIBRARY:
            for name, substitute in self._builtins.items():
                if name not in space and "__builtins__" in space:  # else no code of it runs
                    space[name] = substitute
                    self._added.append((space, name))


def namespace(module: Any) -> dict[str, Any]:
    """The names of a module, without waking up one that loads itself on first use."""
    try:
        space = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return {}
    return space if isinstance(space, dict) else {}


def set_in_type(holder: type, name: str, value: Any) -> None:
    """Set (or with ``_ABSENT`` remove) an attribute of a class, even of an immutable one.

    ``datetime`` could be replaced by a subclass instead, as freezegun does; but then
    ``type(x) is datetime``, annotations read at run time and subclasses made earlier see two
    different classes. Changing the type in place keeps one. It needs CPython.
    """
    try:
        delattr(holder, name) if value is _ABSENT else setattr(holder, name, value)
    except TypeError:
        (names,) = gc.get_referents(holder.__dict__)
        if value is _ABSENT:
            del names[name]
        else:
            names[name] = value
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(holder))


def methods(holder: type, source: str, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """For each method of the class with one of these names: it, reporting ``source`` first."""
    for name in names:
        original = getattr(holder, name, None)
        if original is not None:
            yield name, _reporting(source, original)


def _reporting(source: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        sources = here.sources
        if sources is not None and sources.thread == get_ident():
            sources.report(source)
        return original(self, *args, **kwargs)

    return method
