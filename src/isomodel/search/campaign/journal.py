"""Journal: what a worker process is about to do, readable by its parent whatever becomes of it.

What it takes to run an execution again are its inputs (``explore.Draw``), which depend on what the
hunt has seen: they are in shared memory before it starts, a few stores and no system call. What an
execution *chose* before it took the process down is written by ``Trail``, in the one repetition
that is made for that purpose.
"""

from __future__ import annotations

import faulthandler
import functools
import mmap
import os
import re
import signal
import sysconfig
from collections.abc import Callable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, cast

import msgspec

import isomodel
from isomodel.engine.control.sources import here, shortened
from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, Scheduler
from isomodel.schedulers.recording import Recording
from isomodel.targets.declare import TargetSpec
from isomodel.values.schedule import Switch

_SIZE = 64 * mmap.ALLOCATIONGRANULARITY
_FIELDS = 64
"""Bytes for numbers, before the inputs."""


class Phase(IntEnum):
    """What a worker process is at."""

    IDLE = 0
    STARTING = 1
    """Importing the target and drawing its arguments."""
    HUNTING = 2
    SHRINKING = 3
    CHECKING = 4
    """Running a counterexample once more."""


class Journal:
    """Some pages of memory shared by a worker and its parent; the worker writes, the parent reads.

    ``beats`` grows with every sign of life; a process that stays at one number is blocked.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_SIZE))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _SIZE)
        self._fields = memoryview(self._page)[:_FIELDS].cast("Q")

    @property
    def phase(self) -> Phase:
        """What the worker is at."""
        return Phase(self._fields[0])

    @property
    def index(self) -> int:
        """The execution that is under way, or was the last."""
        return self._fields[1]

    @property
    def beats(self) -> int:
        """How many signs of life there were."""
        return self._fields[2]

    @property
    def since(self) -> int:
        """Signs of life in this phase."""
        return self._fields[2] - self._fields[3]

    def enter(self, phase: Phase) -> None:
        """Begin a phase."""
        self._fields[0] = phase
        self._fields[2] += 1
        self._fields[3] = self._fields[2]

    @property
    def inputs(self) -> bytes:
        """Those of that execution, where they had to be written down."""
        return self._page[_FIELDS : _FIELDS + self._fields[4]]

    def begin(self, index: int, inputs: bytes = b"") -> None:
        """This execution is about to run, on these inputs, which are kept unless they are huge."""
        kept = inputs if len(inputs) <= _SIZE - _FIELDS else b""
        self._page[_FIELDS : _FIELDS + len(kept)] = kept
        self._fields[4] = len(kept)
        self._fields[1] = index
        self._fields[2] += 1

    def beat(self) -> None:
        """Say that there is progress."""
        self._fields[2] += 1

    def close(self) -> None:
        """Give the memory back."""
        self._fields.release()
        self._page.close()


def beating(spec: TargetSpec, journal: Journal) -> TargetSpec:
    """This target with a sign of life at each execution, joint or alone.

    Every execution makes an instance of the target: the one place that hunting, judging and
    shrinking all pass, and at which nothing else has to know of journals.
    """
    made = spec.cls

    def make() -> Any:
        journal.beat()
        return made()

    make.__wrapped__ = made  # type: ignore[attr-defined]  # where who looks for its code begins
    return msgspec.structs.replace(spec, cls=cast(type, make))


class Trail(Recording):
    """Records like ``Recording``, but into a file, choice by choice: it outlives the process."""

    def __init__(self, scheduler: Scheduler, path: Path, journal: Journal) -> None:
        super().__init__(scheduler)
        self._journal = journal
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """What the wrapped scheduler chooses, once it is written down."""
        before, known = self.switches, len(self.choices)
        chosen = super().choose(options, last)
        self._journal.beat()
        for choice in self.choices[known:]:
            line = msgspec.json.encode((self.switches - before, choice))
            os.write(self._file, line + b"\n")
        return chosen

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_trail(path: Path) -> tuple[tuple[Switch, ...], int]:
    """The choices in this file, and how many of them are context switches."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    entries = [msgspec.json.decode(line, type=tuple[int, Switch]) for line in lines]
    return tuple(choice for _, choice in entries), sum(switch for switch, _ in entries)


# Last words


class LastWords:
    """A file in which a process says where it was when it ended, in what words it still can.

    ``faulthandler`` writes them at a fatal signal, C code or not; this class writes them before
    the exits of ``os``, which no handler sees.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self.path = path
        self.process = os.getpid()
        """Whose they are; a fork of this process may end as it likes."""
        faulthandler.enable(self._file, all_threads=False)

    def who(self) -> None:
        """Start over with the task that took the last step, if an execution is under way."""
        sources = here.sources
        loop = getattr(sources.now, "__self__", None) if sources is not None else None
        last = getattr(loop, "last", None)
        self.clear()
        os.write(self._file, f"task {last.name if last is not None else ''}\n".encode())

    def clear(self) -> None:
        """Take back what was said."""
        os.lseek(self._file, 0, os.SEEK_SET)
        os.truncate(self._file, 0)

    def speak(self) -> None:
        """Say who runs, and where."""
        self.who()
        faulthandler.dump_traceback(self._file, all_threads=False)

    def watch_exits(self) -> None:
        """Speak whenever this process is about to end itself."""

        def kills_me(pid: int, number: int) -> bool:
            return bool(number) and pid == os.getpid() == self.process

        def always(*_: object) -> bool:
            return os.getpid() == self.process

        for name, ends in (("_exit", always), ("abort", always), ("kill", kills_me)):
            setattr(os, name, self._spoken(getattr(os, name), ends))

    def _spoken(
        self, function: Callable[..., Any], ends: Callable[..., bool]
    ) -> Callable[..., Any]:
        @functools.wraps(function)
        def spoken(*args: Any, **kwargs: Any) -> Any:
            if ends(*args, *kwargs.values()):
                self.speak()
            return function(*args, **kwargs)

        return spoken


class Place(msgspec.Struct, frozen=True):
    """Where a process was when it ended, as far as it could say: task, "file:line in function"."""

    task: str = ""
    where: str = ""


_FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<function>.*)$')


def read_last_words(path: Path) -> Place:
    """What is in the file of ``LastWords``: the innermost frame in code that is being tested."""
    text = path.read_text(errors="replace") if path.exists() else ""
    task = text.partition("\n")[0].removeprefix("task ") if text.startswith("task ") else ""
    found = [match for match in map(_FRAME.match, text.splitlines()) if match]
    tested = [match for match in found if is_tested(match["file"])] or found
    where = ""
    if tested:
        where = "{}:{} in {}".format(shortened(tested[0]["file"]), *tested[0].groups()[1:])
    return Place(task, where)


def ending(code: int, place: Place) -> str:
    """How a process ended, by its exit code or the negative number of a signal."""
    if code >= 0:
        return f"the process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"the process ended by signal {-code}"
    outside = " (out of memory, or from outside)" * (name == "SIGKILL" and not place.where)
    return f"the process ended by signal {-code} {name}{outside}"


_OURS = str(Path(isomodel.__file__).parent) + os.sep
_BUILT_IN = str(Path(isomodel.__file__).parent / "targets" / "factory") + os.sep
_LIBRARY = sysconfig.get_path("stdlib") + os.sep


def is_ours(filename: str) -> bool:
    """Whether this file is a part of isomodel that runs systems, not one that is run."""
    return filename.startswith(_OURS) and not filename.startswith(_BUILT_IN)


def is_tested(filename: str) -> bool:
    """Whether this file is neither ours nor the standard library's."""
    if filename.startswith(_LIBRARY):
        return "site-packages" in filename
    return not is_ours(filename) and not filename.startswith("<")
