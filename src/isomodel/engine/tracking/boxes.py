"""Boxes: containers that note who reads and changes them, in the place of plain ones.

A box takes the place of a plain container where nothing but one attribute, class or module refers
to it, so that nobody can tell but by ``type()``: equality, ``repr``, copies, ``__class__`` and
``isinstance`` are those of the plain one. Dicts and sets note single keys: two users that each
have a key of a shared dict do not conflict until somebody looks at the whole.

C code that reaches into a subclass of dict or list without calling its methods is not seen
reading. Sets, which C code often reads so, count as read as soon as they are handed out; lists
are compared after each step (``heapq`` changes them so).
"""

# ruff: noqa: D102 - what plain containers declare is documented there

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar

from isomodel.engine.tracking.sink import ORDER, READ, UPDATE, WHOLE, WRITE, here

_ATOMS = (str, int, float, complex, bytes, bool, type(None))

Function = TypeVar("Function", bound=Callable[..., Any])


def name_of_key(key: Any) -> Hashable:
    """A name for this key that is the same in every execution, and equal for equal keys."""
    kind = type(key)
    if kind in _ATOMS:
        return key if kind is str else ("key", key)
    if kind is tuple:
        return ("tuple", *map(name_of_key, key))
    if isinstance(key, enum.Enum):
        return (kind.__qualname__, key.name)
    if isinstance(key, type):
        return ("class", key.__qualname__)
    if getattr(kind, "__eq__", None) is object.__eq__ and here.sink is not None:
        return ("object", here.sink.label(key))
    return ("some", kind.__qualname__)


class Box:
    """What all boxes have: the label under which accesses to them are noted."""

    __slots__ = ()
    label: str
    kind: type[Any]

    def __reduce_ex__(self, protocol: Any) -> Any:
        plain = self._plain()
        return (deque, (list(plain), plain.maxlen)) if self.kind is deque else (self.kind, (plain,))

    def __copy__(self) -> Any:
        return self._plain()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        from copy import deepcopy

        return deepcopy(self._plain(), memo)

    def _plain(self) -> Any:
        """A plain copy; the whole is read for it."""
        raise NotImplementedError

    def _reads(self) -> None:
        """Note that the whole is read, but not in which order."""
        sink = here.sink
        if sink is not None:
            sink.touch((self.label, WHOLE), READ)

    def _gives_all(self) -> None:
        """Note that the whole is read, and that all it holds is handed out."""
        sink = here.sink
        if sink is not None:
            sink.touch((self.label, WHOLE), READ)
            for place, item in enumerate(self.kind.__iter__(self)):
                if type(item) not in _ATOMS:
                    hook.handed(item, self, place, 1)

    def _writes(self) -> None:
        sink = here.sink
        if sink is not None:
            sink.touch((self.label, WHOLE), WRITE)


class _Keyed(Box):
    """Boxes that tell their keys apart."""

    __slots__ = ()

    def _reads_key(self, key: Any) -> None:
        sink = here.sink
        if sink is not None:
            sink.touch((self.label, name_of_key(key)), READ)

    def _writes_key(self, key: Any, moves: bool) -> None:
        """``moves``: the key was not there, or there is no knowing how the order changes."""
        sink = here.sink
        if sink is not None:
            label = self.label
            sink.touch((label, name_of_key(key)), WRITE)
            sink.touch((label, WHOLE), UPDATE)
            if moves:
                sink.touch((label, ORDER), WRITE if label in sink.ordered else UPDATE)

    def _reads_in_order(self, count: int) -> None:
        """Note that somebody goes through all; of fewer than two there is no order to see."""
        sink = here.sink
        if sink is not None:
            sink.touch((self.label, WHOLE), READ)
            sink.touch((self.label, ORDER), READ)
            if count > 1:
                sink.order_seen(self.label)


class DictBox(_Keyed, dict[Any, Any]):
    """A dict."""

    __slots__ = ("__weakref__", "label")
    kind = dict

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return dict

    def _plain(self) -> Any:
        self._reads_in_order(dict.__len__(self))
        self._boxed_values()
        return {key: dict.__getitem__(self, key) for key in dict.__iter__(self)}

    # Reading

    def __getitem__(self, key: Any) -> Any:
        self._reads_key(key)
        return _handed(dict.__getitem__(self, key), self, key)

    def get(self, key: Any, default: Any = None) -> Any:
        self._reads_key(key)
        if not dict.__contains__(self, key):
            return default
        return _handed(dict.__getitem__(self, key), self, key)

    def __contains__(self, key: object) -> bool:
        self._reads_key(key)
        return dict.__contains__(self, key)

    def __len__(self) -> int:
        self._reads()
        return dict.__len__(self)

    def __eq__(self, other: object) -> bool:
        self._reads()
        return dict.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        self._reads()
        return dict.__ne__(self, other)

    def __repr__(self) -> str:
        self._reads_in_order(dict.__len__(self))
        return dict.__repr__(self)

    def __iter__(self) -> Iterator[Any]:
        self._reads_in_order(dict.__len__(self))
        return dict.__iter__(self)

    def __reversed__(self) -> Iterator[Any]:
        self._reads_in_order(dict.__len__(self))
        return dict.__reversed__(self)

    def keys(self) -> Any:
        self._reads_in_order(dict.__len__(self))
        return dict.keys(self)

    def values(self) -> Any:
        self._reads_in_order(dict.__len__(self))
        self._boxed_values()
        return dict.values(self)

    def items(self) -> Any:
        self._reads_in_order(dict.__len__(self))
        self._boxed_values()
        return dict.items(self)

    def _boxed_values(self) -> None:
        for key in list(dict.__iter__(self)):
            _handed(dict.__getitem__(self, key), self, key)

    def copy(self) -> Any:
        return self._plain()

    def __or__(self, other: Any) -> Any:
        return self._plain() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._plain()

    # Changing

    def __setitem__(self, key: Any, value: Any) -> None:
        self._writes_key(key, not dict.__contains__(self, key))
        dict.__setitem__(self, key, value)

    def __delitem__(self, key: Any) -> None:
        self._writes_key(key, False)
        dict.__delitem__(self, key)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if dict.__contains__(self, key):
            self._reads_key(key)
        else:
            self._writes_key(key, True)
        value = dict.setdefault(self, key, default)
        del default  # a container made for this call is referred to by nothing else now
        return _handed(value, self, key, 1)

    def pop(self, key: Any, *default: Any) -> Any:
        if dict.__contains__(self, key):
            self._writes_key(key, False)
        else:
            self._reads_key(key)
        return dict.pop(self, key, *default)

    def popitem(self) -> tuple[Any, Any]:
        self._reads_in_order(dict.__len__(self))
        self._writes()
        key, value = dict.popitem(self)
        self._writes_key(key, False)
        return key, value

    def clear(self) -> None:
        for key in dict.__iter__(self):
            self._writes_key(key, False)
        dict.clear(self)

    def update(self, *args: Any, **named: Any) -> None:
        for key, value in dict(*args, **named).items():
            self[key] = value

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self


class SetBox(_Keyed, set[Any]):
    """A set."""

    __slots__ = ("label",)
    kind = set

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return set

    def _plain(self) -> Any:
        self._reads_in_order(set.__len__(self))
        self._gives_all()
        return set(set.__iter__(self))

    def __contains__(self, key: object) -> bool:
        self._reads_key(key)
        return set.__contains__(self, key)

    def __len__(self) -> int:
        self._reads()
        return set.__len__(self)

    def __iter__(self) -> Iterator[Any]:
        self._reads_in_order(set.__len__(self))
        self._gives_all()
        return set.__iter__(self)

    def __repr__(self) -> str:
        return repr(self._plain())

    def copy(self) -> Any:
        return self._plain()

    def add(self, key: Any) -> None:
        if set.__contains__(self, key):
            self._reads_key(key)
        else:
            self._writes_key(key, True)
            set.add(self, key)

    def discard(self, key: Any) -> None:
        if set.__contains__(self, key):
            self._writes_key(key, True)
            set.discard(self, key)
        else:
            self._reads_key(key)

    def remove(self, key: Any) -> None:
        self._writes_key(key, True)
        set.remove(self, key)


class ListBox(Box, list[Any]):
    """A list; it is one thing, whatever its length."""

    __slots__ = ("__weakref__", "label")
    kind = list

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return list

    def _plain(self) -> Any:
        self._gives_all()
        return list(list.__iter__(self))

    def __radd__(self, other: Any) -> Any:
        return other + self._plain()


class DequeBox(Box, deque[Any]):
    """A deque; it is one thing, whatever its length."""

    __slots__ = ("label",)
    kind = deque

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return deque

    def _plain(self) -> Any:
        self._gives_all()
        return deque(deque.__iter__(self), self.maxlen)

    def __repr__(self) -> str:
        return repr(self._plain())


def _reading(kind: type, name: str) -> Any:
    original = getattr(kind, name)

    def method(self: Any, *args: Any) -> Any:
        self._reads()
        return original(self, *args)

    return method


def _giving(kind: type, name: str, *, also_writes: bool) -> Any:
    """A method that hands out an item."""
    original = getattr(kind, name)

    def method(self: Any, *args: Any, **named: Any) -> Any:
        (self._writes if also_writes else self._reads)()
        place = None if also_writes or not args else args[0]
        return _handed(original(self, *args, **named), self, place)

    return method


def _giving_all(kind: type, name: str) -> Any:
    """A method that hands out all items."""
    original = getattr(kind, name)

    def method(self: Any, *args: Any) -> Any:
        self._gives_all()
        return original(self, *args)

    return method


def _writing(kind: type, name: str) -> Any:
    original = getattr(kind, name)

    def method(self: Any, *args: Any, **named: Any) -> Any:
        self._writes()
        return original(self, *args, **named)

    return method


def _through_a_plain_copy(name: str) -> Any:
    def method(self: Any, *args: Any) -> Any:
        return getattr(self._plain(), name)(*args)

    return method


def _fill(
    box: type[Box], reads: Iterable[str], hands: Iterable[str], writes: Iterable[str]
) -> None:
    plain = box.kind
    for name in reads:
        gives = name in _ALL
        setattr(box, name, _giving_all(plain, name) if gives else _reading(plain, name))
    for name in hands:
        also = name.startswith("pop")
        setattr(box, name, _giving(plain, name, also_writes=also))
    for name in writes:
        setattr(box, name, _writing(plain, name))


_ALL = ("__iter__", "__reversed__", "__add__", "__mul__", "__rmul__")
_COMPARED = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")
_fill(
    ListBox,
    (*_COMPARED, "__len__", "__contains__", "__iter__", "__reversed__", "__repr__", "__add__",
     "__mul__", "__rmul__", "copy", "count", "index"),
    ("__getitem__", "pop"),
    ("__setitem__", "__delitem__", "__iadd__", "__imul__", "append", "clear", "extend", "insert",
     "remove", "reverse", "sort"),
)  # fmt: skip
_fill(
    DequeBox,
    (*_COMPARED, "__len__", "__contains__", "__iter__", "__reversed__", "__add__", "__mul__",
     "count", "index"),
    ("__getitem__", "pop", "popleft"),
    ("__setitem__", "__delitem__", "__iadd__", "__imul__", "append", "appendleft", "clear",
     "extend", "extendleft", "insert", "remove", "reverse", "rotate"),
)  # fmt: skip
_fill(
    SetBox,
    (*_COMPARED, "issubset", "issuperset", "isdisjoint"),
    (),
    ("__iand__", "__ior__", "__isub__", "__ixor__", "clear", "difference_update",
     "intersection_update", "pop", "symmetric_difference_update", "update"),
)  # fmt: skip
for _name in (
    *("__and__", "__or__", "__sub__", "__xor__", "__rand__", "__ror__", "__rsub__", "__rxor__"),
    *("union", "intersection", "difference", "symmetric_difference"),
):
    setattr(SetBox, _name, _through_a_plain_copy(_name))
setattr(ListBox, "copy", ListBox._plain)  # noqa: B010 - mypy knows another signature
setattr(DequeBox, "copy", DequeBox._plain)  # noqa: B010
for _box in (DictBox, SetBox, ListBox, DequeBox):
    setattr(_box, "__hash__", None)  # noqa: B010
    _box.__name__ = _box.__qualname__ = _box.kind.__name__  # as their texts call them

BOXES: dict[type, type[Any]] = {dict: DictBox, set: SetBox, list: ListBox, deque: DequeBox}
"""Which box takes the place of which plain container."""


def boxed(value: Any, label: str) -> Any:
    """A box with what this plain container holds."""
    kind = type(value)
    box: Any
    if kind is deque:
        box = DequeBox(value, value.maxlen)
    elif kind is dict:
        box = DictBox()
        dict.update(box, value)
    else:
        box = BOXES[kind](value)
    box.label = label
    return box


def unboxed(box: Any) -> Any:
    """The plain container again."""
    if type(box) is DequeBox:
        return deque(deque.__iter__(box), box.maxlen)
    if type(box) is DictBox:
        return {key: dict.__getitem__(box, key) for key in dict.__iter__(box)}
    kind = box.kind
    return kind(kind.__iter__(box))


Handed = Callable[[Any, Any, Any, int], Any]


def _nothing(value: Any, holder: Any, key: Any, extra: int) -> Any:
    return value


class _Hook:
    """What is asked when a box hands out something; set by ``values``, which knows all kinds."""

    handed: Handed = staticmethod(_nothing)


hook = _Hook()


def _handed(value: Any, holder: Any, key: Any, extra: int = 0) -> Any:
    if here.sink is None or type(value) in _ATOMS:
        return value
    return hook.handed(value, holder, key, extra)
