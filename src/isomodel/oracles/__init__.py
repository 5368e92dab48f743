"""Oracles: pure functions that judge what an execution left behind."""

from __future__ import annotations

from isomodel.oracles.cleanup import CLEANUP
from isomodel.oracles.conservation import CONSERVATION
from isomodel.oracles.event_order import EVENT_ORDER
from isomodel.oracles.event_target import EVENT_TARGET
from isomodel.oracles.identity import IDENTITY
from isomodel.oracles.leaked_secret import NO_LEAKED_SECRET
from isomodel.oracles.limits import LIMITS
from isomodel.oracles.liveness import LIVENESS
from isomodel.oracles.ownership import OWNERSHIP
from isomodel.oracles.promise import PROMISE
from isomodel.oracles.protocol import Invariant
from isomodel.oracles.rollback import ROLLBACK
from isomodel.oracles.shared_state import NO_SHARED_STATE
from isomodel.oracles.uniqueness import UNIQUENESS
from isomodel.oracles.validation import VALIDATION
from isomodel.values.execution import Execution
from isomodel.values.verdict import Finding

INVARIANTS: tuple[Invariant, ...] = (
    NO_LEAKED_SECRET,
    NO_SHARED_STATE,
    EVENT_TARGET,
    EVENT_ORDER,
    CONSERVATION,
    UNIQUENESS,
    LIMITS,
    VALIDATION,
    IDENTITY,
    OWNERSHIP,
    PROMISE,
    ROLLBACK,
    CLEANUP,
    LIVENESS,
)
"""Most telling first: a leak explains itself, a hang could have any cause."""


def judge(
    execution: Execution, invariants: tuple[Invariant, ...] = INVARIANTS
) -> tuple[Finding, ...]:
    """Everything these invariants find broken, in their order.

    Nothing found is no verdict yet: a target that notes no facts is not judged by most of them.
    """
    return tuple(finding for invariant in invariants for finding in invariant.check(execution))


__all__ = ["INVARIANTS", "Invariant", "judge"]
