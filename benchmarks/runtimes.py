"""Runtimes: what runs on something else than asyncio's tasks, each with rows of its own."""

from __future__ import annotations

import importlib
import importlib.util

from benchmarks.rows import Report, Row

PARTS = ("runtimes_trio", "runtimes_threads", "runtimes_network", "peers_examples")
"""Modules with ``rows(quick)``; one that is not there has nothing to say."""


def run(quick: bool) -> Report:
    """The rows of all parts, in their order."""
    rows: list[Row] = []
    for part in PARTS:
        name = f"benchmarks.{part}"
        if importlib.util.find_spec(name) is not None:
            rows += importlib.import_module(name).rows(quick)
    return Report("runtimes", quick, "see each row", tuple(rows))
