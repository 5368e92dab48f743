"""Runtimes: the rows of every engine beside asyncio's own, each from a module of its own."""

from __future__ import annotations

import importlib

from benchmarks.rows import Report, Row

PARTS = ("runtimes_threads",)
"""Modules with a ``rows(quick)``."""


def run(quick: bool) -> Report:
    """All rows."""
    rows: list[Row] = []
    for part in PARTS:
        rows += importlib.import_module(f"benchmarks.{part}").rows(quick)
    return Report("runtimes", quick, "see each row", tuple(rows))
