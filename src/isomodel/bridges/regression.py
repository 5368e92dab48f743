"""Writes a case as a pytest test that reads as a story and stays.

The test holds everything it needs: no database, no search, no line numbers, no case file. A case
file is data that anyone may have sent, so only names of known form and ``repr`` of JSON values get
into the source text.
"""

from __future__ import annotations

import keyword
import math
import os
import re
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from isomodel.bridges.wording import failed, orders, size, switched
from isomodel.search.cases import write as put
from isomodel.values.case import Case
from isomodel.values.errors import BadInput
from isomodel.values.scenario import Operation, made_by
from isomodel.values.schedule import OF_IO, OF_NETWORK

WIDTH = 100

_AT = {
    **dict.fromkeys(OF_IO, "io"),
    **dict.fromkeys(OF_NETWORK, "event"),
    "jump": "timer",
}
"""What the words of faults call the place where they strike; "after" so many steps the others."""


def write(case: Case, folder: Path, *, title: str = "", path: Sequence[str] = ()) -> Path:
    """Write ``test_<what is broken>.py`` into ``folder``; where it is.

    The same failure of the same target replaces its former test. ``title`` tells the failure in
    a few words, if anybody knows them. ``path`` are folders to import the target from: the test
    finds them from where it lies. Raises BadInput if the case holds what cannot be source.
    """
    text = source(case, title, [_from(folder, each) for each in path])
    place = folder / f"test_{slug(case)}.py"
    number = 2
    while place.exists() and _target_line(case) not in place.read_text(encoding="utf-8"):
        place = folder / f"test_{slug(case)}_{number}.py"
        number += 1
    put(place, text.encode())
    return place


def _from(folder: Path, other: str) -> str:
    """The way from one folder to another; the whole path where they share no drive."""
    try:
        way = os.path.relpath(os.path.realpath(other), os.path.realpath(folder))
    except ValueError:
        way = os.path.realpath(other)
    return way.replace(os.sep, "/")


def slug(case: Case) -> str:
    """What is broken, as part of a module's name: ``chat_desk_no_leaked_secret_post``."""
    module, _, name = case.target.rpartition(":")
    what = "+".join(case.armed) or f"{module.rpartition('.')[2]} {_snake(name)}"
    what += f" {case.runtime}" * (case.runtime != "asyncio")
    words = f"{what} {case.finding.property} {_snake(case.finding.operation)}".lower()
    return re.sub(r"[^a-z0-9]+", "_", words).strip("_")[:80]


def source(case: Case, title: str = "", path: Sequence[str] = ()) -> str:
    """The text of the test, formatted as ruff would; ``path`` are folders, seen from its own."""
    words = sorted(_words(case), key=lambda word: (word[0].islower(), word))
    lines = [
        *_docstring(case, title),
        "",
        *(["from pathlib import Path", ""] if path else []),
        *(["import pytest", ""] if case.armed else []),
        f"from isomodel.testing import {', '.join(words)}",
        "",
        "STORY = Story(",
        _target_line(case),
        *_path(path),
        *_argument("property", case.finding.property),
        *_argument("at", case.finding.operation),
    ]
    if case.armed:
        lines += _argument("defects", ["+".join(case.armed)])
    lines += _argument("fidelity", case.schedule.fidelity)
    if case.runtime != "asyncio":
        lines += _argument("runtime", case.runtime)
    if case.scenario.seed:
        lines += _argument("seed", case.scenario.seed)
    if case.scenario.groups:
        lines += _argument("groups", [list(group) for group in case.scenario.groups])
    lines += _list("operations", [_operation(o) for o in case.scenario.operations])
    if case.schedule.choices:
        lines += _list("schedule", list(_schedule(case)))
    if case.schedule.faults:
        lines += _list("faults", list(_faults(case)))
    lines += [")", "", ""]
    lines += ["def test_the_story_holds() -> None:", "    STORY.holds()"]
    if case.armed:
        lines += [
            "",
            "",
            '@pytest.mark.parametrize("defect", STORY.defects)',
            "def test_the_story_fails_when_armed(defect: str) -> None:",
            "    STORY.fails(armed=defect)",
        ]
    return "\n".join(lines) + "\n"


def _words(case: Case) -> Iterator[str]:
    """The words of the story that this case needs."""
    operations = case.scenario.operations
    yield "Story"
    if any(not operation.beside for operation in operations):
        yield "do"
    if any(operation.beside for operation in operations):
        yield "beside"
    if any(made_by(value) for operation in operations for value in operation.args.values()):
        yield "made"
    if case.schedule.choices:
        yield "switch"
    yield from sorted({fault.kind for fault in case.schedule.faults})


# The docstring


def _docstring(case: Case, title: str) -> list[str]:
    armed = "+".join(case.armed)
    headline = ": ".join(part for part in (armed, title) if part)
    finding = case.finding
    where = f" in {finding.operation}" if finding.operation else ""
    fidelity = case.schedule.fidelity
    ordinary = " It showed on the ordinary event loop, too." * bool(case.confirmed.get("asyncio"))
    paragraphs = (
        f"{headline or f'{finding.property} broke{where}'}.",
        f"{finding.property}: {_lasting(finding.message)}.",
        f"{size(case.size)}; found under {fidelity}: {orders(fidelity, case.runtime)}.{ordinary}",
    )
    lines = [line for each in paragraphs for line in ("", *_prose(each, WIDTH))][1:]
    space = " " * lines[0].startswith('"')
    return [f'"""{space}{lines[0]}', *lines[1:], '"""']


def _lasting(message: str) -> str:
    """The message without line numbers: "waits at Pool.acquire:88 > ..." is for one version."""
    said, waits, chain = message.partition(" waits at ")
    return said + waits + re.sub(r"(?<=[\w>]):\d+(?= >|;|$)", "", chain)


def _prose(text: str, width: int) -> list[str]:
    """``text`` in lines that may stand in a docstring or a comment, whatever it holds."""
    plain = "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)
    clean = " ".join(plain.split())
    narrow = width - 4
    while True:
        lines = [_unquoted(line) for line in textwrap.wrap(clean, narrow)] or [""]
        if narrow < 20 or all(len(line) <= width - 4 for line in lines):
            return lines
        narrow -= 16


def _unquoted(line: str) -> str:
    return line.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


# The story


def _target_line(case: Case) -> str:
    return f"    target={_value(case.target)},"


def _path(folders: Sequence[str]) -> list[str]:
    """The argument that names them: on one line if there is room."""
    entries = [f"Path(__file__).parent / {_value(folder)}" for folder in folders]
    line = f"    path=[{', '.join(entries)}],"
    if not entries or _wide(line) <= WIDTH:
        return [line] * bool(entries)
    return ["    path=[", *(f"        {entry}," for entry in entries), "    ],"]


def _argument(name: str, value: Any) -> list[str]:
    return _laid_out(4, f"{name}=", value, ",")


def _operation(operation: Operation) -> list[str]:
    verb = "beside" if operation.beside else "do"
    if operation.label.rpartition(".")[0] != operation.user:
        raise BadInput(f"label {operation.label!r} does not begin with its user {operation.user!r}")
    parts = [_value(operation.label), _value(operation.name)]
    long = [[f"            {part},"] for part in parts]
    for name, value in operation.args.items():
        if not name.isidentifier() or keyword.iskeyword(name):
            raise BadInput(f"{operation.label}: {name!r} is no name of an argument")
        maker = made_by(value)
        if maker is not None:
            parts.append(f"{name}=made({_value(maker)})")
            long.append([f"            {parts[-1]},"])
        else:
            parts.append(f"{name}={_value(value)}")
            long.append(_laid_out(12, f"{name}=", value, ","))
    return _call(verb, parts, long)


def _schedule(case: Case) -> Iterator[list[str]]:
    for choice in case.schedule.choices:
        parts = [
            f"after={_value(choice.after)}",
            f"step={_value(choice.step)}",
            f"to={_value(choice.to)}",
        ]
        if choice.nth:
            parts.append(f"nth={_value(choice.nth)}")
        yield [*_comment(switched(choice)), *_simple("switch", parts)]


def _faults(case: Case) -> Iterator[list[str]]:
    for fault in case.schedule.faults:
        parts = [_value(fault.task), f"{_AT.get(fault.kind, 'after')}={_value(fault.at)}"]
        yield [*_comment(failed(fault)), *_simple(fault.kind, parts)]


def _simple(name: str, parts: Sequence[str]) -> list[str]:
    return _call(name, parts, [[f"            {part},"] for part in parts])


# Source text


def _value(value: Any) -> str:
    """JSON data as a Python literal."""
    if isinstance(value, str):
        return _string(value)
    if value is None or isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value).replace("e+", "e")
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return f"{{{', '.join(f'{_string(k)}: {_value(v)}' for k, v in value.items())}}}"
    raise BadInput(f"{value!r} is not JSON, so it cannot be kept in a test; change the strategy")


def _string(text: str) -> str:
    """A string literal with the quotes that need fewer escapes, double ones if in doubt."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    escaped = ("\\" + c if c in ("\\", quote) else c if _plain(c) else ascii(c)[1:-1] for c in text)
    return quote + "".join(escaped) + quote


def _plain(character: str) -> bool:
    """Whether it may stand in source text as it is: printable, and not part of another one."""
    return (character.isascii() and character.isprintable()) or character.isalnum()


def _wide(line: str) -> int:
    """The columns this line takes: ruff, too, counts two for a wide character."""
    return len(line) + sum(unicodedata.east_asian_width(c) in "WF" for c in line)


def _laid_out(indent: int, before: str, value: Any, after: str) -> list[str]:
    """``before``, the literal and ``after``, over as many lines as they need."""
    space = " " * indent
    line = f"{space}{before}{_value(value)}{after}"
    if _wide(line) <= WIDTH or not value or isinstance(value, int | float):
        return [line]
    if isinstance(value, str):
        pieces = [f"{space}    {_string(piece)}" for piece in _pieces(value, WIDTH - indent - 4)]
        split = len(pieces) > 1 or before
        return [f"{space}{before}(", *pieces, f"{space}){after}"] if split else [line]
    if isinstance(value, dict):
        entries = [_laid_out(indent + 4, f"{_string(k)}: ", v, ",") for k, v in value.items()]
        opening, closing = "{", "}"
    else:
        entries = [_laid_out(indent + 4, "", item, ",") for item in value]
        opening, closing = "[", "]"
    inner = [entry for lines in entries for entry in lines]
    return [f"{space}{before}{opening}", *inner, f"{space}{closing}{after}"]


def _pieces(text: str, width: int) -> Iterator[str]:
    """``text`` in pieces whose literals are no wider than ``width``."""
    piece = ""
    for character in text:
        if _wide(_string(piece + character)) > width:
            yield piece
            piece = ""
        piece += character
    if piece:
        yield piece


def _call(name: str, parts: Sequence[str], long: Sequence[list[str]]) -> list[str]:
    """A call as an element of a list; ``long`` has each part on lines of its own."""
    line = f"        {name}({', '.join(parts)}),"
    if _wide(line) <= WIDTH:
        return [line]
    inner = f"            {', '.join(parts)}"
    if _wide(inner) <= WIDTH:
        return [f"        {name}(", inner, "        ),"]
    return [f"        {name}(", *(each for lines in long for each in lines), "        ),"]


def _comment(sentence: str) -> list[str]:
    return [f"        # {line}" for line in _prose(sentence, WIDTH - 10)]


def _list(name: str, entries: Sequence[list[str]]) -> list[str]:
    return [f"    {name}=[", *(line for entry in entries for line in entry), "    ],"]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
