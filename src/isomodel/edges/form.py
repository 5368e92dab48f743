"""The form of the engine's core that this process uses: compiled where that exists, or pure."""

from __future__ import annotations

import os
import sys

VARIABLE = "ISOMODEL_PURE"


def settle() -> None:
    """Have the pure form used where ``ISOMODEL_PURE`` is set and not 0.

    To be called before the engine is imported: a process has one form, from beginning to end.
    """
    if os.environ.get(VARIABLE, "0") not in ("", "0"):
        sys.modules["isomodel.engine.core.compiled"] = None  # type: ignore[assignment]
