"""Control: every uncontrolled source of nondeterminism is put under control, or reported.

Between ``begin`` and ``end``, in the thread that called ``begin``, clocks read virtual time and
every random number and id comes from the stream of the operation that runs; threads, processes,
sockets and blocking calls are reported by name. Everywhere else each function is the original.

Patching is done once a hunt, never once an execution. What stays out of reach: originals bound
before installation as default arguments, class attributes or in containers; C code; the order of
sets (which ``PYTHONHASHSEED`` fixes for strings); the process id and the environment; state that
the program itself keeps from one execution to the next.
"""

from __future__ import annotations

import contextlib
import sys
from _thread import get_ident
from collections.abc import Callable, Iterator

from isomodel.engine import all_tasks, helpers
from isomodel.engine.control import addresses as address_control
from isomodel.engine.control import clock as clock_control
from isomodel.engine.control import numpy as numpy_control
from isomodel.engine.control import random as random_control
from isomodel.engine.control import reports as report_control
from isomodel.engine.control.patches import Patches
from isomodel.engine.control.sources import Sources, here
from isomodel.values.execution import Issue


class _Process:
    """What all controls of this process share: the patches, while at least one is installed."""

    def __init__(self) -> None:
        self.users = 0
        self.patches = Patches()
        self.escapes = random_control.Escapes()
        self._numpy = False

    def install(self) -> None:
        self.users += 1
        if self.users == 1:
            self._numpy = False
            self.patches = Patches()
            self.escapes = random_control.Escapes()
            clock_control.install(self.patches)
            random_control.install(self.patches, self.escapes)
            report_control.install(self.patches)
            address_control.install(self.patches)
            all_tasks.install(self.patches)
            helpers.install(self.patches)
            self.scan()

    def scan(self) -> None:
        """Bring modules imported since the last scan under control."""
        if self.numpy_is_new():
            self._numpy = True
            self.patches.substitute(numpy_control.substitutes())
        self.patches.scan()

    def numpy_is_new(self) -> bool:
        """Whether numpy was imported since the last scan."""
        return not self._numpy and numpy_control.imported()

    def uninstall(self) -> None:
        self.users -= 1
        if self.users == 0:
            self.patches.undo()


_process = _Process()


class Control:
    """Puts one execution after another under control; install it once for all of them.

    Installing is counted, so blocks may be nested, and several controls share the patches of
    their process. One execution may run inside another of the same thread; not beside it.
    """

    def __init__(self) -> None:
        self._installed = 0
        self.drew = False
        """Whether the execution that ended last has drawn random numbers or ids."""

    def install(self) -> None:
        """Patch the process. Outside executions that changes no behaviour, only speed.

        Best done before the program is imported: what it binds from then on, as a default
        argument or a class attribute, is under control too.
        """
        self._installed += 1
        if self._installed == 1:
            _process.install()

    def uninstall(self) -> None:
        """Take back one ``install``; the last one puts back every original."""
        if self._installed:
            self._installed -= 1
            if self._installed == 0:
                _process.uninstall()

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Be installed inside the block."""
        self.install()
        try:
            yield
        finally:
            self.uninstall()

    def begin(
        self,
        seed: int,
        now: Callable[[], float],
        owner: Callable[[], str],
        advance: Callable[[float], None] | None = None,
        expected: frozenset[str] = frozenset(),
    ) -> None:
        """Start an execution in this thread.

        ``now`` tells virtual time in seconds since its start, and must not decrease; ``owner``
        the label of the operation that runs ("" outside any). A blocking sleep calls
        ``advance`` with its seconds instead of sleeping. ``expected`` names sources that the
        engine itself controls, and that are not reported.
        """
        process = _process
        if not process.users:
            raise RuntimeError("the control is not installed: call install() first")
        outer = here.sources
        if outer is not None and outer.thread != get_ident():
            raise RuntimeError("an execution is under way in another thread: run them in turn")
        if len(sys.modules) != process.patches.seen:
            process.scan()
        process.escapes.begin()
        here.sources = Sources(seed, now, owner, advance, outer, expected)

    def end(self) -> tuple[Issue, ...]:
        """End the execution; what it used that was not under control, in order of first use."""
        sources = here.sources
        if sources is None:
            return ()
        here.sources = sources.outer
        self.drew = sources.drew()
        issues = (*sources.issues.values(),) if sources.issues else ()
        if _process.escapes.end():
            issues += (random_control.ESCAPED,)
        if len(sys.modules) != _process.patches.seen and _process.numpy_is_new():
            issues += (numpy_control.LATE,)
        return issues
