"""The tracker: records the accesses of one execution after another of one program."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from isomodel.tracking import hooks
from isomodel.tracking.recorder import Recorder
from isomodel.tracking.scope import modules_of
from isomodel.tracking.swap import Swap


class Tracker:
    """Of the program to which these functions or classes belong.

    ``missed`` lists files whose functions could not be rewritten, after the first recording.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        roots = tuple(roots)
        self._swap = Swap(modules_of(roots), roots)

    @property
    def missed(self) -> tuple[str, ...]:
        """Files whose accesses are not seen."""
        return tuple(self._swap.missed)

    @contextlib.contextmanager
    def recording(self, who: Callable[[], tuple[str, int]]) -> Iterator[Recorder]:
        """Record inside the block; ``who`` tells the running task and which step of it this is."""
        recorder = Recorder(who)
        with self._swap:
            hooks.activate(recorder)
            try:
                yield recorder
            finally:
                hooks.activate(None)
                recorder.forget()
