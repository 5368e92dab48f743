"""Identity: a credential stands for the user who presents it."""

from __future__ import annotations

from isomodel.oracles.protocol import Invariant
from isomodel.oracles.reading import at, facts
from isomodel.values.execution import Execution
from isomodel.values.facts import Identified
from isomodel.values.verdict import Finding


def check(execution: Execution) -> list[Finding]:
    """A finding for each time the system took a user for another one."""
    return [
        Finding(
            property="identity",
            message=f"{noted.user}, presenting {identified.credential!r}, "
            f"was taken for {identified.as_user}",
            user=identified.as_user,
            **at(execution, noted),
            evidence={
                "credential": identified.credential,
                "presented_by": noted.user,
                "taken_for": identified.as_user,
            },
        )
        for identified, noted in facts(execution, Identified)
        if noted.user and identified.as_user != noted.user
    ]


IDENTITY = Invariant(
    "identity",
    "Whoever acts is taken for who they are. It fires on an Identified fact whose as_user is not "
    "the user of the operation in which it was noted, groups or not. Facts noted outside any "
    "operation have no user and are not judged: use acting_as(user) around background work. A "
    "refused credential is no identification: note nothing for it.",
    check,
)
