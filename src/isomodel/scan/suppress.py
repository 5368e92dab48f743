"""Comments that suppress findings: ``# isomodel: ignore[ISO301] why it is safe here``.

A comment at the end of a line is for that line; one alone in its line is for the next.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from isomodel.scan.values import Finding

UNUSED = "ISO001"
"""The rule that reports comments which suppress nothing; the others must have run to know."""

_COMMENT = re.compile(r"#\s*isomodel:\s*ignore\b(?:\[([^\]]*)\])?\s*(.*)")


class Comment(NamedTuple):
    """One suppression: where it stands, the line it is for, the rules it names, its reason."""

    line: int
    column: int
    applies: int
    rules: tuple[str, ...]
    reason: str


def comments(source: str) -> tuple[Comment, ...]:
    """All suppressions in the source of a file that parses."""
    if "isomodel:" not in source:
        return ()
    return tuple(_read(io.StringIO(source)))


def _read(source: io.StringIO) -> Iterator[Comment]:
    for token in tokenize.generate_tokens(source.readline):
        match = _COMMENT.match(token.string) if token.type == tokenize.COMMENT else None
        if match is not None:
            line, column = token.start
            alone = not token.line[:column].strip()
            rules = tuple(each.strip() for each in (match[1] or "").split(",") if each.strip())
            yield Comment(line, column + 1, line + alone, rules, match[2].strip())


def applied(
    findings: Iterable[Finding], given: tuple[Comment, ...], path: str, ran: frozenset[str]
) -> Iterator[Finding]:
    """The findings, marked where a comment names them; and the comments that were not needed."""
    needed: set[tuple[Comment, str]] = set()
    for finding in findings:
        own = (each for each in given if each.applies == finding.line)
        comment = next((each for each in own if finding.rule in each.rules), None)
        if comment is None:
            yield finding
        else:
            needed.add((comment, finding.rule))
            yield msgspec.structs.replace(finding, suppressed=comment.reason)
    if UNUSED not in ran:
        return
    for comment in given:
        message = _idle(comment, needed, ran)
        if message:
            end = comment.column + 1
            yield Finding(path, comment.line, comment.column, UNUSED, message, comment.line, end)


def _idle(comment: Comment, needed: set[tuple[Comment, str]], ran: frozenset[str]) -> str | None:
    if not comment.rules:
        return "names no rule"
    idle = [rule for rule in comment.rules if (comment, rule) not in needed and rule in ran]
    return f"{', '.join(idle)} does not occur in line {comment.applies}" if idle else None
