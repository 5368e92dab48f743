"""The core of the engine, in its compiled form where that exists, else in plain Python.

Both are made of one file, ``source.py``, and behave alike; only the time they take differs. An
import of ``isomodel.engine.core.compiled`` that fails is all that tells the one from the other,
so whoever wants the pure form prevents that import (``isomodel.edges.form``).
"""

# ruff: noqa: F403 - the source says itself what it exports

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isomodel.engine.core.source import *

    COMPILED: bool
    """Whether the compiled form is in use."""
else:
    try:
        from isomodel.engine.core.compiled import *

        COMPILED = True
    except ImportError:
        from isomodel.engine.core.source import *

        COMPILED = False
