"""Runtimes: what runs under control besides bare coroutines, each in a module of its own."""

from __future__ import annotations

from benchmarks import runtimes_network
from benchmarks.rows import Report


def run(quick: bool) -> Report:
    """The rows of every runtime."""
    return Report("runtimes", quick, "CPU seconds, medians", tuple(runtimes_network.rows(quick)))
