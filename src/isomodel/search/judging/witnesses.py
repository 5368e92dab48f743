"""Which alone runs are tried as witnesses: other orders, other weather, what had not begun.

A witness is a run that a user can have alone. It clears a joint run in which that user saw the
same, so nothing may be tried here that takes another user to happen.
"""

from __future__ import annotations

import random
from collections.abc import Container, Iterator, Sequence
from math import inf
from typing import Any

import msgspec

from isomodel.search.shrinking.simplest import possible_faults
from isomodel.values.execution import Arrival, Execution
from isomodel.values.scenario import operation_of
from isomodel.values.schedule import OF_IO, STRIKES, Fault
from isomodel.values.trace import Step

MORE = 3
"""Network events that an operation may have alone beyond those seen: it connects by itself."""

LATER = 4
"""Steps after which a cancellation may strike instead, of operations that took fewer."""

TOGETHER = 0.8
"""How often each fault of the weather takes part where several are combined."""


WAITING = frozenset(("start", "step", "timer"))
"""Kinds of arrivals for an operation that only waits, until its time limit."""

GivenUp = dict[str, tuple[str, Any]]
"""By an operation's label, the outcome and the value that its user saw."""


class Try(msgspec.Struct, frozen=True):
    """An alone run to try: the projected order, one ``nearby``, or a random ``walk``, by a seed.

    ``given_up`` are operations that never begin, with the outcome and the value their user saw;
    ``late`` is by how many seconds nobody's work may be.
    """

    faults: tuple[Fault, ...]
    nearby: int | None = None
    walk: int | None = None
    given_up: GivenUp = {}
    late: float = 0.0


def tries(joint: Execution, alone: Execution, part: tuple[str, ...], count: int) -> Iterator[Try]:
    """The weather at every place, then ``count`` orders near the recorded one and random walks."""
    own = faults_of(joint, part)
    weather = _weather(joint, alone, part)
    never = _unbegun(joint, part)
    if never:
        yield Try(_but(own, never), given_up=never)
    late = _waited(joint)
    if late:
        yield Try(own, late=late)
    for struck, places in weather:
        rest = tuple(fault for fault in own if fault != struck)
        for fault in places:
            yield Try((*rest, fault))
    survived = _survived(joint, part)
    longest = _longest(joint, alone, part)
    needed = tuple(each for each in own if each.kind not in STRIKES or each.task not in survived)
    for seed in range(count):
        given_up = never if seed % 3 else {}
        draw = random.Random(seed)
        mine = own if draw.getrandbits(1) else needed
        faults = (
            _combined(mine, weather, draw) if weather and seed % 4 else _varied(mine, seed, longest)
        )
        faults = _but(faults, given_up)
        slow = late if seed % 4 > 1 else 0.0
        yield Try(faults, nearby=seed, given_up=given_up, late=slow)
        yield Try(_varied(own, seed, longest), walk=seed, late=slow)


def _waited(joint: Execution) -> float:
    """For how many seconds some work of nobody's waited for I/O, or was ready: so late it may be.

    A janitor that has others' things to write off, too, comes by later than it would for one
    user alone. How slow things are is the clock's business. What it waits for otherwise, others
    may put off for as long as they like, and that is not.
    """
    users = joint.scenario.users
    before: dict[str, Step] = {}
    waited: dict[str, float] = {}
    for step in joint.trace:
        who = operation_of(step.task).partition("/")[0]
        if who.partition(".")[0] in users:
            continue
        last = before.get(who, step)
        before[who] = step
        ready = step.what == "step" and last.what != "step"
        if ready or not step.what.startswith(("step", "timer ")):
            waited[who] = waited.get(who, 0.0) + step.time - last.time
    return max(waited.values(), default=0.0)


def faults_of(joint: Execution, part: tuple[str, ...]) -> tuple[Fault, ...]:
    """The part's own faults, but for those that came when their operation was over."""
    labels = {o.label for o in joint.scenario.operations if o.user in part}
    return tuple(
        fault
        for fault in joint.schedule.faults
        if fault.task.partition("/")[0] in labels
        and (fault.kind not in STRIKES or fault.task not in labels or fault in joint.fired)
    )


def _unbegun(joint: Execution, part: tuple[str, ...]) -> GivenUp:
    """The part's operations that were given up: alone that may come before their first step.

    Who waits for others, in a pool's queue say, is given up without having done anything; alone
    nothing is waited for, and the same operation is half done by its first step. A time limit
    of its own gives an operation up likewise, if it has only waited while others were at it; and
    so does a network that does not let it connect, while others use the connections there are.
    """
    struck = {fault.task for fault in joint.fired if fault.kind in STRIKES}
    return {
        label: (outcome, value)
        for user in part
        for label, outcome, value in joint.observations.get(user, ())
        if (outcome == "info" and label in struck)
        or (outcome == "fail" and _only_waited(joint, label, part))
        or (outcome == "fail" and _only_connected(joint, label))
    }


def _only_waited(joint: Execution, label: str, part: tuple[str, ...]) -> bool:
    """Whether nothing but time came for this operation, and others were at work all that time.

    How slow others are is the clock's business. A unit that is waited for although nobody is at
    work any more is lost, and that is not.
    """
    mine = {what for who, what in map(_split, joint.arrivals) if who == label}
    if "timer" not in mine or mine - WAITING:
        return False
    lives = _lives(joint)
    begun, over = lives[label]
    others = {each.label for each in joint.scenario.operations if each.user not in part}
    reached = begun
    for start, end in sorted(lives[other] for other in others & lives.keys()):
        if start <= reached:
            reached = max(reached, end)
    return begun < over <= reached


def _only_connected(joint: Execution, label: str) -> bool:
    """Whether this operation did nothing but try to connect, and an injected fault forbade it.

    Alone there may be a connection that it can use. That there is none now is no more than
    slowness; that a network fails whoever has to connect is the weather.
    """
    failed = {hit.fault.task for hit in joint.hits if not hit.users}
    mine = {what for who, what in map(_split, joint.arrivals) if who == label}
    return label in failed and "connect" in mine and not mine - WAITING - {"connect"}


def _split(arrival: Arrival) -> tuple[str, str]:
    """For which operation this came, and of which kind it is."""
    who, _, what = operation_of(arrival.key).partition(" ")
    return who.partition("/")[0], what.partition(" ")[0]


def _lives(joint: Execution) -> dict[str, tuple[float, float]]:
    """From when to when each operation lived, in virtual seconds; those begun."""
    begun: dict[str, float] = {}
    over: dict[str, float] = {}
    for event in joint.history:
        (begun if event.kind == "invoke" else over)[event.label] = event.time
    return {label: (time, over.get(label, inf)) for label, time in begun.items()}


def _survived(joint: Execution, part: tuple[str, ...]) -> frozenset[str]:
    """The part's operations that ended by themselves: nobody needs to give them up alone."""
    return frozenset(
        label
        for user in part
        for label, outcome, _ in joint.observations.get(user, ())
        if outcome != "info"
    )


def _but(faults: Sequence[Fault], labels: Container[str]) -> tuple[Fault, ...]:
    return tuple(fault for fault in faults if fault.task.partition("/")[0] not in labels)


Weather = list[tuple[Fault, list[Fault]]]
"""Faults of the network that struck jointly, each with those that could strike alone instead."""


def _weather(joint: Execution, alone: Execution, part: tuple[str, ...]) -> Weather:
    """Faults of the network that are nobody's doing, wherever they could strike alone.

    Networks fail for whoever uses them: a fault of a connection that this part has used, too, or
    of a connect, is nobody else's doing. One of a connection that only others used is not among
    them: what comes of that for this part, comes from the others.

    A request that met a connection closed while it was idle is tried likewise: a server that
    closes what nobody uses has not been told to by anyone. One that was made to close it has.
    """
    labels = [operation.label for operation in joint.scenario.operations if operation.user in part]
    known = [fault.at for run in (joint, alone) for fault in possible_faults(run, {"reset"})]
    places = range(max(known, default=0) + MORE)
    weather: Weather = []
    for hit in dict.fromkeys(joint.hits):
        if hit.users and not set(hit.users) & set(part):
            continue
        here = [hit.fault.task] if hit.fault.kind == "stale" else labels
        weather.append(
            (hit.fault, [Fault(hit.fault.kind, label, at) for label in here for at in places])
        )
    return weather


def _combined(own: tuple[Fault, ...], weather: Weather, draw: random.Random) -> tuple[Fault, ...]:
    """The own faults, with most of the weather, each at one of its places."""
    struck = {fault for fault, _ in weather}
    rest = [fault for fault in own if fault not in struck]
    others = [draw.choice(places) for _, places in weather if draw.random() < TOGETHER]
    return (*rest, *others)


def _longest(joint: Execution, alone: Execution, part: tuple[str, ...]) -> int:
    """Of how many steps an operation of this part consists at most, as far as is known."""
    labels = {operation.label for operation in joint.scenario.operations if operation.user in part}
    strikes = (fault for run in (joint, alone) for fault in possible_faults(run, {"cancel"}))
    return max((fault.at for fault in strikes if fault.task in labels), default=0)


def _varied(faults: tuple[Fault, ...], seed: int, longest: int) -> tuple[Fault, ...]:
    """Every second time, the same faults at another step or event, within what is known to be.

    An operation that finds alone what it had to make or wait for jointly takes fewer steps, so
    that a fault in its last ones would never strike. One that finds nothing there has to connect
    first: what it was given up in jointly comes some steps later, and its later I/O has higher
    numbers.
    """
    if seed % 2 == 0:
        return faults
    draw = random.Random(seed)
    return tuple(Fault(each.kind, each.task, _moved(each, draw, longest)) for each in faults)


def _moved(fault: Fault, draw: random.Random, longest: int) -> int:
    if fault.kind in STRIKES:
        earlier = fault.at or LATER
        return draw.randint(1, draw.choice((earlier, max(earlier, longest))))
    return draw.randint(0, fault.at + (MORE if fault.kind in OF_IO else 0))
