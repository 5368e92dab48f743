"""The fast granularity: a point before each access to what threads may share.

The program's functions are exchanged for rewritten ones (``isomodel.tracking``), in which every
attribute, item, container and shared name is reached through a hook. Here each hook is a point
first, and then does what the tracking's hook does. So an access is a step of its own, also in the
middle of an expression, and what is seen of it and where a thread may be interrupted are the same.

Not seen: what C code and code that is not the program's do to objects of the program, and accesses
through operators to objects written in C. A finding holds by construction, since each step is one
that real threads can take; silence says nothing of what is not seen. See ``instructions``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from isomodel.engine.threads.here import here
from isomodel.tracking import calls, hooks, parts, whole
from isomodel.tracking.containers import TRAITS, looked_into
from isomodel.tracking.hooks import HOOKS, Hooks, by_name
from isomodel.tracking.rewrite import compiled

_INERT = (FunctionType, type, type(functools))


def with_points(source: str, file: str, module: str, elsewhere: frozenset[str]) -> CodeType:
    """A rewriting for ``tracking.swap``."""
    return compiled(source, file, POINTS, module=module, elsewhere=elsewhere, anywhere=True)


def _point() -> None:
    crew = here.crew
    if crew is not None:
        crew.point()


# Attributes


def attribute(thing: Any, name: str) -> Any:
    """``thing.name``."""
    traits = TRAITS[type(thing)]
    if traits.silent:
        return getattr(thing, name)
    if traits.named:
        value = getattr(thing, name)
        if type(value) in _INERT or TRAITS[type(value)].in_c:
            return value
    _point()
    return parts.attribute(thing, name)


def writes_attribute(thing: Any, name: str) -> Any:
    """``thing``, of which this attribute is about to be bound or deleted."""
    if not TRAITS[type(thing)].silent:
        _point()
    return parts.writes_attribute(thing, name)


def attribute_place(thing: Any, name: str) -> tuple[Any, ...]:
    """The first half of ``thing.name += ...``."""
    return writes_attribute, setattr, thing, name, attribute(thing, name)


# Items


def item(container: Any, key: Any) -> Any:
    """``container[key]``."""
    if not TRAITS[type(container)].silent:
        _point()
    return parts.item(container, key)


def set_item(value: Any, container: Any, key: Any) -> None:
    """``container[key] = value``."""
    _point()
    parts.set_item(value, container, key)


def del_item(container: Any, key: Any) -> None:
    """``del container[key]``."""
    _point()
    parts.del_item(container, key)


def item_place(container: Any, key: Any) -> tuple[Any, ...]:
    """The first half of ``container[key] += ...``."""
    return _same, _set_item, container, key, item(container, key)


def changed_place(place: tuple[Any, ...], value: Any, name: str) -> None:
    """The second half: what is written may not be what was read any more."""
    tell, store, thing, key, before = place
    after = changed(before, value, name)
    store(tell(thing, key), key, after)


def _same(thing: Any, key: Any) -> Any:
    return thing


def _set_item(container: Any, key: Any, value: Any) -> None:
    set_item(value, container, key)


def contains(key: Any, container: Any) -> bool:
    """``key in container``."""
    if not TRAITS[type(container)].silent:
        _point()
    return parts.contains(key, container)


# Whole objects


def _is_read_whole(thing: Any) -> bool:
    """Whether to look at all of this is an access of its own, and not made by its own code."""
    traits = TRAITS[type(thing)]
    if traits.silent:
        return False
    return traits.kind is not None or traits.opaque or traits.fields is not None


def value(thing: Any) -> Any:
    """``thing``, all of which may be read."""
    if _is_read_whole(thing):
        _point()
    return whole.value(thing)


def truth(thing: Any) -> Any:
    """``thing``, which is asked whether there is anything in it."""
    if TRAITS[type(thing)].size is not None:
        _point()
    return whole.truth(thing)


def writes(thing: Any) -> Any:
    """``thing``, any of which may be written."""
    if _is_read_whole(thing):
        _point()
    return whole.writes(thing)


def matched(thing: Any, depth: int) -> Any:
    """``thing``, whose parts are looked at down to this depth."""
    _point()
    return parts.matched(thing, depth)


def iterated(thing: Any) -> Any:
    """``thing``, which is looked at each time round: others may change it meanwhile."""
    containers = [thing] if TRAITS[type(thing)].size is not None else looked_into(thing)
    return whole.Iterated(thing, containers, _reading) if containers else value(thing)


def _reading(containers: list[Any], iterator: Iterator[Any]) -> Iterator[Any]:
    end = object()
    while True:
        for container in containers:
            value(container)
        each = next(iterator, end)
        if each is end:
            return
        yield each


# Names


def before() -> None:
    """A variable that several functions share is about to be read."""
    _point()


def name(_: None, thing: Any, label: tuple[Any, str]) -> Any:
    """It was read, after ``before``."""
    return hooks.name(thing, label)


def binds(thing: Any, label: tuple[Any, str]) -> Any:
    """Such a variable is about to be bound."""
    _point()
    return hooks.binds(thing, label)


def changed(before: Any, operand: Any, name_of: str) -> Any:
    """What an augmented assignment makes of a value; a container changes in place."""
    if TRAITS[type(before)].kind is not None:
        _point()
    return whole.changed(before, operand, name_of)


# Calls


def method(thing: Any, name_of: str) -> Any:
    """What ``thing.name`` is when it is called at once: the access comes with the call."""
    traits = TRAITS[type(thing)]
    if traits.silent:
        return calls.method(thing, name_of)
    if traits.kind is not None or traits.opaque:
        return functools.partial(_then, calls.method(thing, name_of))
    if not traits.named and not _is_its_own_method(thing, name_of):
        _point()
    looks = traits.named and _may_look(getattr(thing, name_of))
    function = calls.method(thing, name_of)
    return functools.partial(_then_if, function) if looks else function


def _is_its_own_method(thing: Any, name_of: str) -> bool:
    """Whether the class has a function of this name, which nobody is likely to exchange."""
    for kind in type(thing).__mro__:
        if name_of in kind.__dict__:
            return isinstance(kind.__dict__[name_of], (FunctionType, classmethod, staticmethod))
    return False


def called(function: Any) -> Any:
    """What is called: a point comes before it if it may look into containers by itself."""
    hooked = calls.called(function)
    return functools.partial(_then_if, hooked) if _may_look(function) else hooked


def _may_look(function: Any) -> bool:
    """Whether this is written in C, and may look into what it is given."""
    if isinstance(function, type):
        return function in _READERS
    return TRAITS[type(function)].in_c


_READERS = frozenset((list, tuple, dict, set, frozenset, enumerate, zip, map, filter))


def _then(function: Any, /, *arguments: Any, **named: Any) -> Any:
    _point()
    return function(*arguments, **named)


def _then_if(function: Any, /, *arguments: Any, **named: Any) -> Any:
    for argument in arguments:
        if _is_read_whole(argument):
            _point()
            break
    return function(*arguments, **named)


POINTS: Hooks = {
    **HOOKS,
    **by_name(
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
        writes,
        matched,
        iterated,
        before,
        name,
        binds,
        changed,
        method,
        called,
    ),
}
