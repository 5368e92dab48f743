"""The catalogue: each defect is noticed at its minimum, worked out by hand, and no story is one
of the sound layer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from isomodel.search.judging.isolate import QUICK
from isomodel.search.judging.judge import Judge
from isomodel.search.running.execute import execute, replay, session
from isomodel.search.shrinking.simplest import Limits, Probe, simplest
from isomodel.targets.declare import spec_of
from isomodel.targets.factory.defects import DEFECTS
from isomodel.targets.factory.target import FactoryLayer
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import Fault, Schedule, Switch
from isomodel.values.verdict import Finding

pytestmark = pytest.mark.timeout(60)

SPEC = spec_of(FactoryLayer)
ARGUMENTS: dict[str, dict[str, Any]] = {
    "run_agent": {"task": "{user}'s secret"},
    "send": {"message": "{user}'s secret", "times": 2},
    "track": {"what": "{user}'s secret"},
    "transfer": {"amount": 1},
    "overdraw": {"amount": 9},
    "burst": {"message": "{user}'s secret", "times": 4},
    "create_context": {"user_id": "me", "tag": "{user}'s secret"},
    "create_no_context": {"user_id": "", "tag": "{user}'s secret"},
    "write": {"session": {"made": "alice.1"}, "text": "{user}'s secret"},
    "close_session": {"session": {"made": "alice.1"}},
    "save": {"about": "bob", "memory": "{user}'s secret"},
    "prefer": {"taste": "{user}'s secret"},
}
CALLED = {"overdraw": "transfer", "burst": "send", "create_no_context": "create_context"}
STORIES: dict[str, dict[str, str]] = {
    "414-01": {
        "": "alice.open_session bob.transfer",
        "no shared state": "alice.open_session bob.open_session",
        "no leaked secret": "bob.open_session alice.open_session alice.write",
        "cleanup": "alice.open_session",
    },
    "414-02": {
        "liveness": "alice.overdraw alice.overdraw alice.transfer",
        "cleanup": "alice.overdraw",
        "noninterference": "alice.overdraw alice.overdraw bob.transfer",
    },
    "414-03": {"": "alice.open_session"},
    "414-04": {"": "alice.overdraw bob.transfer", "rollback": "alice.overdraw"},
    "414-05": {"": "alice.run_agent bob.run_agent"},
    "414-06": {"": "alice.create_context"},
    "414-07": {
        "": "alice.run_agent alice+run_agent",
        "noninterference": "alice.run_agent bob.run_agent",
    },
    "414-08": {
        "validation": "alice.create_context alice+create_no_context",
        "promise": "alice.create_context alice+create_context",
        "noninterference": "alice.create_context bob.create_no_context",
    },
    "414-09": {
        "": "alice.run_agent bob.run_agent",
        "promise": "alice.run_agent alice.run_agent",
    },
    "414-10": {"": "alice.send bob.send"},
    "414-11": {"": "alice.run_agent bob.run_agent"},
    "414-12": {
        "conservation": "alice.track alice+track",
        "noninterference": "alice.track bob.track",
    },
    "414-13": {
        "": "alice.disconnect bob.send alice.send",
        "no shared state": "alice.disconnect bob.connect",
        "noninterference": "alice.disconnect bob.send",
    },
    "414-14": {"": "alice.send bob.send"},
    "414-15": {"conservation": "alice.burst", "noninterference": "alice.send bob.send"},
    "414-16": {"": "alice.login bob.login", "uniqueness": "alice.login alice+login"},
    "iso-17": {"": "alice.prefer bob.prefer"},
    "iso-18": {"": "alice.run_agent bob.run_agent"},
    "iso-19": {
        "liveness": "alice.run_agent alice.run_agent",
        "noninterference": "alice.run_agent bob.run_agent",
    },
    "iso-20": {
        "conservation": "alice.track alice+track",
        "noninterference": "alice.track bob.track",
    },
    "iso-21": {"": "alice.save bob.login"},
    "iso-22": {
        "uniqueness": "alice.open_session alice.open_session",
        "event order": "alice.run_agent alice.run_agent",
        "conservation": "alice.send alice.send",
        "noninterference": "alice.open_session bob.open_session",
    },
    "iso-23": {
        "": "alice.create_context bob.create_context",
        "promise": "alice.create_context alice.create_context",
    },
    "iso-24": {"": "alice.send bob.send"},
    "iso-25": {"": "alice.track bob.track"},
    "iso-26": {"": "alice.track bob.track", "conservation": "alice.track"},
    "iso-27": {"": "alice.call bob.call"},
    "iso-28": {"": "alice.refresh bob.refresh"},
    "iso-29": {
        "liveness": "alice.refresh alice.refresh",
        "noninterference": "alice.refresh bob.refresh",
    },
    "iso-30": {"": "alice.login bob.login carol.login"},
    "iso-31": {"": "alice.call alice.call alice.call bob.call"},
    "iso-32": {"": "alice.send bob.send"},
    "iso-33": {"liveness": "alice.send alice+send", "noninterference": "alice.send bob.send"},
    "iso-34": {"conservation": "alice.send alice.send", "noninterference": "alice.send bob.send"},
    "iso-35": {"": "alice.connect alice.connect alice+connect"},
    "iso-36": {"": "alice.connect"},
    "iso-37": {"": "alice.reconnect"},
    "iso-38": {
        "": "alice.reconnect bob.reconnect alice.send",
        "no shared state": "alice.reconnect bob.reconnect",
        "cleanup": "alice.reconnect alice+reconnect",
    },
    "iso-39": {"": "alice.send alice+reconnect"},
    "iso-40": {"event order": "alice.burst", "conservation": "alice.burst alice+reconnect"},
    "iso-41": {"conservation": "alice.send", "event order": "alice.run_agent"},
    "iso-42": {
        "cleanup": "alice.transfer",
        "noninterference": "alice.transfer bob.open_session bob.transfer",
    },
    "iso-43": {"": "alice.open_session alice.open_session alice.transfer"},
    "iso-44": {
        "no shared state": "alice.transfer alice.open_session bob.open_session",
        "rollback": "alice.transfer alice.transfer alice+transfer",
        "noninterference": "alice.transfer bob.overdraw alice.transfer",
    },
    "iso-45": {"": "alice.overdraw bob.transfer"},
    "iso-46": {
        "noninterference": "alice.overdraw bob.transfer",
        "promise": "alice.overdraw alice+transfer",
        "rollback": "alice.overdraw bob.transfer bob.overdraw",
    },
    "iso-47": {
        "": "alice.open_session alice.close_session bob.transfer",
        "promise": "alice.open_session alice.close_session alice.open_session",
    },
    "iso-48": {"": "alice.run_agent bob.run_agent"},
    "iso-49": {
        "liveness": "alice.transfer alice+transfer",
        "noninterference": "alice.transfer bob.transfer",
    },
    "iso-50": {"": "alice.transfer alice.transfer bob.transfer"},
    "iso-51": {
        "no leaked secret": "alice.open_session alice.write bob.overdraw",
        "noninterference": "alice.transfer bob.overdraw",
    },
    "iso-52": {"": "alice.reconnect alice.send", "promise": "alice.run_agent alice+reconnect"},
}
"""For each defect and property ("" for the others) the operations; "+" starts one beside."""
LONG = ("iso-48",)
"""Stories for which many schedules are tried before the simplest is known."""
CASES = [
    pytest.param(defect, name, marks=[pytest.mark.slow] if defect in LONG else [])
    for defect, each in DEFECTS.items()
    for name in each.noticed_by
]


def scenario(story: str) -> Scenario:
    operations: list[Operation] = []
    for word in story.split():
        user, name = word.replace("+", ".").split(".")
        args = {
            key: value.format(user=user) if isinstance(value, str) else value
            for key, value in ARGUMENTS.get(name, {}).items()
        }
        number = 1 + sum(operation.user == user for operation in operations)
        called = CALLED.get(name, name)
        operations.append(Operation(f"{user}.{number}", user, called, args, "+" in word))
    return Scenario(tuple(operations))


TRIALS = {0: 400, 1: 2_500, 2: 2_500}
"""Executions in which a story of so many faults must show its simplest schedule."""


@pytest.mark.parametrize(("defect", "name"), CASES)
def test_the_defect_is_noticed_at_its_minimum(defect: str, name: str) -> None:
    minimum = DEFECTS[defect].minimum[name]
    story = scenario(STORIES[defect].get(name) or STORIES[defect][""])
    assert (len(story.users), len(story.operations)) == (minimum.users, minimum.operations)
    judge, wanted = Judge(SPEC, (defect,), witnesses=QUICK), Finding(name, "", operation="*")

    def run(probe: Probe, faults: tuple[Fault, ...]) -> tuple[Execution, Finding | None]:
        execution = execute(SPEC, story, probe, fidelity="stock", faults=faults, armed=(defect,))
        again = partial(replay, SPEC, story, execution.schedule, armed=(defect,))
        return execution, judge.same(execution, wanted, again)

    faults = minimum.faults
    limits = Limits(TRIALS[faults], faults=faults, kinds=frozenset({"cancel", "fail"}))
    with session():
        simple, _ = simplest(story, run, limits)
    assert simple is not None, "the story does not break the property"
    found = simple.execution.switches, len(simple.schedule.faults)
    assert found == (minimum.switches, minimum.faults)


def switches(story: Scenario) -> Iterator[Schedule]:
    """The default schedule, and all that leave the first operation once for another one."""
    first, *others = (operation.label for operation in story.operations)
    yield Schedule()
    for other, step, nth in itertools.product(others, range(1, 16), range(2)):
        yield Schedule(choices=(Switch(first, step, f"{other} start 0", nth),))


@pytest.mark.parametrize("story", sorted({s for each in STORIES.values() for s in each.values()}))
def test_the_sound_layer_is_silent_in_every_such_story(story: str) -> None:
    told, judge = scenario(story), Judge(SPEC)
    with session():
        for schedule in switches(told):
            run = partial(replay, SPEC, told, schedule)
            assert not judge(run(), run).findings
