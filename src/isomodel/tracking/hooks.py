"""Hooks: what rewritten code calls. Each does what the code did, and tells the active recorder."""

from __future__ import annotations

import builtins
import functools
import operator
from collections.abc import Callable, Iterator, Mapping
from types import BuiltinFunctionType, MethodType
from typing import Any

from isomodel.tracking.containers import (
    CONTAINERS,
    FUTURES,
    HARMLESS,
    KEYED_READS,
    KEYED_WRITES,
    MAPPINGS,
    MODULE,
    READS,
    SEQUENCES,
    SETS,
    kind_of,
)
from isomodel.tracking.recorder import Recorder, is_fixed

_HEAP_TYPE = 1 << 9
"""Flag of classes that are made at run time, as those of Python code are."""

_OURS = "isomodel."
_LAYER = "isomodel.targets.factory"

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


class _Active:
    recorder: Recorder | None = None


_active = _Active()


def activate(recorder: Recorder | None) -> None:
    """From now on, hooks tell this one."""
    _active.recorder = recorder


# Attributes


def attribute(thing: Any, name: str) -> Any:
    """``thing.name``."""
    value = getattr(thing, name)
    recorder = _active.recorder
    if recorder is not None and _has_state(thing):
        _got(recorder, thing, name, value)
    return value


def writes_attribute(thing: Any, name: str) -> Any:
    """``thing``, of which this attribute is about to be bound or deleted."""
    recorder = _active.recorder
    if recorder is not None and _has_state(thing):
        recorder.touch((recorder.label(thing), name), write=True)
    return thing


def attribute_place(thing: Any, name: str) -> tuple[Any, ...]:
    """The first half of ``thing.name += ...``."""
    return setattr, thing, name, attribute(thing, name)


def _got(recorder: Recorder, thing: Any, name: str, value: Any) -> None:
    if isinstance(value, (MethodType, BuiltinFunctionType)):
        return
    label = recorder.label(thing)
    if not isinstance(value, (type, MODULE)):
        recorder.touch((label, name), write=False)
    if not is_fixed(value):
        where: Any = (label, name)
        if name in vars(type(thing)) and name not in getattr(thing, "__dict__", ()):
            where = (type(thing).__qualname__, name)  # one for all instances
        recorder.reached(value, where[0], where[1])


def _has_state(thing: Any) -> bool:
    return not is_fixed(thing) and not _is_ours(type(thing))


def _is_ours(kind: type) -> bool:
    module = str(kind.__module__)
    return module.startswith(_OURS) and not module.startswith(_LAYER)


# Items


def item(container: Any, key: Any) -> Any:
    """``container[key]``."""
    recorder = _active.recorder
    if recorder is None or is_fixed(container):
        return container[key]
    if isinstance(container, MAPPINGS):
        existed = key in container
        try:
            value = container[key]
        finally:
            _keyed(recorder, container, key, existed)
    else:
        _read(recorder, container)
        value = container[key]
    if not is_fixed(value):
        recorder.reached(value, recorder.label(container), recorder.key(key))
    return value


def set_item(value: Any, container: Any, key: Any) -> None:
    """``container[key] = value``."""
    recorder = _active.recorder
    if recorder is not None and isinstance(container, MAPPINGS):
        existed = key in container
        container[key] = value
        recorder.write_key(container, key, existed=existed, exists=True)
        return
    writes(container)
    container[key] = value


def del_item(container: Any, key: Any) -> None:
    """``del container[key]``."""
    recorder = _active.recorder
    if recorder is not None and isinstance(container, MAPPINGS):
        existed = key in container
        recorder.write_key(container, key, existed=existed, exists=False)
    else:
        writes(container)
    del container[key]


def item_place(container: Any, key: Any) -> tuple[Any, ...]:
    """The first half of ``container[key] += ...``."""
    value = item(container, key)
    return (lambda where, k, changed: set_item(changed, where, k)), container, key, value


def changed_place(place: tuple[Any, ...], value: Any, name: str) -> None:
    """The second half."""
    store, thing, key, before = place
    if kind_of(before) is not None:
        writes(before)
    after = _OPERATORS[name](before, value)
    if store is setattr:
        writes_attribute(thing, key)
    store(thing, key, after)


def contains(key: Any, container: Any) -> bool:
    """``key in container``."""
    recorder = _active.recorder
    if recorder is not None and not is_fixed(container):
        if isinstance(container, (*MAPPINGS, *SETS)):
            recorder.read_key(container, key)
        else:
            _read(recorder, container)
    return key in container


def _keyed(recorder: Recorder, container: Any, key: Any, existed: bool) -> None:
    """A key was read, or made by being read, as ``defaultdict`` does."""
    if existed or key not in container:
        recorder.read_key(container, key)
    else:
        recorder.write_key(container, key, existed=False, exists=True)


# Whole objects


def value(thing: Any) -> Any:
    """``thing``, all of which may be read."""
    recorder = _active.recorder
    if recorder is not None:
        _read(recorder, thing)
    return thing


def writes(thing: Any) -> Any:
    """``thing``, any of which may be written."""
    recorder = _active.recorder
    if recorder is not None:
        if isinstance(thing, CONTAINERS):
            recorder.write_all(thing)
        elif _is_opaque(thing):
            recorder.touch((recorder.label(thing), "*"), write=True)
    return thing


def iterated(thing: Any) -> Any:
    """``thing`` for a loop that waits in between: each time round it is read."""
    if _active.recorder is None or not isinstance(thing, CONTAINERS):
        return value(thing)
    return _Iterated(thing)


class _Iterated:
    def __init__(self, container: Any) -> None:
        self._container = container

    def __iter__(self) -> Iterator[Any]:
        for each in self._container:
            value(self._container)
            yield each
        value(self._container)


def born(thing: Any) -> Any:
    """A new container."""
    recorder = _active.recorder
    if recorder is not None:
        recorder.label(thing)
    return thing


def _read(recorder: Recorder, thing: Any) -> None:
    if isinstance(thing, CONTAINERS):
        recorder.read_all(thing)
    elif kind_of(thing) is not None or _is_opaque(thing):
        recorder.touch((recorder.label(thing), "*"), write=False)


def _is_opaque(thing: Any) -> bool:
    """Whether this has state of its own that its methods do not tell us about."""
    kind = type(thing)
    return kind is not object and not is_fixed(thing) and not _is_python(kind)


def _is_python(kind: type) -> bool:
    """Whether the methods of this class are Python code, which may be rewritten itself."""
    return bool(kind.__flags__ & _HEAP_TYPE) and kind.__module__ != "builtins"


# Names


def name(thing: Any, label: str) -> Any:
    """A name that several functions bind was read."""
    recorder = _active.recorder
    if recorder is not None:
        recorder.touch(("name", label), write=False)
        if not is_fixed(thing):
            recorder.reached(thing, "name", label)
    return thing


def binds(thing: Any, label: str) -> Any:
    """Such a name is about to be bound."""
    recorder = _active.recorder
    if recorder is not None:
        recorder.touch(("name", label), write=True)
    return thing


def first(thing: Any) -> Any:
    """The old value of an augmented assignment to such a name."""
    return thing


def changed(before: Any, operand: Any, name_of: str) -> Any:
    """Its new value."""
    if kind_of(before) is not None:
        writes(before)
    return _OPERATORS[name_of](before, operand)


# Calls


def method(thing: Any, name_of: str) -> Any:
    """What ``thing.name`` is when it is called at once."""
    function = getattr(thing, name_of)
    recorder = _active.recorder
    if recorder is None:
        return function
    if isinstance(thing, MODULE):
        return called(function)
    kind = kind_of(thing)
    if kind is not None:
        return functools.partial(_container_call, function, thing, kind, name_of)
    if isinstance(function, MethodType) or is_fixed(thing):
        return function
    if not isinstance(function, BuiltinFunctionType):
        if _has_state(thing):
            _got(recorder, thing, name_of, function)
        return called(function)
    if _is_opaque(thing) and not _is_ours(type(thing)):
        recorder.touch((recorder.label(thing), "*"), write=True)
    return function


def _container_call(
    function: Any, thing: Any, kind: type, name_of: str, /, *arguments: Any, **named: Any
) -> Any:
    recorder = _active.recorder
    if recorder is None:
        return function(*arguments, **named)
    for argument in arguments:
        _read(recorder, argument)
    if kind in (*MAPPINGS, *SETS) and arguments:
        key = arguments[0]
        if name_of in KEYED_READS[kind]:
            recorder.read_key(thing, key)
            result = function(*arguments, **named)
            if not is_fixed(result) and key in thing:
                recorder.reached(result, recorder.label(thing), recorder.key(key))
            return result
        if name_of in KEYED_WRITES[kind]:
            existed = key in thing
            try:
                return function(*arguments, **named)
            finally:
                exists = key in thing
                if (name_of == "setdefault" and existed) or (not existed and not exists):
                    recorder.read_key(thing, key)
                else:
                    recorder.write_key(thing, key, existed=existed, exists=exists)
    reads = name_of in READS[kind]
    if kind in CONTAINERS:
        (recorder.read_all if reads else recorder.write_all)(thing)
    else:
        recorder.touch((recorder.label(thing), "*"), write=not reads)
    result = function(*arguments, **named)
    if not reads and kind in CONTAINERS and kind not in SEQUENCES:
        recorder.write_all(thing)
    return result


def called(function: Any) -> Any:
    """What is called: a class makes something new, a built-in function may look into containers."""
    recorder = _active.recorder
    if recorder is None:
        return function
    if isinstance(function, type):
        return functools.partial(_make, function)
    if isinstance(function, BuiltinFunctionType):
        return functools.partial(_builtin_call, function)
    return function


def _make(kind: Any, /, *arguments: Any, **named: Any) -> Any:
    recorder = _active.recorder
    if recorder is not None and kind.__module__ in ("builtins", "collections", "_collections"):
        for argument in arguments:
            _read(recorder, argument)
    made = kind(*arguments, **named)
    if recorder is not None and _active.recorder is recorder and not is_fixed(made):
        recorder.label(made)
    return made


def _builtin_call(function: Any, /, *arguments: Any, **named: Any) -> Any:
    recorder = _active.recorder
    if recorder is not None:
        name_of = function.__name__
        if function in _BY_NAME and isinstance(arguments[1], str):
            return _BY_NAME[function](*arguments, **named)
        tell = value if name_of in HARMLESS and function is not next else writes
        for argument in arguments:
            if kind_of(argument) not in FUTURES:
                tell(argument)
    return function(*arguments, **named)


def _getattr(thing: Any, name_of: str, *default: Any) -> Any:
    try:
        return attribute(thing, name_of)
    except AttributeError:
        if not default:
            raise
        if _active.recorder is not None and _has_state(thing):
            recorder = _active.recorder
            recorder.touch((recorder.label(thing), name_of), write=False)
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
        writes,
        iterated,
        born,
        name,
        binds,
        first,
        changed,
        method,
        called,
    )
}
