"""The executions a machine makes of one scenario: simple schedules first, then random ones.

Everything here is a function of target and scenario alone, so that Hypothesis, which runs an
example again to show it or to make it smaller, sees the same result each time.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import msgspec

from isomodel.engine.protocol import Scheduler
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.random import RandomWalk
from isomodel.schedulers.replay import Replay
from isomodel.search.execute import execute
from isomodel.search.simplest import Probe
from isomodel.targets.declare import TargetSpec
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import Fault, Fidelity, Switch

MOST_STEPS = 40
"""Random cancellations come no later than after so many steps."""


def stable_hash(value: object) -> int:
    """A number that is the same for equal plain values in every process."""
    return zlib.crc32(msgspec.json.encode(value))


def tries(
    spec: TargetSpec,
    scenario: Scenario,
    fidelity: Fidelity,
    count: int,
    *,
    armed: tuple[str, ...] = (),
) -> Iterator[Callable[[], Execution]]:
    """``count`` ways to run ``scenario``; each gives the same execution whenever it is called.

    First the default schedule; then, for up to half of them, one switch or one fault more than
    that; then random walks, every other one with a random fault.
    """

    def run(
        scheduler: Callable[[], Scheduler], faults: tuple[Fault, ...] = ()
    ) -> Callable[[], Execution]:
        return lambda: execute(
            spec, scenario, scheduler(), fidelity=fidelity, faults=faults, armed=armed
        )

    yield run(Default)
    source = random.Random(stable_hash((scenario, fidelity)))
    probe = Probe(())
    single = _one_more(run(lambda: probe)(), probe)
    source.shuffle(single)
    single = single[: count // 2]
    for one in single:
        if isinstance(one, Switch):
            yield run(partial(Replay, (one,)))
        else:
            yield run(Default, (one,))
    for number in range(count - 1 - len(single)):
        faults = (_fault(scenario.operations, source),) if number % 2 else ()
        yield run(partial(RandomWalk, source.getrandbits(48)), faults)


def _one_more(first: Execution, probe: Probe) -> list[Switch | Fault]:
    """Every departure from the default schedule by one switch or one fault."""
    out: list[Switch | Fault] = [
        Switch(question.after, question.step, key, question.nth)
        for question in probe.questions
        for key, _ in question.alternatives
    ]
    steps: dict[str, int] = {}
    for step in first.trace:
        if step.what == "step":
            steps[step.task] = steps.get(step.task, 0) + 1
    for operation in first.scenario.operations:
        label = operation.label
        arrivals = sum(1 for each in first.arrivals if each.key.partition(" ")[0] == label)
        out += [Fault("cancel", label, at) for at in range(1, steps.get(label, 0) + 1)]
        out += [Fault("fail", label, at) for at in range(arrivals - 1)]
    return out


def _fault(operations: tuple[Operation, ...], source: random.Random) -> Fault:
    kind: Literal["cancel", "fail"] = source.choice(("cancel", "cancel", "fail"))
    at = min(int(source.expovariate(0.4)), MOST_STEPS)
    return Fault(kind, source.choice(operations).label, at + (kind == "cancel"))
