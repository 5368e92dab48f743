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
from collections.abc import Callable, Iterator

import msgspec

COPIES = frozenset({"list", "dict", "set", "tuple", "frozenset", "frozen"})
"""Calls of these make a copy of their only argument."""

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
    """One wrong version of a module; ``name`` stays the same while its function does."""

    name: str
    line: int
    was: str
    source: str


Replaced = tuple[str, list[ast.stmt] | ast.expr | ast.ExceptHandler]
"""The kind of a change, and what comes in place of a node."""


def mutants(source: str, module: str, *, but: str = "") -> Iterator[Mutant]:
    """Every mutant of this source, in the order of its lines.

    Statements with ``but`` in them are left as they are.
    """
    tree = ast.parse(source)
    counts: dict[str, int] = {}
    for node, where in list(_located(tree, but)):
        for kind, new in _changes(node):
            changed = _Replacing(new).visit(copy.deepcopy(_marked(tree, node)))
            text = ast.unparse(ast.fix_missing_locations(changed))
            name = f"{module}.{where}: {kind}"
            counts[name] = counts.get(name, 0) + 1
            numbered = name if counts[name] == 1 else f"{name} #{counts[name]}"
            was = (ast.get_source_segment(source, node) or "").partition("\n")[0]
            yield Mutant(numbered, getattr(node, "lineno", 0), was, text)


def _located(tree: ast.Module, but: str) -> Iterator[tuple[ast.AST, str]]:
    """Every node inside a function, with the qualified name of the function."""

    def walk(node: ast.AST, path: tuple[str, ...], inside: bool) -> Iterator[tuple[ast.AST, str]]:
        for child in ast.iter_child_nodes(node):
            if but and isinstance(child, ast.Expr) and but in ast.unparse(child):
                continue
            if isinstance(child, ast.ClassDef):
                yield from walk(child, (*path, child.name), False)
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = (*path, child.name)
                body = ast.Module(child.body, [])
                yield from walk(body, name, True)
            elif inside:
                yield child, ".".join(path)
                yield from walk(child, path, True)

    yield from walk(tree, (), False)


def _marked(tree: ast.Module, node: ast.AST) -> ast.Module:
    for each in ast.walk(tree):
        each.__dict__.pop("chosen", None)
    node.__dict__["chosen"] = True
    return tree


class _Replacing(ast.NodeTransformer):
    """Puts something else in the place of the chosen node of a copied tree."""

    def __init__(self, new: list[ast.stmt] | ast.expr | ast.ExceptHandler) -> None:
        self._new = new

    def visit(self, node: ast.AST) -> ast.AST | list[ast.stmt]:
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
