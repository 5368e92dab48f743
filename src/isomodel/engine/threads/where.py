"""Where a thread is: the program's own line, in words."""

from __future__ import annotations

import os
import sys
import sysconfig
from types import FrameType
from typing import Any

_LIBRARY = sysconfig.get_path("stdlib")
_INSTALLED = sysconfig.get_path("purelib")


def place_of(greenlet: Any) -> str:
    """The program's innermost line of a suspended thread, as "file:line in function"."""
    return line_of(greenlet.gr_frame)


def line_of(frame: FrameType | None) -> str:
    """The innermost line of the program at or above this frame; of anything, if there is none."""
    fallback = ""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if not is_machinery(module):
            file = frame.f_code.co_filename
            text = f"{os.path.basename(file)}:{frame.f_lineno} in {frame.f_code.co_name}"
            if not is_library(file):
                return text
            fallback = fallback or text
        frame = frame.f_back
    return fallback or "its start"


def here_is() -> str:
    """The program's line that is running."""
    return line_of(sys._getframe(1))


def is_machinery(module: str) -> bool:
    """Whether this is the name of one of our modules that run programs."""
    return module.startswith("isomodel.") and not module.startswith("isomodel.targets.")


def is_library(file: str) -> bool:
    """Whether this is a file of the standard library or generated."""
    if file.startswith("<"):
        return True
    return file.startswith(_LIBRARY) and not file.startswith(_INSTALLED)
