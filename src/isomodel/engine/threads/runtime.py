"""One execution of a threaded program: everything put under control, run, and put back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from isomodel.engine.control.control import Control
from isomodel.engine.control.patches import Patches
from isomodel.engine.runtime import OutOfSteps
from isomodel.engine.threads import locks, standins
from isomodel.engine.threads.crew import Crew
from isomodel.engine.threads.members import Alarm, Deadlock, Ended
from isomodel.engine.threads.watch import Watch

__all__ = ["Alarm", "Crew", "Deadlock", "Ended", "OutOfSteps", "ThreadControl"]

EXPECTED = frozenset(("time.sleep",))
"""Sources of nondeterminism that are under control here."""


class ThreadControl:
    """Puts threads under control in this process; install it once for many executions."""

    def __init__(self) -> None:
        self._control = Control()
        self._patches = Patches()
        self._installed = 0
        self._watch = Watch()

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Be installed inside the block; blocks may be nested."""
        self._installed += 1
        try:
            if self._installed == 1:
                self._install()
            yield
        finally:
            self._installed -= 1
            if self._installed == 0:
                self._watch.stop()
                self._patches.undo()
                self._control.uninstall()

    def _install(self) -> None:
        self._patches = Patches()
        for kind, name, method in locks.methods():
            self._patches.attribute(kind, name, method)
        self._control.install()
        for holder, name, value in list(standins.names()):
            if isinstance(holder, type):
                self._patches.attribute(holder, name, value)
                continue
            self._patches.on_undo(_resetting(holder, name))
            setattr(holder, name, value)
        standins.adopt_conditions()
        self._watch.start()

    @property
    def drew(self) -> bool:
        """Whether the execution that ended last has drawn random numbers or ids."""
        return self._control.drew

    @property
    def patience(self) -> float:
        """Seconds of real time without any step after which a thread has left control."""
        return self._watch.patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._watch.patience = seconds

    def run(self, crew: Crew, main: Callable[[], object], seed: int) -> None:
        """Run ``main`` as the first thread of this crew; raises what ``Crew.run`` raises."""
        interpreter = standins.Interpreter(crew)
        self._control.begin(seed, lambda: crew.now, crew.label, crew.sleep, EXPECTED)
        interpreter.enter()

        def program() -> None:
            main()
            interpreter.leave()

        try:
            crew.run(program)
        finally:
            interpreter.undo()
            locks.release_all(crew)
            crew.uncontrolled += self._control.end()


def _resetting(holder: Any, name: str) -> Callable[[], None]:
    if name not in vars(holder):
        return lambda: delattr(holder, name)
    before = getattr(holder, name)
    return lambda: setattr(holder, name, before)


control = ThreadControl()
"""One for the process, as what it controls belongs to the process."""
