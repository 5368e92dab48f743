"""Rewriting of what reads: attributes, items, names, tests, loops, comprehensions, patterns."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, cast

from isomodel.tracking.nodes import Nodes, constant


class Reads(Nodes):
    """The visits to expressions and statements that look at something."""

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
        return self._hook("name", read, *before, read, constant(label))

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


def _depth(pattern: ast.AST) -> int:
    """How many patterns are inside each other here."""
    inner = max(map(_depth, ast.iter_child_nodes(pattern)), default=0)
    return inner + isinstance(pattern, ast.pattern)
