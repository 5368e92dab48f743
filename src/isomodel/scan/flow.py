"""A coroutine's steps in the order they run: what it reads, writes and checks, and where it awaits.

Each event knows the branches it stands in, so that two events can be told to lie on one path, and
the locks that are held. A loop's body appears once. Only an ``await`` lets another task in, so
what matters is which events have one between them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from isomodel.scan.module import Function, Module, Scope, last, written
from isomodel.scan.words import is_lock

Kind = Literal["read", "check", "write", "await"]
Arms = tuple[tuple[ast.AST, str], ...]


class Event(msgspec.Struct, frozen=True, eq=False):
    """One access or await. ``key``: the subscript's text; ``branch``: the statement of a check.

    ``locks`` are acquisitions: the same lock taken twice excludes nobody in between.
    """

    kind: Kind
    node: ast.AST
    arms: Arms
    locks: frozenset[str]
    place: str = ""
    key: str = ""
    branch: ast.AST | None = None


def events(module: Module, function: Function, locks: frozenset[str] = frozenset()) -> list[Event]:
    """All events of a function, in the order of evaluation; ``locks``: held by every caller."""
    walk = _Walk(module, locks)
    walk.block(function.body, ())
    return walk.events


def together(one: Event, other: Event) -> bool:
    """Whether one execution can pass through both."""
    arms = dict(one.arms)
    return all(arms.get(branch, arm) == arm for branch, arm in other.arms)


def held_by_callers(module: Module, function: Function) -> frozenset[str]:
    """The locks that every call of a private method, within its class, is made under."""
    owner = module.class_of(function)
    if owner is None or not function.name.startswith("_") or function.name.startswith("__"):
        return frozenset()
    if function.name.endswith("_locked"):
        return frozenset({"the caller's"})
    calls = [
        node
        for node in ast.walk(owner)
        if isinstance(node, ast.Attribute) and node.attr == function.name
    ]
    found = [locks_around(module, call) for call in calls]
    return frozenset.intersection(*found) if found else frozenset()


def locks_around(module: Module, node: ast.AST) -> frozenset[str]:
    """The locks of all ``with`` statements around a node, within its function."""
    found: set[str] = set()
    for outer in module.enclosing(node):
        if isinstance(outer, Scope):
            break
        if isinstance(outer, ast.With | ast.AsyncWith):
            found.update(_locks(outer))
    return frozenset(found)


def _locks(statement: ast.With | ast.AsyncWith) -> Iterator[str]:
    for item in statement.items:
        if is_lock(last(item.context_expr)):
            yield ast.unparse(item.context_expr)


class _Walk:
    """Collects events; what is not named here is evaluated in the order of its fields."""

    def __init__(self, module: Module, locks: frozenset[str]) -> None:
        self._module = module
        self._locks = locks
        self.events: list[Event] = []

    def block(self, body: Sequence[ast.stmt], arms: Arms) -> Arms:
        """Statements one after another; what follows ``if ...: return`` is its other arm.

        Returns the arms in which the end of the block stands.
        """
        for statement in body:
            if isinstance(statement, ast.With | ast.AsyncWith):
                arms = self._with(statement, arms)
                continue
            self.visit(statement, arms)
            if isinstance(statement, ast.If) and not statement.orelse and leaves(statement.body):
                arms = (*arms, (statement, "else"))
        return arms

    def visit(self, node: ast.AST, arms: Arms) -> None:
        """Add the events of one node."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
                return
            case ast.If() | ast.While():
                self._test(node.test, arms, node)
                self.block(node.body, (*arms, (node, "then")))
                self.block(node.orelse, (*arms, (node, "else")))
            case ast.IfExp():
                self._test(node.test, arms, node)
                self.visit(node.body, (*arms, (node, "then")))
                self.visit(node.orelse, (*arms, (node, "else")))
            case ast.Try() | ast.TryStar():
                self._try(node, arms)
            case ast.Match():
                self.visit(node.subject, arms)
                for number, case in enumerate(node.cases):
                    self.block(case.body, (*arms, (node, str(number))))
            case ast.For() | ast.AsyncFor():
                self.visit(node.iter, arms)
                if isinstance(node, ast.AsyncFor):
                    self._add("await", node, arms)
                self._targets(node, [node.target], arms)
                self.block(node.body, arms)
                self.block(node.orelse, arms)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr():
                self._assign(node, arms)
            case ast.Await():
                self.visit(node.value, arms)
                self._add("await", node, arms)
            case ast.Yield() | ast.YieldFrom():
                self._children(node, arms)
                self._add("await", node, arms)
            case ast.Call():
                self._call(node, arms)
            case ast.Delete():
                self._targets(node, node.targets, arms)
            case ast.Attribute() | ast.Subscript() | ast.Name():
                self._access("read", node, arms)
            case _:
                self._children(node, arms)

    def _children(self, node: ast.AST, arms: Arms) -> None:
        for child in ast.iter_child_nodes(node):
            self.visit(child, arms)

    def _test(self, test: ast.expr, arms: Arms, branch: ast.AST) -> None:
        start = len(self.events)
        self.visit(test, arms)
        for number in range(start, len(self.events)):
            event = self.events[number]
            if event.kind == "read":
                replaced = msgspec.structs.replace(event, kind="check", branch=branch)
                self.events[number] = _with_member(replaced, test)

    def _try(self, node: ast.Try | ast.TryStar, arms: Arms) -> None:
        self.block(node.body, arms)
        for number, handler in enumerate(node.handlers):
            self.block(handler.body, (*arms, (node, f"except {number}")))
        self.block(node.orelse, (*arms, (node, "else")))
        self.block(node.finalbody, arms)

    def _with(self, node: ast.With | ast.AsyncWith, arms: Arms) -> Arms:
        for item in node.items:
            self.visit(item.context_expr, arms)
            if isinstance(node, ast.AsyncWith):
                self._add("await", node, arms)
            if item.optional_vars is not None:
                self._targets(node, [item.optional_vars], arms)
        held = {f"{lock} of line {node.lineno}" for lock in _locks(node)}  # until it is let go
        outside, self._locks = self._locks, self._locks | held
        after = self.block(node.body, arms)
        self._locks = outside
        if isinstance(node, ast.AsyncWith):
            self._add("await", node, after)
        return after

    def _assign(
        self, node: ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr, arms: Arms
    ) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if isinstance(node, ast.AugAssign):
            self._access("read", node.target, arms)
        if node.value is not None:
            self.visit(node.value, arms)
            self._targets(node, targets, arms)

    def _call(self, node: ast.Call, arms: Arms) -> None:
        self._children(node, arms)
        for target in written(node):
            self._access("write", target, arms, node)
        if isinstance(node.func, ast.Attribute) and is_lock(last(node.func.value)):
            lock = {ast.unparse(node.func.value)}
            if node.func.attr == "acquire":
                self._locks |= lock
            elif node.func.attr == "release":
                self._locks -= lock

    def _targets(self, node: ast.AST, targets: Sequence[ast.expr], arms: Arms) -> None:
        for target in targets:
            if isinstance(target, ast.Tuple | ast.List):
                self._targets(node, target.elts, arms)
                continue
            if isinstance(target, ast.Subscript):
                self.visit(target.slice, arms)
            self._access("write", target, arms, node)

    def _access(self, kind: Kind, target: ast.AST, arms: Arms, node: ast.AST | None = None) -> None:
        place = self._module.place(target)
        if place is None:
            if not isinstance(target, ast.Name):
                self._children(target, arms)
            return
        key = ""
        if isinstance(target, ast.Subscript):
            if not any(isinstance(part, ast.Slice) for part in ast.walk(target.slice)):
                key = ast.unparse(target.slice)
            if kind == "read":
                self.visit(target.slice, arms)
        elif isinstance(node, ast.Call) and node.args:
            key = ast.unparse(node.args[0]) if _by_key(node) else ""
        self._add(kind, node or target, arms, place, key)

    def _add(self, kind: Kind, node: ast.AST, arms: Arms, place: str = "", key: str = "") -> None:
        self.events.append(Event(kind, node, arms, self._locks, place, key))


def line(node: ast.AST) -> int:
    """The line a node begins in; 0 where it has none."""
    return getattr(node, "lineno", 0)


def leaves(body: Sequence[ast.stmt]) -> bool:
    """Whether a block's end is never passed."""
    return bool(body) and isinstance(body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)


def _by_key(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in {"pop", "setdefault"}


def _with_member(event: Event, test: ast.expr) -> Event:
    """A check ``k in place`` or ``place.get(k)`` is of that key alone."""
    for node in ast.walk(test):
        key = _asked(node, event.node)
        if key is not None:
            return msgspec.structs.replace(event, key=ast.unparse(key))
    return event


def _asked(node: ast.AST, container: ast.AST) -> ast.expr | None:
    if isinstance(node, ast.Compare) and container in node.comparators:
        return node.left if isinstance(node.ops[0], ast.In | ast.NotIn) else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        found = node.func.value is container and node.func.attr == "get"
        return node.args[0] if found else None
    return None
