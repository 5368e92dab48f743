"""Where output goes: results to standard output, progress to standard error, or JSON alone.

What is shown is finished data: lines and grids. On a terminal rich draws them; elsewhere they are
plain text that never wraps and has no escape codes.
"""

from __future__ import annotations

import contextlib
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from isomodel.values.errors import BadInput


class Line(msgspec.Struct, frozen=True):
    """A line of prose: a terminal wraps it, and shows it in this style of rich's.

    Plain strings are never wrapped: they may be commands and paths that somebody copies.
    """

    text: str
    style: str = ""


class Grid(msgspec.Struct, frozen=True):
    """A table: headings, rows of as many cells, and which columns hold numbers."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[str] = frozenset()


Part: TypeAlias = str | Line | Grid


class Screen:
    """Standard output and error of one command; ``json`` is a file, "-" for stdout, or None."""

    def __init__(self, json: str | None = None) -> None:
        self._json = json
        self._stdout = sys.stdout
        self.errors = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._console = Console(file=sys.stdout, highlight=False, soft_wrap=True)

    @property
    def live(self) -> bool:
        """Whether progress may be drawn over itself."""
        return self.errors.is_terminal and not self.errors.is_dumb_terminal

    def show(self, parts: Sequence[Part]) -> None:
        """Print these, unless standard output is for JSON alone."""
        if self._json == "-":
            return
        for part in parts:
            if self._console.is_terminal:
                self._console.print(_drawn(part, self._console.width))
            else:
                self._stdout.write(plain(part) + "\n")
        self._stdout.flush()

    def progress(self, line: str) -> None:
        """One plain line about what is going on."""
        self.errors.print(Text(line))

    def document(self, value: dict[str, Any]) -> None:
        """Write the JSON document, where one was asked for, and say where it is."""
        if self._json is None:
            return
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
        if self._json == "-":
            self._stdout.write(text)
            self._stdout.flush()
            return
        try:
            Path(self._json).write_text(text, encoding="utf-8")
        except OSError as error:
            raise BadInput(f"cannot write {self._json}; {error.strerror}; name another") from None
        self.show([f"JSON: {self._json}"])

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While JSON goes to standard output, what a target or a worker prints goes to stderr."""
        if self._json != "-":
            yield
            return
        with contextlib.redirect_stdout(sys.stderr), _moved_aside(self._stdout) as kept:
            self._stdout = kept
            yield
            kept.flush()


@contextlib.contextmanager
def _moved_aside(stdout: TextIO) -> Iterator[TextIO]:
    """``stdout`` under another descriptor, its own leading to stderr: workers inherit that."""
    try:
        own, error = stdout.fileno(), sys.stderr.fileno()
    except (OSError, AttributeError):
        yield stdout  # captured, as in a test
        return
    stdout.flush()
    saved = os.dup(own)
    os.dup2(error, own)
    try:
        with open(os.dup(saved), "w", encoding="utf-8") as kept:
            yield kept
    finally:
        os.dup2(saved, own)
        os.close(saved)


def check_writable(json: str | None) -> None:
    """Raise BadInput before a long hunt rather than after it."""
    if json in (None, "-"):
        return
    assert json is not None
    if not Path(json).parent.is_dir() or Path(json).is_dir():
        raise BadInput(f"cannot write the JSON; {json} is not a file in an existing folder; name "
                       "another, or put TARGET before --json")  # fmt: skip


def plain(part: Part) -> str:
    """A part as text without escape codes."""
    if isinstance(part, str):
        return part
    if isinstance(part, Line):
        return part.text
    widths = [max(map(len, column)) for column in zip(part.headings, *part.rows, strict=True)]
    numeric = [heading in part.numbers for heading in part.headings]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in (part.headings, *part.rows)
    )


def _drawn(part: Part, width: int) -> Text | Table:
    if isinstance(part, str):
        return Text(part)
    if isinstance(part, Line):
        hanging = " " * (len(part.text) - len(part.text.lstrip(" -")))
        wrapped = textwrap.fill(part.text, width, subsequent_indent=hanging, break_long_words=False)
        return Text(wrapped, style=part.style)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    for heading in part.headings:
        number = heading in part.numbers
        table.add_column(heading, justify="right" if number else "left", no_wrap=number)
    for row in part.rows:
        table.add_row(*map(Text, row))
    return table
