"""Easier to read, at the same cost: the last touches to a counterexample."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from isomodel.search.shrinking.edit import relabelled_schedule, with_fault
from isomodel.search.shrinking.simplest import Attempt, Limits
from isomodel.search.shrinking.smaller import Smaller
from isomodel.search.shrinking.trying import PLAINER, Trying
from isomodel.values.schedule import STRIKES, Fault, Schedule

TRIAL = 50
"""Executions spent on another order of the operations."""

RETRIAL = 250
"""Executions spent on whether switches can stand in for a fault, or arrivals come one by one."""


class Polish:
    """Makes a shrunk failure plainer; no step makes it larger."""

    def __init__(self, edits: Smaller, trying: Trying) -> None:
        self._edits = edits
        self._trying = trying

    def polished(self, best: Attempt) -> Attempt:
        """All touches, one after the other."""
        best = self._plain(self._faultless(best))
        best = self._in_order(self._tidied(self._separated(best)))
        return self._renamed(best)

    def _faultless(self, best: Attempt) -> Attempt:
        """The same with switches in place of faults: they show what the system does by itself.

        What a fault sets off, another argument may set off, too, but at another moment.
        """
        if not best.schedule.faults:
            return best
        schedule = msgspec.structs.replace(best.schedule, faults=())
        like = msgspec.structs.replace(best, schedule=schedule)
        departures = best.cost + len(best.schedule.choices)
        limits = Limits(RETRIAL, below=best.cost + 1, first=True, departures=departures)
        fewer = msgspec.structs.replace(limits, trials=TRIAL)
        edits = self._edits
        others = (*edits.with_other_arguments(best.scenario), *edits.rearranged(best.scenario))
        tries = [(best.scenario, limits), *((scenario, fewer) for scenario in others)]
        for scenario, each in tries:
            found, _ = self._trying.searched(scenario, like, each)
            if found is not None:
                return found
        return best

    def _plain(self, best: Attempt) -> Attempt:
        """The same with the plainest kind of each fault."""
        for index, fault in enumerate(best.schedule.faults):
            for kind in PLAINER.get(fault.kind, ()):
                plainer = with_fault(best.schedule, index, Fault(kind, fault.task, fault.at))
                attempt = self._trying.attempt(best.scenario, plainer, best.finding)
                if attempt is not None and attempt.cost <= best.cost:
                    best = attempt
                    break
        return best

    def _separated(self, best: Attempt) -> Attempt:
        """The same with nothing that joins an iteration where arrivals one by one would do."""
        if not any(choice.nth for choice in best.schedule.choices):
            return best
        limits = Limits(RETRIAL, below=best.cost + 1, first=True, joins=False)
        found, _ = self._trying.searched(best.scenario, best, limits)
        return found or best

    def _tidied(self, best: Attempt) -> Attempt:
        """The same cost with fewer choices that cost nothing: each is one more thing to read."""
        progress = True
        while progress:
            progress = False
            for schedule in _tidier(best):
                attempt = self._trying.attempt(best.scenario, schedule, best.finding)
                if (
                    attempt is not None
                    and attempt.cost <= best.cost
                    and len(attempt.schedule.choices) < len(best.schedule.choices)
                ):
                    best, progress = attempt, True
                    break
        return best

    def _in_order(self, best: Attempt) -> Attempt:
        """The same with operations listed as they come, which takes fewer choices to tell."""
        progress = True
        while progress and len(best.schedule.choices) > best.execution.switches:
            progress = False
            for scenario in self._edits.rearranged(best.scenario):
                limits = Limits(TRIAL, below=best.cost + 1, first=True, joins=False)
                found, _ = self._trying.searched(scenario, best, limits)
                if found and len(found.schedule.choices) < len(best.schedule.choices):
                    best, progress = found, True
                    break
        return best

    def _renamed(self, best: Attempt) -> Attempt:
        """Users and operations numbered from the start again, if it still fails that way."""
        scenario, labels = self._edits.numbered_anew(best.scenario)
        if all(old == new for old, new in labels.items()):
            return best
        schedule = relabelled_schedule(best.schedule, labels)
        return self._trying.attempt(scenario, schedule, best.finding) or best


def _tidier(best: Attempt) -> Iterator[Schedule]:
    """The schedule without its choices and a strike later instead, or without one choice."""
    schedule = best.schedule
    if not schedule.choices:
        return
    for index, fault in enumerate(schedule.faults):
        if fault.kind in STRIKES:
            for at in range(fault.at, fault.at + len(schedule.choices) + 1):
                moved = with_fault(schedule, index, Fault(fault.kind, fault.task, at))
                yield msgspec.structs.replace(moved, choices=())
    for index in range(len(schedule.choices)):
        rest = (*schedule.choices[:index], *schedule.choices[index + 1 :])
        yield msgspec.structs.replace(schedule, choices=rest)
