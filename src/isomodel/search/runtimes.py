"""Which runtimes there are, and how one of them is made for an execution."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Mapping

from isomodel.engine.portable import PortableLoop
from isomodel.engine.runtime import Runtime
from isomodel.engine.stock import StockLoop
from isomodel.targets.declare import TargetSpec
from isomodel.tracking.tracker import Tracker
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
    if runtime == "threads":
        return _threads()
    return _LOOPS[fidelity]


def check_runtime(runtime: RuntimeName) -> None:
    """Raise BadInput, in one line, if it cannot be used here."""
    making(runtime, "stock")


def prepared(spec: TargetSpec) -> contextlib.AbstractContextManager[None]:
    """Have the target's code as its runtime needs it, inside a block."""
    if spec.runtime != "threads":
        return contextlib.nullcontext()
    return _tracker(inspect.unwrap(spec.cls)).rewritten


def tracker_of(spec: TargetSpec) -> Tracker:
    """What sees the accesses of the target's code: on threads only its author's, at its points.

    It begins at the target's own class: what wraps it (a worker's sign of life) is ours.
    """
    cls = inspect.unwrap(spec.cls)
    return _tracker(cls) if spec.runtime == "threads" else Tracker((cls,))


def _trio() -> Mapping[Fidelity, Making]:
    try:
        from isomodel.engine.trio import ENGINES  # only for what runs on it
    except ImportError as error:
        raise BadInput(f"runtime trio: {error}; install trio") from None
    return ENGINES


def _threads() -> Making:
    from isomodel.engine.threads import greenlets, target  # only for what runs on it

    greenlets.load()
    return target.ThreadsRuntime


@functools.lru_cache(maxsize=64)
def _tracker(cls: type) -> Tracker:
    from isomodel.engine.threads.points import with_points

    return Tracker((cls,), with_points, ())
