"""Verdict: what judging concluded, and the findings it rests on."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One broken property of one execution.

    ``property`` is the oracle's name; ``user`` the one harmed; ``operation`` the name of the
    operation or final check at which it showed, and ``label`` that operation's label.
    ``message`` is one sentence for a person; ``evidence`` the values behind it (``with`` and
    ``alone`` for noninterference).
    """

    property: str
    message: str
    user: str = ""
    operation: str = ""
    label: str = ""
    evidence: dict[str, Any] = {}

    def same_failure(self, other: Finding) -> bool:
        """Whether both break the same property in the same place; "*" stands for any place."""
        anywhere = "*" in (self.operation, other.operation)
        return self.property == other.property and (anywhere or self.operation == other.operation)


class Verdict(msgspec.Struct, frozen=True):
    """``ok``, ``violated`` or ``unknown``, never ``ok`` where nothing was checked.

    ``reason`` says why it is unknown, or on how much an ``ok`` rests; ``executions`` counts
    the runs judged, alone runs of noninterference not included.
    """

    status: Literal["ok", "violated", "unknown"]
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    executions: int = 0
