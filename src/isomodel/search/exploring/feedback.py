"""Feedback: what a hunt's executions showed of one user handing things to another.

Coverage that means something for isolation is neither lines nor branches. It is the *hand-over*:
after step m of one operation of one user touched something, step n of another user's operation
did. Which operations, which steps, in which order, but not which users and not which scenario: so
the number of hand-overs is bounded, and a hunt comes to know most of them. An execution that
showed a new one is worth going on from, in three ways: with one hand-over turned around, with all
that conflicts in some other order, and with a scenario a little larger. What operations touched
also says which of them are worth putting into one scenario (``affinity``).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from isomodel.schedulers.held import Event, Hold
from isomodel.search.exploring.affinity import Affinity
from isomodel.search.exploring.conflicts import Conflict, Touch, conflicts
from isomodel.search.exploring.extent import Extent
from isomodel.search.exploring.frontier import Frontier
from isomodel.search.exploring.generate import MORE_AFTER, Generator
from isomodel.tracking.recorder import Access
from isomodel.values.scenario import Scenario, operation_of
from isomodel.values.schedule import Fault, Fidelity

KEPT = 50
"""Executions that are gone on from; of more, the oldest are let go."""

FAMILIAR = 3
"""Observed executions with a kind of operation after which there is little more to learn of it."""

TRIES = 3
"""How often to try to turn one kind of hand-over around: some cannot be."""


class Kind(NamedTuple):
    """Step ``step`` of a task of an operation of this name."""

    operation: str
    task: str
    step: int


class Lead(msgspec.Struct, frozen=True):
    """Something to go on from: a scenario, its faults, and what was held back in it."""

    scenario: Scenario
    fidelity: Fidelity
    faults: tuple[Fault, ...]
    holds: tuple[Hold, ...] = ()


class Feedback:
    """What one hunt has seen, and the leads that follow from it."""

    def __init__(self, generator: Generator, extent: Extent) -> None:
        self._generator = generator
        self._extent = extent
        self._affinity = Affinity()
        self._seen: set[tuple[Kind, Kind]] = set()
        self._tried: dict[tuple[Kind, Kind], int] = {}
        self._leads: dict[bytes, tuple[Lead, Frontier]] = {}
        self._reversals: list[tuple[Lead, tuple[Kind, Kind]]] = []

    def knows(self, name: str) -> bool:
        """Whether operations of this kind have been seen often enough to tell whom they meet."""
        return self._affinity.seen[name] >= FAMILIAR

    @property
    def handovers(self) -> int:
        """How many kinds of hand-over have been seen."""
        return len(self._seen)

    def learn(self, lead: Lead, touches: Sequence[Touch], accesses: Sequence[Access] = ()) -> bool:
        """Take note of an execution; whether it showed a new kind of hand-over."""
        self._affinity.learn(lead.scenario, accesses)
        new = False
        place = msgspec.structs.replace(lead, holds=())
        name = msgspec.json.encode(place)
        frontier = self._leads[name][1] if name in self._leads else Frontier(user_of)
        for conflict in conflicts(touches, user_of):
            kind = _kind(conflict.first, lead.scenario), _kind(conflict.second, lead.scenario)
            if kind in self._seen:
                continue
            self._seen.add(kind)
            new = True
            self._wish(lead, conflict, (kind[1], kind[0]))
        if new or name in self._leads:
            frontier.learn(lead.holds, touches)
            self._leads[name] = place, frontier
            while len(self._leads) > KEPT:
                del self._leads[next(iter(self._leads))]
        return new

    def reversal(self, source: random.Random) -> Lead | None:
        """An execution again, with one of its hand-overs the other way round."""
        self._reversals = [
            (lead, wanted)
            for lead, wanted in self._reversals[-10 * KEPT :]
            if wanted not in self._seen and self._tried.get(wanted, 0) < TRIES
        ]
        if not self._reversals:
            return None
        lead, wanted = source.choice(self._reversals)
        self._tried[wanted] = self._tried.get(wanted, 0) + 1
        return lead

    def mutant(self, source: random.Random) -> Lead | None:
        """An execution again, with another operation or fault."""
        if not self._leads:
            return None
        lead, _ = source.choice(list(self._leads.values()))
        scenario = self._generator.extended(lead.scenario, source)
        faults = lead.faults
        if source.random() < 0.3:
            faults = self._generator.faults(scenario, source, 0, self._extent)
        return Lead(scenario, lead.fidelity, faults)

    def akin(self, fidelity: Fidelity, source: random.Random) -> Lead:
        """A new scenario of two kinds of operations, which were seen to meet if any were."""
        names = self._generator.names
        one = source.choice(names)
        other = self._affinity.partner(one, names, source)
        scenario = self._generator.scenario(source, (one, other))
        faults = self._generator.faults(scenario, source, MORE_AFTER, self._extent)
        return Lead(scenario, fidelity, faults)

    def order(self, source: random.Random) -> Lead | None:
        """An execution again, with all that conflicts in it in some other order."""
        if not self._leads:
            return None
        lead, frontier = source.choice(list(self._leads.values()))
        return msgspec.structs.replace(lead, holds=frontier.order(source) or ())

    def _wish(self, lead: Lead, conflict: Conflict, wanted: tuple[Kind, Kind]) -> None:
        if wanted not in self._seen:
            hold = Hold(conflict.first, conflict.second)
            turned = msgspec.structs.replace(lead, holds=(*lead.holds, hold))
            self._reversals.append((turned, wanted))


def user_of(task: str) -> str:
    """The user for whom a task of this name works: "alice" for "alice.2/fetch"."""
    return operation_of(task).partition(".")[0]


def _kind(event: Event, scenario: Scenario) -> Kind:
    label, _, inner = event.task.partition("/")
    names = [each.name for each in scenario.operations if each.label == label]
    return Kind(names[0] if names else "", inner, event.step)
