"""Promise: what the target itself has seen to be wrong, by the name of the promise."""

from __future__ import annotations

from isomodel.oracles.protocol import Invariant
from isomodel.oracles.reading import at, during, facts
from isomodel.values.execution import Execution
from isomodel.values.facts import Broken
from isomodel.values.verdict import Finding


def check(execution: Execution) -> list[Finding]:
    """A finding for each promise and operation in which it was broken, at the first time."""
    first: dict[tuple[str, str], Finding] = {}
    for broken, noted in facts(execution, Broken):
        first.setdefault(
            (broken.promise, noted.label),
            Finding(
                property="promise",
                message=f"{broken.promise}: {broken.why} ({during(noted)})",
                user=noted.user,
                **at(execution, noted),
                evidence={"promise": broken.promise, "why": broken.why},
            ),
        )
    return list(first.values())


PROMISE = Invariant(
    "promise",
    "What the target promises of itself holds. It fires on each Broken fact. A target notes one "
    "where it sees the promise broken, judged apart from the code that should keep it; whoever "
    "never looks never notes. A target that declares its errors promises that its users meet no "
    "others, and that none is lost in a callback. The kits (isomodel.kits) report by it what has "
    "no invariant of its own: a lost slot, an order turned around, a cancellation that struck "
    "somebody else.",
    check,
)
