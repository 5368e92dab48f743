"""What belongs to modules and classes: containers, and names that running code binds anew."""

from __future__ import annotations

import contextlib
import dis
import operator
import types
from collections.abc import Iterable, Iterator
from typing import Any

from isomodel.engine.tracking.boxes import BOXES, unboxed
from isomodel.engine.tracking.kinds import ATOM, BOX, CONSUMED, OPAQUE, PASS, TRACKED, inside
from isomodel.engine.tracking.reach import Reach, content
from isomodel.engine.tracking.sink import Sink

_STORES = frozenset(("STORE_GLOBAL", "DELETE_GLOBAL"))
_STORE_CODES = frozenset(dis.opmap[name] for name in _STORES)


class Globals:
    """Watches the names of some modules and classes.

    Containers get boxes where nothing else refers to them. A change of anything else is seen by
    comparison after each step, and counts as touching everything, as all code can read it.
    """

    def __init__(self, sink: Sink, reach: Reach) -> None:
        self._blind: list[tuple[type, str]] = []
        self._sink = sink
        self._reach = reach
        self._names: list[tuple[dict[str, Any], str, Any]] = []
        self._classes: dict[tuple[type, str], Any] = {}
        self._raws: list[tuple[Any, list[Any]]] = []
        self._undo = contextlib.ExitStack()

    @property
    def blind(self) -> tuple[str, ...]:
        """What can change without that: with one of these no two steps are independent."""
        return tuple(name for _, name in self._blind)

    @property
    def sees_all(self) -> bool:
        """Whether there is nothing of that kind."""
        return not self._blind

    def trust(self, kinds: Iterable[type]) -> None:
        """Instances of these classes note their changes from now on."""
        self._blind = [entry for entry in self._blind if entry[0] not in kinds]

    def watch(self, modules: Iterable[types.ModuleType]) -> None:
        """Watch these modules until ``undo``."""
        for module in modules:
            space = vars(module)
            for name in sorted(set(_stored(module))):
                self._names.append((space, name, space.get(name)))
            for name in list(space):
                if not name.startswith("__"):
                    self._look_at(module.__name__, space, name)

    def watch_class(self, kind: type) -> None:
        """Watch the attributes of this class that are neither functions nor containers."""
        kinds = self._reach.kinds
        for name, value in vars(kind).items():
            plain = not name.startswith("__") and kinds[type(value)] in (ATOM, TRACKED)
            if plain and not hasattr(value, "__get__"):
                self._classes[kind, name] = value

    def undo(self) -> None:
        """Put plain containers back, and stop watching."""
        self._undo.close()
        self._blind.clear()
        self._names.clear()
        self._classes.clear()
        self._raws.clear()

    def compare(self) -> None:
        """Note what the step that ends has changed."""
        for place, (space, name, before) in enumerate(self._names):
            now = space.get(name)
            if now is not before:
                self._names[place] = space, name, now
                self._sink.forget_all()
        for (kind, name), before in self._classes.items():
            now = kind.__dict__.get(name)
            if now is not before:
                self._classes[kind, name] = now
                self._sink.forget_all()
        for place, (value, known) in enumerate(self._raws):
            held = content(value)
            if len(held) != len(known) or not all(map(operator.is_, held, known)):
                self._raws[place] = value, held
                self._sink.forget_all()

    def _look_at(self, module: str, space: dict[str, Any], name: str) -> None:
        value = space[name]
        kind = type(value)
        if kind in BOXES:
            del value  # this module alone is to refer to it
            if self._reach.box_in_module(space, name, f"module {module}.{name}"):
                self._undo.callback(_unbox, space, name)
                return
            value = space[name]
        self._judge(value, f"{module}.{name}", 0)

    def _judge(self, value: Any, name: str, depth: int) -> None:
        decided = self._reach.kinds[type(value)]
        if decided in (ATOM, TRACKED, BOX) or depth > 4:
            return
        if decided in (CONSUMED, OPAQUE):
            self._sink.meet(type(value))
            self._blind.append((type(value), f"{name} ({type(value).__qualname__})"))
        elif decided == PASS:
            for part in inside(value):
                self._judge(part, name, depth + 1)
        elif not any(value is known for known, _ in self._raws):
            self._raws.append((value, content(value)))
            for part in content(value):
                self._judge(part, name, depth + 1)


def _unbox(space: dict[str, Any], name: str) -> None:
    value = space.get(name)
    if type(value) in BOXES.values():
        space[name] = unboxed(value)


def _stored(module: types.ModuleType) -> Iterator[str]:
    """The global names that functions of this module bind."""
    for code in _codes(module):
        if _STORE_CODES.intersection(code.co_code[::2]):
            for instruction in dis.get_instructions(code):
                if instruction.opname in _STORES:
                    yield str(instruction.argval)


def _codes(module: types.ModuleType) -> Iterator[types.CodeType]:
    waiting: list[Any] = list(vars(module).values())
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, types.CodeType):
            yield value
            waiting += [const for const in value.co_consts if isinstance(const, types.CodeType)]
        elif isinstance(value, staticmethod | classmethod):
            waiting.append(value.__func__)
        elif isinstance(value, property):
            waiting += [value.fget, value.fset, value.fdel]
        elif isinstance(value, types.FunctionType):
            if value.__module__ == module.__name__:
                waiting.append(value.__code__)
            waiting.append(getattr(value, "__wrapped__", None))
        elif isinstance(value, type) and value.__module__ == module.__name__:
            waiting += vars(value).values()
