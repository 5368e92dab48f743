"""The tree of choices: every inequivalent interleaving, by source-DPOR with sleep sets.

Abdulla, Aronis, Jonsson, Sagonas: *Optimal dynamic partial order reduction*, POPL 2014, algorithm
1. Two transitions are dependent if what they touched does not commute (``tracking.sink``), if one
makes the other possible, or if one makes the other impossible. Of the orders that differ only in
neighbours that are not, one is executed.

Deviations from the paper, whose processes are always enabled or blocked for good by themselves:

- A transition may make another one vanish: a cancellation takes an arrival away, the end of the
  program whatever has not happened yet, a step the time that could have passed before it. What
  vanishes is explored where it was possible for the last time, as if it raced with what took it
  away; from there its own races lead to earlier places.
- Time passes only where no step has been waiting for it. A step that leaves such a waiting one
  behind races with every later passing of time, as the holder of a lock does with the next one,
  whatever happens in between; but only if time, and what it brings, cannot be exchanged with all
  that has happened since. Otherwise the one is not before the other, and where something that
  needs the passing has to come before a step that holds time, it passes before that waits.
- The end of a program races with all that it does not wait for.
- Arrivals, timers and faults are processes of one transition each.
- Happens-before is kept as one integer a transition, whose bits are its predecessors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, default, is_switch
from isomodel.engine.tracking.sink import MADE, READ, UPDATE, WRITE, Label, Touched, commute
from isomodel.search.proof.gate import (
    GATE,
    as_allowed,
    bound_of,
    held_until,
    held_up,
    shut_at,
    shut_in_by,
)
from isomodel.search.proof.node import Front, Node

Outlook = Literal["done", "cut", "asleep"]
"""How an execution went on: to its end; until it was known from others (``asleep``); or until
nothing could come of it that belongs to this tree (``cut``)."""


class Stop(BaseException):
    """Ends an execution whose rest is known; no program catches it by mistake."""

    def __init__(self, outlook: Outlook) -> None:
        super().__init__(outlook)
        self.outlook = outlook


class Diverged(Exception):
    """The same choices led to other options: something in the program is not under control."""


class Limit(msgspec.Struct, frozen=True):
    """How far from the default rule executions may go, where there are too many to see all.

    ``preemptions``: switches away from what could go on. ``delays``: departures of any kind.
    """

    kind: Literal["preemptions", "delays"]
    most: int


class Tree:
    """Explores one program: ``begin``, execute it with this as its guide, ``end``, until ``over``.

    ``needed`` names options that have to be taken in each execution (the faults that this tree is
    about): one in which they vanish is cut off. ``reduced`` False explores every order, and so
    does a ``limit``, as far as it goes: skipping what is equivalent could skip the cheapest of its
    class, which alone keeps to the limit.
    """

    def __init__(
        self,
        *,
        needed: tuple[str, ...] = (),
        reduced: bool = True,
        limit: Limit | None = None,
    ) -> None:
        self.executions = 0
        self.cut_off = 0
        self.asleep = 0
        self.transitions = 0
        self.races = 0
        self.guesses = 0
        self.unfair = False
        self.over = False
        self.last_order: list[str] = []
        self._needed = needed
        self._reduced = reduced and limit is None
        self._limit = limit
        self._nodes: list[Node] = []
        self._depth = 0
        self._fresh = 0
        self._last: dict[str, int] = {}
        self._born: dict[str, int] = {}
        self._fronts: dict[Label, Front] = {}
        self._withheld = ""

    # One execution

    def begin(self) -> None:
        """Start the next execution."""
        self._depth = 0
        self._fresh = len(self._nodes) - 1  # the races before that are known
        self._last.clear()
        self._born.clear()
        self._fronts.clear()

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """Repeat what led here, then go on as before with what is not known."""
        keys = tuple(option.key for option in options)
        depth = self._depth
        if depth:
            self._settle(keys, [option.key for option in options if option.kind == "step"])
        else:
            self._born.update(dict.fromkeys(keys, -1))
        if depth < len(self._nodes):
            node = self._nodes[depth]
            if node.enabled != keys:
                raise Diverged(_difference(node.enabled, keys))
        else:
            node = self._new_node(keys, options, last)
        index = keys.index(node.chosen)
        kind = options[index].kind
        node.is_step = kind == "step"
        node.is_timer = kind in ("timer", "due")
        node.passes_time = kind == "timer"
        if node.passes_time:
            node.overtaken = tuple(
                self._born[option.key] for option in options if option.kind == "step"
            )
        node.holds_time = node.is_step and not self.may_pass((node.chosen,))
        node.withheld, self._withheld = self._withheld, ""
        self._depth = depth + 1
        return index

    def touched(self, touched: Touched) -> None:
        """What the transition chosen last has touched; find the races it is in."""
        depth = self._depth - 1
        node = self._nodes[depth]
        touched[node.chosen, "option"] = READ
        node.touched = touched
        self.transitions += 1
        self._find_races(depth, node)

    def may_pass(self, waiting: Sequence[str]) -> bool:
        """Whether arrivals made these steps ready, and no step since depends on those.

        Asked before the next choice; steps that are new came up in the transition just over.
        """
        depth = self._depth
        return all(
            shut_in_by(self._nodes, self._born.get(key, depth - 1), depth) is None
            for key in waiting
        )

    def withheld(self, key: str) -> None:
        """Time may not pass before the next choice; this is what it would bring."""
        self._withheld = key

    def narrowed(self) -> None:
        """The loop left options out: what is explored is not everything."""
        self.unfair = True

    def end(self, outlook: Outlook = "done") -> bool:
        """The execution is over; prepare the next one, if there is any.

        Whether it went to its end, and belongs to this tree.
        """
        self.last_order = as_allowed(self._nodes[: self._depth])
        counted = False
        if outlook == "done":
            try:
                if self._depth:
                    self._settle((), ())
                self.executions += 1
                counted = True
            except Stop:
                self.cut_off += 1
        elif outlook == "cut":
            self.cut_off += 1
        else:
            self.asleep += 1
        del self._nodes[self._depth :]
        self._backtrack()
        return counted

    # The search

    def _new_node(self, keys: tuple[str, ...], options: Sequence[Option], last: Actor) -> Node:
        node = Node(keys, self._asleep_now(keys))
        awake = [index for index, key in enumerate(keys) if key not in node.asleep]
        if not awake:
            raise Stop("asleep")
        node.chosen = keys[_first(options, awake, last)]
        node.back = {node.chosen} if self._reduced else set(keys)
        if self._limit is not None:
            self._price(node, options, last, self._limit)
        self._nodes.append(node)
        return node

    def _price(self, node: Node, options: Sequence[Option], last: Actor, limit: Limit) -> None:
        """Leave only options that keep to the limit."""
        before = self._nodes[-1] if self._nodes else None
        node.cost = before.costs[before.chosen] if before is not None else 0
        usual = _first(options, list(range(len(options))), last)
        for index, option in enumerate(options):
            counts = index != usual and option.kind != "cancel"
            if limit.kind == "preemptions":
                counts = counts and is_switch(options, index, usual, last)
            node.costs[option.key] = node.cost + counts
        node.back = {key for key, cost in node.costs.items() if cost <= limit.most}

    def _asleep_now(self, keys: tuple[str, ...]) -> dict[str, Touched]:
        if not self._nodes or not self._reduced:
            return {}
        before = self._nodes[-1]
        return {
            key: touched
            for known in (before.asleep, before.done)
            for key, touched in known.items()
            if key != before.chosen and key in keys and commute(touched, before.touched)
        }

    def _settle(self, now: Sequence[str], steps: Sequence[str]) -> None:
        """The last transition led to these options: what it made impossible, and what it holds up.

        What has just become impossible is explored where it was not yet.
        """
        place = self._depth - 1
        node = self._nodes[place]
        more: Touched = {}
        still = (*now, node.chosen, self._withheld)
        gone = [key for key in node.enabled if key not in still]
        for key in gone:
            more[key, "option"] = WRITE
            self._born.pop(key, None)
            if self._reduced and key not in node.done:
                node.back.add(key)
        if node.withheld and node.withheld not in (*now, self._withheld) and self._reduced:
            self._let_time_pass(node.withheld, place)
        for key in now:
            self._born.setdefault(key, place)
        if node.is_step and any(self._waits_for_it(key, place) for key in steps):
            more[GATE] = UPDATE
        if more:
            self._order(place, node, more)
            node.touched.update(more)
        for key in self._needed:
            if key in gone or not (now or key in self._last):
                raise Stop("cut")

    def _let_time_pass(self, timer: str, place: int) -> None:
        """Explore this timer, which was never possible and is gone: what held it up goes first.

        If that is the very step which took it away, time has to pass before the one that left
        this step waiting.
        """
        nodes = self._nodes
        making = self._fronts.get((timer, MADE))
        made = making.now[0] if making is not None else -1
        while place >= 0:
            node = nodes[place]
            if timer in node.enabled:
                node.back.add(timer)
                return
            if made >= place:
                if not nodes[made].before >> place & 1:
                    self._reverse(place, made)
                return
            if not node.holds_time:
                node.back.update(node.enabled)
                return
            place = shut_at(nodes, place)

    def _waits_for_it(self, key: str, place: int) -> bool:
        """Whether this transition has left this step behind, or one it has made wait."""
        origin = self._born[key]
        return origin == place or (origin >= 0 and bool(self._nodes[place].before >> origin & 1))

    def _find_races(self, depth: int, node: Node) -> None:
        """Order the transition after those it depends on; reverse those it could come before."""
        nodes = self._nodes
        node.origin = self._born.pop(node.chosen, -1)
        if node.is_timer:  # it is possible once it is set, whatever has held it up since
            made = self._fronts.get((node.chosen, MADE))
            node.origin = made.now[0] if made is not None else -1
        before = 0
        for parent in (self._last.get(node.chosen, -1), node.origin):
            if parent >= 0:
                before |= nodes[parent].before | 1 << parent
        node.before = before
        if node.passes_time:
            node.touched[GATE] = READ
        self._order(depth, node, node.touched)
        self._last[node.chosen] = depth

    def _order(self, depth: int, node: Node, touched: Touched) -> None:
        """Put this transition after those that touched the same before; reverse the races."""
        nodes = self._nodes
        conflicting: set[int] = set()
        fronts = self._fronts
        for label, mode in touched.items():
            front = fronts.get(label)
            if front is None:
                fronts[label] = Front(mode, depth)
                continue
            if mode == front.mode and mode != WRITE:
                front.now.append(depth)
            else:
                front.mode, front.before, front.now = mode, front.now, [depth]
            if front.before and not (node.passes_time and label == GATE):
                conflicting.update(front.before)
        shut: list[int] = []
        if node.passes_time:
            bound = bound_of(nodes, depth, touched)
            shut = [place for place in self._fronts[GATE].before if place <= bound]
            conflicting.update(shut)
        before = node.before
        racing = []
        for other in sorted(conflicting, reverse=True):
            if other != depth and not before >> other & 1:
                racing.append(other)
                before |= nodes[other].before | 1 << other
        if node.passes_time:
            # a step that was shut in is not overtaken by time; what shut it in can be
            racing += [
                place
                for place in reversed(shut)
                if place not in racing
                and not node.before >> place & 1
                and not nodes[place].holds_time
            ]
            before |= held_until(nodes, depth, bound)
        node.before = before
        if self._reduced and depth >= self._fresh:
            for other in racing:
                self._reverse(other, depth)

    def _reverse(self, earlier: int, later: int) -> None:
        """Have the later one of two racing transitions explored before the earlier one.

        What does not happen after the earlier one comes first; some transition with which that
        can begin has to be among those explored there.
        """
        self.races += 1
        nodes = self._nodes
        node, mark = nodes[earlier], 1 << earlier
        held = held_up(nodes, earlier, later)
        if held is not None:
            self._let_time_pass(*held)
            return
        rest = [place for place in range(earlier + 1, later) if not nodes[place].before & mark]
        rest.append(later)
        initials: list[str] = []
        bits = 0
        for place in rest:
            if not nodes[place].before & bits:
                initials.append(nodes[place].chosen)
            bits |= 1 << place
        possible = [key for key in initials if key in node.enabled]
        if not possible:
            self.guesses += 1
            node.back.update(node.enabled)
        elif node.back.isdisjoint(possible):
            own = nodes[later].chosen
            covered = [key for key in possible if key in node.asleep]
            if not covered:
                node.back.add(own if own in possible else possible[0])
            elif covered == [own] and not _includes(nodes[later].touched, node.asleep[own]):
                node.back.update(node.enabled)

    def _backtrack(self) -> None:
        """Leave what is explored; choose what is not."""
        nodes = self._nodes
        while nodes:
            node = nodes[-1]
            node.done[node.chosen] = node.touched
            for key in node.enabled:
                if key in node.back and key not in node.done and key not in node.asleep:
                    node.chosen = key
                    node.touched = {}
                    return
            nodes.pop()
        self.over = True


def _first(options: Sequence[Option], awake: list[int], last: Actor) -> int:
    """Go on as before; faults only where nothing else can happen."""
    usual = [index for index in awake if options[index].kind != "cancel"] or awake
    return usual[default([options[index] for index in usual], last)]


def _includes(now: Touched, before: Touched) -> bool:
    """Whether a transition touches, after something else, all that it touched without it."""
    return all(now.get(label) == mode for label, mode in before.items() if label != GATE)


def _difference(expected: Iterable[str], found: Iterable[str]) -> str:
    return f"expected {', '.join(expected)}; found {', '.join(found)}"
