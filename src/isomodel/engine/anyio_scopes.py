"""anyio's cancel scopes, which meet the scopes within them in the order of their addresses.

A scope that is cancelled passes that on to its child scopes, which it keeps in a set of objects
without a hash of their own: two runs of one execution would wake the tasks in them in different
orders. Here it meets them in the order in which they were entered, which is one of those orders.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from typing import Any

_BACKEND = "anyio._backends._asyncio"


def adopt() -> None:
    """Have cancel scopes made from now on keep their child scopes in order."""
    if "anyio" not in sys.modules:
        return
    with contextlib.suppress(ImportError):  # now: anyio would import it within an execution
        importlib.import_module(_BACKEND)
    scope: Any = getattr(sys.modules.get(_BACKEND), "CancelScope", None)
    if scope is None or getattr(scope.__init__, "is_ours", False):
        return
    initialise = scope.__init__

    @functools.wraps(initialise)
    def in_order(self: Any, *args: Any, **options: Any) -> None:
        initialise(self, *args, **options)
        if type(getattr(self, "_child_scopes", None)) is set:
            self._child_scopes = _InOrder()

    in_order.is_ours = True  # type: ignore[attr-defined]
    scope.__init__ = in_order


class _InOrder(dict[Any, None]):
    """A set that is met in the order in which it was filled."""

    add = dict.setdefault
    remove = dict.__delitem__

    def discard(self, item: Any) -> None:
        """Take the item out, if it is in."""
        self.pop(item, None)
