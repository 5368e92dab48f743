"""The tracker: records the accesses of one execution after another of one program."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType
from typing import Any

from isomodel.tracking.active import activate
from isomodel.tracking.recorder import Recorder, Runner
from isomodel.tracking.scope import Standing, functions_of, modules_of, standing_of
from isomodel.tracking.swap import Rewriting, Swap, telling


class Tracker:
    """Of the program to which these functions or classes belong.

    ``missed`` lists files whose functions could not be rewritten, after the first recording.
    ``rewriting`` is what becomes of its code while it is ``rewritten``, which it is for as long as
    something is recorded. ``packages``: as in ``scope.modules_of``.
    """

    def __init__(
        self,
        roots: Iterable[Any],
        rewriting: Rewriting = telling,
        packages: Iterable[str] | None = None,
    ) -> None:
        self._roots = roots = tuple(roots)
        modules = modules_of(roots, packages)
        self._swap = Swap(modules, roots, rewriting)
        self._modules = frozenset(module.__name__ for module in modules)
        self._standing: Standing | None = None

    @property
    def missed(self) -> tuple[str, ...]:
        """Files whose accesses are not seen."""
        return tuple(self._swap.missed)

    @property
    def rewritten(self) -> contextlib.AbstractContextManager[None]:
        """Have the rewritten code in place inside a block."""
        return self._swap

    def functions(self) -> tuple[FunctionType, ...]:
        """The functions of the program, rewritten or not."""
        return tuple(functions_of(self._swap.modules, self._roots))

    @contextlib.contextmanager
    def recording(self, who: Callable[[], Runner], *, located: bool = False) -> Iterator[Recorder]:
        """Record inside the block; ``who`` gives the running task. ``located``: with source lines.

        Inside another recording, that one pauses.
        """
        with self._swap:
            if self._standing is None:
                self._standing = standing_of(self._swap.modules, self._swap.functions)
            recorder = Recorder(
                who,
                standing=self._standing.labels,
                telling=self._swap.telling,
                modules=self._modules,
                located=located,
            )
            before = activate(recorder)
            try:
                yield recorder
            finally:
                activate(before)
                recorder.forget()
