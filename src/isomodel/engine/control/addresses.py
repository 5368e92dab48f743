"""Addresses under control: ``id()`` of the program and its libraries.

A program that keeps ``id(thing)`` longer than ``thing`` takes a later thing for it, if that comes
to lie at the same address. Whether it does depends on all that the process has done before. Here
the address of a thing that died is given to the next thing of its class that is asked for one,
as the interpreter's free lists mostly do, and fresh addresses come from the stream of the
operation that asks.

Out of reach: the standard library's own calls, ``repr``, and things that nothing can watch die
(lists, dicts, instances of classes with ``__slots__``), of which a later one may lie where an
earlier one lay. The program's calls of that kind are reported.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

from isomodel.engine.control.patches import Patches, Substitute
from isomodel.engine.control.sources import Sources, caller, digest

SOURCE = "id() of what nothing can watch die"

_LASTING = (type, type(sys), type(None), bool, type(lambda: None), type(len))
"""Kinds of things that mostly outlive an execution."""


class _Known(weakref.ref[Any]):
    """Watches a thing that was given an address, and gives the address back when it dies."""

    __slots__ = ("address", "key", "kind")
    address: int
    key: int
    kind: type


class Addresses:
    """The addresses of one execution. What a thing lies at does not change while it lives."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._known: dict[int, _Known] = {}
        self._unwatched: dict[int, int] = {}
        self._free: dict[type, list[int]] = {}
        self._counts: dict[str, int] = {}

    def of(self, thing: Any, owner: str) -> int:
        """The address of this thing, given now if it has none."""
        key = id(thing)
        known = self._known.get(key)
        if known is not None and known() is thing:
            return known.address
        try:
            known = _Known(thing, self._died)
        except TypeError:
            return self._unwatched.get(key) or self._unwatched.setdefault(key, self._fresh(owner))
        known.key, known.kind = key, type(thing)
        free = self._free.get(known.kind)
        known.address = free.pop() if free else self._fresh(owner)
        self._known[key] = known
        return known.address

    def _died(self, known: weakref.ref[Any]) -> None:
        assert isinstance(known, _Known)
        if self._known.get(known.key) is known:
            del self._known[known.key]
        self._free.setdefault(known.kind, []).append(known.address)

    def _fresh(self, owner: str) -> int:
        number = self._counts[owner] = self._counts.get(owner, 0) + 1
        return (0x7F << 40) + (digest(self._seed, owner, "addresses") % 2**24 << 16) + number * 16


def install(patches: Patches) -> None:
    """Have every module outside the standard library ask for the addresses of the execution."""
    patches.builtin("id", Substitute(id, _address))


def _address(sources: Sources, thing: Any, /) -> int:
    nobodys = sources.draws_of("")
    if nobodys.addresses is None:
        nobodys.addresses = Addresses(sources.seed)
    if not isinstance(thing, _LASTING) and not type(thing).__weakrefoffset__:
        filename, _ = caller()
        if "site-packages" not in filename:
            sources.report(SOURCE)
    address: int = nobodys.addresses.of(thing, sources.owner())
    return address
