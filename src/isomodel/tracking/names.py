"""Names: which variables of a module several tasks may share, and under which label.

A local variable of a function is shared if an inner function sees it and it may be bound after
that function came to be: declared ``nonlocal``, bound further down, or bound in a loop around it.
A variable of the module is shared if a function declares it ``global``, or another module binds
it as an attribute. What is bound only before anyone else can see it needs no watching.

Two calls of one function have variables of one label: more conflicts than there are, never fewer.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

NameLabel = tuple[Any, str]

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)

_Place = tuple[int, int]


def shared_names(
    tree: ast.Module, module: str, elsewhere: frozenset[str] = frozenset()
) -> dict[int, NameLabel]:
    """The label of each shared ``ast.Name`` in this tree, by its id.

    ``elsewhere`` are names that other modules bind as attributes of modules.
    """
    finder = _Finder(module, elsewhere)
    finder.inside(tree)
    return finder.labels()


def bound_as_attributes(tree: ast.AST) -> frozenset[str]:
    """The attributes of imported modules that this one binds: ``settings.debug = True``."""
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    return frozenset(
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and not isinstance(node.ctx, ast.Load)
        and isinstance(node.value, ast.Name)
        and node.value.id in imported
    )


class _Scope:
    """A function, class, comprehension or module: what it binds where, and who else looks."""

    def __init__(self, node: ast.AST, name: str, parent: _Scope | None) -> None:
        self.name = name
        self.parent = parent
        self.is_class = isinstance(node, ast.ClassDef)
        self.is_module = parent is None
        self.at_once = isinstance(node, _COMPREHENSIONS) and not isinstance(node, ast.GeneratorExp)
        self.bound: dict[str, list[tuple[_Place, tuple[int, ...]]]] = {}
        self.seen: dict[str, list[tuple[_Place, tuple[int, ...]]]] = {}
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.shared: set[str] = set()
        self.began: tuple[_Place, tuple[int, ...]] = ((0, 0), ())

    def is_shared(self, name: str) -> bool:
        """Whether a binding may come after a look from inside another function."""
        if name in self.shared:
            return True
        return any(
            place > first or set(loops) & set(around)
            for first, around in self.seen.get(name, ())
            for place, loops in self.bound.get(name, ())
        )


class _Finder:
    def __init__(self, module: str, elsewhere: frozenset[str]) -> None:
        self._module = module
        self._elsewhere = elsewhere
        self._top: _Scope | None = None
        self._uses: list[tuple[ast.Name, _Scope]] = []

    def labels(self) -> dict[int, NameLabel]:
        """After the walk: what is shared, and as what."""
        top = self._top
        assert top is not None
        top.shared |= self._elsewhere & top.bound.keys()
        resolved = [(node, scope, self._owner(node.id, scope)) for node, scope in self._uses]
        for node, scope, owner in resolved:
            if owner is not None and owner is not scope:
                self._look(node.id, scope, owner)
        found: dict[int, NameLabel] = {}
        for node, _, owner in resolved:
            if owner is None or owner.is_module:
                if node.id in top.shared:
                    found[id(node)] = (("module", self._module), node.id)
            elif owner.is_shared(node.id):
                found[id(node)] = (("name", f"{self._module}.{owner.name}"), node.id)
        return found

    def _look(self, name: str, scope: _Scope, owner: _Scope) -> None:
        """The function just below ``owner`` through which this name is seen, if it may run late."""
        late: _Scope | None = None
        while scope is not owner:
            if not scope.at_once and not scope.is_class:
                late = scope
            assert scope.parent is not None
            scope = scope.parent
        if late is not None:
            owner.seen.setdefault(name, []).append(late.began)

    def _owner(self, name: str, scope: _Scope) -> _Scope | None:
        """The scope that a use of this name means; None for one that nobody here binds."""
        first: _Scope | None = scope
        at: _Scope | None = scope
        while at is not None:
            if name in at.globals:
                return self._top
            visible = at is first or not at.is_class
            if name in at.bound and name not in at.nonlocals and visible:
                return at
            at = at.parent
        return None

    # The walk

    def inside(self, tree: ast.Module) -> None:
        """Look at the whole module."""
        self._top = _Scope(tree, "", None)
        for child in tree.body:
            self._visit(child, self._top, ())
        self._declare(self._top)

    def _visit(self, node: ast.AST, scope: _Scope, loops: tuple[int, ...]) -> None:
        if isinstance(node, ast.Name):
            self._uses.append((node, scope))
            if not isinstance(node.ctx, ast.Load):
                self._bind(node.id, node, scope, loops)
        elif isinstance(node, _FUNCTIONS):
            self._function(node, scope, loops)
        elif isinstance(node, ast.ClassDef):
            self._bind(node.name, node, scope, loops)
            inner = self._inner(node, node.name, scope, loops)
            self._all([*node.decorator_list, *node.bases, *node.keywords], scope, loops)
            self._all(node.body, inner, loops)
        elif isinstance(node, _COMPREHENSIONS):
            inner = self._inner(node, "<comprehension>", scope, loops)
            self._all(ast.iter_child_nodes(node), inner, (*loops, id(node)))
        elif isinstance(node, ast.NamedExpr):
            self._walrus(node, scope, loops)
        elif isinstance(node, ast.Global):
            scope.globals.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            scope.nonlocals.update(node.names)
        else:
            for name in _other_bindings(node):
                self._bind(name, node, scope, loops)
            if isinstance(node, _LOOPS):
                loops = (*loops, id(node))
            self._all(ast.iter_child_nodes(node), scope, loops)

    def _all(self, nodes: Any, scope: _Scope, loops: tuple[int, ...]) -> None:
        for node in nodes:
            self._visit(node, scope, loops)

    def _function(self, node: Any, scope: _Scope, loops: tuple[int, ...]) -> None:
        name = getattr(node, "name", "<lambda>")
        if name != "<lambda>":
            self._bind(name, node, scope, loops)
        arguments = node.args
        defaults = [*arguments.defaults, *arguments.kw_defaults]
        self._all([each for each in defaults if each is not None], scope, loops)
        self._all(getattr(node, "decorator_list", ()), scope, loops)
        inner = self._inner(node, name, scope, loops)
        for argument in ast.walk(arguments):
            if isinstance(argument, ast.arg):
                inner.bound.setdefault(argument.arg, []).append(((0, 0), ()))
        body = node.body if isinstance(node.body, list) else [node.body]
        self._all(body, inner, ())
        self._declare(inner)

    def _inner(self, node: Any, name: str, scope: _Scope, loops: tuple[int, ...]) -> _Scope:
        inner = _Scope(node, f"{scope.name}.{name}".lstrip("."), scope)
        inner.began = ((node.lineno, node.col_offset), loops)
        return inner

    def _walrus(self, node: ast.NamedExpr, scope: _Scope, loops: tuple[int, ...]) -> None:
        self._visit(node.value, scope, loops)
        target = scope
        while "<comprehension>" in target.name.rpartition(".")[2] and target.parent is not None:
            target = target.parent
        self._uses.append((node.target, scope))
        self._bind(node.target.id, node.target, target, loops)

    def _bind(self, name: str, node: Any, scope: _Scope, loops: tuple[int, ...]) -> None:
        scope.bound.setdefault(name, []).append(((node.lineno, node.col_offset), loops))

    def _declare(self, scope: _Scope) -> None:
        """What this scope declares to be another's is bound by several."""
        assert self._top is not None
        self._top.shared |= scope.globals
        for name in scope.nonlocals:
            owner = self._owner(name, scope)
            if owner is not None:
                owner.shared.add(name)


def _other_bindings(node: ast.AST) -> Iterator[str]:
    """Names that this node itself binds without an ``ast.Name``."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            yield (alias.asname or alias.name).partition(".")[0]
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        if node.name:
            yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest
