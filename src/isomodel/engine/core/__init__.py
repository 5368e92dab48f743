"""The core of the engine, in its compiled form where that exists, else in plain Python.

Both are made of one source and behave alike; only the time they take differs. Whoever wants the
pure form keeps ``isomodel.engine.core.compiled`` from being imported (``isomodel.edges.form``).
"""

# ruff: noqa: F403 - the source says itself what it exports

from pathlib import Path
from typing import TYPE_CHECKING

STALE = "pure (the compiled core is older than its source: install isomodel again)"

FORM = "pure"
"""Which form is in use: "compiled", "pure", or ``STALE``."""

TOLERANCE = 5.0
"""Seconds by which installing may write the source later than what was compiled of it."""


def _is_stale(compiled: str) -> bool:
    """Whether some source has changed since this was compiled."""
    sources = (*Path(__file__).parent.glob("*.py"), *Path(__file__).parent.glob("*.pxd"))
    made = Path(compiled).stat().st_mtime
    return any(source.stat().st_mtime > made + TOLERANCE for source in sources)


if TYPE_CHECKING:
    from isomodel.engine.core.source import *
else:
    try:
        from isomodel.engine.core import compiled

        FORM = STALE if _is_stale(compiled.__file__) else "compiled"
    except ImportError:
        pass
    if FORM == "compiled":
        from isomodel.engine.core.compiled import *
    else:
        from isomodel.engine.core.source import *
