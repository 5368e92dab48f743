"""Where a thread is: the program's own line, in words."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from types import FrameType
from typing import Any

from isomodel.engine.control.sources import is_machinery

_LIBRARY = sysconfig.get_path("stdlib")
_INSTALLED = sysconfig.get_path("purelib")


def place_of(greenlet: Any) -> str:
    """The program's innermost line of a suspended thread, as "file:line in function"."""
    return line_of(greenlet.gr_frame)


def line_of(frame: FrameType | None) -> str:
    """The innermost line of the program at or above this frame; of anything, if there is none."""
    fallback = ""
    while frame is not None:
        if not _is_ours(str(frame.f_globals.get("__name__", ""))):
            code = frame.f_code
            name, library = _file(code.co_filename)
            if not library:
                return f"{name}:{frame.f_lineno} in {code.co_name}"
            fallback = fallback or f"{name}:{frame.f_lineno} in {code.co_name}"
        frame = frame.f_back
    return fallback or "its start"


def here_is() -> str:
    """The program's line that is running."""
    return line_of(sys._getframe(1))


_is_ours = functools.lru_cache(maxsize=5_000)(is_machinery)


@functools.lru_cache(maxsize=5_000)
def _file(path: str) -> tuple[str, bool]:
    """Its name, and whether it is no file of the program's."""
    return os.path.basename(path), is_library(path)


def is_library(file: str) -> bool:
    """Whether this is a file of the standard library or generated."""
    if file.startswith("<"):
        return True
    return file.startswith(_LIBRARY) and not file.startswith(_INSTALLED)
