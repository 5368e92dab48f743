"""Which runtimes there are, and how one of them is made for an execution."""

from __future__ import annotations

from collections.abc import Callable

from isomodel.engine.portable import PortableLoop
from isomodel.engine.runtime import Runtime
from isomodel.engine.stock import StockLoop
from isomodel.values.errors import BadInput
from isomodel.values.schedule import Fidelity, RuntimeName

Making = Callable[..., Runtime]
"""Makes a runtime: a scheduler, then ``faults``, ``max_steps``, ``record``, ``every_choice``."""

_LOOPS: dict[Fidelity, Making] = {"stock": StockLoop, "portable": PortableLoop}


def making(runtime: RuntimeName, fidelity: Fidelity) -> Making:
    """What makes this runtime under this fidelity.

    Raises BadInput, in one line, if its library is not installed or cannot be controlled.
    """
    if runtime != "asyncio":
        raise BadInput(f'runtime "{runtime}" has no engine here; write `runtime = "asyncio"`')
    return _LOOPS[fidelity]
