"""Hooks for accesses to parts of objects: attributes, items, and what patterns look into."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType, ModuleType
from typing import Any

from isomodel.tracking.active import active
from isomodel.tracking.containers import TRAITS, is_fixed
from isomodel.tracking.recorder import Recorder
from isomodel.tracking.whole import changed, read_whole, writes

_INERT = (FunctionType, type, ModuleType)
"""Values that an attribute keeps for good."""


# Attributes


def attribute(thing: Any, name: str) -> Any:
    """``thing.name``."""
    try:
        value = getattr(thing, name)
    except AttributeError:
        if active.recorder is not None and not TRAITS[type(thing)].silent:
            active.recorder.touch(thing, name, write=False)
        raise
    if active.recorder is not None and not TRAITS[type(thing)].silent:
        got(active.recorder, thing, name, value)
    return value


def writes_attribute(thing: Any, name: str) -> Any:
    """``thing``, of which this attribute is about to be bound or deleted."""
    if active.recorder is not None and not TRAITS[type(thing)].silent:
        active.recorder.touch(thing, name, write=True)
    return thing


def attribute_place(thing: Any, name: str) -> tuple[Any, ...]:
    """The first half of ``thing.name += ...``."""
    return setattr, thing, name, attribute(thing, name)


def got(recorder: Recorder, thing: Any, name: str, value: Any) -> None:
    """Tell of an attribute that was read, and of the class's where the object has none."""
    kind = type(value)
    if TRAITS[kind].bound and value.__self__ is thing:
        return
    traits = TRAITS[type(thing)]
    owner: Any = thing
    if traits.named:
        if kind in _INERT or TRAITS[kind].in_c:
            return
        if isinstance(thing, type):
            owner = _class_with(thing.__mro__ or (), name) or thing
    elif not (traits.has_dict and name in _dict_of(thing)):
        owner = _class_with(type(thing).__mro__, name) or thing
    recorder.touch(thing, name, write=False)
    if owner is not thing:
        recorder.touch(owner, name, write=False)
    if not TRAITS[kind].fixed:
        recorder.reached(value, owner, name)


def _dict_of(thing: Any) -> Mapping[str, Any]:
    """The attributes that this object keeps itself, asked for behind the back of its class."""
    try:
        found: Mapping[str, Any] = object.__getattribute__(thing, "__dict__")
    except AttributeError:  # one in C that hides it
        return {}
    return found


def _class_with(classes: tuple[type, ...], name: str) -> type | None:
    """The class that keeps this attribute itself; None where it only describes it."""
    for kind in classes:
        if name in kind.__dict__:
            described = hasattr(type(kind.__dict__[name]), "__set__")
            return None if described else kind
    return None


# Items


def item(container: Any, key: Any) -> Any:
    """``container[key]``."""
    recorder = active.recorder
    traits = TRAITS[type(container)]
    if recorder is None or traits.silent:
        return container[key]
    if not traits.keyed:
        read_whole(recorder, container)
        value = container[key]
    else:
        size: Any = traits.size
        before = size(container)
        try:
            value = container[key]
        except KeyError:
            recorder.read_key(container, key)
            raise
        if size(container) == before:
            recorder.read_key(container, key)
        else:  # made by being read, as by ``defaultdict``
            recorder.write_key(container, key, moved=True)
    if not is_fixed(value):
        recorder.reached(value, container, recorder.key(key))
    return value


def set_item(value: Any, container: Any, key: Any) -> None:
    """``container[key] = value``."""
    recorder = active.recorder
    traits = TRAITS[type(container)]
    if recorder is None or not traits.keyed:
        writes(container)
        container[key] = value
        return
    size: Any = traits.size
    before = size(container)
    container[key] = value
    recorder.write_key(container, key, moved=size(container) != before)


def del_item(container: Any, key: Any) -> None:
    """``del container[key]``."""
    recorder = active.recorder
    if recorder is None or not TRAITS[type(container)].keyed:
        writes(container)
        del container[key]
        return
    try:
        del container[key]
    except KeyError:
        recorder.read_key(container, key)
        raise
    recorder.write_key(container, key, moved=True)


def item_place(container: Any, key: Any) -> tuple[Any, ...]:
    """The first half of ``container[key] += ...``."""
    value = item(container, key)
    return (lambda where, k, changed: set_item(changed, where, k)), container, key, value


def changed_place(place: tuple[Any, ...], value: Any, name: str) -> None:
    """The second half."""
    store, thing, key, before = place
    after = changed(before, value, name)
    if store is setattr:
        writes_attribute(thing, key)
    store(thing, key, after)


def contains(key: Any, container: Any) -> bool:
    """``key in container``."""
    found = key in container
    if active.recorder is not None:
        traits = TRAITS[type(container)]
        if traits.keyed:
            active.recorder.read_key(container, key)
        elif not traits.silent:
            read_whole(active.recorder, container)
    return found


# Patterns


def matched(thing: Any, depth: int) -> Any:
    """``thing``, whose parts are looked at down to this depth."""
    if active.recorder is not None:
        _look_into(active.recorder, thing, depth)
    return thing


def _look_into(recorder: Recorder, thing: Any, depth: int) -> None:
    traits = TRAITS[type(thing)]
    inside: Any = ()
    if traits.size is not None:
        recorder.read_all(thing)
        inside = list(thing.values() if isinstance(thing, dict) else thing)
    elif isinstance(thing, (tuple, frozenset)):
        inside = thing
    elif not (traits.silent or traits.named):
        names = [*_dict_of(thing)] if traits.has_dict else []
        names += [name for kind in type(thing).__mro__ for name in _slots(kind)]
        inside = [attribute(thing, name) for name in names if hasattr(thing, name)]
    if depth > 1:
        for each in inside:
            _look_into(recorder, each, depth - 1)


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
