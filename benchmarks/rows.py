"""Rows: what was measured, beside which peer, against which goal; as a table and as JSON."""

from __future__ import annotations

import datetime
import math
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

ABSENT = "peer not installed"


class Row(msgspec.Struct, frozen=True):
    """One figure. ``met`` is None where there is no goal, or nothing to hold against it."""

    what: str
    value: float | int | str | None
    unit: str = ""
    peer: str = ""
    peer_value: float | int | None = None
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None
    note: str = ""


class Report(msgspec.Struct, frozen=True):
    """What one benchmark answers. ``sample`` says on how much the figures rest."""

    name: str
    quick: bool
    sample: str
    rows: tuple[Row, ...]


def at_least(what: str, value: float, goal: float, unit: str = "", **more: Any) -> Row:
    """A figure that should not be below ``goal``."""
    return Row(what, _tidy(value), unit, goal=f">= {goal:g}", met=value >= goal, **more)


def at_most(what: str, value: float, goal: float, unit: str = "", **more: Any) -> Row:
    """A figure that should not be above ``goal``."""
    return Row(what, _tidy(value), unit, goal=f"<= {goal:g}", met=value <= goal, **more)


def figure(what: str, value: float | str | None, unit: str = "", **more: Any) -> Row:
    """A figure without a goal."""
    return Row(what, _tidy(value), unit, **more)


def ratio_at_least(
    what: str, value: float, peer: str, peer_value: float, ratio: float, goal: float, unit: str
) -> Row:
    """A figure whose ratio to a peer's should not be below ``goal``."""
    return Row(
        what,
        _tidy(value),
        unit,
        peer,
        _tidy(peer_value),
        _tidy(ratio),
        f"ratio >= {goal:g}",
        ratio >= goal,
    )


def _tidy(value: Any) -> Any:
    """Four significant digits; no infinity, which JSON lacks."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.4g}")
    return int(rounded) if rounded == int(rounded) else rounded


def show(report: Report) -> None:
    """The table on the terminal."""
    console = Console(width=None if os.isatty(1) else 160, highlight=False)
    kind = "quick, a smaller sample: " if report.quick else ""
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{report.name} ({kind}{report.sample})",
        title_justify="left",
        pad_edge=False,
    )
    for heading in ("what", "value", "unit", "peer", "peer's", "ratio", "goal", "met"):
        number = heading in ("value", "peer's", "ratio")
        table.add_column(heading, justify="right" if number else "left")
    for row in report.rows:
        table.add_row(
            row.what,
            _text(row.value),
            row.unit,
            row.peer,
            _text(row.peer_value) if row.peer else "",
            _text(row.ratio) if row.ratio is not None else "",
            row.goal,
            {True: "yes", False: "NO", None: "?" if row.goal else ""}[row.met],
        )
    console.print(table)
    for row in report.rows:
        if row.note:
            console.print(f"  {row.what}: {row.note}")
    missed = [row.what for row in report.rows if row.met is False]
    goals = sum(row.met is not None for row in report.rows)
    console.print(f"{goals - len(missed)} of {goals} goals met" + _listed("; missed: ", missed))


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _listed(lead: str, items: Sequence[str]) -> str:
    return lead + ", ".join(items) if items else ""


def write(reports: Sequence[Report], place: Path) -> None:
    """The same as JSON, with when and on what it was measured."""
    document = {
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, {platform.system()}, shared",
        "reports": msgspec.to_builtins(list(reports)),
    }
    text = msgspec.json.format(msgspec.json.encode(document), indent=2)
    place.write_bytes(text + b"\n")
