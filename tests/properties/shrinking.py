"""Cases for tests: hunt for a failure that must be there, and shrink it."""

from __future__ import annotations

from typing import Any

from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.exploring.tally import Outcome
from isomodel.search.running.execute import session
from isomodel.search.shrinking.shrink import Shrinker
from isomodel.targets.declare import TargetSpec, spec_of
from isomodel.values.case import Case


def hunted(target: type | TargetSpec, seed: int = 0, **options: Any) -> Outcome:
    """What 2,000 executions find; the caller holds the session."""
    return Explorer(_spec(target), seed=seed, **options).hunt(Budget(2_000))


def shrunk(target: type | TargetSpec, seed: int = 0, **options: Any) -> Case:
    """The least that still fails of what they find; fails where they find nothing."""
    with session():
        outcome = hunted(target, seed, **options)
        assert outcome.execution is not None, outcome.verdict
        assert outcome.finding is not None
        shrinker = Shrinker(_spec(target), options.get("armed", ()))
        return shrinker.shrink(outcome.execution, outcome.finding)


def _spec(target: type | TargetSpec) -> TargetSpec:
    return target if isinstance(target, TargetSpec) else spec_of(target)
