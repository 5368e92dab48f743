"""Hooks: what rewritten code calls. Each does what the code did, and tells the active recorder.

What they add can be noticed only by looking for it: frames of this module in tracebacks and on the
stack (``sys``, ``inspect``, ``warnings`` and the like are called without any in between), deeper
recursion, and a second call of a key's ``__hash__``. Not seen is what C code does on its own:
operators and ``callable`` objects written in C, ``setattr`` under another name, ``__dict__`` as a
way to an object's attributes, exceptions and tuples with attributes of their own.
"""

from __future__ import annotations

import builtins
import collections
import functools
import operator
from collections.abc import Callable, Iterator, Mapping
from types import (
    FunctionType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

from isomodel.tracking.containers import (
    FORMATS,
    FUTURES,
    HARMLESS,
    KEYED_READS,
    KEYED_WRITES,
    READS,
    SIZES,
    STACK_READERS,
    TRAITS,
    Traits,
    is_fixed,
    kind_of,
    looked_into,
)
from isomodel.tracking.recorder import Recorder

_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "Add": operator.iadd,
    "Sub": operator.isub,
    "Mult": operator.imul,
    "MatMult": operator.imatmul,
    "Div": operator.itruediv,
    "FloorDiv": operator.ifloordiv,
    "Mod": operator.imod,
    "Pow": operator.ipow,
    "LShift": operator.ilshift,
    "RShift": operator.irshift,
    "BitOr": operator.ior,
    "BitXor": operator.ixor,
    "BitAnd": operator.iand,
}

_REST = "(rest)"
"""Stands for the state of an object that its attributes do not show."""

_INERT = (FunctionType, type, ModuleType)
"""Values that an attribute keeps for good."""

_GENERATED = ("<string>",)
"""File names of the methods that ``dataclasses`` and ``collections`` make."""

_recorder: Recorder | None = None


def activate(recorder: Recorder | None) -> Recorder | None:
    """From now on, hooks tell this one; returns whom they told before."""
    global _recorder
    before, _recorder = _recorder, recorder
    return before


def recording() -> Recorder | None:
    """The active recorder."""
    return _recorder


# Attributes


def attribute(thing: Any, name: str) -> Any:
    """``thing.name``."""
    try:
        value = getattr(thing, name)
    except AttributeError:
        if _recorder is not None and not TRAITS[type(thing)].silent:
            _recorder.touch(thing, name, write=False)
        raise
    if _recorder is not None and not TRAITS[type(thing)].silent:
        _got(_recorder, thing, name, value)
    return value


def writes_attribute(thing: Any, name: str) -> Any:
    """``thing``, of which this attribute is about to be bound or deleted."""
    if _recorder is not None and not TRAITS[type(thing)].silent:
        _recorder.touch(thing, name, write=True)
    return thing


def attribute_place(thing: Any, name: str) -> tuple[Any, ...]:
    """The first half of ``thing.name += ...``."""
    return setattr, thing, name, attribute(thing, name)


def _got(recorder: Recorder, thing: Any, name: str, value: Any) -> None:
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
    recorder = _recorder
    traits = TRAITS[type(container)]
    if recorder is None or traits.silent:
        return container[key]
    if not traits.keyed:
        _read(recorder, container)
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
    recorder = _recorder
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
    recorder = _recorder
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
    if _recorder is not None:
        traits = TRAITS[type(container)]
        if traits.keyed:
            _recorder.read_key(container, key)
        elif not traits.silent:
            _read(_recorder, container)
    return found


# Whole objects


def value(thing: Any) -> Any:
    """``thing``, all of which may be read."""
    if _recorder is not None and not TRAITS[type(thing)].silent:
        _read(_recorder, thing)
    return thing


def truth(thing: Any) -> Any:
    """``thing``, which is asked whether there is anything in it."""
    if _recorder is not None:
        traits = TRAITS[type(thing)]
        if traits.size is not None:
            _recorder.read_size(thing)
        elif traits.opaque:
            _recorder.touch(thing, _REST, write=False)
    return thing


def writes(thing: Any) -> Any:
    """``thing``, any of which may be written."""
    if _recorder is not None:
        traits = TRAITS[type(thing)]
        if traits.size is not None:
            _recorder.write_all(thing)
        elif traits.opaque:
            _recorder.touch(thing, _REST, write=True)
    return thing


def awaited(thing: Any) -> Any:
    """``thing``, for which a task waits: a future that rewritten code has made or touched."""
    if _recorder is not None and kind_of(thing) in FUTURES and _recorder.knows(thing):
        _recorder.touch(thing, _REST, write=False)
    return thing


def matched(thing: Any, depth: int) -> Any:
    """``thing``, whose parts are looked at down to this depth."""
    if _recorder is not None:
        _look_into(_recorder, thing, depth)
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


def iterated(thing: Any) -> Any:
    """``thing`` for a loop that waits in between: each time round it is read."""
    if _recorder is None:
        return thing
    containers = [thing] if TRAITS[type(thing)].size is not None else looked_into(thing)
    return _Iterated(thing, containers) if containers else value(thing)


class _Iterated:
    def __init__(self, thing: Any, containers: list[Any]) -> None:
        self._thing = thing
        self._containers = containers

    def __iter__(self) -> Iterator[Any]:
        return _reading(self._containers, iter(self._thing))


def _reading(containers: list[Any], iterator: Iterator[Any]) -> Iterator[Any]:
    for each in iterator:
        for container in containers:
            value(container)
        yield each
    for container in containers:
        value(container)


def born(thing: Any) -> Any:
    """A new container."""
    if _recorder is not None:
        _recorder.born(thing)
    return thing


def _read(recorder: Recorder, thing: Any) -> None:
    traits = TRAITS[type(thing)]
    if traits.size is not None:
        recorder.read_all(thing)
    elif traits.opaque or traits.kind is not None:
        recorder.touch(thing, _REST, write=False)
    elif traits.fields is not None:
        for name in traits.fields(thing):
            recorder.touch(thing, name, write=False)


# Names


def name(thing: Any, label: tuple[Any, str]) -> Any:
    """A variable that several functions share was read."""
    if _recorder is not None:
        _recorder.touch_name(*label, write=False)
        if not is_fixed(thing):
            _recorder.reached(thing, *label)
    return thing


def binds(thing: Any, label: tuple[Any, str]) -> Any:
    """Such a variable is about to be bound."""
    if _recorder is not None:
        _recorder.touch_name(*label, write=True)
    return thing


def changed(before: Any, operand: Any, name_of: str) -> Any:
    """What an augmented assignment makes of a value; a container changes in place."""
    if kind_of(before) is not None:
        writes(before)
    return _OPERATORS[name_of](before, operand)


# Calls


def method(thing: Any, name_of: str) -> Any:
    """What ``thing.name`` is when it is called at once."""
    function = getattr(thing, name_of)
    recorder = _recorder
    if recorder is None:
        return function
    kind = type(function)
    if type(thing) is super and TRAITS[kind].bound:
        thing = function.__self__
    traits = TRAITS[type(thing)]
    if kind is MethodType and not traits.silent and _tells(recorder, function.__func__):
        return function
    if traits.silent:
        if name_of == "create_future":
            return functools.partial(_make, function)
        return functools.partial(_call, function) if name_of in FORMATS else function
    if TRAITS[kind].bound and function.__self__ is thing:
        if traits.kind is not None:
            return functools.partial(_call_on, function, thing, traits, name_of)
        if not traits.named and name_of not in _ATTRIBUTE_WRITERS:
            return functools.partial(_call_into, function, thing)
    else:
        _got(recorder, thing, name_of, function)
    return called(function)


def called(function: Any) -> Any:
    """What is called: a class makes something new; what does not tell may look into containers."""
    recorder = _recorder
    if recorder is None:
        return function
    if isinstance(function, type):
        return function if _looks_at_the_stack(function) else functools.partial(_make, function)
    kind = type(function)
    if kind is FunctionType or kind is MethodType:
        inner = function.__func__ if kind is MethodType else function
        if _tells(recorder, inner) or _looks_at_the_stack(inner):
            return function
        return functools.partial(_call, function)
    if TRAITS[kind].in_c and not _looks_at_the_stack(function):
        return functools.partial(_call, function)
    return function


def _tells(recorder: Recorder, function: Any) -> bool:
    """Whether what this function does is seen, or nothing to look at: made by ``exec``, or ours."""
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    if id(code) in recorder.telling or code.co_filename in _GENERATED:
        return True
    module = function.__module__
    return isinstance(module, str) and module.startswith("isomodel.")


def _looks_at_the_stack(function: Any) -> bool:
    if function is collections.namedtuple:
        return True
    return str(getattr(function, "__module__", "")).partition(".")[0] in STACK_READERS


def _call_into(function: Any, thing: Any, /, *arguments: Any, **named: Any) -> Any:
    """A method that does not tell, of an object that may keep anything in itself."""
    if _recorder is not None:
        _recorder.touch(thing, _REST, write=True)
    return _call(function, *arguments, **named)


def _call_on(
    function: Any, thing: Any, traits: Traits, name_of: str, /, *arguments: Any, **named: Any
) -> Any:
    """A method of a container or future."""
    recorder = _recorder
    if recorder is None:
        return function(*arguments, **named)
    for argument in arguments:
        value(argument)
    kind: Any = traits.kind
    reads = name_of in READS[kind]
    size = traits.size
    if size is None:
        recorder.touch(thing, _REST, write=not reads)
        return function(*arguments, **named)
    if traits.keyed and arguments:
        if name_of in KEYED_READS[kind]:
            return _read_key_by(recorder, function, thing, arguments, named)
        if name_of in KEYED_WRITES[kind]:
            return _write_key_by(recorder, function, thing, size, arguments, named)
    (recorder.read_all if reads else recorder.write_all)(thing)
    result = function(*arguments, **named)
    if not reads and traits.keyed:
        recorder.write_all(thing)
    return result


def _read_key_by(
    recorder: Recorder, function: Any, thing: Any, arguments: tuple[Any, ...], named: Any
) -> Any:
    result = function(*arguments, **named)
    recorder.read_key(thing, arguments[0])
    if not is_fixed(result) and not (len(arguments) > 1 and result is arguments[1]):
        recorder.reached(result, thing, recorder.key(arguments[0]))
    return result


def _write_key_by(
    recorder: Recorder,
    function: Any,
    thing: Any,
    size: Callable[[Any], int],
    arguments: tuple[Any, ...],
    named: Any,
) -> Any:
    """Where nothing came or went, the method has only looked (``__setitem__`` apart)."""
    before = size(thing)
    try:
        result = function(*arguments, **named)
    except KeyError:
        recorder.read_key(thing, arguments[0])
        raise
    if size(thing) != before:
        recorder.write_key(thing, arguments[0], moved=True)
    elif function.__name__ == "__setitem__":
        recorder.write_key(thing, arguments[0], moved=False)
    else:
        recorder.read_key(thing, arguments[0])
    if not is_fixed(result) and function.__name__ == "setdefault":
        recorder.reached(result, thing, recorder.key(arguments[0]))
    return result


def _make(kind: Any, /, *arguments: Any, **named: Any) -> Any:
    recorder = _recorder
    if recorder is not None and kind.__module__ not in recorder.modules:
        tell = truth if kind is bool else value
        for argument in arguments:
            tell(argument)
    made = kind(*arguments, **named)
    if recorder is not None and recorder is _recorder and not TRAITS[type(made)].silent:
        recorder.label(made)
    return made


def _call(function: Any, /, *arguments: Any, **named: Any) -> Any:
    """A function that does not tell of its accesses."""
    if _recorder is not None:
        name_of = function.__name__
        if len(arguments) > 1 and function in _BY_NAME and isinstance(arguments[1], str):
            return _BY_NAME[function](*arguments, **named)
        if name_of in _ATTRIBUTE_WRITERS and type(function) in _WRAPPERS:
            bound = type(function) is MethodWrapperType
            of = (function.__self__, *arguments) if bound else arguments
            writes_attribute(*of[:2])
        elif function is builtins.next and arguments:
            _recorder.touch(arguments[0], _REST, write=True)
        elif name_of in SIZES and len(arguments) == 1:
            truth(*arguments)
        else:
            tell = value if name_of in HARMLESS or name_of in FORMATS else writes
            for argument in (*arguments, *named.values()):
                if kind_of(argument) not in FUTURES:
                    tell(argument)
    return function(*arguments, **named)


def _getattr(thing: Any, name_of: str, *default: Any) -> Any:
    try:
        return attribute(thing, name_of)
    except AttributeError:
        if not default:
            raise
        return default[0]


def _setattr(thing: Any, name_of: str, value_of: Any) -> None:
    setattr(writes_attribute(thing, name_of), name_of, value_of)


def _delattr(thing: Any, name_of: str) -> None:
    delattr(writes_attribute(thing, name_of), name_of)


def _hasattr(thing: Any, name_of: str) -> bool:
    missing = object()
    return _getattr(thing, name_of, missing) is not missing


_BY_NAME: Mapping[Any, Callable[..., Any]] = {
    builtins.getattr: _getattr,
    builtins.setattr: _setattr,
    builtins.delattr: _delattr,
    builtins.hasattr: _hasattr,
}

_WRAPPERS = (MethodWrapperType, WrapperDescriptorType)
_ATTRIBUTE_WRITERS = ("__setattr__", "__delattr__")

HOOKS: Mapping[str, Callable[..., Any]] = {
    hook.__name__: hook
    for hook in (
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
}
