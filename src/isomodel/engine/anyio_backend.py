"""anyio on asyncio: what it would do outside the loop's control, it does under it."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from isomodel.engine import anyio_scopes, anyio_threads

_NAME = "anyio._backends._asyncio"

_adopted: ModuleType | None = None


def adopt() -> None:
    """Change anyio's part for asyncio, if the program has imported anyio, and once only."""
    global _adopted
    if "anyio" not in sys.modules:
        return
    backend = sys.modules.get(_NAME) or _imported()
    if backend is not None and backend is not _adopted:
        _adopted = backend
        anyio_threads.adopt(backend)
        anyio_scopes.adopt(backend)


def _imported() -> ModuleType | None:
    """That part, imported now: anyio's first call would, within an execution and too late."""
    try:
        return importlib.import_module(_NAME)
    except ImportError:
        return None
