"""anyio's cancel scopes, which meet the scopes within them in the order of their addresses.

A scope that is cancelled passes that on to its child scopes, which it keeps in a set of objects
without a hash of their own: two runs of one execution would wake the tasks in them in different
orders. Here it meets them in the order in which they were entered, which is one of those orders.
"""

from __future__ import annotations

import functools
from typing import Any


def adopt(backend: Any) -> None:
    """Have cancel scopes made from now on keep their child scopes in order."""
    scope: Any = getattr(backend, "CancelScope", None)
    if scope is None:
        return
    initialise = scope.__init__

    @functools.wraps(initialise)
    def in_order(self: Any, *args: Any, **options: Any) -> None:
        initialise(self, *args, **options)
        if type(getattr(self, "_child_scopes", None)) is set:
            self._child_scopes = _InOrder()

    scope.__init__ = in_order


class _InOrder(dict[Any, None]):
    """A set that is met in the order in which it was filled."""

    add = dict.setdefault
    remove = dict.__delitem__

    def discard(self, item: Any) -> None:
        """Take the item out, if it is in."""
        self.pop(item, None)
