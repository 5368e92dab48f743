"""Uniqueness: no id is issued twice."""

from __future__ import annotations

from isomodel.oracles.protocol import Invariant
from isomodel.oracles.reading import at, during, facts
from isomodel.values.execution import Execution
from isomodel.values.facts import Issued, Noted
from isomodel.values.verdict import Finding


def check(execution: Execution) -> list[Finding]:
    """A finding for each time an id is issued again, against the first time."""
    first: dict[Issued, Noted] = {}
    found = []
    for issued, noted in facts(execution, Issued):
        before = first.setdefault(issued, noted)
        if before is not noted:
            found.append(
                Finding(
                    property="uniqueness",
                    message=f"{issued.kind} id {issued.id} was issued twice: "
                    f"{during(before)}, and again {during(noted)}",
                    user=noted.user,
                    **at(execution, noted),
                    evidence={
                        "kind": issued.kind,
                        "id": issued.id,
                        "first": before.label,
                        "again": noted.label,
                        "users": [before.user, noted.user],
                    },
                )
            )
    return found


UNIQUENESS = Invariant(
    "uniqueness",
    "Among the ids of one kind none occurs twice, whoever they were made for. It fires when two "
    "Issued facts have kind and id in common. Note Issued where an id is made, not where it is "
    "used: noting one id at two places looks like two of them.",
    check,
)
