"""Randomness and ids under control: ``random``, ``os.urandom``, ``secrets`` and ``uuid``.

Inside an execution every draw comes from the streams of the operation that runs: draw k of an
owner depends on the seed, the owner and k, never on what others drew. ``random.seed`` seeds the
owner's stream alone.

Out of reach: an unseeded ``random.Random()`` that was made outside the execution and is drawn
from inside it, and C code that asks the operating system itself. A C method of the ``random``
module bound out of the scan's sight is noticed, at the end of the execution.
"""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from isomodel.engine.control.patches import Patches, Substitute
from isomodel.engine.control.sources import EPOCH, Sources, active
from isomodel.values.execution import Issue

ESCAPED = Issue(
    "random imported by name",
    "a default argument, class attribute, container or C code holds random.random or getrandbits",
)
_NODE = 0x02_00_00_00_00_01
_GREGORIAN = 0x01B2_1DD2_1381_4000
_hidden = random._inst


class Escapes:
    """Notices draws that went past the control, straight to C code of the hidden instance.

    A shadow of that instance keeps the same state; one draw of each tells whether they still
    agree. (Comparing the states would cost a hundred times as much.)
    """

    def __init__(self) -> None:
        self._draw = random.Random.getrandbits.__get__(_hidden)
        self._shadow = random.Random(0)
        self._shadow_draw = self._shadow.getrandbits
        self._elsewhere = False
        self._untouched = True
        self._start = random.Random.getstate(_hidden)
        self._shadow.setstate(self._start)

    def begin(self) -> None:
        """Take over whatever was drawn since the last execution."""
        self._elsewhere = False
        if self._draw(32) != self._shadow_draw(32):
            self._synchronise()

    def end(self) -> bool:
        """Whether a draw escaped in this execution, as far as can be told.

        Where another thread has used the module meanwhile it can't, and the answer is no.
        """
        return self._draw(32) != self._shadow_draw(32) and not self._elsewhere

    def allowing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``original`` for use outside the execution: what it draws is no escape."""

        def outside(*args: Any, **kwargs: Any) -> Any:
            self._elsewhere = True
            self._untouched = False
            return original(*args, **kwargs)

        return outside

    def restore(self) -> None:
        """Take back the draws made to compare, if the program made none: a hunt leaves no trace."""
        if self._untouched:
            random.Random.setstate(_hidden, self._start)

    def _synchronise(self) -> None:
        self._untouched = False
        self._shadow.setstate(random.Random.getstate(_hidden))


def install(patches: Patches, escapes: Escapes) -> None:
    """Add the controlled streams to the patches."""
    patches.substitute(_module_functions(escapes))
    patches.substitute(_system_functions())
    patches.attribute(random.Random, "seed", _seeding(random.Random.seed))
    _hidden.__class__ = _hidden_class(escapes)
    patches.on_undo(escapes.restore)
    patches.on_undo(_restore_class)


def _restore_class() -> None:
    _hidden.__class__ = random.Random


def _module_functions(escapes: Escapes) -> Iterator[Substitute]:
    """The functions of ``random`` that reach the state in C without asking the instance.

    All others are Python methods of the hidden instance: they ask its class, by whatever name
    or default argument they are known.
    """
    for name in ("random", "getrandbits", "getstate", "setstate"):
        original = getattr(random, name)
        yield Substitute(original, _own(name), outside=escapes.allowing(original))
    yield Substitute(random.seed, _seed, outside=escapes.allowing(random.seed))


def _own(name: str) -> Callable[..., Any]:
    def controlled(sources: Sources, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(sources.draws().program, name)(*args, **kwargs)

    return controlled


def _seed(sources: Sources, /, a: Any = None, version: int = 2) -> None:
    """Seed the owner's stream; without a value it goes on, being as good as any entropy."""
    if a is not None:
        sources.draws().program.seed(a, version)


def _hidden_class(escapes: Escapes) -> type[random.Random]:
    """The class of the hidden instance while installed: draws come from the owner's stream."""
    draw = escapes.allowing(random.Random.random)
    bits = escapes.allowing(random.Random.getrandbits)

    class Hidden(random.Random):
        def random(self) -> float:
            sources = active()
            return float(draw(self)) if sources is None else sources.draws().program.random()

        def getrandbits(self, k: int, /) -> int:
            sources = active()
            return int(bits(self, k)) if sources is None else sources.draws().program.getrandbits(k)

        @property
        def gauss_next(self) -> float | None:
            """The second of two normal variates made together, kept for the owner."""
            sources = active()
            owner = self if sources is None else sources.draws().program
            kept: float | None = owner.__dict__["gauss_next"]
            return kept

        @gauss_next.setter
        def gauss_next(self, value: float | None) -> None:
            sources = active()
            owner = self if sources is None else sources.draws().program
            owner.__dict__["gauss_next"] = value

        def __reduce__(self) -> Any:
            return random.Random, (), self.getstate()

    return Hidden


def _seeding(original: Callable[..., None]) -> Callable[..., None]:
    """``Random.seed``, where an instance made without a seed inside an execution gets one."""

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        sources = active() if a is None else None
        original(self, a if sources is None else sources.draws().system.getrandbits(128), version)

    seed.__doc__ = original.__doc__
    return seed


def _system_functions() -> Iterator[Substitute]:
    """Entropy and ids: ``secrets``, ``SystemRandom`` and ``uuid4`` all ask ``os.urandom``."""
    yield Substitute(os.urandom, _urandom)
    if hasattr(os, "getrandom"):
        yield Substitute(os.getrandom, _urandom)
    yield Substitute(uuid.uuid1, _uuid1)
    yield Substitute(uuid.getnode, lambda sources: _NODE)


def _urandom(sources: Sources, size: int, flags: int = 0) -> bytes:
    if size < 0:
        raise ValueError("negative argument not allowed")
    return sources.draws().system.randbytes(size)


def _uuid1(sources: Sources, node: int | None = None, clock_seq: int | None = None) -> uuid.UUID:
    """An id from virtual time. Each owner has a node of its own and counts, so none is twice."""
    draws = sources.draws()
    draws.made += 1
    ticks = _GREGORIAN + EPOCH * 10**7 + round(sources.now() * 1e7) + draws.made
    sequence = draws.system.getrandbits(14) if clock_seq is None else clock_seq
    return uuid.UUID(
        fields=(
            ticks & 0xFFFF_FFFF,
            ticks >> 32 & 0xFFFF,
            ticks >> 48 & 0x0FFF,
            sequence >> 8 & 0x3F,
            sequence & 0xFF,
            draws.node if node is None else node,
        ),
        version=1,
    )
