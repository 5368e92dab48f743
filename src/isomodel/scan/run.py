"""Scan files: read them, ask every rule, apply the suppressions. Nothing is imported or run."""

from __future__ import annotations

import ast
import fnmatch
import os
import tokenize
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from isomodel.scan.module import Module
from isomodel.scan.suppress import applied, comments
from isomodel.scan.values import Finding, Hit, Report, Rule, Unreadable

SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})
"""Folders below a scanned one that hold no source of its own."""


def scan(paths: Sequence[Path], rules: Sequence[Rule], exclude: Sequence[str] = ()) -> Report:
    """Scan files and folders (``*.py`` below them); ``exclude``: patterns of paths left out.

    What cannot be read or parsed is listed in the report, and the others are scanned.
    """
    findings: set[Finding] = set()
    unreadable: set[Unreadable] = set()
    files = sorted({file for path in paths for file in _files(path)} - _excluded(paths, exclude))
    for file in files:
        found = _scanned(file, rules)
        if isinstance(found, Unreadable):
            unreadable.add(found)
        else:
            findings.update(found)
    unreadable.update(
        Unreadable(str(path), 0, _missing(path)) for path in paths if not path.exists()
    )
    return Report(len(files), tuple(sorted(findings)), tuple(sorted(unreadable)))


def _scanned(file: Path, rules: Sequence[Rule]) -> list[Finding] | Unreadable:
    path = file.as_posix()
    try:
        source = _text(file)
        module = _parsed(path, source)
    except SyntaxError as error:
        return Unreadable(path, error.lineno or 0, error.msg)
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        return Unreadable(path, 0, _reason(error))
    try:
        return list(_found(path, source, module, rules))
    except RecursionError as error:
        return Unreadable(path, 0, _reason(error))


def scan_source(path: str, source: str, rules: Sequence[Rule]) -> Iterator[Finding]:
    """All findings in the text of one file, ``path`` being its name in them.

    Raises SyntaxError or ValueError where it is not Python.
    """
    return _found(path, source, _parsed(path, source), rules)


def _parsed(path: str, source: str) -> Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of invalid escapes: not ours to report
        return Module(ast.parse(source, path))


def _found(path: str, source: str, module: Module, rules: Sequence[Rule]) -> Iterator[Finding]:
    lines = source.split("\n")  # as the parser counts: a form feed ends no line
    found = (_finding(path, lines, rule, hit) for rule in rules for hit in rule.check(module))
    ran = frozenset(rule.id for rule in rules)
    return applied(found, comments(source), path, ran)


def _finding(path: str, lines: list[str], rule: Rule, hit: Hit) -> Finding:
    node = hit.node
    assert isinstance(node, ast.expr | ast.stmt | ast.excepthandler)
    return Finding(
        path,
        node.lineno,
        _column(lines, node.lineno, node.col_offset),
        rule.id,
        hit.message,
        node.end_lineno or node.lineno,
        _column(lines, node.end_lineno or node.lineno, node.end_col_offset or node.col_offset),
    )


def _column(lines: list[str], line: int, offset: int) -> int:
    """A column in characters from 1; syntax trees count bytes from 0."""
    return len(lines[line - 1].encode()[:offset].decode(errors="replace")) + 1


def _text(file: Path) -> str:
    with tokenize.open(file) as stream:  # in the encoding that it declares
        return stream.read()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for folder, inner, names in os.walk(path):
        inner[:] = [each for each in inner if not _skip(Path(folder, each))]
        yield from (Path(folder, name) for name in names if name.endswith(".py"))


def _skip(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in SKIPPED
    return hidden or (folder / "pyvenv.cfg").exists()


def _excluded(paths: Iterable[Path], patterns: Sequence[str]) -> set[Path]:
    """Files whose path, name or one of whose folders fits a pattern."""
    return {
        file
        for path in paths
        for file in _files(path)
        for pattern in patterns
        if fnmatch.fnmatch(file.as_posix(), pattern)
        or any(fnmatch.fnmatch(part, pattern) for part in file.parts)
    }


def _missing(path: Path) -> str:
    return "broken link" if path.is_symlink() else "no such file or folder"


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError | MemoryError):  # the parser raises either
        return "nested too deeply"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error).partition("\n")[0]
