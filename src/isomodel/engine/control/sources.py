"""Sources: the clock, the streams of random numbers and the issues of one execution."""

from __future__ import annotations

import hashlib
import os
import random
import sys
from _thread import get_ident
from collections.abc import Callable
from functools import cached_property
from typing import Any

from isomodel.engine.core import UnderControl
from isomodel.values.execution import Issue

EPOCH = 1_704_067_200
"""When every execution begins, in Unix seconds: 2024-01-01T00:00:00Z."""


_STREAMS = ("program", "system", "node")


class Draws:
    """The streams of one owner, seeded by (seed, owner) and nothing else.

    ``program`` feeds the ``random`` module; ``system`` whatever asks the operating system for
    entropy (``os.urandom``, ``secrets``, ``uuid``). They are two, so that an id made does not
    shift the numbers drawn. A stream is made at its first draw: seeding takes microseconds.
    """

    def __init__(self, seed: int, owner: str) -> None:
        self.made = 0
        """How many ids that contain a time were made."""
        self.numpy: Any = None
        """numpy's own kind of stream, where the program uses it."""
        self.addresses: Any = None
        """What ``id()`` has told in this execution; kept by the owner without a name."""
        self._of = (seed, owner)

    def drew(self) -> bool:
        """Whether anything was drawn from these streams."""
        return self.numpy is not None or not vars(self).keys().isdisjoint(_STREAMS)

    @cached_property
    def program(self) -> random.Random:
        """What the program's own draws come from."""
        return random.Random(digest(*self._of, "program"))

    @cached_property
    def system(self) -> random.Random:
        """What stands in for the operating system's entropy."""
        return random.Random(digest(*self._of, "system"))

    @cached_property
    def node(self) -> int:
        """The network card that this owner's ids seem to come from."""
        return digest(*self._of, "node") & 0xFFFF_FFFF_FFFF | 1 << 40


class Sources(UnderControl):
    """What is under control in one execution, in the thread that began it.

    ``now`` is virtual time in seconds since the start; ``owner`` the label of the operation
    that runs ("" outside any); ``outer`` the execution that this one runs inside of, if any;
    ``expected`` names sources that are under control here, and so are not reported.
    """

    __slots__ = ()
    _draws: dict[str, Draws]
    advance: Callable[[float], None] | None
    expected: frozenset[str]
    now: Callable[[], float]
    outer: Sources | None
    owner: Callable[[], str]
    seed: int

    def wall(self) -> float:
        """The virtual time of day, in Unix seconds."""
        return EPOCH + self.now()

    def draws(self) -> Draws:
        """The streams of the operation that runs now."""
        return self.draws_of(self.owner())

    def draws_of(self, owner: str) -> Draws:
        """The streams of this operation, "" for what belongs to none."""
        try:
            draws: Draws = self._draws[owner]
        except KeyError:
            draws = self._draws.setdefault(owner, Draws(self.seed, owner))
        return draws

    def drew(self) -> bool:
        """Whether random numbers or ids were drawn."""
        return bool(self._draws) and any(map(Draws.drew, self._draws.values()))

    def report(self, source: str) -> None:
        """Note the use of an uncontrolled ``source`` at the program's line, once a line."""
        if source in self.expected:
            return
        filename, line = caller()
        key = (source, filename, line)
        if key not in self.issues:
            self.issues[key] = Issue(source, f"{shortened(filename)}:{line}")


class UnderWay:
    """Holds the sources of the execution under way in this process, if any."""

    __slots__ = ("sources",)

    def __init__(self) -> None:
        self.sources: Sources | None = None


here = UnderWay()
"""One for the process, as what it controls belongs to the process."""


def active() -> Sources | None:
    """The sources that the caller must use: None outside an execution and in other threads."""
    sources = here.sources
    return sources if sources is not None and sources.thread == get_ident() else None


def digest(seed: int, owner: str, stream: str) -> int:
    """A seed for one stream of one owner: the same in every process and Python version."""
    text = f"{seed}\0{owner}\0{stream}".encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")


def is_machinery(module: str) -> bool:
    """Whether this module is a part of isomodel that runs executions, not one that is run."""
    return module.startswith("isomodel.") and not module.startswith("isomodel.targets.")


def caller() -> tuple[str, int]:
    """File and line of the nearest caller outside the standard library and isomodel.

    Where there is none, those of the nearest outside isomodel.
    """
    frame, fallback = sys._getframe(1), ("", 0)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if not is_machinery(module):
            place = (frame.f_code.co_filename, frame.f_lineno)
            if module.partition(".")[0] not in sys.stdlib_module_names:
                return place
            fallback = fallback if fallback[0] else place
        if frame.f_back is None:
            break
        frame = frame.f_back
    return fallback


def shortened(filename: str) -> str:
    """``filename`` without what differs between machines, as far as that can be told."""
    path = filename.replace(os.sep, "/")
    _, installed, package = path.rpartition("/site-packages/")
    if installed:
        return package
    return path.removeprefix(os.getcwd().replace(os.sep, "/") + "/")
