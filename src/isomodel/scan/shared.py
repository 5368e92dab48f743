"""Which objects serve several tasks at once, as far as a file can tell.

``self`` may be a pool, which everybody uses, or one user's request, which nobody else knows. Rules
about races stay silent unless something says that an object is shared.
"""

from __future__ import annotations

import ast
import re

from isomodel.scan.flow import Event
from isomodel.scan.module import Module, last, parameters
from isomodel.scan.words import is_identity

_SERVES = re.compile(
    r"(Pool|Manager|Cache|Registry|Service|Server|App|Application|Hub|Broker|Limiter|Store|Storage|"
    r"Factory|Dispatcher|Router|Resolver|Engine|Scheduler|Throttle|Bucket|Balancer|Repository|"
    r"Chat|Lobby|Room|Rooms|Bus|Gateway|Proxy|Pools|Queue|Counter|Bank|Account|Inventory|Ledger)$"
)
_PRIMITIVES = re.compile(
    r"^(Lock|RLock|Semaphore|BoundedSemaphore|Condition|Queue|CapacityLimiter)$"
)


class Sharing:
    """Answers for one file, each class looked at once."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._known: dict[ast.ClassDef, bool] = {}

    def of(self, event: Event) -> bool:
        """Whether other tasks may reach the place of an event."""
        if not event.place.startswith("self."):
            return True
        enclosing = self._module.enclosing(event.node)
        owner = next((each for each in enclosing if isinstance(each, ast.ClassDef)), None)
        return owner is not None and self.serves_many(owner)

    def serves_many(self, owner: ast.ClassDef) -> bool:
        """Whether an instance of a class is used by several tasks."""
        if owner not in self._known:
            self._known[owner] = (
                bool(_SERVES.search(owner.name))
                or self._has_primitive(owner)
                or self._is_global(owner)
                or self._takes_users(owner)
            )
        return self._known[owner]

    def _has_primitive(self, owner: ast.ClassDef) -> bool:
        """It keeps a lock, semaphore or queue: whoever wrote it expected company."""
        return any(
            isinstance(node, ast.Assign | ast.AnnAssign)
            and isinstance(node.value, ast.Call)
            and _PRIMITIVES.match(last(node.value.func))
            for node in ast.walk(owner)
        )

    def _is_global(self, owner: ast.ClassDef) -> bool:
        return any(
            isinstance(value, ast.Call) and last(value.func) == owner.name
            for value in self._module.globals.values()
        )

    def _takes_users(self, owner: ast.ClassDef) -> bool:
        """A coroutine of it, besides its constructor, is told whom it works for."""
        return any(
            isinstance(method, ast.AsyncFunctionDef) and is_identity(each.arg)
            for method in self._module.methods(owner)
            for each in parameters(method)[1:]
        )
