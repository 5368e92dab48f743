"""Liveness: every operation that was accepted ends."""

from __future__ import annotations

from isomodel.oracles.protocol import Invariant
from isomodel.oracles.reading import ends
from isomodel.values.execution import Execution
from isomodel.values.trace import Event
from isomodel.values.verdict import Finding


def _stuck(execution: Execution) -> dict[str, Event]:
    """The operations that will never end, by label, in the order they began."""
    ended = ends(execution)
    return {
        event.label: event
        for event in execution.history
        if event.kind == "hang"
        or (execution.ended == "deadlock" and event.kind == "invoke" and event.label not in ended)
    }


def check(execution: Execution) -> list[Finding]:
    """A finding for each operation that never ends, or one for a deadlock of none of them."""
    if execution.ended not in ("done", "deadlock"):
        return []
    stuck = _stuck(execution)
    if not stuck and execution.ended == "done":
        return []
    chain = f": {'; '.join(execution.waiting)}" if execution.waiting else ""
    evidence = {"waiting": list(execution.waiting), "stuck": list(stuck)}
    if not stuck:
        message = f"deadlock outside any operation{chain}"
        return [Finding(property="liveness", message=message, evidence=evidence)]
    return [
        Finding(
            property="liveness",
            message=f"{label} ({event.name}) of {event.user} never ends{chain}",
            user=event.user,
            operation=event.name,
            label=label,
            evidence=evidence,
        )
        for label, event in stuck.items()
    ]


LIVENESS = Invariant(
    "liveness",
    "Every operation ends: by a result, an error or a cancellation. It fires where nothing can "
    "ever happen again although something waits (a deadlock, a lost wake-up), and where an "
    "operation hangs at the end; the message has the chain of who waits for what. An execution "
    "that used up its steps is neither: it may be a livelock or just long, so it is unknown. An "
    "operation that waits by design for another user (a long poll) hangs if that user never acts.",
    check,
)
