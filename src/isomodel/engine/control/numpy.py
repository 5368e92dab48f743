"""numpy's global random state under control, once the program has imported numpy.

The functions of ``numpy.random`` draw from a ``RandomState`` of the operation that runs.
``default_rng()`` without a seed asks ``secrets`` and is controlled there. Out of reach:
generators made outside the execution.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from isomodel.engine.control.patches import Substitute
from isomodel.engine.control.sources import Sources, digest
from isomodel.values.execution import Issue

LATE = Issue("numpy.random", "numpy was imported inside the execution: import it before")


def imported() -> bool:
    """Whether there is anything to control."""
    return "numpy" in sys.modules


def substitutes() -> Iterator[Substitute]:
    """Every function of ``numpy.random`` that uses the global state."""
    module: Any = importlib.import_module("numpy.random.mtrand")
    for name, value in list(vars(module).items()):
        bound = getattr(value, "__self__", None) is module._rand
        if bound or name in ("get_state", "seed", "set_state"):
            yield Substitute(value, _own(module.RandomState, name))


def _own(make: Callable[[list[int]], Any], name: str) -> Callable[..., Any]:
    def controlled(sources: Sources, /, *args: Any, **kwargs: Any) -> Any:
        draws = sources.draws()
        if draws.numpy is None:
            whole = digest(sources.seed, sources.owner(), "numpy")
            draws.numpy = make([whole >> shift & 0xFFFF_FFFF for shift in (0, 32, 64, 96)])
        return getattr(draws.numpy, name)(*args, **kwargs)

    return controlled
