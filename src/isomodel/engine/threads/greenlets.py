"""greenlet, which is an optional extra: what threads under control are made of."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from isomodel.values.errors import BadInput

KEPT = 64
"""How many greenlets wait for another thread to run."""

_NAME = "isomodel_workers"


def load() -> Any:
    """The greenlet module; raises BadInput where it is not installed."""
    try:
        return importlib.import_module("greenlet")
    except ImportError:
        raise BadInput(
            "threads under control need greenlet: pip install 'isomodel[threads]'"
        ) from None


def workers_of(hub: Any) -> Workers:
    """Those that come back to this greenlet, for as long as it lives."""
    workers: Workers | None = hub.__dict__.get(_NAME)
    if workers is None:
        workers = hub.__dict__[_NAME] = Workers(hub)
    return workers


class Workers:
    """Greenlets that run one thread after another: making one takes as long as thirty switches."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._greenlets = load()
        self._free: list[Any] = []

    def take(self, body: Callable[[], object]) -> Any:
        """One that will run this when it is switched to, and then come back to the hub."""
        if self._free:
            worker = self._free.pop()
            worker.gr_context = None
        else:
            worker = self._greenlets.greenlet(self._serve, self._hub)
        worker.body = body
        return worker

    def give_back(self, worker: Any) -> None:
        """One that has not begun what it was to run, and will not."""
        worker.body = None
        if len(self._free) < KEPT:
            self._free.append(worker)

    def _serve(self) -> None:
        worker = self._greenlets.getcurrent()
        while True:
            worker.body()
            worker.body = None
            if len(self._free) >= KEPT:
                return
            self._free.append(worker)
            self._hub.switch()
