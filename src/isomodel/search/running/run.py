"""One run of one scenario: the world a target lives in, and everything it leaves behind."""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from typing import Any, NoReturn

import msgspec

from isomodel.engine.giving_up import GivenUp
from isomodel.engine.graph import class_state, own_classes, shared_objects
from isomodel.engine.handle import Timer
from isomodel.engine.owner import Actor, Owner, Part
from isomodel.engine.runtime import Blocked, Cancelled, Crashed, Doing, OutOfSteps, Runtime
from isomodel.engine.strangers import mixed
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.projected import Projected
from isomodel.search.running.stalled import stalled
from isomodel.search.running.world import RunWorld
from isomodel.targets.declare import OperationSpec, TargetSpec
from isomodel.targets.guard import Guards
from isomodel.targets.hooks import HOOKS, hook_of
from isomodel.targets.plain import plain
from isomodel.values.errors import BadInput
from isomodel.values.execution import Leftover, Refusal, Rollback
from isomodel.values.facts import Noted
from isomodel.values.scenario import Operation, Scenario, made_by
from isomodel.values.trace import Event

AS_TASK = (
    "a server that serves for ever is to be started with asyncio.create_task, not awaited, and to "
    "be closed in stop"
)

Around = Callable[[Runtime], contextlib.AbstractContextManager[object]]


class Run(RunWorld):
    """Runs the phases of one execution: start, operations, final checks, leaving, stop.

    Only the operations are scheduled; the phases around them follow the default rule. After
    ``everything()`` the attributes hold the evidence.
    """

    def __init__(
        self,
        spec: TargetSpec,
        scenario: Scenario,
        loop: Runtime,
        *,
        armed: tuple[str, ...] = (),
        forced: Mapping[str, Refusal] | None = None,
        clocks: Mapping[str, Sequence[float]] | None = None,
        given_up: Mapping[str, tuple[str, Any]] | None = None,
        until: float = 0.0,
        timers: frozenset[str] = frozenset(),
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
        self._mixed = ""
        self.operated = 0
        self.guards: Guards | None = None
        self._most_steps = loop.max_steps
        self._armed = armed
        self._forced = forced or {}
        self._given_up = given_up or {}
        self._until = until
        self._timers = timers  # those over by then; of all others, those that were set for earlier
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

    # Phases

    def everything(self, around: Around = contextlib.nullcontext) -> None:
        """Run all phases; what the target does wrong becomes evidence, not an exception.

        Starting and the operations happen inside a block that ``around`` makes for the loop.
        """
        try:
            with self.loop.running():
                self._phases(around)
        except BadInput:
            self._dismiss()
            raise
        self._dismiss()
        if self._mixed:
            self._refuse()

    def _phases(self, around: Around) -> None:
        scheduler = self.loop.scheduler
        self.loop.scheduler = Default()
        with around(self.loop):
            self._start()
            self.loop.scheduler = scheduler
            if isinstance(scheduler, Projected):
                scheduler.begin(self.loop.log or ())
            self.loop.last = Actor("", self.loop.root)
            self._operations()
        self.loop.scheduler = Default()
        self.operated = len(self.loop.log or ())
        if self.ended in ("done", "deadlock"):
            try:
                self._afterwards()
            except OutOfSteps:
                self.ended = "step limit"
        self.unheard()

    def _refuse(self) -> NoReturn:
        raise BadInput(f"{self.spec.name}: {self._mixed}")

    def _start(self) -> None:
        spec = self.spec
        try:
            self.target = spec.cls()
            for name in self._armed:
                self.target.arm(name)
            start = hook_of(self.target, "start")
            if start is not None:
                self._system(start, context=self._base)
            self._check_members()
            shared = hook_of(self.target, "shared")
            resources = list(shared() or ()) if shared is not None else []
        except Blocked:
            chains = "; ".join(self.loop.waiting())
            served = f"; {AS_TASK}" if "serve_forever" in chains else ""
            raise BadInput(f"{spec.name}: start never ends: {chains}{served}") from None
        except OutOfSteps:
            raise BadInput(
                f"{spec.name}: start never ends; it is busy for ever; {AS_TASK}"
            ) from None
        except BadInput:
            raise
        except Exception as error:
            self._mixed = mixed(error, spec.runtime)
            if self._mixed:
                self._refuse()
            raise BadInput(
                f"{spec.name}: start raised {type(error).__name__}: {error} ({_place(error)})"
            ) from error
        if hook_of(self.target, "roots") is not None:
            self._class_state = class_state(_stateful_classes(len(sys.modules)))
        self.guards = Guards(resources, self, self._forced)

    def _check_members(self) -> None:
        """An attribute of the same name hides a method: say so, before it is called."""
        hooks = [name for name in HOOKS if hook_of(self.target, name) is not None]
        for name in (*self.spec.operations, *self.spec.observations, *hooks):
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
            self._linger()
        except Blocked:
            self.waiting = self.loop.waiting()
            self._hang()
        except OutOfSteps:
            self.waiting = self.loop.waiting()
            if stalled(self.loop, self.scenario.users):
                self._allow_more()
                self._hang()
            else:
                self.ended = "step limit"
        except (SystemExit, KeyboardInterrupt, Crashed) as error:
            self.ended = "crash"
            self.error = f"{type(error).__name__}({error}) in {self.loop.last.name}"

    def _linger(self) -> None:
        """Let all come that came jointly while the others were still at it: time went on.

        A clock that passed timers by would show what no run can: expired, and still there. Nor
        may what is due come between two final checks, of which one would see it and one not.
        """
        until, over = self._until, self._timers
        self._pass(lambda timer: timer.time < until or (timer.time == until and timer.key in over))
        self.loop.now = max(self.loop.now, until)
        self.loop.scheduler = Default()
        if self.loop.will_jump():
            self.loop.drive(lambda: not self.loop.will_jump())
        self._pass(lambda timer: timer.time <= self.loop.now)

    def _pass(self, is_over: Callable[[Timer], bool]) -> None:
        """Let these timers come, and all that can without further time."""
        self.loop.settle()
        while any(is_over(timer) for timer in self.loop.timed()):
            self.loop.drive(lambda: not any(is_over(timer) for timer in self.loop.timed()))
            self.loop.settle()

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
        if operation.label in self._given_up:
            return self._given_up[operation.label]
        try:
            method = getattr(self.target, operation.name)
            call = self._calling(method, operation.user, **arguments)
            for boundary in self.loop.boundaries(operation.label):
                call = boundary.around(call)
            value = await call
        except Cancelled:
            return "info", {"error": "CancelledError", "message": ""}
        except GivenUp as given_up:
            return "info", {"error": str(given_up), "message": ""}
        except Exception as error:
            self._mixed = self._mixed or mixed(error, self.spec.runtime)
            self.met(error, operation.label, operation.user)
            error.__traceback__ = None  # frames would keep alive what should be gone
            return "info" if isinstance(error, self.spec.uncertain) else "fail", plain(error)
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
        leave = hook_of(self.target, "leave")
        if leave is not None:
            for user in self.scenario.users:
                self._leave(user, leave)
        with contextlib.suppress(Blocked):
            self.loop.settle()
        self._look_for_leftovers(leave is not None)
        stop = hook_of(self.target, "stop")
        if stop is not None:
            self._guarded("stop", stop)

    def _check(self, user: str, name: str) -> tuple[str, Any]:
        """A final check: what the user sees, or how looking failed."""
        owner = Owner(f"{user}.{name}", user, self._parts[user])
        task = self.loop.start(self._calling(getattr(self.target, name), user), owner, self._base)
        try:
            self._wait_for(task)
        except Blocked:
            task.cancel()
            return "hang", None
        try:
            return "ok", plain(task.result())
        except Cancelled:
            return "info", {"error": "CancelledError", "message": ""}
        except Exception as error:
            self.met(error, f"{user}.{name}", user)
            error.__traceback__ = None
            return "fail", plain(error)

    def _wait_for(self, task: Doing) -> None:
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
        task = self.loop.start(self._calling(leave, user), owner, self._base)
        try:
            self._wait_for(task)
            task.result()
        except Blocked:
            task.cancel()
            self.leftovers.append(Leftover("departure", f"{user} can never leave", user))
        except Exception as error:
            self.met(error, f"{user}.leave", user)
            self.error = self.error or f"leave({user}) raised {type(error).__name__}: {error}"

    def _guarded(self, name: str, method: Callable[..., Any], *args: Any) -> Any:
        """Call one of the target's own methods; what it raises is kept as the run's error."""
        try:
            return self._system(method, *args)
        except Blocked:
            serving = self.loop.still_serving()
            self.error = self.error or f"{name} never ends" + (f": {serving}" if serving else "")
        except Exception as error:
            self.error = self.error or f"{name} raised {type(error).__name__}: {error}"
        return None

    def _share(self) -> None:
        roots = hook_of(self.target, "roots")
        if roots is None or len(self.scenario.parts()) < 2:
            return
        mine = {user: self._roots(roots, user) for user in self._queues}
        common = hook_of(self.target, "common")
        allowed = list(self._guarded("common", common) or ()) if common is not None else []
        self.shared = shared_objects(
            mine,
            [*allowed, self.target, self],
            groups=self.scenario.groups,
            before=self._class_state,
        )

    def _roots(self, roots: Callable[[str], Any], user: str) -> dict[str, object]:
        found = self._guarded("roots", roots, user) or {}
        if not isinstance(found, Mapping):
            raise BadInput(
                f"{self.spec.name}: roots returned {type(found).__name__}; "
                "return a dict of names to objects"
            )
        return dict(found)

    def _look_for_leftovers(self, users_left: bool) -> None:
        leftovers = hook_of(self.target, "leftovers")
        if leftovers is not None:
            for item in self._guarded("leftovers", leftovers) or ():
                self.leftovers.append(
                    item if isinstance(item, Leftover) else Leftover("residue", str(item))
                )
        if users_left:
            for name in self.loop.pending():
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
        for queue in self._queues.values():
            queue.clear()  # an operation that ends now must not start the next
        for name in self.loop.dismiss():
            self.leftovers.append(Leftover("task", f"{name} swallows its cancellation"))

    # Small questions

    def _calling(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """A coroutine that is this call; of a plain function on threads, in one of its own."""
        if self.spec.runtime != "threads" or inspect.iscoroutinefunction(method):
            return method(*args, **options)
        loop: Any = self.loop
        return loop.in_thread(method, *args, **options)

    def _state(self, user: str) -> Any:
        state = hook_of(self.target, "state")
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


@functools.lru_cache(maxsize=1)
def _stateful_classes(modules: int) -> tuple[type, ...]:
    """Classes with containers among their attributes; looked up anew after further imports."""
    return tuple(cls for cls in own_classes() if class_state([cls]))


def _part(users: tuple[str, ...], clocks: Mapping[str, Sequence[float]]) -> Part:
    name = "+".join(users)
    return Part(name, clocks.get(name))


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
