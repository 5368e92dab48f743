"""Survey: at which moments of an execution a fault could strike, and which place each of them is.

An execution is repeated with a cancellation planned for each of its operations, which is offered
wherever it could strike and never taken. So what can be struck is known from the engine itself,
under every runtime and fidelity, and not worked out beside it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from isomodel.engine.owner import Actor, Owner
from isomodel.engine.protocol import Option, Scheduler
from isomodel.engine.runtime import Runtime
from isomodel.engine.waiting import frames_of
from isomodel.schedulers.striking import but_for_faults
from isomodel.values.scenario import Scenario, operation_of
from isomodel.values.schedule import Fault

INSIDE = 3
"""Tasks of an operation, in the order in which it begins them, that are looked at beside its own,
where any may be cancelled."""

State = Literal["waits", "answered", "woken", "handed", "beside"]
"""How it is with a task that is struck.

``waits``: nothing has come for it. ``answered``: its own arrival is queued, and what strikes now
strikes right behind it. ``beside``: another one's step is, and nothing of its own is under way, so
that this step may be what it waits for. ``woken``: it can go on; ``handed``: since another has let
it. Of a task that can go on, a stock asyncio loop has queued the step: it is struck behind that.
"""


class Moment(NamedTuple):
    """Task ``task`` has taken ``steps`` steps; a fault could have struck it ``passed`` times since.

    ``where`` are the functions and lines it is in, outermost first; ``other``, if it is struck
    ``beside`` another's step, is that other's task, and ``there`` where that is.
    """

    task: str
    steps: int
    passed: int
    state: State
    where: tuple[str, ...]
    other: str = ""
    there: tuple[str, ...] = ()

    @property
    def can_go_on(self) -> bool:
        """Whether nothing keeps the task from its next step."""
        return self.state in ("woken", "handed")


def victims(scenario: Scenario, *, inside: bool, queues: bool) -> tuple[Fault, ...]:
    """A cancellation of each operation, and with ``inside`` of tasks that it begins.

    ``queues``: one at 0 would be queued behind a first step, and not offered.
    """
    labels = [operation.label for operation in scenario.operations]
    own = [Fault("cancel", label, 1) for label in labels]
    begun = [
        Fault("cancel", f"{label}/?{number}", int(queues))
        for label in labels
        for number in range(INSIDE)
    ]
    return (*own, *begun) if inside else tuple(own)


class Survey:
    """A scheduler around another that leaves all as it is and fills ``moments``.

    Of moments at one step of a task that are alike otherwise, the first.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.moments: list[Moment] = []
        self.patient = getattr(scheduler, "patient", False)
        self._scheduler = scheduler
        self._loop: Runtime | None = None
        self._came: Owner | None = None
        self._offered: dict[str, tuple[int, int]] = {}
        self._noted: dict[str, set[tuple[State, str, int]]] = {}

    @contextlib.contextmanager
    def watching(self, loop: Runtime) -> Iterator[None]:
        """Look at what runs on this loop inside the block."""
        self._loop = loop
        try:
            yield
        finally:
            self._loop = None

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """What the other scheduler chooses where no fault is planned."""
        assert self._loop is not None
        queued = any(option.kind == "go on" for option in options)
        for option in options:
            if option.kind == "cancel" and option.actor is not None:
                self._note(option.actor, self._loop, queued)
        chosen = but_for_faults(self._scheduler, options, last)
        if options[chosen].kind != "go on":
            self._came = options[chosen].owner
        return chosen

    def _note(self, actor: Actor, loop: Runtime, queued: bool) -> None:
        name, steps = actor.name, actor.steps
        before, passed = self._offered.get(name, (steps, -1))
        passed = passed + 1 if before == steps else 0
        self._offered[name] = steps, passed
        if not passed:
            self._noted[name] = set()
        state, other = self._state(actor, loop, queued)
        key = state, other, self._steps_of(other) if other else 0
        if key not in self._noted[name]:
            self._noted[name].add(key)
            where, there = _where(loop, name), _where(loop, other)
            self.moments.append(Moment(name, steps, passed, state, where, other, there))

    def _state(self, actor: Actor, loop: Runtime, queued: bool) -> tuple[State, str]:
        """How it is with this task; and the other one beside whose step it is struck."""
        if loop.can_go_on(actor.name):
            return ("woken" if self._came is actor.owner else "handed"), ""
        if not queued:
            return "waits", ""
        if self._came is actor.owner:
            return "answered", ""
        if not any(owner is actor.owner for owner in loop.awaiting()):
            label = actor.owner.label
            for name in loop.pending():
                if operation_of(name).partition("/")[0] != label and loop.can_go_on(name):
                    return "beside", name
        return "waits", ""

    def _steps_of(self, name: str) -> int:
        """How many steps this task has taken."""
        assert self._loop is not None
        return next((steps for each, steps in self._loop.step_counts() if each == name), 0)


def _where(loop: Runtime, name: str) -> tuple[str, ...]:
    """The functions and lines that this task is in; none for no task."""
    task: Any = loop.task(name) if name else None
    return tuple(frames_of(task.get_coro())) if task is not None else ()
