"""What a test fails with when nothing is violated, and yet nothing was shown."""

from __future__ import annotations

from isomodel.values.errors import IsomodelError


class Unknown(IsomodelError, AssertionError):
    """Neither a violation nor evidence of its absence; the message says why, and what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"unknown: {reason}")
