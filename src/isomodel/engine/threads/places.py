"""Places: which instructions of a program touch what several of its threads touch.

Seen in one run with hooks (``points``), which tells of each access its source line; here each is
put down to the instructions of that line that may have made it: to those that name the attribute or
variable, or else to all that may look into a container. Where that run never came, nothing is
known.
"""

from __future__ import annotations

import dis
import os
from collections.abc import Iterable, Mapping
from types import CodeType
from typing import Any

from isomodel.tracking.recorder import Access, Label

Touched = tuple[tuple[Label, Label, bool], ...]
"""Of what, which part, and whether it may be written."""

_BY_NAME = frozenset(("ATTR", "METHOD", "GLOBAL", "GLOBALS", "NAME", "DEREF", "CLASSDEREF"))
"""How instructions end that say which attribute or variable they are about."""

_WRITES = ("STORE", "DELETE")


class Places:
    """Made of the accesses of one execution; those of the threads ``beside`` do not count."""

    def __init__(self, accesses: Iterable[Access], beside: frozenset[str]) -> None:
        accesses = [access for access in accesses if access.task not in beside]
        tasks: dict[Label, set[str]] = {}
        written: set[Label] = set()
        for access in accesses:
            tasks.setdefault(access.label, set()).add(access.task)
            if access.write:
                written.add(access.label)
        self._at: dict[str, dict[tuple[Label, Label, bool], None]] = {}
        for access in accesses:
            label: Any = access.label
            if label in written and len(tasks[label]) > 1:
                self._at.setdefault(access.where, {})[(*label, access.write)] = None

    def of(self, code: CodeType) -> Mapping[int, Touched]:
        """What each instruction of this code may touch that others do, by its offset."""
        at = {offset: line for start, end, line in code.co_lines() for offset in range(start, end)}
        lines: dict[int | None, list[dis.Instruction]] = {}
        for each in dis.get_instructions(code):
            lines.setdefault(at.get(each.offset), []).append(each)
        found: dict[int, Touched] = {}
        file = os.path.basename(code.co_filename)
        for line, instructions in lines.items():
            touched = tuple(self._at.get(f"{file}:{line} in {code.co_name}", ()))
            names = {each.argval for each in instructions if _is_by_name(each)}
            for each in instructions:
                found[each.offset] = tuple(_made_by(each, names, touched))
        return found


def _is_by_name(instruction: dis.Instruction) -> bool:
    return instruction.opname.rpartition("_")[2] in _BY_NAME


def _made_by(instruction: dis.Instruction, names: set[object], touched: Touched) -> Touched:
    """Those of the accesses of its line that this instruction may have made."""
    if not _is_by_name(instruction):
        return tuple(each for each in touched if each[1] not in names)
    writes = instruction.opname.startswith(_WRITES)
    name = instruction.argval
    return tuple(each for each in touched if each[1] == name and each[2] == writes)
