"""Which runtimes there are, and how one of them is made for an execution."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
    if runtime == "trio":
        return _trio()[fidelity]
    return _LOOPS[fidelity]


def check_runtime(runtime: RuntimeName) -> None:
    """Raise BadInput, in one line, if it cannot be used here."""
    making(runtime, "stock")


def _trio() -> Mapping[Fidelity, Making]:
    try:
        from isomodel.engine.trio import ENGINES  # only for what runs on it
    except ImportError as error:
        raise BadInput(f"runtime trio: {error}; install trio") from None
    return ENGINES
