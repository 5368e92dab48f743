"""Tracked classes: whose instances note which of their attributes are read and written.

``__getattribute__``, ``__setattr__``, ``__delattr__`` and ``__init__`` of a class are wrapped while
it is tracked, and put back afterwards. What the class itself does in them, in properties, slots
and descriptors, stays as it is. Not seen: ``object.__setattr__`` and ``object.__getattribute__``
called by name (as the ``__init__`` of a frozen dataclass does), and C code that reads slots.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterable
from types import FunctionType, MethodType
from typing import Any

from isomodel.engine.tracking.boxes import BOXES, unboxed
from isomodel.engine.tracking.kinds import is_plain_class
from isomodel.engine.tracking.reach import Reach
from isomodel.engine.tracking.sink import READ, UPDATE, WHOLE, WRITE, Sink, here

_ABSENT = object()
_NEW: Any = object.__new__

NOT_SHARED = frozenset(("_loop",))
"""Attributes of asyncio's own primitives that are set once, to what it always is."""


def can_be_tracked(kind: type) -> bool:
    """Whether instances have attributes that can change, and are made by a class statement."""
    return (
        is_plain_class(kind)
        and not issubclass(kind, (enum.Enum, BaseException))
        and getattr(kind, "__struct_config__", None) is None
        and not getattr(kind, "_is_protocol", False)
    )


class Classes:
    """Wraps classes, and unwraps them. ``reach`` is told what attributes hand out."""

    def __init__(self, sink: Sink, reach: Reach) -> None:
        self.tracked: set[type] = set()
        self._sink = sink
        self._reach = reach
        self._undo = contextlib.ExitStack()
        self._wrapped: set[Any] = set()

    def track(self, kinds: Iterable[type]) -> None:
        """Wrap these classes, those at the top first."""
        new = {kind for kind in kinds if can_be_tracked(kind)} - self.tracked
        for kind in sorted(new, key=lambda kind: (len(kind.__mro__), kind.__qualname__)):
            with contextlib.suppress(TypeError, AttributeError):  # one that refuses is opaque
                self._wrap(kind)
                self.tracked.add(kind)
        self._reach.kinds.track(self.tracked)

    def track_for_now(self, kind: type) -> None:
        """Wrap a class that a running program has made, and that dies with its execution."""
        if can_be_tracked(kind):
            undo, self._undo = self._undo, contextlib.ExitStack()
            self._wrap(kind)
            self._undo = undo
            self._reach.kinds.track_for_now(kind)

    def undo(self) -> None:
        """Put everything back."""
        self._undo.close()
        for kind in self.tracked:
            for name, value in list(vars(kind).items()):
                if type(value) in BOXES.values():
                    type.__setattr__(kind, name, unboxed(value))
        self.tracked.clear()
        self._wrapped.clear()

    def _wrap(self, kind: Any) -> None:
        for name, wrapping in (
            ("__getattribute__", self._getting),
            ("__setattr__", self._setting),
            ("__delattr__", self._deleting),
            ("__init__", self._making),
        ):
            original = getattr(kind, name)
            if original not in self._wrapped:
                wrapper = wrapping(kind, original)
                self._wrapped.add(wrapper)
                self._replace(kind, name, wrapper)
        for name in list(vars(kind)):
            if type(vars(kind)[name]) in BOXES and not name.startswith("__"):
                self._reach.box_in_class(kind, name)

    def _replace(self, kind: Any, name: str, value: Any) -> None:
        before = vars(kind).get(name, _ABSENT)
        type.__setattr__(kind, name, value)
        if before is _ABSENT:
            self._undo.callback(type.__delattr__, kind, name)
        else:
            self._undo.callback(type.__setattr__, kind, name, before)

    # The wrappers. They are called for every access to every attribute of every object.

    def _getting(self, kind: type, original: Any) -> Callable[..., Any]:
        kinds = self._reach.kinds
        handed = self._reach.handed_by_attribute
        opened = self._sink.opened

        def __getattribute__(self: Any, name: str) -> Any:
            sink = here.sink
            if sink is None:
                return original(self, name)
            if sink.resting:
                if name == "__dict__":
                    sink.is_read_as_a_whole(type(self))
                return original(self, name)
            try:
                value = original(self, name)
            except AttributeError:
                if name[:2] != "__":
                    sink.touch((sink.label(self), name), READ)
                raise
            if name[:2] == "__":
                if name == "__dict__":
                    sink.is_read_as_a_whole(type(self))
                    sink.touch((sink.label(self), WHOLE), WRITE)
                return value
            kind = type(value)
            if kind is MethodType and value.__self__ is self and value.__name__ == name:
                return value
            label = sink.labels.get(id(self)) or sink.label(self)
            place = (label, name)
            if sink.touched.setdefault(place, READ) == UPDATE:
                sink.touched[place] = WRITE
            if opened and type(self) in opened:
                sink.touch((label, WHOLE), READ)
            if kinds[kind] > 1:
                return handed(self, label, name, value)
            return value

        return __getattribute__

    def _setting(self, kind: type, original: Any) -> Callable[..., Any]:
        opened = self._sink.opened

        def __setattr__(self: Any, name: str, value: Any) -> None:
            sink = here.sink
            if sink is not None and not sink.resting:
                label = sink.label(self)
                if name not in NOT_SHARED:
                    sink.touch((label, name), WRITE)
                if opened and type(self) in opened:
                    sink.touch((label, WHOLE), WRITE)
            original(self, name, value)

        return __setattr__

    def _deleting(self, kind: type, original: Any) -> Callable[..., Any]:
        opened = self._sink.opened

        def __delattr__(self: Any, name: str) -> None:
            sink = here.sink
            if sink is not None and not sink.resting:
                label = sink.label(self)
                sink.touch((label, name), WRITE)
                if opened and type(self) in opened:
                    sink.touch((label, WHOLE), WRITE)
            original(self, name)

        return __delattr__

    def _making(self, kind: Any, original: Any) -> Callable[..., Any]:
        swallows = original is getattr(object, "__init__")  # noqa: B009
        wrapped = self._wrapped

        def __init__(self: Any, *args: Any, **named: Any) -> None:
            sink = here.sink
            if sink is not None:
                outer = type(self).__init__
                sink.being_made(self, outer is __init__ or outer not in wrapped)
            if swallows and type(self).__new__ is not _NEW:
                return
            original(self, *args, **named)

        if isinstance(original, FunctionType):  # its signature is part of its behaviour
            __init__.__wrapped__ = original  # type: ignore[attr-defined]
            __init__.__doc__ = original.__doc__
        return __init__
