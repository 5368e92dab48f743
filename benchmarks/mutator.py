"""Mutator: small wrong versions of asynchronous code, one change each.

The changes are those that people make in such code: a check left out or turned around, a
``finally`` that runs only when all went well, a cancellation that is not caught, a lock or time
limit left out, a copy not made, a shield taken away, a statement forgotten, a bound off by one,
two arguments swapped. A maintained tool (mutmut, cosmic-ray) knows none of the asynchronous ones
and starts the whole test suite for each mutant.
"""

from __future__ import annotations

import ast
import copy
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

COPIES = frozenset({"list", "dict", "set", "tuple", "frozenset", "frozen"})
"""Calls of these make a copy of their only argument."""

WIDTH = 72
"""Characters of a changed line that name the change."""

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


class Mutant(msgspec.Struct, frozen=True):
    """One wrong version of a module.

    ``name`` tells what is changed in which function, by its text: it stays the same while that
    does, wherever it moves, and is gone when the text is another.
    """

    module: str
    name: str
    line: int
    source: str


Replaced = tuple[str, list[ast.stmt] | ast.expr | ast.ExceptHandler]
"""The kind of a change, and what comes in place of a node."""


Function = ast.FunctionDef | ast.AsyncFunctionDef


def mutants(source: str, module: str, *, but: str = "") -> Iterator[Mutant]:
    """Every mutant of this source, in the order of its lines.

    Statements with ``but`` in them are left as they are.
    """
    counts: dict[str, int] = {}
    for node, where, function in list(_located(ast.parse(source), but)):
        for kind, new in _changes(node):
            name = f"{module}.{where}: {kind}: {_shown(source, node)}"
            counts[name] = counts.get(name, 0) + 1
            numbered = name if counts[name] == 1 else f"{name} #{counts[name]}"
            text = _changed(source, function, node, new)
            yield Mutant(module, numbered, getattr(node, "lineno", 0), text)


def _changed(source: str, function: Function, node: ast.AST, new: list[ast.stmt] | ast.AST) -> str:
    """The source with this node of the function exchanged, and all else where it was."""
    changed = _Replacing(new).visit(copy.deepcopy(_marked(function, node)))
    text = ast.unparse(ast.fix_missing_locations(changed))
    first = min([function.lineno, *(each.lineno for each in function.decorator_list)]) - 1
    lines = source.splitlines()
    before, after = lines[:first], lines[function.end_lineno :]
    return "\n".join([*before, textwrap.indent(text, " " * function.col_offset), *after, ""])


def _shown(source: str, node: ast.AST) -> str:
    """The first line of this node's text, or its beginning; a constant with the line around it."""
    line, _, more = (ast.get_source_segment(source, node) or "").partition("\n")
    if isinstance(node, ast.Constant):
        line = f"{line} in {source.splitlines()[node.lineno - 1].strip()}"
    return f"{line[:WIDTH]} ..." if more or len(line) > WIDTH else line


def _located(tree: ast.Module, but: str) -> Iterator[tuple[ast.AST, str, Function]]:
    """Every node inside a function, with the qualified name of the function, and the outermost."""

    def walk(
        node: ast.AST, path: tuple[str, ...], function: Function | None
    ) -> Iterator[tuple[ast.AST, str, Function]]:
        for child in ast.iter_child_nodes(node):
            if but and isinstance(child, ast.Expr) and but in ast.unparse(child):
                continue
            if isinstance(child, ast.ClassDef):
                yield from walk(child, (*path, child.name), None)
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = (*path, child.name)
                yield from walk(ast.Module(child.body, []), name, function or child)
            elif function is not None:
                yield child, ".".join(path), function
                yield from walk(child, path, function)

    yield from walk(tree, (), None)


def _marked(function: Function, node: ast.AST) -> Function:
    for each in ast.walk(function):
        each.__dict__.pop("chosen", None)
    node.__dict__["chosen"] = True
    return function


class _Replacing(ast.NodeTransformer):
    """Puts something else in the place of the chosen node of a copied tree."""

    def __init__(self, new: list[ast.stmt] | ast.AST) -> None:
        self._new = new

    def visit(self, node: ast.AST) -> Any:
        """The new node for the chosen one."""
        if node.__dict__.get("chosen"):
            return self._new
        visited: ast.AST = self.generic_visit(node)
        return visited


def _changes(node: ast.AST) -> Iterator[Replaced]:
    for kind, change in CHANGES.items():
        for new in change(node):
            yield kind, new


def _without_check(node: ast.AST) -> Iterator[list[ast.stmt]]:
    if isinstance(node, ast.If) and not node.orelse and isinstance(node.body[-1], ast.Raise):
        yield [ast.Pass()]


def _turned(node: ast.AST) -> Iterator[list[ast.stmt]]:
    if isinstance(node, ast.If | ast.While) and not isinstance(node.test, ast.Compare):
        turned = copy.copy(node)
        turned.test = ast.UnaryOp(ast.Not(), node.test)
        yield [turned]


def _compared(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARED:
        yield ast.Compare(node.left, [COMPARED[type(node.ops[0])]()], node.comparators)


def _without_statement(node: ast.AST) -> Iterator[list[ast.stmt]]:
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant | ast.Yield):
        yield [ast.Pass()]
    if isinstance(node, ast.AugAssign | ast.Delete):
        yield [ast.Pass()]
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute | ast.Subscript):
        yield [ast.Pass()]


def _without_finally(node: ast.AST) -> Iterator[list[ast.stmt]]:
    if isinstance(node, ast.Try) and node.finalbody:
        yield [*node.body, *node.finalbody]


def _narrower(node: ast.AST) -> Iterator[ast.ExceptHandler]:
    if (
        isinstance(node, ast.ExceptHandler)
        and isinstance(node.type, ast.Name)
        and node.type.id == "BaseException"
    ):
        yield ast.ExceptHandler(ast.Name("Exception", ast.Load()), node.name, node.body)


def _swallowed(node: ast.AST) -> Iterator[ast.ExceptHandler]:
    if isinstance(node, ast.ExceptHandler) and isinstance(node.body[-1], ast.Raise):
        yield ast.ExceptHandler(node.type, node.name, [*node.body[:-1], ast.Pass()])


def _unguarded(node: ast.AST) -> Iterator[list[ast.stmt]]:
    if isinstance(node, ast.With | ast.AsyncWith) and node.items[0].optional_vars is None:
        yield list(node.body)


def _unshielded(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "asyncio.shield":
        yield node.args[0]


def _uncopied(node: ast.AST) -> Iterator[ast.expr]:
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in COPIES
        and len(node.args) == 1
    ):
        yield node.args[0]
    if isinstance(node, ast.ListComp) and isinstance(node.elt, ast.Name):
        yield node.generators[0].iter


def _off_by_one(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield ast.Constant(node.value + 1)


def _swapped(node: ast.AST) -> Iterator[ast.expr]:
    if not isinstance(node, ast.Call) or len(node.args) < 2:
        return
    first, second, *rest = node.args
    if not isinstance(first, ast.Starred) and not isinstance(second, ast.Starred):
        yield ast.Call(node.func, [second, first, *rest], node.keywords)


def _operated(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield ast.BoolOp(other, node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        sign = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield ast.BinOp(node.left, sign, node.right)


def _nothing_returned(node: ast.AST) -> Iterator[list[ast.stmt]]:
    nothing = (None, "None")
    if isinstance(node, ast.Return) and (node.value and ast.unparse(node.value)) not in nothing:
        yield [ast.Return(None)]


Change = Callable[
    [ast.AST],
    Iterator[list[ast.stmt]] | Iterator[ast.expr] | Iterator[ast.ExceptHandler],
]

CHANGES: dict[str, Change] = {
    "check left out": _without_check,
    "condition turned": _turned,
    "comparison changed": _compared,
    "statement left out": _without_statement,
    "finally only on success": _without_finally,
    "cancellation not caught": _narrower,
    "error swallowed": _swallowed,
    "guard left out": _unguarded,
    "shield left out": _unshielded,
    "copy not made": _uncopied,
    "off by one": _off_by_one,
    "arguments swapped": _swapped,
    "operator changed": _operated,
    "nothing returned": _nothing_returned,
}
