"""Portfolio: which policy draws the next schedule, learned from what has paid so far.

No policy is best everywhere (docs/benchmarks.md, ``sct``): a walk that switches at every point
misses what needs many steps in a row, priorities miss what needs many switches. So each has a
share. What pays is an execution that shows conflicting events in an order not seen before; a
policy's weight is its rate of those, smoothed by a prior, and never less than a floor, so that the
portfolio is at worst a constant factor behind its best policy.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import msgspec

FLOOR = 0.05
"""The least weight of a policy, where 1 is that of one that pays every time."""

PRIOR = 4
"""How many executions the experience counts for with which a policy begins."""


class Share(msgspec.Struct, frozen=True):
    """What a policy has had of the budget, and how many of its executions showed something new."""

    policy: str
    executions: int
    paid: int


class Portfolio:
    """Shares a budget among these policies; a pure function of its draws and rewards.

    Each policy comes with the rate, from 0 to 1, at which it is expected to pay.
    """

    def __init__(self, policies: Mapping[str, float]) -> None:
        self._expected = dict(policies)
        self._policies = tuple(policies)
        self._tried = dict.fromkeys(policies, 0)
        self._judged = dict.fromkeys(policies, 0)
        self._paid = dict.fromkeys(policies, 0)

    def draw(self, source: random.Random) -> str:
        """The policy of the next execution."""
        weights = [self._weight(policy) for policy in self._policies]
        return source.choices(self._policies, weights)[0]

    def used(self, policy: str) -> None:
        """An execution of this policy was run."""
        self._tried[policy] += 1

    def judged(self, policy: str, *, new: bool) -> None:
        """One that was observed did or did not show anything new."""
        self._judged[policy] += 1
        self._paid[policy] += new

    def shares(self) -> tuple[Share, ...]:
        """Who has had what, in the order of the policies."""
        return tuple(
            Share(policy, self._tried[policy], self._paid[policy]) for policy in self._policies
        )

    def _weight(self, policy: str) -> float:
        expected = PRIOR * self._expected[policy]
        return max(FLOOR, (self._paid[policy] + expected) / (self._judged[policy] + PRIOR))
