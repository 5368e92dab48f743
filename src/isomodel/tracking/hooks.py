"""Hooks: what rewritten code calls. Each does what the code did, and tells the active recorder.

What they add can be noticed only by looking for it: frames of this module in tracebacks and on the
stack (``sys``, ``inspect``, ``warnings`` and the like are called without any in between), deeper
recursion, and a second call of a key's ``__hash__``. Not seen is what C code does on its own:
operators and ``callable`` objects written in C, ``setattr`` under another name, ``__dict__`` as a
way to an object's attributes, exceptions and tuples with attributes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from isomodel.tracking.active import active
from isomodel.tracking.calls import called, method
from isomodel.tracking.containers import is_fixed
from isomodel.tracking.parts import (
    attribute,
    attribute_place,
    changed_place,
    contains,
    del_item,
    item,
    item_place,
    matched,
    set_item,
    writes_attribute,
)
from isomodel.tracking.whole import (
    awaited,
    born,
    changed,
    iterated,
    truth,
    value,
    writes,
)

Hooks = Mapping[str, Callable[..., Any]]
"""What rewritten code calls, by the name it goes by there."""


def name(thing: Any, label: tuple[Any, str]) -> Any:
    """A variable that several functions share was read."""
    if active.recorder is not None:
        active.recorder.touch_name(*label, write=False)
        if not is_fixed(thing):
            active.recorder.reached(thing, *label)
    return thing


def binds(thing: Any, label: tuple[Any, str]) -> Any:
    """Such a variable is about to be bound."""
    if active.recorder is not None:
        active.recorder.touch_name(*label, write=True)
    return thing


def by_name(*hooks: Callable[..., Any]) -> Hooks:
    """These functions, each under its own name."""
    return {hook.__name__: hook for hook in hooks}


HOOKS = by_name(
    attribute,
    writes_attribute,
    attribute_place,
    item,
    set_item,
    del_item,
    item_place,
    changed_place,
    contains,
    value,
    truth,
    awaited,
    writes,
    matched,
    iterated,
    born,
    name,
    binds,
    changed,
    method,
    called,
)
"""Those that do what the code did, and tell the active recorder."""
