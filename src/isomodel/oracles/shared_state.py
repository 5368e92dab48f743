"""No shared state: no object that can change is reachable from two users' roots."""

from __future__ import annotations

from isomodel.oracles.protocol import Invariant
from isomodel.oracles.reading import apart
from isomodel.values.execution import Execution
from isomodel.values.verdict import Finding


def check(execution: Execution) -> list[Finding]:
    """A finding for each shared object between users that share nothing by design."""
    return [
        Finding(
            property="no shared state",
            message=f"{item.users[0]} and {item.users[1]} share one {item.type}: "
            f"{item.paths[0]} is {item.paths[1]}",
            user=item.users[0],
            evidence={"users": [*item.users], "paths": [*item.paths], "type": item.type},
        )
        for item in execution.shared
        if apart(execution, *item.users)
    ]


NO_SHARED_STATE = Invariant(
    "no shared state",
    "Whatever a user's roots reach belongs to that user alone. It fires where the roots of two "
    "users of different groups reach one object that can change, even if nothing has gone wrong "
    "with it yet. Declare what is shared by design in common(). State that no root reaches "
    "(module globals, a database, the locals of running code) is out of its sight.",
    check,
)
