"""What a defect of the catalogue is, and the sizes of the smallest counterexamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from isomodel.targets.factory.layer import Parts
from isomodel.values.case import Size


@dataclass(frozen=True, slots=True)
class Defect:
    """One known fault, and what must notice it.

    ``minimum`` maps each property that must notice the fault to the size of its smallest
    counterexample; the first is the one the report of the failure is about.
    """

    id: str
    title: str
    breaks: str
    minimum: Mapping[str, Size]
    arm: Callable[[Parts], Parts]

    @property
    def noticed_by(self) -> tuple[str, ...]:
        """The properties that must notice it."""
        return tuple(self.minimum)


ONE = Size(1, 1, 0, 0)
"""One operation of one user."""
TWO = Size(2, 2, 0, 0)
"""Two users, one operation each, one after the other."""
RACE = Size(2, 2, 1, 0)
"""Two users, one operation each, the second while the first one waits."""
OWN_RACE = Size(1, 2, 1, 0)
"""One user, two operations side by side, the second while the first one waits."""
THREE = Size(2, 3, 0, 0)
"""Two users, three operations, one after the other."""
FAULT = Size(1, 1, 0, 1)
"""One operation of one user, struck by a fault."""
TWO_FAULT = Size(2, 2, 0, 1)
"""Two users, one operation each, one after the other; a fault strikes the first."""
OWN_TWO = Size(1, 2, 0, 0)
"""One user, two operations, one after the other."""
OWN_FAULT = Size(1, 2, 0, 1)
"""One user, two operations, one after the other; a fault strikes the first."""
