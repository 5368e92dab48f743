"""The kept regression tests of the factory layer: one for each defect, hunted, shrunk, written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from isomodel.bridges.regression import write
from isomodel.search import cases
from isomodel.search.exploring.explore import Explorer
from isomodel.search.judging.judge import Oracles
from isomodel.search.running.execute import session
from isomodel.search.shrinking.shrink import Shrinker
from isomodel.targets.declare import TargetSpec
from isomodel.targets.factory.defects import DEFECTS, Defect
from isomodel.targets.resolve import BUILTIN, resolve
from isomodel.values.case import Case, Size
from isomodel.values.errors import IsomodelError

EXECUTIONS = 20_000
"""Executions spent on one defect at most."""

ATTEMPTS = 8
"""Counterexamples shrunk at most until one has the size worked out by hand."""

USERS, OPERATIONS = 2, 3
"""What is small from the start shrinks faster, and more often to the minimum."""


def write_all(folder: Path) -> list[Path]:
    """Write a test for every defect, and its case file into ``folder/cases``; the tests.

    Raises IsomodelError if a defect is not found by the property that must notice it first.
    """
    spec = resolve(BUILTIN[0])
    tests = []
    for defect in DEFECTS.values():
        case = smallest(spec, defect)
        cases.save(case, folder / "cases")
        tests.append(write(case, folder, title=defect.title))
    return tests


def smallest(spec: TargetSpec, defect: Defect) -> Case:
    """The smallest of a few shrunk counterexamples to the property the defect is about."""
    wanted = defect.noticed_by[0]
    best: Case | None = None
    with session():
        for case in _counterexamples(spec, defect.id, wanted):
            if best is None or _to_follow(case.size) < _to_follow(best.size):
                best = case
            if best.size <= defect.minimum[wanted]:
                break
    if best is None:
        raise IsomodelError(f"{defect.id}: {wanted!r} did not break in {EXECUTIONS} executions")
    return best


def _to_follow(size: Size) -> tuple[int, Size]:
    """How much a person has to follow: one user less is not worth three switches more."""
    return size.users + size.operations + size.switches + size.faults, size


def _counterexamples(spec: TargetSpec, defect: str, wanted: str) -> Iterator[Case]:
    oracles: Oracles = "noninterference" if wanted == "noninterference" else "invariants"
    minimum = DEFECTS[defect].minimum[wanted]
    explorer = Explorer(
        spec,
        seed=1,
        fidelities=("stock",),
        armed=(defect,),
        oracles=oracles,
        users=max(USERS, minimum.users),
        operations=max(OPERATIONS, minimum.operations),
    )
    shrinker = Shrinker(spec, (defect,))
    found = 0
    for index in range(EXECUTIONS):
        draw = explorer.draw(index)
        execution = explorer.run(draw)
        explorer.learn(draw, execution)
        for finding in explorer.judge(execution, partial(explorer.run, draw)).findings:
            if finding.property == wanted:
                yield shrinker.shrink(explorer.run(draw, record=True), finding, seed=1)
                found += 1
                break
        if found == ATTEMPTS:
            return
