"""greenlet, which is an optional extra: what threads under control are made of."""

from __future__ import annotations

import importlib
from typing import Any

from isomodel.values.errors import BadInput


def load() -> Any:
    """The greenlet module; raises BadInput where it is not installed."""
    try:
        return importlib.import_module("greenlet")
    except ImportError:
        raise BadInput(
            "threads under control need greenlet: pip install 'isomodel[threads]'"
        ) from None
