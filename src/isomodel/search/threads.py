"""Threaded programs: exploring functions that run in threads of their own.

As for any program (``search.program``) the property is that nothing is raised and that it ends.
What is explored are the orders in which threads access what they share, at one of two
granularities; the same policies, schedules, shrinking and replay as for tasks.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Scheduler
from isomodel.engine.threads.instructions import instructions
from isomodel.engine.threads.places import Places
from isomodel.engine.threads.points import with_points
from isomodel.engine.threads.runtime import Alarm, Crew, Deadlock, OutOfSteps, control
from isomodel.engine.threads.turns import SLACK
from isomodel.engine.threads.where import here_is
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.profile import Profile
from isomodel.schedulers.recording import Recording
from isomodel.schedulers.replay import Replay
from isomodel.search.counterexample import Counterexample, Switching, explained
from isomodel.search.exploring.observe import Observer
from isomodel.search.exploring.plans import ON_THREADS, ScheduleSearch
from isomodel.search.program import FAILED, FAILURE, STATE, Numbers, ProgramOutcome
from isomodel.search.running.execute import session
from isomodel.search.running.kept import kept
from isomodel.search.shrinking.program_shrink import Tried, simplest
from isomodel.values.errors import BadInput
from isomodel.values.schedule import Schedule
from isomodel.values.verdict import Finding, Verdict

Granularity = Literal["accesses", "instructions"]
"""``accesses``: a thread can be interrupted before each access to something that may be shared, in
the program's own code. ``instructions``: before each of its bytecode instructions that could
matter. Either way at every lock, queue and sleep, in any code."""

POLICIES: Mapping[Granularity, Mapping[str, float]] = {
    "accesses": ON_THREADS,
    "instructions": {
        "reversal": 1.0,
        "order": 0.5,
        "walk": 0.25,
        "pct 2": 0.25,
        "pct 3": 0.25,
        "surw": 0.1,
        "sticky": 0.1,
    },
}
"""What shares the budget. What instructions touch is known from a run that tells of accesses."""

MOST_GARBAGE = 20_000
"""Objects made since the last collection, after which there is one, between two executions."""

MOST_BUSY = 3
"""Executions in a row that never end, after which the next ones are not tried."""

BESIDE = frozenset(("main",))
"""Makes the state, starts the other threads and looks at the end: what it does is no race."""


class ThreadedProgram(msgspec.Struct, frozen=True):
    """``setup`` makes the state, ``bodies`` run in a thread each, ``check`` looks at the end.

    Bodies and check are given the state; without ``setup`` there is none, and they are given
    nothing. A check fails by returning False or by raising. All are called for every execution.
    """

    bodies: tuple[Callable[..., object], ...]
    setup: Callable[[], Any] | None = None
    check: Callable[..., object] | None = None

    @property
    def roots(self) -> tuple[Any, ...]:
        """The functions from which the program's code is found."""
        parts = (*self.bodies, self.setup, self.check)
        return tuple(part for part in parts if part is not None)

    @property
    def files(self) -> frozenset[str]:
        """Where what runs in threads is written, as far as it begins in plain functions."""
        codes = (getattr(body, "__code__", None) for body in self.bodies)
        return frozenset(code.co_filename for code in codes if code is not None)

    def main(self, crew: Crew) -> None:
        """The program's first thread."""
        state = () if self.setup is None else (self.setup(),)
        started = [crew.spawn(_name(body), functools.partial(body, *state)) for body in self.bodies]
        for thread in started:
            crew.join(thread)
        if self.check is not None and self.check(*state) is False:
            raise AssertionError(f"{_name(self.check)} does not hold")


@functools.lru_cache(maxsize=256)
def _name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = str(getattr(function, "__qualname__", type(function).__name__))
    return name.rpartition(".")[2].strip("<>")


def run_threads(
    program: ThreadedProgram,
    scheduler: Scheduler,
    *,
    granularity: Granularity = "accesses",
    seed: int = 0,
    max_steps: int = 20_000,
    held_up: float = SLACK,
    around: Callable[[Any], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
) -> tuple[str, str, Crew]:
    """Run it once: how it ended (``ok raised hang busy alarm``), why, and its threads.

    To be called inside ``controlled``.
    """
    if gc.get_count()[0] > MOST_GARBAGE:
        gc.collect(1)
    crew = Crew(scheduler, max_steps=max_steps, slack=held_up)
    instructions.begin(crew, granularity == "instructions")
    try:
        with around(crew):
            control.run(crew, lambda: program.main(crew), seed)
    except Deadlock as error:
        return "hang", f"deadlock: {error}", crew
    except OutOfSteps as error:
        return "busy", str(error), crew
    except Alarm as error:
        return "alarm", str(error), crew
    except (Exception, SystemExit) as error:
        return "raised", _told(error), crew
    finally:
        instructions.end()
    for name, uncaught in crew.errors:
        return "raised", f"{_told(uncaught)} in {name}", crew
    return "ok", "", crew


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def controlled(search: ScheduleSearch, granularity: Granularity) -> Iterator[None]:
    """Have the process ready for executions at this granularity, inside the block."""
    kept.clear()  # a target's code may be this program's, too
    with session(), control.installed(), contextlib.ExitStack() as stack:
        tracker = search.tracker
        if granularity == "accesses":
            stack.enter_context(tracker.rewritten)
        else:
            stack.enter_context(instructions.watching(tracker.functions()))
        yield


def explore_threads(
    *bodies: Callable[..., object],
    setup: Callable[[], object] | None = None,
    check: Callable[..., object] | None = None,
    executions: int = 1_000,
    seed: int = 0,
    granularity: Granularity = "accesses",
    within: Sequence[str] = (),
    policies: Mapping[str, float] | None = None,
    max_steps: int = 20_000,
    held_up: float = SLACK,
) -> ProgramOutcome:
    """Run ``bodies``, each in a thread, under one schedule after another until something fails.

    ``setup`` is called first and makes the state that each body is given; ``check`` comes when all
    have ended. A single body may start all threads itself: ``explore_threads(main)`` is enough.
    ``within`` names packages and modules, beside those that the program's author wrote, in whose
    code threads can be interrupted, too. A thread at work may be ``held_up`` for so many seconds
    while time passes: as long a sleep, or a time limit, of another may end in the middle of what
    it does. Raises BadInput without greenlet.
    """
    if granularity not in POLICIES:
        raise BadInput(
            f"explore_threads: granularity is {granularity!r}; "
            f"write {' or '.join(map(repr, POLICIES))}"
        )
    program = ThreadedProgram(tuple(bodies), setup, check)
    if not bodies:
        raise BadInput("explore_threads: no bodies; give at least one function to run in a thread")
    for part in program.roots:
        if inspect.iscoroutinefunction(part):
            raise BadInput(
                f"explore_threads: {_name(part)} is a coroutine function, which a thread would not "
                "run; explore it with explore_program, or have a function call asyncio.run"
            )
    search = ScheduleSearch(
        program.roots,
        seed,
        policies=policies or POLICIES[granularity],
        rewriting=with_points,
        first="round robin",
        packages=within,
    )
    with controlled(search, granularity):
        run = functools.partial(
            run_threads, program, granularity=granularity, max_steps=max_steps, held_up=held_up
        )
        return _Exploration(program, search, granularity, seed, run).outcome(executions)


class _Exploration:
    """One search, which ends with the first failure."""

    def __init__(
        self,
        program: ThreadedProgram,
        search: ScheduleSearch,
        granularity: Granularity,
        seed: int,
        run: Callable[..., tuple[str, str, Crew]],
    ) -> None:
        self._program = program
        self._search = search
        self._granularity: Granularity = granularity
        self._seed = seed
        self._numbers = Numbers(seed)
        self._run_once = run
        self._how = ""
        self._why = ""

    def outcome(self, executions: int) -> ProgramOutcome:
        """The verdict after at most so many executions."""
        search = self._search
        seen = instructions if self._granularity == "instructions" else None
        doubt = ""
        busy = 0
        # the first execution, once more: what it imports is to be there before it is observed
        self._run(search.plan(0).scheduler())
        if seen is not None:
            self._focus()
        for index in range(executions):
            self._seed = self._numbers.of(index)
            plan = search.plan(index)
            observer = search.observer(plan, seen)
            ended, why, crew = self._run(
                observer.scheduler if observer else plan.scheduler(), observer
            )
            self._numbers.learn(drawn=control.drew)
            search.learn(plan, observer, crew.step_counts())
            if ended in FAILED:
                found = self.recorded(plan.scheduler())
                if found is None:
                    doubt = f"execution {index + 1} failed ({why}), and not when repeated: {STATE}"
                    continue
                return self._found(found, index, plan.policy)
            if ended != "ok":
                doubt = why
            busy = busy + 1 if ended == "busy" else 0
            if ended == "alarm" or busy > MOST_BUSY:
                return self._silent(doubt, index + 1)
            if crew.uncontrolled:
                issue = crew.uncontrolled[0]
                doubt = f"{issue.source} at {issue.where} is not under control"
        return self._silent(doubt, executions)

    def _focus(self) -> None:
        """See which instructions matter: run it in one thread after another, in two ways."""
        observer = Observer(self._search.tracker, Default(), profiled=False, located=True)
        how, _, _ = self._run_once(
            observer.scheduler,
            granularity="accesses",
            seed=self._seed,
            around=observer.watching,
        )
        with instructions.noting() as ran:
            again, _, crew = self._run(Default())
        if how == again == "ok":
            alone = instructions.know(Places(observer.accesses, BESIDE), ran)
            counts = {name: float(steps - alone[name]) for name, steps in crew.step_counts()}
            self._search.focus(Profile(1, counts))

    def _silent(self, doubt: str, executions: int) -> ProgramOutcome:
        missed = self._search.tracker.missed if self._granularity == "accesses" else ()
        own = [file for file in missed if file in self._program.files]
        if not doubt and own:
            doubt = (
                f"no thread was interrupted inside {', '.join(own)}: its source is not what runs"
            )
        if doubt:
            return ProgramOutcome(Verdict("unknown", doubt, (), executions), shares=self._shares())
        scope = (
            "threads interrupted at accesses of the program's own code, not inside other code: "
            'granularity="instructions" sees more'
            + "".join(f", nor inside all of {file}" for file in missed)
            if self._granularity == "accesses"
            else "threads interrupted at instructions of the program's own code"
        )
        reason = f"nothing found in {executions} executions; {scope}"
        return ProgramOutcome(Verdict("ok", reason, (), executions), shares=self._shares())

    def _shares(self) -> Any:
        return self._search.shares()

    def _run(self, scheduler: Scheduler, observer: Observer | None = None) -> tuple[str, str, Crew]:
        return self._run_once(
            scheduler,
            seed=self._seed,
            around=observer.watching if observer else contextlib.nullcontext,
        )

    def recorded(self, scheduler: Scheduler) -> Tried | None:
        """What became of it under this scheduler, with every choice written down, if it failed."""
        recording = Recording(scheduler)
        how, why, _ = self._run(recording)
        if how not in FAILED or (self._how and (how, _kind(why)) != (self._how, _kind(self._why))):
            return None
        self._how, self._why = how, why
        return Tried(Schedule("portable", tuple(recording.choices)), recording.switches)

    def _found(self, found: Tried, index: int, policy: str) -> ProgramOutcome:
        best = simplest(found, lambda schedule: self.recorded(Replay(schedule.choices)))
        self.recorded(Replay(best.schedule.choices))  # for its own words
        example = self._explained(best.schedule)
        verdict = Verdict("violated", example.why, (Finding(FAILURE, example.why),), index + 1)
        shares = self._search.shares()
        return ProgramOutcome(
            verdict, best.schedule, index + 1, policy, shares, example, self._seed
        )

    def _explained(self, schedule: Schedule) -> Counterexample:
        """What happens in it; accesses are known only where the code tells of them."""
        under = f"threads at {self._granularity}"
        replay = Replay(schedule.choices)
        if self._granularity == "instructions":
            switching = Switching(replay, _stopped)
            self._run(switching)
            switches = tuple(at for _, at in switching.switches)
            return Counterexample(self._why, schedule, switches, (), under)
        return explained(
            self._why,
            schedule,
            self._search.tracker,
            replay,
            lambda observer, _: self._run(observer.scheduler, observer),
            where=_stopped,
            under=under,
        )


def _stopped(last: Actor) -> str:
    return here_is()


def _kind(why: str) -> str:
    """The kind of a failure: the class of an error, not its text, which may tell of values."""
    return why.partition(":")[0]
