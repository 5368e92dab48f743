"""The rules of ``isomodel scan`` inside flake8, for who runs that anyway.

Off unless ``--enable-extensions ISO``: who installs isomodel for its tests has not asked for them.
flake8 reports syntax errors, selects, and suppresses (``# noqa: ISO301``) by its own means.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.metadata import version

from isomodel.scan.module import Module
from isomodel.scan.rules import RULES


class Plugin:
    """What flake8 makes for each file."""

    name = "isomodel"
    version = version("isomodel")
    off_by_default = True

    def __init__(self, tree: ast.Module) -> None:
        self._module = Module(tree)

    def run(self) -> Iterator[tuple[int, int, str, type[Plugin]]]:
        """Line, column from 0, text beginning with the rule's id, and this class."""
        for rule in RULES:
            for node, message in rule.check(self._module):
                assert isinstance(node, ast.expr | ast.stmt | ast.excepthandler)
                yield node.lineno, node.col_offset, f"{rule.id} {message}", type(self)
