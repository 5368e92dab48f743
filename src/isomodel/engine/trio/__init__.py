"""trio under control; imported only where a target or a program runs on it."""

from __future__ import annotations

from collections.abc import Callable

from isomodel.engine.runtime import Runtime
from isomodel.engine.trio.fidelities import PortableTrio, StockTrio
from isomodel.values.schedule import Fidelity

ENGINES: dict[Fidelity, Callable[..., Runtime]] = {"stock": StockTrio, "portable": PortableTrio}
"""What makes a runtime of each fidelity."""
