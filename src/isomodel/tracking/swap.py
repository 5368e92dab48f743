"""Swapping: the rewritten code of each function, in the place of its own for a while."""

from __future__ import annotations

import contextlib
import functools
import tokenize
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from isomodel.tracking.hooks import HOOKS
from isomodel.tracking.rewrite import compiled
from isomodel.tracking.scope import functions_of

_Key = tuple[str, int]


class Swap:
    """The functions of these modules, with their own code and with that which tells."""

    def __init__(self, modules: Iterable[ModuleType], roots: Iterable[Any] = ()) -> None:
        self._modules = tuple(modules)
        self._roots = tuple(roots)
        self._pairs: list[tuple[FunctionType, CodeType, CodeType]] | None = None
        self.missed: list[str] = []
        """Modules whose source could not be read, or that are not what their source says."""

    def __enter__(self) -> None:
        if self._pairs is None:
            self._pairs = list(self._matched())
        for function, _, telling in self._pairs:
            function.__code__ = telling

    def __exit__(self, *error: object) -> None:
        for function, own, _ in self._pairs or ():
            function.__code__ = own

    def _matched(self) -> Iterator[tuple[FunctionType, CodeType, CodeType]]:
        for function in functions_of(self._modules, self._roots):
            own = function.__code__
            telling = _rewritten(own.co_filename).get((own.co_qualname, own.co_firstlineno))
            if telling is not None and _fits(own, telling):
                yield function, own, telling
            elif own.co_filename not in self.missed and not _is_generated(function):
                self.missed.append(own.co_filename)


@functools.lru_cache(maxsize=1024)
def _rewritten(filename: str) -> dict[_Key, CodeType]:
    """The rewritten code of every function in this file, by name and line."""
    codes: dict[_Key, CodeType] = {}
    with contextlib.suppress(OSError, SyntaxError, ValueError, RecursionError):
        with tokenize.open(filename) as file:
            source = file.read()
        todo = [compiled(source, filename, HOOKS)]
        while todo:
            code = todo.pop()
            codes[code.co_qualname, code.co_firstlineno] = code
            todo += [each for each in code.co_consts if isinstance(each, CodeType)]
    return codes


def _fits(own: CodeType, telling: CodeType) -> bool:
    """Whether one may take the other's place: the same arguments, cells and kind."""
    arguments = own.co_argcount + own.co_kwonlyargcount + bool(own.co_flags & 0x04)
    arguments += bool(own.co_flags & 0x08)
    return (
        own.co_freevars == telling.co_freevars
        and own.co_varnames[:arguments] == telling.co_varnames[:arguments]
        and own.co_flags == telling.co_flags
        and own.co_argcount == telling.co_argcount
        and own.co_posonlyargcount == telling.co_posonlyargcount
        and own.co_kwonlyargcount == telling.co_kwonlyargcount
    )


def _is_generated(function: FunctionType) -> bool:
    """Whether this was made by ``exec``, as the methods of dataclasses are."""
    return function.__code__.co_filename.startswith("<")
