"""One file as rules see it: who encloses what, what names stand for, which places are shared."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, TypeAlias, TypeVar, cast

from isomodel.scan.words import CONTAINERS, MUTATORS

T = TypeVar("T")
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Scope: TypeAlias = Function | ast.Lambda


class Module:
    """The syntax tree of a file with the questions that rules ask of it.

    A *place* is state that outlives a call, written as text: ``self.rooms`` (of an instance),
    ``Chat.rooms`` (of a class), ``ROOMS`` (of the module).
    """

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.parents = {
            child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)
        }
        self.imports = dict(_imports(tree))
        self._bound: dict[Scope, frozenset[str]] = {}
        self._writes: dict[ast.AST, list[tuple[str, ast.expr, ast.AST]]] = {}
        self._within: dict[ast.AST, tuple[ast.AST, ...]] = {}
        self._known: dict[str, Any] = {}

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node, outer ones first."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """Every function, methods and nested ones included, in the order of lines."""
        found = [node for node in self.nodes if isinstance(node, Function)]
        return tuple(sorted(found, key=lambda node: node.lineno))

    @cached_property
    def coroutines(self) -> tuple[ast.AsyncFunctionDef, ...]:
        """Every ``async def``."""
        return tuple(node for node in self.functions if isinstance(node, ast.AsyncFunctionDef))

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """Every class by its name."""
        return {node.name: node for node in self.nodes if isinstance(node, ast.ClassDef)}

    @cached_property
    def globals(self) -> dict[str, ast.expr | None]:
        """Every variable of the module with the value it is first given (None: not in sight)."""
        found: dict[str, ast.expr | None] = {}
        for name, value in _assigned(self.tree.body):
            found.setdefault(name, value)
        return found

    def attributes(self, owner: ast.ClassDef) -> dict[str, ast.expr | None]:
        """Every variable of a class body with its value."""
        return dict(_assigned(owner.body))

    def methods(self, owner: ast.ClassDef) -> list[Function]:
        """The functions of a class body."""
        return [node for node in owner.body if isinstance(node, Function)]

    def enclosing(self, node: ast.AST) -> Iterator[ast.AST]:
        """Everything around a node, nearest first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def function_of(self, node: ast.AST) -> Function | None:
        """The nearest function around a node; a lambda's body belongs to none."""
        for outer in self.enclosing(node):
            if isinstance(outer, ast.Lambda):
                return None
            if isinstance(outer, Function):
                return outer
        return None

    def owner_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The nearest class around a node, however deep it stands in it."""
        return next((each for each in self.enclosing(node) if isinstance(each, ast.ClassDef)), None)

    def class_of(self, function: ast.AST) -> ast.ClassDef | None:
        """The class whose body a function stands in."""
        outer = self.parents.get(function)
        return outer if isinstance(outer, ast.ClassDef) else None

    def statement_of(self, node: ast.AST) -> ast.stmt:
        """The nearest statement around a node, or itself."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node

    def within(self, root: ast.AST) -> tuple[ast.AST, ...]:
        """All nodes of a function (or a part of one) that run when it runs: no nested ones."""
        if root not in self._within:
            self._within[root] = tuple(self._inside(root))
        return self._within[root]

    def _inside(self, root: ast.AST) -> Iterator[ast.AST]:
        waiting = list(ast.iter_child_nodes(root))
        while waiting:
            node = waiting.pop()
            yield node
            if not isinstance(node, Scope | ast.ClassDef):
                waiting.extend(ast.iter_child_nodes(node))

    def qualified(self, node: ast.AST) -> str:
        """The dotted name an expression stands for, imports resolved; "" where it is no name."""
        if isinstance(node, ast.Name):
            return self.imports.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            base = self.qualified(node.value)
            return f"{base}.{node.attr}" if base else ""
        if isinstance(node, ast.Subscript):  # ContextVar[dict]("x")
            return self.qualified(node.value)
        return ""

    def is_container(self, node: ast.AST | None) -> bool:
        """Whether an expression makes a mutable container of the standard library."""
        if isinstance(
            node, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
        ):
            return True
        return isinstance(node, ast.Call) and self.qualified(node.func) in CONTAINERS

    def bound(self, scope: Scope) -> frozenset[str]:
        """The local names of a function."""
        if scope not in self._bound:
            self._bound[scope] = frozenset(_bound(scope))
        return self._bound[scope]

    def receiver(self, function: ast.AST) -> tuple[str, ast.ClassDef, bool] | None:
        """A method's first parameter, its class, and whether it stands for the class itself."""
        owner = self.class_of(function)
        if owner is None or not isinstance(function, Function):
            return None
        decorators = {self.qualified(each) for each in function.decorator_list}
        parameters = [*function.args.posonlyargs, *function.args.args]
        if "staticmethod" in decorators or not parameters:
            return None
        return parameters[0].arg, owner, "classmethod" in decorators or function.name == "__new__"

    def place(self, node: ast.AST) -> str | None:
        """The shared place that an expression reads or writes, subscripts left out."""
        if isinstance(node, ast.Subscript):
            return self.place(node.value)
        if isinstance(node, ast.Name):
            return node.id if self._is_global(node) and node.id in self.globals else None
        if not isinstance(node, ast.Attribute):
            return None
        owner = self._instance_or_class(node.value)
        if owner is not None:
            return f"{owner}.{node.attr}"
        base = self.place(node.value)
        return None if base is None else f"{base}.{node.attr}"

    def _instance_or_class(self, node: ast.AST) -> str | None:
        """``self`` for an instance, the class's name for a class."""
        if isinstance(node, ast.Call) and self.qualified(node.func) == "type" and node.args:
            return self._class_behind(node.args[0])
        if isinstance(node, ast.Attribute) and node.attr == "__class__":
            return self._class_behind(node.value)
        if not isinstance(node, ast.Name):
            return None
        for scope in self.enclosing(node):
            if isinstance(scope, Scope) and node.id in self.bound(scope):
                found = self.receiver(scope)
                if found is None or found[0] != node.id:
                    return None
                return found[1].name if found[2] else "self"
        return node.id if node.id in self.classes else None

    def _class_behind(self, node: ast.AST) -> str | None:
        if self._instance_or_class(node) != "self":
            return None
        return next(each.name for each in self.enclosing(node) if isinstance(each, ast.ClassDef))

    def _is_global(self, name: ast.Name) -> bool:
        scopes = (each for each in self.enclosing(name) if isinstance(each, Scope))
        return not any(name.id in self.bound(scope) for scope in scopes)

    def once(self, question: str, answer: Callable[[], T]) -> T:
        """The answer to a question that several rules ask of this file, worked out once."""
        if question not in self._known:
            self._known[question] = answer()
        return cast(T, self._known[question])

    def writes(self, root: ast.AST) -> list[tuple[str, ast.expr, ast.AST]]:
        """What a function writes to shared places: the place, the target, the writing node."""
        if root not in self._writes:
            self._writes[root] = list(self._written(root))
        return self._writes[root]

    def _written(self, root: ast.AST) -> Iterator[tuple[str, ast.expr, ast.AST]]:
        for node in self.within(root):
            for target in written(node):
                place = self.place(target)
                if place is not None:
                    yield place, target, node


def written(node: ast.AST) -> Iterator[ast.expr]:
    """The targets that a node assigns, deletes, or changes by a container's own method."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _targets(target)
    elif isinstance(node, ast.AugAssign) or (isinstance(node, ast.AnnAssign) and node.value):
        yield node.target
    elif isinstance(node, ast.Delete):
        yield from node.targets
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        yield from [node.func.value] if node.func.attr in MUTATORS else []


def changes(target: ast.expr, node: ast.AST) -> bool:
    """Whether a write changes a container in place, rather than putting another one there."""
    return isinstance(target, ast.Subscript) or isinstance(node, ast.Call)


def names(node: ast.AST) -> set[str]:
    """All plain names in an expression."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def parameters(function: Scope) -> list[ast.arg]:
    """All parameters, the receiver of a method included."""
    args = function.args
    more = [each for each in (args.vararg, args.kwarg) if each is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *more]


def last(node: ast.AST) -> str:
    """The last identifier of a dotted expression, through calls and subscripts; else ""."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Call):
        return last(node.func)
    return last(node.value) if isinstance(node, ast.Subscript | ast.Await) else ""


def _targets(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        for each in target.elts:
            yield from _targets(each)
    else:
        yield target.value if isinstance(target, ast.Starred) else target


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (
                    alias.asname or alias.name.split(".")[0],
                    (alias.name if alias.asname else alias.name.split(".")[0]),
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield (
                    alias.asname or alias.name,
                    f"{'.' * node.level}{node.module or ''}.{alias.name}",
                )


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr | None]]:
    """Variables assigned in a module's or class's own body, also under ``if`` and ``try``."""
    for statement in body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                for each in _targets(target):
                    if isinstance(each, ast.Name):
                        yield each.id, statement.value if each is target else None
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id, statement.value
        elif isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
            for field in ("body", "orelse", "finalbody"):
                yield from _assigned(getattr(statement, field, []))
            for handler in getattr(statement, "handlers", []):
                yield from _assigned(handler.body)


def _bound(scope: Scope) -> Iterator[str]:
    outside: set[str] = set()
    found = {each.arg for each in parameters(scope)}
    waiting: list[ast.AST] = [scope.body] if isinstance(scope, ast.Lambda) else list(scope.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Global | ast.Nonlocal):
            outside.update(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            found.add(node.id)
        elif isinstance(node, Function | ast.ClassDef):
            found.add(node.name)
            continue
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update(alias.asname or alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Lambda):
            continue
        waiting.extend(ast.iter_child_nodes(node))
    yield from found - outside
