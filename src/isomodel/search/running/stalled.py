"""Whether an execution that used up its steps is stuck, and only seems to be busy.

A loop that has a heartbeat (a pool's janitor, a scheduler, a poller) is never idle for ever, so a
lost wake-up or a deadlock beside it does not show as one. It shows as this: for a long time
nothing happened to any user, nothing is on its way to one, and all that came was timers that belong
to nobody. A background task that would serve a user after ``LONG`` ticks of its own is taken
for stuck, too.
"""

from __future__ import annotations

from collections.abc import Collection

from isomodel.engine.runtime import Runtime
from isomodel.values.trace import Step

LONG = 1_000
"""Ticks of nobody's timers in a row, at least."""


def stalled(loop: Runtime, users: Collection[str]) -> bool:
    """Whether these users wait for what nothing but timers of nobody's can bring."""
    timed = [timer.owner for timer in loop.timed()]
    if any(owner.user in users for owner in (*loop.awaiting(), *timed)):
        return False
    ticks = 0
    for step in reversed(loop.trace or ()):
        if _user(step.task) in users or _comes_from_outside(step):
            return False
        ticks += step.what.startswith("timer ")
        if ticks >= LONG:
            return True
    return False


def _user(name: str) -> str:
    return name.partition(".")[0] if "." in name else ""


def _comes_from_outside(step: Step) -> bool:
    return step.what != "step" and not step.what.startswith("timer ")
