"""Who runs, under stable names, and who of them is to be cancelled where a fault says so."""

from __future__ import annotations

import itertools
from typing import Any
from weakref import ref

from isomodel.engine.arrivals import Arrivals
from isomodel.engine.handle import Jump, Pending
from isomodel.engine.owner import Actor
from isomodel.values.schedule import Fault


class Actors(Arrivals):
    """The part of a runtime that knows its tasks by their names."""

    __slots__ = ()

    def task(self, name: str) -> Any:
        """The task of this stable name, while it exists."""
        actor = self._actors.get(name)
        return actor.reference() if actor is not None else None

    def step_counts(self) -> list[tuple[str, int]]:
        """The tasks made so far but the main one, each with the steps it has taken."""
        return [(name, actor.steps) for name, actor in list(self._actors.items())[1:]]

    # Faults

    def _possible_cancels(self) -> list[Pending]:
        """Those whose tasks have come so far, in the order in which they became possible."""
        possible = set()
        for fault in self._cancels:
            if fault.kind == "jump":
                known = self._actors.get(fault.task)
                if known is not None and self._is_set(fault.task, fault.at):
                    possible.add(fault)
                    self._meet_jump(fault, known)
                continue
            actor = self._victim(fault.task)
            task = actor.reference() if actor is not None else None
            if actor is None or task is None or task.done():
                continue
            # the task of an operation has to begin: without it there is nothing to observe
            earliest = 1 if actor.owner.user and actor.name == actor.owner.label else 0
            # in a projected run its recorded place decides: steps spent waiting on others are gone
            soonest = earliest if self._every_choice else max(fault.at, earliest)
            behind = self.cancels_queue and not (fault.at or actor.steps)
            if actor.steps >= soonest or behind:
                named = Fault(fault.kind, actor.name, fault.at)
                possible.add(fault)
                self._meet(fault, named, task, actor)
        return [handle for fault, handle in self._cancel_handles.items() if fault in possible]

    def _cancel_behind_first_steps(self) -> None:
        """Queue the cancellations at step 0 whose tasks are about to begin: there they strike."""
        for handle in self._possible_cancels():
            if not (handle.args[0].at or handle.actor.steps) and type(handle) is not Jump:
                self._take(handle)

    def _victim(self, name: str) -> Actor | None:
        """The task a cancellation is planned for; "alice.1/?0" is the first that alice.1 makes."""
        head, mark, number = name.rpartition("/?")
        if not mark:
            return self._actors.get(name)
        children = (a for known, a in self._actors.items() if known.startswith(head + "/"))
        return next(itertools.islice(children, int(number), None), None)

    def _meet(self, fault: Fault, named: Fault, task: Any, actor: Actor) -> None:
        if fault not in self._cancel_handles:
            number = actor.owner.count("cancel")
            handle = Pending(
                self._cancel, (fault, ref(task), named), None, actor, actor.owner, "cancel", number
            )
            self._cancel_handles[fault] = handle
            self.met[named] = None

    def _meet_jump(self, fault: Fault, actor: Actor) -> None:
        if fault not in self._cancel_handles:
            owner = actor.owner
            number = owner.count("jump")
            jump = Jump(_never, (fault,), None, actor, owner, "cancel", number)
            self._cancel_handles[fault] = jump
            self.met[fault] = None

    def _cancel(self, fault: Fault, reference: ref[Any], named: Fault) -> None:
        task = reference()
        if task is not None and not task.done():
            self._fired(named)
            if fault.kind == "cancel":
                task.cancel()
            elif fault in self._boundaries:
                self._boundaries[fault].strike()


def _never() -> None:
    """What a jump of the clock calls: it is over when it has been taken."""
