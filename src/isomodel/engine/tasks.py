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
from isomodel.engine.giving_up import BOUNDED, Boundary, boundary_for
from isomodel.engine.handle import Jump, Pending
from isomodel.engine.owner import OWNER, Actor, ControlledTask, Owner, name_for
from isomodel.engine.waiting import frames
from isomodel.values.schedule import Fault

_new: Any = ControlledTask.__new__
_init: Any = ControlledTask.__init__

_eager_factory: Any = getattr(asyncio, "eager_task_factory", None)

_loops = itertools.count()
"""Numbers the loops of this process, so that tasks of two of them have different hashes."""


class Tasks(Executors):
    """The part of the loop that makes tasks."""

    __slots__ = ("_actors", "_boundaries", "_cancel_handles", "_number")

    _task_factory: Any = None
    _foreign: weakref.WeakKeyDictionary[asyncio.Task[Any], Actor] | None = None

    def _begin(self) -> None:
        super()._begin()
        self._actors: dict[str, Actor] = {}
        self._cancel_handles: dict[Fault, Pending] = {}
        self._boundaries: dict[Fault, Boundary] = {}
        # only the low bits of a hash decide the order of a set, and collisions look higher
        self._number = next(_loops) % 2**20 << 40

    def create_task(
        self,
        coro: Any,
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **options: Any,
    ) -> Any:
        owner = OWNER.get(self.root)
        if context is not None:
            owner = _owner_in(context, owner)
        elif not owner.root and self._task_factory is None:  # the usual case, the short way
            actor = self._enlist(f"{owner.label}/{owner.numbered(name_for(coro))}", owner)
            task: ControlledTask = _new(ControlledTask)
            task.actor = actor
            actor.reference = ref(task)
            if options:
                _init(task, coro, loop=self, name=name or actor.name, **options)
            else:
                _init(task, coro, loop=self, name=name or actor.name)
            return task
        actor = self._new_actor(name_for(coro), owner)
        if actor.owner is not owner and context is None:
            context = contextvars.copy_context()
            context.run(OWNER.set, actor.owner)
        if self._task_factory is not None:
            return self._manufacture(coro, actor, name or actor.name, context, options)
        return self._make(coro, actor, name or actor.name, context, options)

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

    def pending_tasks(self) -> list[asyncio.Task[Any]]:
        """Tasks that are not done, in the order in which they were made."""
        pending = []
        for actor in self._actors.values():
            task = actor.reference()
            if task is not None and not task.done():
                pending.append(task)
        return pending

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

    def _make(
        self,
        coro: Any,
        actor: Actor,
        name: str,
        context: contextvars.Context | None,
        options: dict[str, Any],
    ) -> ControlledTask:
        task: ControlledTask = _new(ControlledTask)
        task.actor = actor
        actor.reference = ref(task)
        _init(task, coro, loop=self, name=name, context=context, **options)
        return task

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

    def _new_actor(self, name: str, owner: Owner) -> Actor:
        if not owner.root:
            return self._enlist(f"{owner.label}/{owner.numbered(name)}", owner)
        label = owner.numbered(name)
        if owner.label:
            label = f"{owner.label}/{label}"
        return self._enlist(label, Owner(label, owner.user, owner.part))

    def _enlist(self, name: str, owner: Owner) -> Actor:
        actors = self._actors
        if name in actors:  # two owners of one label, or a label used twice
            name = next(n for i in itertools.count(2) if (n := f"{name}~{i}") not in actors)
        actor = actors[name] = Actor(name, owner, self._number)
        self._number += 1
        return actor

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
        planned = [f for f in self._cancels if f.task == label and f.kind in BOUNDED]
        for fault in planned:
            self._boundaries[fault] = boundary_for(fault)
        return [self._boundaries[fault] for fault in planned]

    def _forget(self) -> None:
        super()._forget()
        self._cancel_handles.clear()
        self._boundaries.clear()


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
