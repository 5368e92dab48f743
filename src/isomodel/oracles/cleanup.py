"""Cleanup: once all users have left, nothing of theirs is left."""

from __future__ import annotations

from isomodel.oracles.protocol import Invariant
from isomodel.values.execution import Execution
from isomodel.values.verdict import Finding


def check(execution: Execution) -> list[Finding]:
    """A finding for each thing left over, in the order they were listed."""
    if execution.ended != "done":
        return []
    return [
        Finding(
            property="cleanup",
            message=f"{item.kind} {item.what}"
            + (f" of {item.owner}" if item.owner else "")
            + " is left after all users have left",
            user=item.owner,
            evidence={"kind": item.kind, "what": item.what, "owner": item.owner},
        )
        for item in execution.leftovers
    ]


CLEANUP = Invariant(
    "cleanup",
    "After all users have left, no task, session, slot, entry or watched object of theirs is "
    "left. It fires on each leftover that the target lists, each watched object still alive, and "
    "each task still pending. It says nothing of an execution that was cut short or stuck, where "
    "nobody got to leave: liveness judges that. An object that only a cache of the interpreter "
    "or a traceback in a report keeps alive looks left over; what the target neither lists nor "
    "watches is not looked for.",
    check,
)
