"""Shrinking: the fewest users, operations, faults and switches that still break the property.

The least scenarios are tried first (``below``). Then the found one shrinks by removing one thing
at a time (``whittle``); whether what is left can still fail is a search of its own, fewest
switches first (``trying``, ``simplest``): a schedule that fitted the larger scenario rarely fits
the smaller one. The result is 1-minimal, nothing single can be removed without losing the
failure, and then made easier to read (``polish``).
"""

from __future__ import annotations

import platform
from importlib.metadata import version

from isomodel.search.exploring.generate import pools_of
from isomodel.search.shrinking.as_stock import MANY, SOME, AsStock
from isomodel.search.shrinking.below import Below
from isomodel.search.shrinking.polish import Polish
from isomodel.search.shrinking.simplest import Attempt, Limits
from isomodel.search.shrinking.smaller import Smaller
from isomodel.search.shrinking.trying import FEW, OutOfTime, Trying
from isomodel.search.shrinking.whittle import Whittling
from isomodel.targets.declare import TargetSpec
from isomodel.values.case import Case, Origin
from isomodel.values.execution import Execution
from isomodel.values.schedule import Fidelity
from isomodel.values.verdict import Finding

RETRIAL = 250
"""Executions spent on whether a scenario that is small already can do with less."""

FULL = 1_200
"""Executions spent on the simplest schedule of the smallest scenario."""

SECONDS = 120.0
"""CPU time that shrinking may take. Hardly any case needs a tenth of it."""


class Shrinker:
    """Shrinks counterexamples of one target.

    After ``seconds`` of CPU time it is content with the smallest case so far, which then says so.
    """

    def __init__(
        self, spec: TargetSpec, armed: tuple[str, ...] = (), *, seconds: float = SECONDS
    ) -> None:
        self._spec = spec
        self._armed = armed
        pools = pools_of(spec)
        edits = Smaller(spec, pools)
        self._trying = Trying(spec, armed, seconds)
        self._below = Below(spec, pools, edits, self._trying)
        self._whittling = Whittling(edits, self._trying)
        self._polish = Polish(edits, self._trying)
        self._stock = AsStock(self._trying)

    @property
    def stock_tries(self) -> int:
        """How many of them looked under ``stock`` for what was found under ``portable``."""
        return self._stock.tries

    @property
    def executions(self) -> int:
        """Joint executions so far."""
        return self._trying.executions

    def shrink(self, execution: Execution, finding: Finding, *, seed: int = 0) -> Case:
        """A 1-minimal case that breaks the same property, under ``stock`` if it can.

        Where whittling is needed the failure also keeps showing in the same operation.
        """
        found = Attempt(execution.scenario, execution.schedule, execution, finding)
        first = found.schedule.fidelity
        self._trying.begin(found)
        try:
            if first == "portable":
                found = self._stock.by_luck(found) or found
            best, complete = self._shrunk(found)
            if best.schedule.fidelity == "portable":
                best, complete = self._as_stock(found, best) or (best, complete)
            best, complete = self._polished(best, complete)
        except OutOfTime:
            best, complete = self._trying.smallest, False
        if not self._trying.beyond_doubt(best):
            best, complete = found, False
        return self._case(best, complete, seed, first)

    def _polished(self, best: Attempt, complete: bool) -> tuple[Attempt, bool]:
        """The same, plainer; where that lets something be removed, from what is left then."""
        plainer = self._polish.polished(best)
        smaller = self._whittling.quick(plainer, arguments=False)
        if smaller.extent == plainer.extent:
            return plainer, complete
        best, complete = self._shrunk(smaller)
        return self._polish.polished(best), complete

    def _shrunk(self, best: Attempt) -> tuple[Attempt, bool]:
        known = {operation.name for operation in best.scenario.operations}
        best = self._below.least(best, known) or self._whittled(best)
        best = self._below.least(best) or self._below.paired(best)
        best, complete = self._plainest(best)
        smaller = self._whittling.smaller(best, RETRIAL, arguments=False)
        return (best, complete) if smaller is best else self._plainest(smaller)

    def _whittled(self, best: Attempt) -> Attempt:
        """With less of everything, under ``stock`` from the moment that it can be had there."""
        best = self._whittling.quick(best)
        if best.schedule.fidelity == "portable":
            best = self._stock.by_luck(best) or best
        if len(best.scenario.operations) > FEW:
            best = self._below.paired(best)
        best = self._whittling.whittled(best)
        if best.schedule.fidelity == "portable":
            best = self._stock.by_search(best, Limits(SOME, first=True))[0] or best
        return best

    def _plainest(self, best: Attempt) -> tuple[Attempt, bool]:
        """The same under the default schedule, if some like it fails there, or the simplest."""
        best, complete = self._simplest_schedule(best)
        plain = self._below.exchanged(best)
        return (best, complete) if plain is best else (plain, True)

    def _simplest_schedule(self, best: Attempt) -> tuple[Attempt, bool]:
        limits = Limits(FULL, below=best.cost)
        found, complete = self._trying.searched(best.scenario, best, limits)
        return (found or best), complete

    def _as_stock(self, found: Attempt, best: Attempt) -> tuple[Attempt, bool] | None:
        """The same failure under ``stock``, if it can be had: in the shrunk scenario, by search,
        or in the one that was found, by walks; the latter is shrunk anew.
        """
        attempt, complete = self._stock.by_search(best, Limits(MANY))
        if attempt is not None:
            return attempt, complete
        attempt = self._stock.by_walks(found)
        return None if attempt is None else self._shrunk(attempt)

    def _case(self, best: Attempt, complete: bool, seed: int, fidelity: Fidelity) -> Case:
        stock = best.schedule.fidelity == "stock"
        return Case(
            target=self._spec.name,
            scenario=best.scenario,
            schedule=best.schedule,
            finding=best.finding,
            size=best.size,
            armed=self._armed,
            minimal=complete,
            cut_short=not complete,
            confirmed={"stock": False, best.schedule.fidelity: True},
            searched={} if stock or not self.stock_tries else {"stock": self.stock_tries},
            origin=Origin(platform.python_version(), version("isomodel"), seed, fidelity=fidelity),
            runtime=self._spec.runtime,
        )
