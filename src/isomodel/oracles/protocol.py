"""What an oracle is: a name, an explanation, and a pure function of an execution."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from isomodel.values.execution import Execution
from isomodel.values.verdict import Finding

Check: TypeAlias = Callable[[Execution], list[Finding]]
"""Reads an execution, changes nothing, and lists what is broken, in the same order each time."""


class Invariant(msgspec.Struct, frozen=True):
    """A named check. ``explanation`` says what it means, when it fires, and what can fool it.

    ``check`` must return at once where the target reported nothing that concerns it, because
    it is called after every one of thousands of executions; it must never iterate a set, or
    two runs of one execution would list their findings in different orders.
    """

    name: str
    explanation: str
    check: Check
