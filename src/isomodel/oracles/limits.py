"""Limits: never more in use than the most that may be."""

from __future__ import annotations

from isomodel.oracles.protocol import Invariant
from isomodel.oracles.reading import at, facts
from isomodel.values.execution import Execution
from isomodel.values.facts import Used
from isomodel.values.verdict import Finding


def check(execution: Execution) -> list[Finding]:
    """A finding for each limit and operation that passed it, at its highest use."""
    worst: dict[tuple[str, str], Finding] = {}
    for used, noted in facts(execution, Used):
        key = (used.limit, noted.label)
        if used.used > used.most and (key not in worst or used.used > worst[key].evidence["used"]):
            worst[key] = Finding(
                property="limits",
                message=f"{used.used} of {used.limit} in use, where {used.most} is the most",
                user=noted.user,
                **at(execution, noted),
                evidence={"limit": used.limit, "used": used.used, "most": used.most},
            )
    return list(worst.values())


LIMITS = Invariant(
    "limits",
    "No limit is ever passed. It fires on a Used fact with more used than the most allowed. "
    "It sees only the moments at which the target notes: note after every acquisition, with the "
    "number really in use (the length of the set in use), not the number that was checked.",
    check,
)
