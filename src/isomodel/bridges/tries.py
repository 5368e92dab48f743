"""The executions a machine makes of one scenario: simple schedules first, then random ones.

Everything here is a function of target and scenario alone, so that Hypothesis, which runs an
example again to show it or to make it smaller, sees the same result each time.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from isomodel.engine.protocol import Scheduler
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.random import RandomWalk
from isomodel.schedulers.replay import Replay
from isomodel.search.exploring.generate import fault_of, kinds_of
from isomodel.search.running.execute import execute
from isomodel.search.shrinking.simplest import Probe, possible_faults
from isomodel.targets.declare import TargetSpec
from isomodel.values.execution import Execution
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import Fault, Fidelity, Switch


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
    single = _one_more(spec, run(lambda: probe)(), probe)
    source.shuffle(single)
    single = single[: count // 2]
    for one in single:
        if isinstance(one, Switch):
            yield run(partial(Replay, (one,)))
        else:
            yield run(Default, (one,))
    for number in range(count - 1 - len(single)):
        victim = source.choice(scenario.operations)
        faults = (fault_of(spec, victim, source),) if number % 2 else ()
        yield run(partial(RandomWalk, source.getrandbits(48)), faults)


def _one_more(spec: TargetSpec, first: Execution, probe: Probe) -> list[Switch | Fault]:
    """Every departure from the default schedule by one switch or one fault."""
    out: list[Switch | Fault] = [
        Switch(question.after, question.step, key, question.nth)
        for question in probe.questions
        for key, _ in question.alternatives
    ]
    return [*out, *possible_faults(first, kinds_of(spec))]
