"""Swapping: the rewritten code of each function, in the place of its own for a while.

A function gets the rewritten code only if its own code is what its source says: a file that was
edited after it was imported, or whose code something else has rewritten, is left alone and listed
as missed. (pytest's rewriting of ``assert`` is known, and undone for as long.)

Coroutines and generators that have begun go on with the code they began with, and functions made
while the rewritten code is in place keep theirs: it does the same.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from isomodel.tracking.hooks import HOOKS
from isomodel.tracking.names import bound_as_attributes
from isomodel.tracking.rewrite import compiled
from isomodel.tracking.scope import functions_of

_Codes = list[tuple[CodeType, CodeType]]

Rewriting = Callable[[str, str, str, frozenset[str]], CodeType]
"""Compiles a text (with its file, module, and names that other modules bind), hooks in it."""


def telling(source: str, file: str, module: str, elsewhere: frozenset[str]) -> CodeType:
    """The rewriting that tells the recorder of accesses, and changes nothing else."""
    return compiled(source, file, HOOKS, module=module, elsewhere=elsewhere)


_PYTEST = "@pytest_ar"
"""A name in modules whose assertions pytest has rewritten."""


class Swap:
    """The functions of these modules, with their own code and with that which tells.

    They are looked for when it is first entered. Blocks may be nested. ``telling`` has the ids of
    the rewritten code, ``functions`` what was rewritten.
    """

    def __init__(
        self,
        modules: Iterable[ModuleType],
        roots: Iterable[Any] = (),
        rewriting: Rewriting = telling,
    ) -> None:
        self.modules = tuple(modules)
        self._roots = tuple(roots)
        self._rewriting = rewriting
        self._pairs: tuple[tuple[FunctionType, CodeType], ...] | None = None
        self._before: list[list[tuple[FunctionType, CodeType]]] = []
        self.telling: frozenset[int] = frozenset()
        self.missed: list[str] = []
        """Files whose source could not be read, or is not what was imported."""

    @property
    def functions(self) -> tuple[FunctionType, ...]:
        """What tells of its accesses inside the block."""
        return tuple(function for function, _ in self._pairs or ())

    def __enter__(self) -> None:
        if self._pairs is None:
            self._pairs = self._matched()
        before: list[tuple[FunctionType, CodeType]] = []
        self._before.append(before)
        if len(self._before) > 1:
            return
        try:
            for function, telling in self._pairs:
                before.append((function, function.__code__))
                function.__code__ = telling
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *error: object) -> None:
        for function, own in self._before.pop():
            function.__code__ = own

    def _matched(self) -> tuple[tuple[FunctionType, CodeType], ...]:
        """Each function with its rewritten code."""
        by_file = {str(module.__file__): module for module in self.modules}
        sources = {file: source for file in by_file if (source := _source(file)) is not None}
        elsewhere = frozenset().union(*map(_bound_elsewhere, sources.values()))
        files: dict[str, Mapping[tuple[str, int], _Codes]] = {}
        found: list[tuple[FunctionType, CodeType]] = []
        told: set[int] = set()
        for function in functions_of(self.modules, self._roots):
            own = function.__code__
            file = own.co_filename
            if file not in files:
                name = by_file[file].__name__
                codes = _codes(sources.get(file), file, name, elsewhere, self._rewriting)
                files[file] = codes
                told.update(id(new) for pairs in codes.values() for _, new in pairs)
            pairs = files[file].get((own.co_qualname, own.co_firstlineno), [])
            new = _counterpart(own, pairs, lenient=_PYTEST in vars(by_file[file]))
            if new is not None:
                found.append((function, new))
            elif file not in self.missed:
                self.missed.append(file)
        self._miss_roots(by_file)
        self.telling = frozenset(told)
        self._kept = files  # the code objects live as long as their ids are known
        return tuple(found)

    def _miss_roots(self, by_file: Mapping[str, ModuleType]) -> None:
        """A program that has no file is seen nowhere."""
        for root in self._roots:
            code = getattr(root, "__code__", None)
            if code is not None and code.co_filename not in (*by_file, *self.missed):
                self.missed.append(code.co_filename)


def _source(file: str) -> str | None:
    with contextlib.suppress(OSError, SyntaxError, UnicodeDecodeError), tokenize.open(file) as text:
        return text.read()
    return None


@functools.lru_cache(maxsize=2_000)
def _bound_elsewhere(source: str) -> frozenset[str]:
    with contextlib.suppress(SyntaxError, ValueError, RecursionError):
        return bound_as_attributes(ast.parse(source))
    return frozenset()


@functools.lru_cache(maxsize=2_000)
def _codes(
    source: str | None,
    file: str,
    module: str,
    elsewhere: frozenset[str],
    rewriting: Rewriting,
) -> Mapping[tuple[str, int], _Codes]:
    """The code of every function in this file and its rewritten code, by name and line."""
    found: dict[tuple[str, int], _Codes] = {}
    if source is None:
        return found
    with contextlib.suppress(SyntaxError, ValueError, RecursionError):
        own = compile(source, file, "exec", dont_inherit=True)
        told = rewriting(source, file, module, elsewhere)
        for one, other in _side_by_side(own, told):
            found.setdefault((one.co_qualname, one.co_firstlineno), []).append((one, other))
    return found


def _side_by_side(own: CodeType, telling: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Each code object with its counterpart: rewriting keeps their order."""
    ours = [each for each in own.co_consts if isinstance(each, CodeType)]
    theirs = [each for each in telling.co_consts if isinstance(each, CodeType)]
    by_name: dict[tuple[str, int], list[CodeType]] = {}
    for each in theirs:
        by_name.setdefault((each.co_qualname, each.co_firstlineno), []).append(each)
    for one in ours:
        named = by_name.get((one.co_qualname, one.co_firstlineno))
        if named:
            other = named.pop(0)
            yield one, other
            yield from _side_by_side(one, other)


def _counterpart(own: CodeType, pairs: _Codes, *, lenient: bool) -> CodeType | None:
    """The rewritten code of this code; of one that pytest has changed, by its name and line."""
    for one, telling in pairs:
        if one == own and _fits(own, telling):
            return telling
    if lenient and len(pairs) == 1 and _fits(own, pairs[0][1]):
        return pairs[0][1]
    return None


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
