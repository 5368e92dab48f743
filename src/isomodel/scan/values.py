"""What a scan is told and what it finds: plain values."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from isomodel.scan.module import Module


class Hit(NamedTuple):
    """A place in a module that breaks a rule, and one sentence that says how."""

    node: ast.AST
    message: str


class Rule(msgspec.Struct, frozen=True):
    """An anti-pattern. ``id`` never changes its meaning; ``why`` and ``fix`` are for people."""

    id: str
    name: str
    why: str
    fix: str
    check: Callable[[Module], Iterator[Hit]]


class Finding(msgspec.Struct, frozen=True, order=True):
    """A rule broken at a place; lines and columns count from 1, the end is exclusive.

    ``suppressed`` is the reason given in a comment beside it; None where there is no such comment.
    """

    path: str
    line: int
    column: int
    rule: str
    message: str
    end_line: int
    end_column: int
    suppressed: str | None = None


class Unreadable(msgspec.Struct, frozen=True, order=True):
    """A file that could not be scanned, and why; the line is 0 where it is the whole file."""

    path: str
    line: int
    reason: str


class Report(msgspec.Struct, frozen=True):
    """All findings in the order of path and line, suppressed ones among them."""

    files: int
    findings: tuple[Finding, ...]
    unreadable: tuple[Unreadable, ...]

    @property
    def open(self) -> tuple[Finding, ...]:
        """Those that no comment suppresses."""
        return tuple(finding for finding in self.findings if finding.suppressed is None)
