"""Tasks: made under stable names, found by them, and cancelled where a fault says so."""

# ruff: noqa: D102 - what AbstractEventLoop declares is documented there

from __future__ import annotations

import asyncio
import contextvars
import weakref
from typing import Any
from weakref import ref

from isomodel.engine.executor import Executors
from isomodel.engine.giving_up import BOUNDED, Boundary, boundary_for
from isomodel.engine.owner import OWNER, Actor, ControlledTask, Owner, name_for
from isomodel.engine.waiting import can_go_on, frames

_eager_factory: Any = getattr(asyncio, "eager_task_factory", None)


class Tasks(Executors):
    """The part of the loop that makes tasks."""

    __slots__ = ()

    _foreign: weakref.WeakKeyDictionary[asyncio.Task[Any], Actor] | None = None

    working_for: Owner | None = None
    """Whose callback the network calls now, if it calls one."""

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

    def pending(self) -> list[str]:
        """The names of the tasks that are not done, in the order in which they were made."""
        return [self.name_of(task) for task in self.pending_tasks()]

    def name_of(self, task: asyncio.Task[Any]) -> str:
        """The stable name of this task."""
        return self._actor(task).name

    def can_go_on(self, name: str) -> bool:
        """Whether nothing keeps this task, nor one that it awaits, from its next step."""
        task = self.task(name)
        return task is not None and can_go_on(task)

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

    def _owner_around(self) -> Owner:
        """Whose work is running, where the present context does not say: it was made empty."""
        owner: Owner = self.root
        if self.working_for is not None:
            owner = self.working_for
        elif (task := asyncio.current_task(self)) is not None:
            owner = self._actor(task).owner
        return owner.heir() or owner

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

    def boundaries(self, label: str) -> list[Boundary]:
        """What this operation has to be called in, for the faults planned for it."""
        planned = [f for f in self._cancels if f.task == label and f.kind in BOUNDED]
        for fault in planned:
            self._boundaries[fault] = boundary_for(fault)
        return [self._boundaries[fault] for fault in planned]


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
