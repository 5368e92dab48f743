"""Rewriting: the same program, but each access to what tasks may share goes through a hook.

Attributes, items, iteration, tests for membership and truth, calls on containers, and names that
several functions bind (``global``, ``nonlocal``, cells). The order in which subexpressions are
evaluated stays as it is, and so do line numbers. What is not worth a precise hook (a target in
the middle of an unpacking) is told as an access to the whole object: more than happened, never
less.

Hooks appear as string constants in the place of functions; ``compiled`` puts the functions in, so
that nothing has to be added to any module's namespace.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any, cast

from isomodel.tracking.names import shared_names
from isomodel.tracking.nodes import MARK, at, is_item
from isomodel.tracking.reads import Reads

_UNTOUCHED = frozenset(
    [
        "super",
        "locals",
        "globals",
        "vars",
        "eval",
        "exec",
        "dir",
        "isinstance",
        "issubclass",
        "callable",
        "type",
        "id",
        "hash",
        "range",
        "object",
        "property",
        "staticmethod",
        "classmethod",
    ]
)
"""Calls by these names are left alone: they read no container, or look at the calling frame."""


def compiled(
    source: str,
    filename: str,
    hooks: Mapping[str, Callable[..., Any]],
    *,
    module: str = "",
    elsewhere: frozenset[str] = frozenset(),
    anywhere: bool = False,
) -> CodeType:
    """The module's code with hooks in it; raises SyntaxError as ``compile`` does.

    ``module`` is its name, ``elsewhere`` are variables of it that other modules bind. ``anywhere``:
    others may run between any two accesses, as threads may, and not only where a task waits.
    """
    tree = ast.parse(source, filename)
    rewriter = Rewriter(shared_names(tree, module or filename, elsewhere), anywhere=anywhere)
    tree = ast.fix_missing_locations(rewriter.visit(tree))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "'str' object is not callable": it will not be one
        code = compile(tree, filename, "exec", dont_inherit=True)
    return _with_hooks(code, hooks)


def _with_hooks(code: CodeType, hooks: Mapping[str, Callable[..., Any]]) -> CodeType:
    def put(constant: object) -> object:
        if isinstance(constant, CodeType):
            return _with_hooks(constant, hooks)
        if isinstance(constant, str) and constant.startswith(MARK):
            return hooks[constant.removeprefix(MARK)]
        return constant

    return code.replace(co_consts=tuple(map(put, code.co_consts)))


class Rewriter(Reads):
    """See the module's text."""

    # Scopes

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Attributes with two leading underscores are the class's own; its body is left alone."""
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        node.bases = [self.visit(each) for each in node.bases]
        node.keywords = [self.visit(each) for each in node.keywords]
        self._classes.append(node.name)
        functions, self._functions = self._functions, 0
        node.body = [self.visit(child) for child in node.body]
        self._functions = functions
        self._classes.pop()
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Its body is rewritten; annotations are left alone."""
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """As any function."""
        return self._function(node)

    def _function(self, node: Any) -> ast.AST:
        self._defaults(node.args)
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        self._functions += 1
        node.body = self._body(node.body)
        self._functions -= 1
        return cast(ast.AST, node)

    def _defaults(self, arguments: ast.arguments) -> None:
        """They are evaluated where the function is made, by whoever makes it."""
        arguments.defaults = [self.visit(each) for each in arguments.defaults]
        arguments.kw_defaults = [
            None if each is None else self.visit(each) for each in arguments.kw_defaults
        ]

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        """A function, too."""
        self._defaults(node.args)
        self._functions += 1
        node.body = self.visit(node.body)
        self._functions -= 1
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """The annotation of a local name is never evaluated, that of anything else harmless."""
        if not self._functions or node.value is None:
            return self.generic_visit(node) if not self._functions else node
        value = self.visit(node.value)
        if isinstance(node.target, ast.Name):
            value = self._bound(node.target, value)
        node.target = self.visit(node.target)
        node.value = value
        return node

    # Calls

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A method of a container is an access to it; a class makes something new."""
        if not self._functions:
            return self.generic_visit(node)
        function = node.func
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        if isinstance(function, ast.Attribute):
            name = ast.Constant(self._mangled(function.attr))
            node.func = self._hook("method", function, self.visit(function.value), name)
        elif not (isinstance(function, ast.Name) and function.id in _UNTOUCHED):
            node.func = self._hook("called", function, self.visit(function))
        return node

    # Writing

    def visit_Assign(self, node: ast.Assign) -> Any:
        """``v[k] = x`` names its key; names are told when their value is there."""
        if not self._functions:
            return self.generic_visit(node)
        value = self.visit(node.value)
        target = node.targets[0]
        if len(node.targets) == 1 and is_item(target):
            assert isinstance(target, ast.Subscript)
            container, key = self.visit(target.value), self.visit(target.slice)
            return self._statement(self._hook("set_item", node, value, container, key), node)
        unpacks = any(isinstance(each, (ast.Tuple, ast.List)) for each in node.targets)
        if unpacks and not isinstance(value, ast.Tuple):
            value = self._told(value)
        for name in (n for t in node.targets for n in ast.walk(t)):
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                value = self._bound(name, value)
        node.value = value
        node.targets = [self.visit(each) for each in node.targets]
        return node

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.AST:
        """``(name := x)`` binds, too."""
        node.value = self.visit(node.value)
        if self._functions:
            node.value = self._bound(node.target, node.value)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        """First read, then whatever the value takes, then write."""
        if not self._functions:
            return self.generic_visit(node)
        target, value, where = node.target, self._value(node.value), node
        operator = ast.Constant(type(node.op).__name__)
        if isinstance(target, ast.Name):
            if id(target) in self._shared:
                read = self._seen(target, at(ast.Name(target.id, ast.Load()), target))
                changed = self._hook("changed", node, read, value, operator)
                bound = self._bound(target, changed)
                return ast.copy_location(ast.Assign([target], bound), node)
            node.value = value
            node.target = self.visit(target)
            name = ast.copy_location(ast.Name(target.id, ast.Load()), target)
            told = self._statement(self._hook("writes", node, name), node)
            return [node, told]  # a list that others know, too, may have grown in place
        if is_item(target):
            assert isinstance(target, ast.Subscript)
            place = self._hook(
                "item_place", where, self.visit(target.value), self.visit(target.slice)
            )
        elif isinstance(target, ast.Attribute):
            name_of = ast.Constant(self._mangled(target.attr))
            place = self._hook("attribute_place", where, self.visit(target.value), name_of)
        else:
            node.value = value
            node.target = self.visit(target)
            return node
        return self._statement(self._hook("changed_place", where, place, value, operator), node)

    def visit_Delete(self, node: ast.Delete) -> Any:
        """``del v[k]`` names its key."""
        if not self._functions:
            return self.generic_visit(node)
        target = node.targets[0]
        if len(node.targets) == 1 and is_item(target):
            assert isinstance(target, ast.Subscript)
            container, key = self.visit(target.value), self.visit(target.slice)
            return self._statement(self._hook("del_item", node, container, key), node)
        told = self._bindings(node.targets)
        self.generic_visit(node)
        return [node, *told]
