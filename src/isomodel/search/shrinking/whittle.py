"""From above: a failure with one thing less, again and again, until nothing can be spared."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from isomodel.search.shrinking.edit import kept, relabelled_schedule, without
from isomodel.search.shrinking.simplest import Attempt, Limits
from isomodel.search.shrinking.smaller import Edits, Smaller
from isomodel.search.shrinking.trying import FEW, Trying, may_break
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import Schedule

TRIAL = 50
"""Executions spent on whether a smaller scenario still fails, while there is much to remove."""

SIMPLER_TRIAL = 10
"""The same on one with simpler arguments, which seldom needs another schedule."""

MORE = 1
"""Departures from the default rule that a smaller scenario may need beyond those of the larger."""

REDUCING = 100
"""Executions spent on leaving out what a schedule says, one thing or many at a time."""

WALKS = 12
"""Random schedules tried on a smaller scenario after the systematic ones."""


class Whittling:
    """Removes users, operations and arguments; the failure keeps showing in the same operation."""

    def __init__(self, edits: Smaller, trying: Trying) -> None:
        self._edits = edits
        self._trying = trying

    def whittled(self, best: Attempt) -> Attempt:
        """With less of everything, and then with other arguments in place of faults."""
        if len(best.scenario.operations) > FEW:
            best = self.smaller(best, TRIAL)
        return self._traded(best)

    def smaller(self, best: Attempt, trials: int, *, arguments: bool = True) -> Attempt:
        """Pass after pass of every edit, the boldest first, until none succeeds any more.

        What the schedule at hand shows comes first: a search for another one costs as much as all
        of that together.
        """
        return self._passes(self.quick(best, arguments=arguments), trials, arguments=arguments)

    def quick(self, best: Attempt, *, arguments: bool = True) -> Attempt:
        """The same, with what is left in the order it came in, or by the schedule it had."""
        best = self._trying.reduced(self._passes(best, 0, arguments=False), REDUCING)
        simpler = self._passes(best, 0, arguments=True) if arguments else best
        return best if simpler is best else self._trying.reduced(simpler, REDUCING)

    def _passes(self, best: Attempt, trials: int, *, arguments: bool) -> Attempt:
        edits = self._edits
        passes = [
            (edits.without_user, trials),
            (edits.without_operation, trials),
            (edits.merged, trials),
        ]
        if arguments:
            passes.append((edits.simpler, min(trials, SIMPLER_TRIAL)))
        sound: set[bytes] = set()
        before = None
        while best is not before:
            before = best
            for each, most in passes:
                best = self._passed(best, each, most, sound)
        return best

    def _passed(self, best: Attempt, edits: Edits, trials: int, sound: set[bytes]) -> Attempt:
        """Each edit once. ``sound`` are scenarios that do not fail, as far as one can see."""
        done: set[str] = set()
        progress = True
        while progress:
            progress = False
            for name, candidate, labels in edits(best.scenario):
                if name in done:
                    continue
                done.add(name)
                key = msgspec.json.encode(candidate)
                if key in sound or not may_break(candidate, best.finding):
                    continue
                attempt = self._fails(candidate, best, labels, trials)
                if attempt is not None:
                    best, progress = attempt, True
                    break
                sound.add(key)
        return best

    def _fails(
        self, scenario: Scenario, like: Attempt, labels: dict[str, str], trials: int
    ) -> Attempt | None:
        """An execution of this scenario that fails as ``like`` does, if one is found cheaply."""
        trying = self._trying
        named = relabelled_schedule(like.schedule, labels) if labels else like.schedule
        rest = kept(named, {operation.label for operation in scenario.operations})
        if not trials:
            found = trying.attempt(scenario, rest, like.finding)
            if found is None and like.schedule.choices:
                found = trying.followed(scenario, like, rest.faults, labels)
            return found
        departures = len(like.schedule.choices) + MORE
        limits = Limits(trials, first=True, departures=departures)
        found, _ = trying.searched(scenario, like, limits)
        if found is None and like.execution.switches > 1:
            found = trying.walked(scenario, like, rest.faults, WALKS)
        return found

    def _traded(self, best: Attempt) -> Attempt:
        """The same failure with another argument in place of a fault or an operation, or with one
        operation repeated in place of two.

        What an injected error or many operations set off, a refused argument often does, too.
        """
        progress = True
        while progress:
            progress = False
            for scenario, schedule in self._trades(best):
                attempt = self._trying.attempt(scenario, schedule, best.finding)
                if attempt is not None:
                    best, progress = attempt, True
                    break
        return best

    def _trades(self, best: Attempt) -> Iterator[tuple[Scenario, Schedule]]:
        scenario, schedule = best.scenario, best.schedule
        others = self._edits.with_other_arguments
        if schedule.faults:
            faultless = msgspec.structs.replace(schedule, faults=())
            for changed in others(scenario):
                yield changed, faultless
        for operation in scenario.operations:
            fewer = without(scenario, operation.label)
            rest = kept(schedule, {other.label for other in fewer.operations})
            for changed in others(fewer):
                yield changed, rest
        for changed in self._edits.repeated(scenario):
            yield changed, kept(schedule, {operation.label for operation in changed.operations})
