"""What each exit code means; docs/commands.md lists them."""

from __future__ import annotations

from isomodel.values.verdict import Verdict

OK = 0
VIOLATED = 1
BAD_INPUT = 2
UNKNOWN = 3
INTERNAL = 70
INTERRUPTED = 130
CLOSED = 141
"""Whoever read our output went away; the number shells give for it."""


STATUS = {OK: "ok", VIOLATED: "violated", UNKNOWN: "unknown"}
"""The verdict behind an exit code."""


def of(verdict: Verdict) -> int:
    """The exit code for a verdict: an unknown one is never 0."""
    return next(code for code, status in STATUS.items() if status == verdict.status)
