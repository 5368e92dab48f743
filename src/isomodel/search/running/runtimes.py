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
from isomodel.tracking.scope import packages_under_test
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
    """Have process and target's code as its runtime needs them, inside a block.

    The same object for the same target, whatever has been wrapped around its class.
    """
    return _ready(inspect.unwrap(spec.cls), spec.within) if spec.runtime == "threads" else _NOTHING


def tracker_of(spec: TargetSpec) -> Tracker:
    """What sees the accesses of the target's code: on threads only where its points are.

    It begins at the target's own class: what wraps it (a worker's sign of life) is ours.
    """
    cls = inspect.unwrap(spec.cls)
    return _tracker(cls, spec.within) if spec.runtime == "threads" else Tracker((cls,))


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


_NOTHING = contextlib.nullcontext()


class _Ready(contextlib.AbstractContextManager[None]):
    """Threads under control, and this class's code with points in it."""

    def __init__(self, cls: type, within: tuple[str, ...] | None) -> None:
        self._cls = cls
        self._within = within
        self._undo: list[contextlib.ExitStack] = []

    def __enter__(self) -> None:
        from isomodel.engine.threads.runtime import control  # only for what runs on it

        with contextlib.ExitStack() as stack:
            stack.enter_context(control.installed())
            stack.enter_context(_tracker(self._cls, self._within).rewritten)
            self._undo.append(stack.pop_all())

    def __exit__(self, *error: object) -> None:
        self._undo.pop().close()


_ready = functools.lru_cache(maxsize=64)(_Ready)


@functools.lru_cache(maxsize=64)
def _tracker(cls: type, within: tuple[str, ...] | None) -> Tracker:
    from isomodel.engine.threads.points import with_points

    return Tracker((cls,), with_points, packages_under_test(cls) if within is None else within)
