"""Threads in code that is not the target's: where they are interrupted, and that it repeats."""

from __future__ import annotations

import itertools
import logging

import pytest
import sortedcontainers

pytest.importorskip("greenlet", reason="threads under control need the extra isomodel[threads]")

from isomodel.schedulers.random import RandomWalk
from isomodel.search.running.execute import execute, session
from isomodel.search.running.runtimes import prepared
from isomodel.targets.declare import operation, spec_of
from isomodel.values.errors import BadInput
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.trace import Step, apart

SCENARIO = Scenario((Operation("alice.1", "alice", "add"), Operation("bob.1", "bob", "add")))


class Names:
    """Users of a container that comes from an installed package."""

    runtime = "threads"

    def start(self) -> None:
        self.names = sortedcontainers.SortedList()

    @operation
    def add(self, user: str) -> int:
        self.names.add(user)
        return len(self.names)


class Whole(Names):
    within = ()


class Named(Names):
    within = ("sortedcontainers",)


fresh = (f"isomodel.tests.fresh.{number}" for number in itertools.count())
"""Names of loggers that this process has not used yet."""


class Logs:
    """Users whose requests log what nobody wants to read."""

    runtime = "threads"
    logger = logging.getLogger("isomodel.tests")

    @operation
    def add(self, user: str) -> str:
        self.logger.debug("%s adds", user)
        return user


def run(target: type, seed: int = 0) -> Execution:
    spec = spec_of(target)
    with session(), prepared(spec):
        return execute(spec, SCENARIO, RandomWalk(seed), fidelity="stock", record=True)


@pytest.mark.parametrize(("target", "inside"), [(Names, True), (Named, True), (Whole, False)])
def test_the_package_that_a_target_names_is_interrupted(target: type, inside: bool) -> None:
    places = {step.where for step in run(target).trace}
    assert any("sortedlist.py" in place for place in places) == inside


def test_a_target_says_by_name_what_else_is_under_test() -> None:
    for wrong, says in (("sortedcontainers", "write a tuple"), (("no_such_package",), "no_such")):
        cls = type("Wrong", (Names,), {"within": wrong})
        with pytest.raises(BadInput, match=says):
            spec_of(cls)


def test_the_first_record_of_a_logger_is_no_point() -> None:
    """A logger looks at its level under a lock, once: not every execution may see that lock."""
    Logs.logger = logging.getLogger(next(fresh))
    first, second = run(Logs), run(Logs)
    assert first.trace == second.trace


def test_two_executions_that_part_are_told_apart_by_what_differs() -> None:
    here, there = Step(0.0, "alice.1", "step", "a.py:1"), Step(0.0, "alice.1", "step", "b.py:2")
    assert apart(here, there) == "alice.1 step at a.py:1, then alice.1 step at b.py:2"
    assert (
        apart(here, Step(1.0, "alice.1", "step")) == "alice.1 step at 0 s, then alice.1 step at 1 s"
    )
    assert apart(here, Step(0.0, "bob.1", "step")) == "alice.1 step, then bob.1 step"
