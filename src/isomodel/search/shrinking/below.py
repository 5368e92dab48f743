"""From below: small scenarios that break the same property, whatever was found.

Removing one thing at a time ends in local minima; a defect found through a long way round often
has a short one. So the least scenarios are tried, then pairs of the operations that were found,
and at last another kind of operation in place of one.
"""

from __future__ import annotations

import itertools

import msgspec

from isomodel.search.exploring.generate import Pools
from isomodel.search.shrinking.edit import as_begun
from isomodel.search.shrinking.simplest import Attempt, Limits
from isomodel.search.shrinking.smaller import Smaller
from isomodel.search.shrinking.smallest import smallest
from isomodel.search.shrinking.trying import FEW, Trying, anywhere, may_break
from isomodel.targets.declare import TargetSpec
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import Schedule

TRIAL = 50
"""Executions spent on whether two operations fail alone."""

LONG_TRIAL = 250
"""The same where many operations are left: each thing less to remove saves as many."""


class Below:
    """Ways to a smaller failure that do not begin with the one that was found."""

    def __init__(self, spec: TargetSpec, pools: Pools, edits: Smaller, trying: Trying) -> None:
        self._spec = spec
        self._pools = pools
        self._edits = edits
        self._trying = trying
        self._tried: set[bytes] = set()

    def least(self, best: Attempt, known: set[str] | None = None) -> Attempt | None:
        """One of the least scenarios that breaks the same property under the default schedule.

        First those of operations ``known`` from what was found, which are few; when nothing more
        can be removed, all of them.
        """
        wanted = anywhere(best.finding)
        for scenario in smallest(self._spec, self._pools, best.size, known):
            if not may_break(scenario, wanted):
                continue
            key = msgspec.json.encode(scenario)
            if key in self._tried:
                continue
            self._tried.add(key)
            attempt = self._trying.attempt(scenario, Schedule("stock"), wanted)
            if attempt is not None:
                return attempt
        return None

    def paired(self, best: Attempt) -> Attempt:
        """The same property broken by two of its operations, where it seems to take more.

        Of many that run side by side none can be left out under the few schedules that are tried,
        while two of them, alone, are simple enough.
        """
        count = len(best.scenario.operations)
        if count < 3 or not best.cost:
            return best
        like = msgspec.structs.replace(best, finding=anywhere(best.finding))
        pairs = [each for each in self._edits.pairs(best.scenario) if may_break(each, like.finding)]
        tries = [(each, TRIAL) for each in pairs]
        if count > FEW:
            kind = best.finding.operation
            tries += [(each, LONG_TRIAL) for each in pairs if kind in _kinds(each)]
        for scenario, trials in tries:
            key = msgspec.json.encode((scenario, best.schedule.fidelity, trials))
            if key in self._tried:
                continue
            self._tried.add(key)
            found, _ = self._trying.searched(scenario, like, Limits(trials, first=True))
            if found is not None:
                return found
        return best

    def exchanged(self, best: Attempt) -> Attempt:
        """The same property broken under the default schedule, in any operation.

        Where the last schedule needed a switch or a fault, another order of operations may do
        without, or another kind of operation in place of one: no way of removing things leads
        there.
        """
        if not best.cost:
            return best
        wanted = anywhere(best.finding)
        plain = Schedule(best.schedule.fidelity)
        edits = self._edits
        listed = as_begun(best.scenario, best.execution)
        others = itertools.chain(edits.rearranged(best.scenario), edits.exchanged(listed))
        for scenario in (best.scenario, listed, *others):
            attempt = self._trying.attempt(scenario, plain, wanted)
            if attempt is not None:
                return attempt
        return best


def _kinds(scenario: Scenario) -> set[str]:
    return {operation.name for operation in scenario.operations}
