"""One point of an execution in a proof: what could happen there, and what did."""

from __future__ import annotations

from isomodel.engine.tracking.sink import Touched


class Node:
    """One point of the execution under way: what could happen, and what did.

    ``back`` are the options that have to be explored from here, ``done`` those that were, with
    what they touched, ``asleep`` those that lead only to what is known. ``before`` has a bit for
    each earlier transition that happens before the chosen one. ``origin`` made it possible, -1
    for the start. ``holds_time`` says that no time could pass until it had happened,
    ``passes_time`` that in it time passes, and ``overtaken`` then lists the arrivals whose steps
    are still to come.
    """

    __slots__ = (
        *("asleep", "back", "before", "chosen", "done", "enabled"),
        *("cost", "costs", "holds_time", "is_step", "is_timer"),
        *("origin", "overtaken", "passes_time", "touched", "withheld"),
    )

    def __init__(self, enabled: tuple[str, ...], asleep: dict[str, Touched]) -> None:
        self.enabled = enabled
        self.asleep = asleep
        self.chosen = ""
        self.is_step = self.is_timer = self.holds_time = self.passes_time = False
        self.origin = -1
        self.cost = 0
        self.costs: dict[str, int] = {}
        self.overtaken: tuple[int, ...] = ()
        self.back: set[str] = set()
        self.done: dict[str, Touched] = {}
        self.touched: Touched = {}
        self.before = 0
        self.withheld = ""


class Front:
    """The last transitions that touched a label, ``now``, and those that did ``before`` otherwise.

    Accesses of one mode commute, unless they write: so each of ``now`` comes after all ``before``.
    """

    __slots__ = ("before", "mode", "now")

    def __init__(self, mode: int, place: int) -> None:
        self.mode = mode
        self.now = [place]
        self.before: list[int] = []
