"""What the parts of the rewriter share: where it is, and how it makes a hook's call."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any, cast

from isomodel.tracking.names import NameLabel

MARK = "\0isomodel:"
"""Begins the constants that stand for hooks."""

_DELAYS = (ast.Await, ast.Yield, ast.YieldFrom, ast.AsyncFor, ast.AsyncWith)

NO_CONTAINERS = (ast.Constant, ast.Compare, ast.JoinedStr, ast.Lambda)
"""Expressions that are no containers."""


class Nodes(ast.NodeTransformer):
    """``shared`` has the labels of names whose bindings count, by the identity of their nodes.

    ``anywhere``: others may run between any two accesses, and not only where a task waits.
    """

    def __init__(self, shared: Mapping[int, NameLabel], *, anywhere: bool = False) -> None:
        self._shared = shared
        self._anywhere = anywhere
        self._classes: list[str] = []
        self._functions = 0

    def _waits(self, node: ast.AST) -> bool:
        return self._anywhere or _delays(node)

    def _body(self, body: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for child in body:
            visited = self.visit(child)
            out += visited if isinstance(visited, list) else [visited]
        return out

    def _tested(self, node: Any) -> ast.AST:
        self.generic_visit(node)
        if self._functions:
            node.test = self._truth(node.test)
        return cast(ast.AST, node)

    def _display(self, node: Any) -> ast.AST:
        self.generic_visit(node)
        if self._functions and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            return self._hook("born", node, node)
        return cast(ast.AST, node)

    def _value(self, node: ast.expr) -> ast.expr:
        """This expression, told as a read of all of it should it be a container."""
        return self._told(self.visit(node))

    def _told(self, visited: ast.expr) -> ast.expr:
        if not self._functions or isinstance(visited, NO_CONTAINERS):
            return visited
        return self._hook("value", visited, visited)

    def _truth(self, visited: ast.expr) -> ast.expr:
        """This expression, told as a question whether there is anything in it."""
        plain = (*NO_CONTAINERS, ast.BoolOp, ast.UnaryOp)
        if isinstance(visited, plain) or hook_of(visited) == "contains":
            return visited
        return self._hook("truth", visited, visited)

    def _bound(self, name: ast.Name, value: ast.expr) -> ast.expr:
        label = self._shared.get(id(name))
        return value if label is None else self._hook("binds", name, value, constant(label))

    def _bindings(self, targets: Sequence[ast.expr | None]) -> list[ast.stmt]:
        """Statements that tell of the names that these targets have bound."""
        return [
            self._statement(self._bound(name, ast.Constant(None)), name)
            for target in targets
            if target is not None
            for name in ast.walk(target)
            if isinstance(name, ast.Name) and id(name) in self._shared
        ]

    def _hook(self, name: str, where: ast.AST, *arguments: ast.expr) -> ast.Call:
        hook = at(ast.Constant(MARK + name), where)
        return cast(ast.Call, at(ast.Call(hook, list(arguments), []), where))

    def _statement(self, expression: ast.expr, where: ast.AST) -> ast.stmt:
        return cast(ast.stmt, at(ast.Expr(expression), where))

    def _mangled(self, name: str) -> str:
        if name.startswith("__") and not name.endswith("__") and self._classes:
            owner = self._classes[-1].lstrip("_")
            return f"_{owner}{name}" if owner else name
        return name


def _delays(node: ast.AST) -> bool:
    """Whether other tasks may run while this is evaluated."""
    return any(
        isinstance(inner, _DELAYS) or (isinstance(inner, ast.comprehension) and inner.is_async)
        for inner in ast.walk(node)
    )


def hook_of(node: ast.expr) -> str:
    """The name of the hook that this calls; empty for anything else."""
    function = node.func if isinstance(node, ast.Call) else None
    value = function.value if isinstance(function, ast.Constant) else None
    return value.removeprefix(MARK) if isinstance(value, str) else ""


def constant(label: Any) -> ast.expr:
    """The same tuple of tuples of strings, as one constant."""
    return ast.Constant(label)


def at(node: Any, where: ast.AST) -> Any:
    """The node, at the place of another."""
    return ast.copy_location(node, where)


def is_item(target: ast.AST) -> bool:
    """Whether this is ``v[k]`` with one key."""
    return isinstance(target, ast.Subscript) and not any(
        isinstance(part, ast.Slice) for part in ast.walk(target.slice)
    )
