"""When time may pass in a proof: what holds it back, and to what it makes no difference.

The transitions of one execution are nodes in their order; a *place* is an index of them. Time
passes where no step has been waiting since before another one. So a step that leaves others
waiting shuts a gate, and these have to be taken before time can pass.
"""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.engine.tracking.sink import Label, Touched, commute
from isomodel.search.proof.node import Node

GATE: Label = ("time", "")
"""Shut by a step that leaves something waiting that time must not overtake."""

Nodes = Sequence[Node]


def shut_in_by(nodes: Nodes, origin: int, until: int) -> int | None:
    """After which transition time could not pass any more before a step that waits.

    ``origin`` made the step ready: an arrival may come just before time passes, until a step
    depends on it. -1 for the start; None if time can pass at ``until``.
    """
    if origin < 0 or nodes[origin].is_step:
        return origin
    mark = 1 << origin
    for later in range(origin + 1, until):
        if nodes[later].is_step and nodes[later].before & mark:
            return later
    return None


def shut_at(nodes: Nodes, place: int) -> int:
    """The same for a step that was taken, and held time."""
    shut = shut_in_by(nodes, nodes[place].origin, place)
    assert shut is not None, "this step holds time"
    return shut


def bound_of(nodes: Nodes, depth: int, touched: Touched) -> int:
    """The last transition that cannot be exchanged with this passing of time; -1 if none.

    What has kept time from passing since then makes no difference: time could as well have
    passed before that. So it is no race, and neither comes after the other.
    """
    node = nodes[depth]
    own = {**node.touched, **touched}
    del own[GATE]
    place = depth - 1
    while place > node.origin and commute(own, nodes[place].touched):
        place -= 1
    return place


def held_until(nodes: Nodes, depth: int, bound: int) -> int:
    """What happened before time could pass here: steps that waited since the bound or earlier.

    One bit each.
    """
    before = 0
    for place in range(depth):
        if nodes[place].holds_time and shut_at(nodes, place) <= bound:
            before |= nodes[place].before | 1 << place
    return before


def held_up(nodes: Nodes, earlier: int, later: int) -> tuple[str, int] | None:
    """Whether the later of these cannot come first, as time has to pass and a step holds it there.

    The timer, and the place of that step: time has to pass before it begins to wait.
    """
    mark = 1 << earlier
    for passing in range(earlier + 1, later):
        if nodes[passing].passes_time and nodes[later].before >> passing & 1:
            for place in range(earlier, passing):
                node = nodes[place]
                follows = place == earlier or node.before & mark
                if follows and node.holds_time and shut_at(nodes, place) < earlier:
                    return nodes[passing].chosen, place
    return None


def as_allowed(nodes: Nodes) -> list[str]:
    """The transitions of an execution, in an order that ``PortableLoop`` allows.

    It lets time pass only where no step has been waiting since before another one: arrivals
    whose steps time overtakes come just before it.
    """
    keys: list[str] = []
    held: set[int] = set()
    if not any(node.overtaken for node in nodes):
        return [node.chosen for node in nodes]
    for place, node in enumerate(nodes):
        for arrival in node.overtaken:
            if arrival not in held and any(n.is_step for n in nodes[arrival + 1 : place]):
                held.add(arrival)
    waiting: list[int] = []
    for place, node in enumerate(nodes):
        if place in held:
            waiting.append(place)
            continue
        for arrival in [each for each in waiting if each in node.overtaken]:
            waiting.remove(arrival)
            keys.append(nodes[arrival].chosen)
        keys.append(node.chosen)
    return keys
