"""Sweep: single faults, at every place at which one can strike, each place once.

Most released bugs are one cancellation at one await, or one failing I/O. Drawn at random, the
fault of the right kind at the right step of the right operation comes about once in a thousand
executions of a system of some size; yet there are only some hundred places. So a hunt keeps a
table of them: a *place* is a kind of fault, a kind of operation, the line at which its task waits
(with all that called it), and whether what it waits for has come. Executions without faults show
which there are (``survey``); those not struck yet are struck, one an execution. The same line
is one place however often a loop comes by it.

First one operation comes after another, each kind followed by another user's; then each stands
beside others, all of them advancing in turn, so that they wait for one another; from then on there
are other scenarios under random walks.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from isomodel.search.exploring.generate import Generator
from isomodel.search.exploring.survey import Moment
from isomodel.search.shrinking.simplest import NETWORK
from isomodel.targets.declare import TargetSpec
from isomodel.values.execution import Execution
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import STRIKES, Fault, FaultKind, Fidelity

ORDERS = ("default", "in turn")
"""Orders in which each kind of operation is struck, before there are random walks."""

LATER: dict[FaultKind, int] = {
    **dict.fromkeys(("timeout", "scope", "refuse"), 1),
    **dict.fromkeys(("slow", "jump", "split", "partition"), 2),
}
"""Kinds of faults that have their turn later than others: what comes of most of them, those of
another kind at the same place have shown."""

STAGES = len(ORDERS) * (1 + max(LATER.values()))
"""Each kind of fault, in each order: after these there are random walks."""

NOT_FAULTY = frozenset(("", "step", "start", "cancel", "jump", "due", "refusal"))
"""Arrivals of an operation that no fault strikes."""


class Strike(msgspec.Struct, frozen=True):
    """An execution of a sweep: this scenario in this order, struck by one fault, or by none yet.

    ``walk`` is the seed of an order that is random; ``passed`` and ``late`` are ``Striking``'s.
    """

    scenario: Scenario
    order: str
    walk: int
    faults: tuple[Fault, ...] = ()
    passed: int = 0
    late: bool = False
    only: str = ""
    """The kind of operation that is struck; any, if empty."""


class _Turn(NamedTuple):
    """A strike with its place in the queue."""

    stage: int
    number: int
    strike: Strike


class Sweep:
    """Which places of one target are known, and which of them were struck.

    A pure function of ``seed`` and of what it has learned. ``queues``: a stock asyncio loop queues
    what strikes behind what is ready.
    """

    def __init__(
        self, spec: TargetSpec, generator: Generator, fidelity: Fidelity, seed: int
    ) -> None:
        self._spec = spec
        self._generator = generator
        self.queues = spec.runtime == "asyncio" and fidelity == "stock"
        self._seed = f"{seed}/{fidelity}/sweep"
        self._names = list(generator.names)
        random.Random(self._seed).shuffle(self._names)
        self._known: set[Hashable] = set()
        self._left: list[_Turn] = []
        self._scenarios = 0

    @property
    def is_thorough(self) -> bool:
        """Whether each kind of operation was struck at each known place in each of ``ORDERS``."""
        return self._stage >= STAGES and not (self._left and self._left[0].stage < STAGES)

    @property
    def _stage(self) -> int:
        """Of the next scenario, which comes when that of its own and earlier stages are struck."""
        each = len(self._names)
        further = self._scenarios - len(ORDERS) * each
        return self._scenarios // each if further < 0 else STAGES + further

    def next(self) -> Strike:
        """What to execute next; the same until something is learned."""
        if self._left and self._left[0].stage <= self._stage:
            return self._left[0].strike
        return self._scenario()

    def learn(self, execution: Execution, survey: Callable[[], Sequence[Moment]]) -> bool:
        """Take note of how ``next()`` went; whether it struck, or showed, a place not known before.

        ``survey`` tells of the moments of an execution without faults.
        """
        strike = self.next()
        if strike.faults:
            heapq.heappop(self._left)
            return bool(execution.fired)
        before, stage = len(self._known), self._stage
        if execution.ended == "done":
            for place, fault, passed in self._possible(strike, execution, survey()):
                if place in self._known:
                    continue
                self._known.add(place)
                later = LATER.get(fault.kind, 0) * len(ORDERS) if stage < STAGES else 0
                struck = msgspec.structs.replace(
                    strike, faults=(fault,), passed=passed, late=_is_late(fault, strike.order)
                )
                heapq.heappush(self._left, _Turn(stage + later, len(self._known), struck))
        self._scenarios += 1
        return len(self._known) > before

    # Scenarios

    def _scenario(self) -> Strike:
        """The next one to be struck, not struck yet."""
        number = self._scenarios
        draw = random.Random(f"{self._seed}/{number}")
        if self._stage < len(ORDERS):
            name, other = (self._names[(number + n) % len(self._names)] for n in range(2))
            only = "" if self._stage else name  # the other one is followed by its own user
            return Strike(self._small(name, other, draw), ORDERS[self._stage], 0, only=only)
        kinds = [draw.choice(self._names) for _ in range(2)]
        return Strike(self._generator.scenario(draw, kinds), "walk", draw.getrandbits(48))

    def _small(self, name: str, other: str, draw: random.Random) -> Scenario:
        """One user's ``name`` is followed by another's, or comes beside an own one and another's.

        What they do besides makes them differ in what they would see of each other.
        """
        generator = self._generator
        others = (other,) if other != name and generator.most_operations > 1 else ()
        if self._stage:
            return generator.small(((name, name), (name, *others)), draw, beside=True)
        mine = (*others, name) if generator.most_users > 1 else (*others, name, name)
        return generator.small((mine, (name, *others)), draw, beside=False)

    # Places

    def _possible(
        self, strike: Strike, execution: Execution, moments: Sequence[Moment]
    ) -> Iterator[tuple[Hashable, Fault, int]]:
        """Each fault that may strike this execution, at which place, and after how many moments."""
        order, only = strike.order == ORDERS[0], strike.only
        names = {
            operation.label: operation.name
            for operation in execution.scenario.operations
            if operation.name == only or not only
        }
        steps = Counter(step.task for step in execution.trace if step.what == "step")
        for moment in moments:
            label, _, inner = moment.task.partition("/")
            if label not in names:
                continue
            if self.queues and moment.can_go_on and moment.steps + 1 >= steps[moment.task]:
                continue  # it would be struck behind its last step
            other, _, its = moment.other.partition("/")
            beside = names.get(other, other), its, moment.there
            where = (order, names[label], inner, moment.where, moment.state, beside)
            for kind in self._strikes(inner):
                yield (*where, kind), Fault(kind, moment.task, moment.steps), moment.passed
        if self.queues:  # behind a first step, before the task waits for anything
            for task in dict.fromkeys((*names, *(moment.task for moment in moments))):
                label, _, inner = task.partition("/")
                if label not in names or steps[task] < 2:
                    continue
                for kind in self._strikes(inner):
                    yield (order, names[label], inner, "", kind), Fault(kind, task, 0), 0
        for label, what, number, at in arrivals_of(execution):
            for kind in self._of_arrival(what) if label in names else ():
                yield (order, names[label], what, number, kind), Fault(kind, label, at), 0

    def _strikes(self, inner: str) -> tuple[FaultKind, ...]:
        """What strikes an operation's own task, or one that it has begun."""
        if inner:
            return ("cancel",)
        return ("cancel", "timeout", "scope") if self._spec.scopes else ("cancel", "timeout")

    def _of_arrival(self, what: str) -> tuple[FaultKind, ...]:
        """What may become of a timer, of something that comes over the network, or of I/O."""
        if what == "timer":
            return ("jump",)
        if what == "connect":
            return ("refuse", "slow")
        if what.startswith(NETWORK):
            silent: tuple[FaultKind, ...] = ("partition",) if self._spec.partitions else ()
            return ("reset", "split", "slow", *silent)
        return ("fail", "slow")


def _is_late(fault: Fault, order: str) -> bool:
    """Whether what is to come for the struck operation comes late.

    Of two kinds that are nearly one, and of two orders, one is struck each way.
    """
    return fault.kind in STRIKES and (fault.kind == "cancel") == (order == ORDERS[0])


def arrivals_of(execution: Execution) -> Iterator[tuple[str, str, int, int]]:
    """Timers, network events and I/O of operations: label, kind, and their numbers.

    The first number is that among those of its kind, the second that by which a fault knows it.
    """
    labels = {operation.label for operation in execution.scenario.operations}
    counts: Counter[tuple[str, str]] = Counter()
    for arrival in execution.arrivals[: execution.operated]:
        label, _, key = arrival.key.partition(" ")
        what, _, number = key.rpartition(" ")
        if label not in labels or what in NOT_FAULTY or not number.isdigit():
            continue
        if what == "timer":
            yield label, what, int(number), int(number)
            continue
        numbering = "network" if what.startswith(NETWORK) or what == "connect" else "io"
        at = counts[label, numbering]
        counts[label, numbering] += 1
        yield label, what, int(number), at
