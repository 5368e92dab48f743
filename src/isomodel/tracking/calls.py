"""Hooks for calls: of methods, of classes, and of functions that do not tell of their accesses."""

from __future__ import annotations

import builtins
import collections
import functools
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType, MethodWrapperType, WrapperDescriptorType
from typing import Any

from isomodel.tracking.active import active
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
)
from isomodel.tracking.parts import attribute, got, writes_attribute
from isomodel.tracking.recorder import Recorder
from isomodel.tracking.whole import REST, truth, value, writes

_GENERATED = ("<string>",)
"""File names of the methods that ``dataclasses`` and ``collections`` make."""


def method(thing: Any, name_of: str) -> Any:
    """What ``thing.name`` is when it is called at once."""
    function = getattr(thing, name_of)
    recorder = active.recorder
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
        got(recorder, thing, name_of, function)
    return called(function)


def called(function: Any) -> Any:
    """What is called: a class makes something new; what does not tell may look into containers."""
    recorder = active.recorder
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
    if active.recorder is not None:
        active.recorder.touch(thing, REST, write=True)
    return _call(function, *arguments, **named)


def _call_on(
    function: Any, thing: Any, traits: Traits, name_of: str, /, *arguments: Any, **named: Any
) -> Any:
    """A method of a container or future."""
    recorder = active.recorder
    if recorder is None:
        return function(*arguments, **named)
    for argument in arguments:
        value(argument)
    kind: Any = traits.kind
    reads = name_of in READS[kind]
    size = traits.size
    if size is None:
        recorder.touch(thing, REST, write=not reads)
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
    recorder = active.recorder
    if recorder is not None and kind.__module__ not in recorder.modules:
        tell = truth if kind is bool else value
        for argument in arguments:
            tell(argument)
    made = kind(*arguments, **named)
    if recorder is not None and recorder is active.recorder and not TRAITS[type(made)].silent:
        recorder.label(made)
    return made


def _call(function: Any, /, *arguments: Any, **named: Any) -> Any:
    """A function that does not tell of its accesses."""
    if active.recorder is not None:
        name_of = function.__name__
        if len(arguments) > 1 and function in _BY_NAME and isinstance(arguments[1], str):
            return _BY_NAME[function](*arguments, **named)
        if name_of in _ATTRIBUTE_WRITERS and type(function) in _WRAPPERS:
            bound = type(function) is MethodWrapperType
            of = (function.__self__, *arguments) if bound else arguments
            writes_attribute(*of[:2])
        elif function is builtins.next and arguments:
            active.recorder.touch(arguments[0], REST, write=True)
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
