"""The recorder that hooks tell of accesses, one for the process."""

from __future__ import annotations

from isomodel.tracking.recorder import Recorder


class _Active:
    __slots__ = ("recorder",)

    def __init__(self) -> None:
        self.recorder: Recorder | None = None


active = _Active()


def activate(recorder: Recorder | None) -> Recorder | None:
    """From now on, hooks tell this one; returns whom they told before."""
    before, active.recorder = active.recorder, recorder
    return before


def recording() -> Recorder | None:
    """The active recorder."""
    return active.recorder
