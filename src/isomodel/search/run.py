"""One run of one scenario: the world a target lives in, and everything it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import sys
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextvars import Context
from typing import Any

import msgspec

from isomodel.engine.giving_up import GivenUp
from isomodel.engine.graph import class_state, own_classes, shared_objects
from isomodel.engine.loop import Blocked, ControlledLoop, OutOfSteps
from isomodel.engine.owner import OWNER, Actor, Owner, Part
from isomodel.engine.waiting import can_go_on
from isomodel.schedulers.fifo import Default
from isomodel.search.stalled import stalled
from isomodel.targets.declare import OperationSpec, TargetSpec
from isomodel.targets.guard import Guards
from isomodel.targets.plain import plain
from isomodel.values.errors import BadInput
from isomodel.values.execution import Leftover, Refusal, Rollback
from isomodel.values.facts import Fact, Noted
from isomodel.values.scenario import Operation, Scenario, made_by
from isomodel.values.trace import Event

_OURS = ("isomodel/search/run.py", "isomodel/engine/giving_up.py")
"""What calls operations, and is no part of the system."""

Around = Callable[[ControlledLoop], contextlib.AbstractContextManager[object]]

_ALL_IO = "*"
"""Stands for I/O of any kind where an owner's arrivals are counted by kind."""


class Run:
    """Runs the phases of one execution: start, operations, final checks, leaving, stop.

    Only the operations are scheduled; the phases around them follow the default rule. After
    ``everything()`` the attributes hold the evidence.
    """

    def __init__(
        self,
        spec: TargetSpec,
        scenario: Scenario,
        loop: ControlledLoop,
        *,
        armed: tuple[str, ...] = (),
        forced: Mapping[str, Refusal] | None = None,
        clocks: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self.spec = spec
        self.scenario = scenario
        self.loop = loop
        self.history: list[Event] = []
        self.observations: dict[str, list[tuple[str, str, Any]]] = {
            user: [] for user in scenario.users
        }
        self.facts: list[Noted] = []
        self.leftovers: list[Leftover] = []
        self.rollbacks: list[Rollback] = []
        self.shared: tuple[Any, ...] = ()
        self.waiting: list[str] = []
        self.ended: str = "done"
        self.error = ""
        self.ops_end = 0.0
        self.guards: Guards | None = None
        self._most_steps = loop.max_steps
        self._armed = armed
        self._forced = forced or {}
        self._parts = {
            user: part
            for users in scenario.parts()
            for part in [_part(users, clocks or {})]
            for user in users
        }
        self._queues = {
            user: [operation for operation in scenario.operations if operation.user == user]
            for user in scenario.users
        }
        self._base = loop.root.context  # in copies of what ``start`` left here, users act
        self._live: dict[str, Operation] = {}
        self._overlapped: set[str] = set()
        self._handles: dict[str, Any] = {}
        self._ended_handles: set[str] = set()
        self._class_state: Any = ()
        self._watched: list[tuple[weakref.ref[Any], str]] = []
        self.target: Any = None

    # What the target calls (engine.world.World)

    def io(self, name: str, latency: float, fails: type[BaseException] | None) -> Awaitable[None]:
        """Simulated I/O."""
        return self.loop.io(name, latency, fails)

    def note(self, fact: Fact) -> None:
        """Record a fact."""
        owner = self.loop.owner()
        self.facts.append(Noted(fact, owner.label, owner.user, self.loop.now))

    def watch(self, thing: Any, what: str) -> None:
        """Expect this object to be gone at the end."""
        self._watched.append((weakref.ref(thing), what))

    @contextlib.contextmanager
    def acting_as(self, user: str) -> Iterator[None]:
        """Own what starts inside the block."""
        part = self._parts.get(user) or self.loop.root.part
        token = OWNER.set(Owner(f"{user}.background", user, part, root=True))
        try:
            yield
        finally:
            OWNER.reset(token)

    def clocks(self) -> dict[str, tuple[float, ...]]:
        """For each part, the virtual time at each of its steps."""
        return {part.name: tuple(part.times) for part in self._parts.values()}

    # What guards of shared resources ask (targets.guard.Host)

    def whose(self) -> tuple[str, str]:
        """Label and user of the operation now running."""
        owner = self.loop.owner()
        return owner.label, owner.user

    def holds_rightly(self, label: str) -> bool:
        """Whether this operation may still hold a unit: it runs, or its handle is in use."""
        if label in self._live or "." not in label:
            return True
        return label in self._handles and label not in self._ended_handles

    def idles(self) -> int:
        """At how many moments nothing was ready to run."""
        return self.loop.idles

    def proceeds(self, task: asyncio.Task[Any], label: str) -> bool:
        """Whether this task of the operation can go on, or waits for an own arrival."""
        return can_go_on(task) or any(owner.label == label for owner in self.loop.awaiting())

    def under_repair(self) -> bool:
        """Whether work that belongs to no user can go on, or waits for something from outside.

        Or has gone on since the last time limit of the operation now running, which came together
        with what it waited for.
        """
        if not all(owner.user for owner in self.loop.awaiting()):
            return True
        for task in self.loop.pending_tasks():
            if not self._user_of(self.loop.name_of(task)) and can_go_on(task):
                return True
        mine, others = self.loop.label(), False
        for step in reversed(self.loop.trace or ()):
            timer = step.what.startswith("timer ")
            if timer and step.task == mine:
                return others
            others = others or not (timer or self._user_of(step.task))
        return False

    def _user_of(self, task: str) -> str:
        """The user whose task this is, "" if it is nobody's."""
        user, dot, _ = task.partition(".")
        return user if dot and user in self.observations else ""

    def time(self) -> float:
        """The virtual time, in seconds."""
        return self.loop.now

    def counts(self) -> dict[str, int]:
        """How many timers and I/O of each kind the operation now running has begun."""
        owner = self.loop.owner()
        return {**owner.counts, _ALL_IO: owner.io_count}

    def refused(self) -> None:
        """A justified refusal happens now."""
        self.loop.mark("refusal")

    def refusal(self, spent: Mapping[str, int]) -> Awaitable[None]:
        """Wait until a refusal that happened jointly is due alone."""
        owner = self.loop.owner()
        for kind, number in spent.items():
            owner.counts[kind] = owner.counts.get(kind, 0) + number
        owner.io_count += spent.get(_ALL_IO, 0) - 1  # the wait itself is none of its I/O
        return self.loop.io("refusal", 0.0, None)

    # Phases

    def everything(self, around: Around = contextlib.nullcontext) -> None:
        """Run all phases; what the target does wrong becomes evidence, not an exception.

        Starting and the operations happen inside a block that ``around`` makes for the loop.
        """
        scheduler = self.loop.scheduler
        self.loop.scheduler = Default()
        with self.loop.running():
            with around(self.loop):
                self._start()
                self.loop.scheduler = scheduler
                self.loop.last = Actor("", self.loop.root)
                self._operations()
            self.loop.scheduler = Default()
            self.ops_end = self.loop.now
            if self.ended in ("done", "deadlock"):
                try:
                    self._afterwards()
                except OutOfSteps:
                    self.ended = "step limit"
        self._dismiss()

    def _start(self) -> None:
        spec = self.spec
        try:
            self.target = spec.cls()
            for name in self._armed:
                self.target.arm(name)
            start = getattr(self.target, "start", None)
            if start is not None:
                self._system(start, context=self._base)
            self._check_members()
            shared = getattr(self.target, "shared", None)
            resources = list(shared()) if shared is not None else []
        except Blocked:
            raise BadInput(f"{spec.name}: start never ends: {'; '.join(self._chains())}") from None
        except OutOfSteps:
            raise BadInput(f"{spec.name}: start never ends; it is busy for ever") from None
        except BadInput:
            raise
        except Exception as error:
            raise BadInput(
                f"{spec.name}: start raised {type(error).__name__}: {error} ({_place(error)})"
            ) from error
        if getattr(self.target, "roots", None) is not None:
            self._class_state = class_state(_stateful_classes(len(sys.modules)))
        self.guards = Guards(resources, self, self._forced)

    def _check_members(self) -> None:
        """An attribute of the same name hides a method: say so, before it is called."""
        for name in (*self.spec.operations, *self.spec.observations):
            if not callable(getattr(self.target, name)):
                raise BadInput(
                    f"{self.spec.name}: start sets self.{name}, which hides the method {name}; "
                    "give the attribute another name"
                )

    def _system(
        self, method: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        """Call a method of the target outside any operation, and wait for it.

        What it sets in ``context`` stays set there.
        """
        base = context if context is not None else self._base.copy()
        result = base.run(method, *args)
        if not inspect.iscoroutine(result):
            return result
        task = self.loop.create_task(result, context=base)
        self.loop.drive(task.done)
        return task.result()

    def _operations(self) -> None:
        for user in self.scenario.users:
            self._start_next(user)
        try:
            self.loop.drive(self._all_done)
            self.loop.settle()
        except Blocked:
            self.waiting = self._chains()
            self._hang()
        except OutOfSteps:
            self.waiting = self._chains()
            if stalled(self.loop, self.scenario.users):
                self._allow_more()
                self._hang()
            else:
                self.ended = "step limit"
        except (SystemExit, KeyboardInterrupt) as error:
            self.ended = "crash"
            self.error = f"{type(error).__name__}({error}) in {self.loop.last.name}"

    def _allow_more(self) -> None:
        """As many steps again, for what comes after a phase that used up all of them."""
        self.loop.max_steps += self._most_steps

    def _all_done(self) -> bool:
        return not self._live and not any(self._queues.values())

    def _start_next(self, user: str) -> None:
        """Announce this user's next operation, and those that start beside it."""
        queue = self._queues[user]
        while queue:
            operation = queue.pop(0)
            owner = Owner(operation.label, user, self._parts[user])
            self._live[operation.label] = operation
            self.loop.arrive("start", self._begin, operation, owner, owner=owner)
            if not (queue and queue[0].beside):
                return

    def _begin(self, operation: Operation, owner: Owner) -> None:
        self.loop.start(self._perform(operation), owner, self._base)

    async def _perform(self, operation: Operation) -> None:
        spec = self.spec.operations[operation.name]
        others = [o for o in self._live.values() if o.user == operation.user and o != operation]
        if others:
            self._overlapped.update({operation.label, *(other.label for other in others)})
        arguments = self._arguments(operation)
        before = self._state(operation.user) if spec.atomic else None
        self._happened("invoke", operation, operation.args)
        outcome, value = await self._call(operation, spec, arguments)
        if spec.ends and outcome == "ok":
            self._ended_handles.add(made_by(operation.args.get(spec.ends)) or "")
        if spec.atomic and outcome in ("fail", "info") and operation.label not in self._overlapped:
            after = self._state(operation.user)
            self.rollbacks.append(Rollback(operation.label, operation.user, before, after))
        self._finish(operation, outcome, value)

    async def _call(
        self, operation: Operation, spec: OperationSpec, arguments: dict[str, Any] | None
    ) -> tuple[str, Any]:
        if arguments is None:
            return "fail", {"error": "NoHandle", "message": "its maker did not succeed"}
        try:
            call = getattr(self.target, operation.name)(operation.user, **arguments)
            for boundary in self.loop.boundaries(operation.label):
                call = boundary.around(call)
            value = await call
        except asyncio.CancelledError:
            return "info", {"error": "CancelledError", "message": ""}
        except GivenUp as given_up:
            return "info", {"error": str(given_up), "message": ""}
        except Exception as error:
            error.__traceback__ = None  # frames would keep alive what should be gone
            return "fail", plain(error)
        if spec.makes:
            self._handles[operation.label] = value
            return "ok", {"handle": spec.makes}
        return "ok", plain(value)

    def _finish(self, operation: Operation, outcome: str, value: Any) -> None:
        self._happened(outcome, operation, value)
        self.observations[operation.user].append((operation.label, outcome, value))
        self._live.pop(operation.label, None)
        mine = [other for other in self._live.values() if other.user == operation.user]
        if not mine:
            self._start_next(operation.user)

    def _happened(self, kind: Any, operation: Operation, value: Any) -> None:
        self.history.append(
            Event(kind, operation.label, operation.user, operation.name, self.loop.now, value)
        )

    def _hang(self) -> None:
        """Record what will never end, and clear it away so that the rest can be looked at."""
        self.ended = "deadlock"
        for operation in list(self._live.values()):
            self._queues[operation.user].clear()
        for operation in list(self._live.values()):
            self._finish(operation, "hang", None)
            task = self.loop.task(operation.label)
            if task is not None:
                task.cancel()
        with contextlib.suppress(Blocked, OutOfSteps):
            self.loop.settle()

    def _afterwards(self) -> None:
        self._share()
        for user in self.scenario.users:
            for name in self.spec.observations:
                outcome, value = self._check(user, name)
                self.observations[user].append((f"{user}.{name}", outcome, value))
        leave = getattr(self.target, "leave", None)
        if leave is not None:
            for user in self.scenario.users:
                self._leave(user, leave)
        with contextlib.suppress(Blocked):
            self.loop.settle()
        self._look_for_leftovers(leave is not None)
        stop = getattr(self.target, "stop", None)
        if stop is not None:
            self._guarded("stop", stop)

    def _check(self, user: str, name: str) -> tuple[str, Any]:
        """A final check: what the user sees, or how looking failed."""
        owner = Owner(f"{user}.{name}", user, self._parts[user])
        task = self.loop.start(getattr(self.target, name)(user), owner, self._base)
        try:
            self._wait_for(task)
        except Blocked:
            task.cancel()
            return "hang", None
        try:
            return "ok", plain(task.result())
        except asyncio.CancelledError:
            return "info", {"error": "CancelledError", "message": ""}
        except Exception as error:
            error.__traceback__ = None
            return "fail", plain(error)

    def _wait_for(self, task: asyncio.Task[Any]) -> None:
        """Run until this task is done; raises Blocked if it never will be, or OutOfSteps."""
        try:
            self.loop.drive(task.done)
        except OutOfSteps:
            if not stalled(self.loop, self.scenario.users):
                raise
            self._allow_more()
            raise Blocked from None

    def _leave(self, user: str, leave: Callable[[str], Any]) -> None:
        owner = Owner(f"{user}.leave", user, self._parts[user])
        task = self.loop.start(leave(user), owner, self._base)
        try:
            self._wait_for(task)
            task.result()
        except Blocked:
            task.cancel()
            self.leftovers.append(Leftover("departure", f"{user} can never leave", user))
        except Exception as error:
            self.error = self.error or f"leave({user}) raised {type(error).__name__}: {error}"

    def _guarded(self, name: str, method: Callable[..., Any], *args: Any) -> Any:
        """Call one of the target's own methods; what it raises is kept as the run's error."""
        try:
            return self._system(method, *args)
        except Blocked:
            self.error = self.error or f"{name} never ends"
        except Exception as error:
            self.error = self.error or f"{name} raised {type(error).__name__}: {error}"
        return None

    def _share(self) -> None:
        roots = getattr(self.target, "roots", None)
        if roots is None or len(self.scenario.parts()) < 2:
            return
        mine = {user: dict(self._guarded("roots", roots, user) or {}) for user in self._queues}
        common = getattr(self.target, "common", None)
        allowed = list(self._guarded("common", common) or ()) if common is not None else []
        self.shared = shared_objects(
            mine,
            [*allowed, self.target, self],
            groups=self.scenario.groups,
            before=self._class_state,
        )

    def _look_for_leftovers(self, users_left: bool) -> None:
        leftovers = getattr(self.target, "leftovers", None)
        if leftovers is not None:
            for item in self._guarded("leftovers", leftovers) or ():
                self.leftovers.append(
                    item if isinstance(item, Leftover) else Leftover("residue", str(item))
                )
        if users_left:
            for task in self.loop.pending_tasks():
                name = self.loop.name_of(task)
                user = self._user_of(name)
                if user:
                    self.leftovers.append(Leftover("task", name, user))
        self._handles.clear()
        alive = [what for reference, what in self._watched if reference() is not None]
        if alive:
            gc.collect(1)  # what this execution made is young, as collections wait for its end
            for reference, what in self._watched:
                if reference() is not None:
                    self.leftovers.append(Leftover("object", what))

    def _dismiss(self) -> None:
        """Nothing of this run may reach the next: end its tasks, drop its loop."""
        loop = self.loop
        for queue in self._queues.values():
            queue.clear()  # an operation that ends now must not start the next
        with loop.running():
            for _ in range(3):
                pending = loop.pending_tasks()
                if not pending:
                    break
                for task in pending:
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    task.cancel()
                loop.max_steps = loop.steps + 1_000
                with contextlib.suppress(Blocked, OutOfSteps, SystemExit, KeyboardInterrupt):
                    loop.settle()
            else:
                for task in loop.pending_tasks():
                    self.leftovers.append(
                        Leftover("task", f"{loop.name_of(task)} swallows its cancellation")
                    )
        loop.close()

    # Small questions

    def _state(self, user: str) -> Any:
        state = getattr(self.target, "state", None)
        return plain(state(user)) if state is not None else None

    def _arguments(self, operation: Operation) -> dict[str, Any] | None:
        """The arguments as the target wants them; None if a handle was never made."""
        spec = self.spec.operations[operation.name]
        arguments = {}
        for argument in spec.arguments:
            value = operation.args[argument.name]
            if argument.made:
                maker = made_by(value)
                if maker not in self._handles:
                    return None
                arguments[argument.name] = self._handles[maker]
            elif argument.strategy is None:
                arguments[argument.name] = value
            else:
                arguments[argument.name] = _typed(value, argument.type)
        return arguments

    def _chains(self) -> list[str]:
        """Where each pending task waits, innermost last."""
        return [
            f"{self.loop.name_of(task)} waits at {' > '.join(frames(task))}"
            for task in self.loop.pending_tasks()
        ]


@functools.lru_cache(maxsize=1)
def _stateful_classes(modules: int) -> tuple[type, ...]:
    """Classes with containers among their attributes; looked up anew after further imports."""
    return tuple(cls for cls in own_classes() if class_state([cls]))


def _part(users: tuple[str, ...], clocks: Mapping[str, Sequence[float]]) -> Part:
    name = "+".join(users)
    return Part(name, clocks.get(name))


def frames(task: asyncio.Task[Any]) -> list[str]:
    """The functions a suspended task is in, outermost first, as name:line."""
    out = []
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if frame is not None and not frame.f_code.co_filename.endswith(_OURS):
            out.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
    return out or ["its start"]


def _typed(value: Any, wanted: Any) -> Any:
    if wanted is Any or type(value) is wanted:
        return value
    try:
        return msgspec.convert(value, wanted)
    except (msgspec.ValidationError, TypeError):
        return value


def _place(error: BaseException) -> str:
    """Where this error was raised, as file:line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown place"
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
