"""Tasks: made under stable names, found by them, and cancelled where a fault says so."""

# ruff: noqa: D102 - what AbstractEventLoop declares is documented there

from __future__ import annotations

import asyncio
import contextvars
import itertools
import weakref
from typing import Any
from weakref import ref

from isomodel.engine.executor import Executors
from isomodel.engine.giving_up import Boundary, boundary_for
from isomodel.engine.handle import Jump, Pending
from isomodel.engine.owner import OWNER, Actor, ControlledTask, Owner, name_for
from isomodel.engine.waiting import frames
from isomodel.values.schedule import Fault

_eager_factory: Any = getattr(asyncio, "eager_task_factory", None)


class Tasks(Executors):
    """The part of the loop that makes tasks."""

    __slots__ = ()

    _foreign: weakref.WeakKeyDictionary[asyncio.Task[Any], Actor] | None = None

    def start(
        self, coro: Any, owner: Owner, context: contextvars.Context | None = None
    ) -> asyncio.Task[Any]:
        """Start ``coro`` as the main task of ``owner``, under the owner's own name.

        It runs in a copy of ``context``, as a server's handlers do in copies of the context in
        which serving began; in an empty one without.
        """
        actor = self._enlist(owner.label, owner)
        context = owner.context if context is None else context.copy()
        context.run(OWNER.set, owner)
        return self._make(coro, actor, owner.label, context, {})

    def set_task_factory(self, factory: Any) -> None:
        if factory is not None and not callable(factory):
            raise TypeError("task factory must be a callable or None")
        self._task_factory = factory

    def get_task_factory(self) -> Any:
        return self._task_factory

    def task(self, name: str) -> asyncio.Task[Any] | None:
        """The task of this stable name, while it exists."""
        actor = self._actors.get(name)
        return actor.reference() if actor is not None else None

    def step_counts(self) -> list[tuple[str, int]]:
        """The tasks made so far but the main one, each with the steps it has taken."""
        return [(name, actor.steps) for name, actor in list(self._actors.items())[1:]]

    def name_of(self, task: asyncio.Task[Any]) -> str:
        """The stable name of this task."""
        return self._actor(task).name

    def waiting(self) -> list[str]:
        """Where each task that is not done waits, innermost last."""
        return [
            f"{self.name_of(task)} waits at {' > '.join(frames(task))}"
            for task in self.pending_tasks()
        ]

    # Making

    def _create_task_with(
        self,
        coro: Any,
        name: str | None,
        context: contextvars.Context | None,
        options: dict[str, Any],
        owner: Owner,
    ) -> Any:
        """A task in a context of its own, with options, or made by the program's factory."""
        if context is not None:
            owner = _owner_in(context, owner)
        actor = self._new_actor(name_for(coro), owner)
        if actor.owner is not owner and context is None:
            context = contextvars.copy_context()
            context.run(OWNER.set, actor.owner)
        if self._task_factory is not None:
            return self._manufacture(coro, actor, name or actor.name, context, options)
        return self._make(coro, actor, name or actor.name, context, options)

    def _manufacture(
        self,
        coro: Any,
        actor: Actor,
        name: str,
        context: contextvars.Context | None,
        options: dict[str, Any],
    ) -> Any:
        """A task as the program's own factory makes it; an eager one of stock tasks is ours."""
        factory = self._task_factory
        if _makes_eager_tasks(factory):
            return self._make(coro, actor, name, context, {"eager_start": True, **options})
        if context is not None:
            options["context"] = context
        task = factory(self, coro, **options)
        if hasattr(task, "set_name"):
            task.set_name(name)
        if isinstance(task, asyncio.Task):
            self._adopt(task, actor)
        return task

    def _actor(self, task: asyncio.Task[Any]) -> Actor:
        """The actor of any task of this loop, also of one that the program made by itself."""
        if type(task) is ControlledTask:
            return task.actor
        actor = self._foreign.get(task) if self._foreign is not None else None
        return actor or self._adopt(task, None)

    def _adopt(self, task: asyncio.Task[Any], actor: Actor | None) -> Actor:
        """Take note of a task that is not of our making and has no room for its actor."""
        if actor is None:
            owner = OWNER.get(self.root)
            actor = self._new_actor(name_for(task.get_coro()), owner)
            if actor.owner is not owner:
                OWNER.set(actor.owner)
        if self._foreign is None:
            self._foreign = weakref.WeakKeyDictionary()
        self._foreign[task] = actor
        actor.reference = ref(task)
        return actor

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
            if actor.steps >= soonest:
                named = Fault(fault.kind, actor.name, fault.at)
                possible.add(fault)
                self._meet(fault, named, task, actor)
        return [handle for fault, handle in self._cancel_handles.items() if fault in possible]

    def _victim(self, name: str) -> Actor | None:
        """The task a cancellation is planned for; "alice.1/?0" is the first that alice.1 makes."""
        head, mark, number = name.rpartition("/?")
        if not mark:
            return self._actors.get(name)
        children = (a for known, a in self._actors.items() if known.startswith(head + "/"))
        return next(itertools.islice(children, int(number), None), None)

    def _meet(self, fault: Fault, named: Fault, task: asyncio.Task[Any], actor: Actor) -> None:
        if fault not in self._cancel_handles:
            number = actor.owner.count("cancel")
            handle = Pending(
                self._cancel, (fault, ref(task)), None, actor, actor.owner, "cancel", number
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

    def _cancel(self, fault: Fault, reference: ref[asyncio.Task[Any]]) -> None:
        task = reference()
        if task is not None and not task.done():
            self.fired.append(fault)
            if fault.kind == "cancel":
                task.cancel()
            elif fault in self._boundaries:
                self._boundaries[fault].strike()

    def boundaries(self, label: str) -> list[Boundary]:
        """What this operation has to be called in, for the faults planned for it."""
        planned = [f for f in self._cancels if f.task == label and f.kind != "cancel"]
        for fault in planned:
            self._boundaries[fault] = boundary_for(fault)
        return [self._boundaries[fault] for fault in planned]


def _never() -> None:
    """What a jump of the clock calls: it is over when it has been taken."""


def _owner_in(context: contextvars.Context, creator: Owner) -> Owner:
    """The owner in a context that the program gave; from now on its creator, if there is none."""
    owner = context.get(OWNER)
    if owner is None:
        owner = creator
        try:
            context.run(OWNER.set, owner)
        except RuntimeError:  # the program is inside this very context
            OWNER.set(owner)
    return owner


def _makes_eager_tasks(factory: Any) -> bool:
    """Whether this is ``asyncio.eager_task_factory``, or a like one that makes stock tasks."""
    if _eager_factory is None or getattr(factory, "__code__", None) is not _eager_factory.__code__:
        return False
    return any(cell.cell_contents is asyncio.Task for cell in factory.__closure__ or ())
