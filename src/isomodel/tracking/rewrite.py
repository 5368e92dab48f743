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
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any, cast

from isomodel.tracking.names import NameLabel, shared_names

MARK = "\0isomodel:"

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

_DELAYS = (ast.Await, ast.Yield, ast.YieldFrom, ast.AsyncFor, ast.AsyncWith)


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


def _delays(node: ast.AST) -> bool:
    """Whether other tasks may run while this is evaluated."""
    return any(
        isinstance(inner, _DELAYS) or (isinstance(inner, ast.comprehension) and inner.is_async)
        for inner in ast.walk(node)
    )


class Rewriter(ast.NodeTransformer):
    """See the module's text. ``shared`` has the labels of names whose bindings count, by id."""

    def __init__(self, shared: Mapping[int, NameLabel], *, anywhere: bool = False) -> None:
        self._shared = shared
        self._anywhere = anywhere
        self._classes: list[str] = []
        self._functions = 0

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

    # Reading

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """``v.name``: a read; as a target, ``v`` tells of the write before it happens."""
        node.value = self.visit(node.value)
        if not self._functions:
            return node
        name = ast.Constant(self._mangled(node.attr))
        if isinstance(node.ctx, ast.Load):
            return self._hook("attribute", node, node.value, name)
        node.value = self._hook("writes_attribute", node, node.value, name)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """``v[k]``: a read; as a target, a write of anything in ``v``."""
        node.value = self.visit(node.value)
        node.slice = self.visit(node.slice)
        if not self._functions:
            return node
        if isinstance(node.ctx, ast.Load):
            if any(isinstance(part, ast.Slice) for part in ast.walk(node.slice)):
                node.value = self._hook("value", node, node.value)
                return node
            return self._hook("item", node, node.value, node.slice)
        node.value = self._hook("writes", node, node.value)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A name that several functions bind is as good as an attribute."""
        if self._functions and isinstance(node.ctx, ast.Load):
            return self._seen(node, node)
        return node

    def _seen(self, named: ast.Name, read: ast.expr) -> ast.expr:
        label = self._shared.get(id(named))
        if label is None:
            return read
        before = [self._hook("before", named)] if self._anywhere else []
        return self._hook("name", read, *before, read, _constant(label))

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """``k in c`` reads one key; other comparisons may read all of both."""
        if not self._functions:
            return self.generic_visit(node)
        if len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            key, container = self.visit(node.left), self.visit(node.comparators[0])
            found = self._hook("contains", node, key, container)
            if isinstance(node.ops[0], ast.In):
                return found
            return ast.copy_location(ast.UnaryOp(ast.Not(), found), node)
        if all(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops):
            return self.generic_visit(node)
        node.left = self._value(node.left)
        node.comparators = [self._value(each) for each in node.comparators]
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Containers are added, merged, formatted."""
        if not self._functions:
            return self.generic_visit(node)
        node.left, node.right = self._value(node.left), self._value(node.right)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """The truth of a container is whether there is anything in it."""
        if not self._functions:
            return self.generic_visit(node)
        node.values = [self._truth(self.visit(each)) for each in node.values]
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """``not c`` asks for the truth of ``c``."""
        self.generic_visit(node)
        if self._functions:
            told = self._truth if isinstance(node.op, ast.Not) else self._told
            node.operand = told(node.operand)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        """The test reads."""
        return self._tested(node)

    def visit_While(self, node: ast.While) -> ast.AST:
        """The test reads."""
        return self._tested(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """The test reads."""
        return self._tested(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """The test reads."""
        return self._tested(node)

    def visit_Starred(self, node: ast.Starred) -> ast.AST:
        """``*c`` reads all of ``c``; as a target it reads nothing."""
        if self._functions and isinstance(node.ctx, ast.Load):
            node.value = self._value(node.value)
            return node
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        """``**c`` reads all of ``c``."""
        node.value = self._value(node.value) if node.arg is None else self.visit(node.value)
        return node

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        """A new dict; ``**c`` in it reads all of ``c``."""
        if not self._functions:
            return self.generic_visit(node)
        pairs = list(zip(node.keys, node.values, strict=True))
        node.keys = [None if key is None else self.visit(key) for key, _ in pairs]
        node.values = [self._value(v) if k is None else self.visit(v) for k, v in pairs]
        return self._hook("born", node, node)

    def visit_List(self, node: ast.List) -> ast.AST:
        """A new list, unless it is a target."""
        return self._display(node)

    def visit_Set(self, node: ast.Set) -> ast.AST:
        """A new set."""
        return self._display(node)

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        """A new list."""
        return self._comprehension(node)

    def visit_SetComp(self, node: ast.SetComp) -> ast.AST:
        """A new set."""
        return self._comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        """A new dict."""
        return self._comprehension(node)

    def _comprehension(self, node: Any) -> ast.AST:
        if not self._functions:
            return self.generic_visit(node)
        visited = self._iterates(node) if self._waits(node) else self.generic_visit(node)
        return self._hook("born", node, cast(ast.expr, visited))

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        """What is formatted is read."""
        node.value = self._value(node.value)
        return node

    def visit_Await(self, node: ast.Await) -> ast.AST:
        """Whoever awaits a future reads its result."""
        self.generic_visit(node)
        if self._functions:
            node.value = self._hook("awaited", node.value, node.value)
        return node

    def visit_Match(self, node: ast.Match) -> ast.AST:
        """Patterns look into their subject, as deep as they are: at all of it, for us."""
        if not self._functions:
            return self.generic_visit(node)
        depth = max(map(_depth, node.cases))
        subject = self.visit(node.subject)
        node.subject = self._hook("matched", subject, subject, ast.Constant(depth))
        for case in node.cases:
            case.guard = None if case.guard is None else self._truth(self.visit(case.guard))
            case.body = self._body(case.body)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        """What a comprehension iterates over is read, and the truth of what filters."""
        self.generic_visit(node)
        if self._functions:
            if not node.is_async:
                node.iter = self._hook("value", node.iter, node.iter)
            node.ifs = [self._truth(each) for each in node.ifs]
        return node

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        """It reads whenever it is asked for more."""
        return self._iterates(node)

    def _iterates(self, node: Any) -> ast.expr:
        self.generic_visit(node)
        for generator in node.generators:
            if self._functions and not generator.is_async:
                generator.iter = self._hook("iterated", generator.iter, *generator.iter.args)
        return cast(ast.expr, node)

    def visit_For(self, node: ast.For) -> ast.AST:
        """A loop that waits in between reads anew each time round."""
        if not self._functions:
            return self.generic_visit(node)
        waits = any(map(self._waits, node.body))
        told = self._bindings([node.target])
        node.target = self.visit(node.target)
        node.iter = self.visit(node.iter)
        node.iter = self._hook("iterated" if waits else "value", node.iter, node.iter)
        node.body = told + self._body(node.body)
        node.orelse = self._body(node.orelse)
        return node

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        """Its target may be a shared name."""
        return self._binding_block(node, [node.target])

    def visit_With(self, node: ast.With) -> ast.AST:
        """Its targets may be shared names."""
        return self._binding_block(node, [item.optional_vars for item in node.items])

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        """Its targets may be shared names."""
        return self._binding_block(node, [item.optional_vars for item in node.items])

    def _binding_block(self, node: Any, targets: Sequence[ast.expr | None]) -> ast.AST:
        told = self._bindings(targets) if self._functions else []
        self.generic_visit(node)
        node.body = told + node.body
        return cast(ast.AST, node)

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
        if len(node.targets) == 1 and _is_item(target):
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
                read = self._seen(target, _at(ast.Name(target.id, ast.Load()), target))
                changed = self._hook("changed", node, read, value, operator)
                bound = self._bound(target, changed)
                return ast.copy_location(ast.Assign([target], bound), node)
            node.value = value
            node.target = self.visit(target)
            name = ast.copy_location(ast.Name(target.id, ast.Load()), target)
            told = self._statement(self._hook("writes", node, name), node)
            return [node, told]  # a list that others know, too, may have grown in place
        if _is_item(target):
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
        if len(node.targets) == 1 and _is_item(target):
            assert isinstance(target, ast.Subscript)
            container, key = self.visit(target.value), self.visit(target.slice)
            return self._statement(self._hook("del_item", node, container, key), node)
        told = self._bindings(node.targets)
        self.generic_visit(node)
        return [node, *told]

    # Helpers

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
        if not self._functions or isinstance(visited, _NO_CONTAINERS):
            return visited
        return self._hook("value", visited, visited)

    def _truth(self, visited: ast.expr) -> ast.expr:
        """This expression, told as a question whether there is anything in it."""
        plain = (*_NO_CONTAINERS, ast.BoolOp, ast.UnaryOp)
        if isinstance(visited, plain) or _hook_of(visited) == "contains":
            return visited
        return self._hook("truth", visited, visited)

    def _bound(self, name: ast.Name, value: ast.expr) -> ast.expr:
        label = self._shared.get(id(name))
        return value if label is None else self._hook("binds", name, value, _constant(label))

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
        hook = _at(ast.Constant(MARK + name), where)
        return cast(ast.Call, _at(ast.Call(hook, list(arguments), []), where))

    def _statement(self, expression: ast.expr, where: ast.AST) -> ast.stmt:
        return cast(ast.stmt, _at(ast.Expr(expression), where))

    def _mangled(self, name: str) -> str:
        if name.startswith("__") and not name.endswith("__") and self._classes:
            owner = self._classes[-1].lstrip("_")
            return f"_{owner}{name}" if owner else name
        return name


_NO_CONTAINERS = (ast.Constant, ast.Compare, ast.JoinedStr, ast.Lambda)


def _depth(pattern: ast.AST) -> int:
    """How many patterns are inside each other here."""
    inner = max(map(_depth, ast.iter_child_nodes(pattern)), default=0)
    return inner + isinstance(pattern, ast.pattern)


def _hook_of(node: ast.expr) -> str:
    """The name of the hook that this calls; empty for anything else."""
    function = node.func if isinstance(node, ast.Call) else None
    value = function.value if isinstance(function, ast.Constant) else None
    return value.removeprefix(MARK) if isinstance(value, str) else ""


def _constant(label: Any) -> ast.expr:
    """The same tuple of tuples of strings, as one constant."""
    return ast.Constant(label)


def _at(node: Any, where: ast.AST) -> Any:
    return ast.copy_location(node, where)


def _is_item(target: ast.AST) -> bool:
    """Whether this is ``v[k]`` with one key."""
    return isinstance(target, ast.Subscript) and not any(
        isinstance(part, ast.Slice) for part in ast.walk(target.slice)
    )
