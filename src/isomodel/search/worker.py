"""A worker process: what it is asked, what it answers, and what it does in between.

It runs code that may end, block or kill it, so it owns nothing that has to survive. Its parent
(``isomodel.search.campaign``) reads its journal, and starts another one. It answers requests in
turn, so that imports are paid once.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from isomodel.engine.sources import shortened
from isomodel.schedulers.random import RandomWalk
from isomodel.schedulers.replay import Replay
from isomodel.search import cases
from isomodel.search.execute import execute, session
from isomodel.search.explore import Budget, Draw, Explorer, Outcome
from isomodel.search.jobs import Job, Result
from isomodel.search.journal import Journal, LastWords, Phase, Trail, beating, is_ours, is_tested
from isomodel.search.shrink import Shrinker
from isomodel.targets.resolve import check_armed, resolve
from isomodel.values.case import Case
from isomodel.values.errors import BadInput
from isomodel.values.execution import Execution
from isomodel.values.verdict import Finding, Verdict

# Requests


class Hunt(msgspec.Struct, frozen=True):
    """Do this job; keep what it finds in folder ``cases``. Answers: Found, then Done."""

    job: Job
    cases: str


class Inputs(msgspec.Struct, frozen=True):
    """Draw the inputs of one execution of a job, without running it. Answer: a Draw."""

    job: Job
    index: int


class Trial(msgspec.Struct, frozen=True):
    """Run something that may end this process, and write its choices into file ``trail``.

    ``draw`` is run as the hunt did, alone runs included; without it, ``case`` is replayed.
    Answer, if any: Survived.
    """

    job: Job
    trail: str
    draw: Draw | None = None
    case: Case | None = None


class Again(msgspec.Struct, frozen=True):
    """Replay a case, and judge it. Answer: Repeated."""

    case: Case
    path: tuple[str, ...] = ()


Request = Hunt | Inputs | Trial | Again

# Answers


class Found(msgspec.Struct, frozen=True):
    """A counterexample is on disk, not shrunk; this would be the result, were it the end."""

    result: Result


class Done(msgspec.Struct, frozen=True):
    """A job ended. ``execution`` is that of the case, if there is one."""

    result: Result
    execution: Execution | None = None


class Survived(msgspec.Struct, frozen=True):
    """Nothing happened to this process."""

    finding: Finding | None = None


class Repeated(msgspec.Struct, frozen=True):
    """The execution of a case, and the failure if it showed again."""

    execution: Execution
    finding: Finding | None


class Unusable(msgspec.Struct, frozen=True):
    """The target cannot be used: one line that says why."""

    message: str


class Escaped(msgspec.Struct, frozen=True):
    """The target raised what only the end of a process raises, outside any operation."""

    error: str
    where: str


class Broken(msgspec.Struct, frozen=True):
    """An error of isomodel itself."""

    error: str
    traceback: str


Answer = Found | Done | Draw | Survived | Repeated | Unusable | Escaped | Broken


def main(connection: str, life: str, journal: str, last_words: str) -> None:
    """Serve until the parent is gone. The arguments are file descriptors and file names."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on every system

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    leave = os._exit
    words = LastWords(Path(last_words))
    _thread.start_new_thread(_watch_parent, (int(life), words, leave))
    words.watch_exits()
    line: Connection[Any, Any] = Connection(int(connection))

    def say(answer: Answer) -> None:
        try:
            line.send(answer)
        except OSError:  # nobody listens
            leave(1)

    worker = _Worker(Journal(Path(journal)), say)
    with contextlib.suppress(EOFError):
        while True:
            worker.serve(line.recv())
    leave(0)


def _watch_parent(life: int, words: LastWords, leave: Callable[[int], object]) -> None:
    """End when the parent does, even in an endless loop; on its demand say who runs now."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while os.read(life, 1):
        words.who()
    leave(1)


class _Worker:
    """Serves requests, one after another."""

    def __init__(self, journal: Journal, say: Callable[[Answer], None]) -> None:
        self._journal = journal
        self._say = say

    def serve(self, request: Request) -> None:
        """Answer one request; whatever happens, the last answer says that it is done."""
        target = request.case.target if isinstance(request, Again) else request.job.target
        self._journal.enter(Phase.STARTING)
        try:
            self._say(self._answer(request))
        except BadInput as error:
            self._say(Unusable(str(error)))
        except BaseException as error:  # SystemExit, too: it is the target's
            self._say(_explained(error, target))
        self._journal.enter(Phase.IDLE)

    def _answer(self, request: Request) -> Answer:
        if isinstance(request, Hunt):
            return self._hunt(request.job, Path(request.cases))
        if isinstance(request, Inputs):
            return self._explorer(request.job).draw(request.index)
        if isinstance(request, Trial):
            return self._trial(request)
        return self._again(request)

    def _explorer(self, job: Job) -> Explorer:
        spec = resolve(job.target, job.path)
        check_armed(spec, job.armed)
        return Explorer(
            beating(spec, self._journal),
            seed=job.seed,
            fidelities=job.fidelities,
            armed=job.armed,
            oracles=job.oracles,
            users=job.users,
            operations=job.operations,
        )

    def _hunt(self, job: Job, folder: Path) -> Answer:
        explorer = self._explorer(job)
        with session():
            self._journal.enter(Phase.HUNTING)
            started = time.monotonic()
            outcome = explorer.hunt(
                Budget(job.executions, job.seconds),
                before=lambda draw: self._journal.begin(draw.index),
            )
            result = _result(job, outcome, time.monotonic() - started)
            if outcome.execution is None or outcome.finding is None:
                return Done(result)
            result = _kept(result, _as_found(explorer, outcome), folder)
            self._say(Found(result))
            return self._shrunk(explorer, outcome.execution, outcome.finding, result, folder)

    def _shrunk(
        self,
        explorer: Explorer,
        execution: Execution,
        finding: Finding,
        found: Result,
        folder: Path,
    ) -> Answer:
        """The result with the simplest case that fails again in this process."""
        results = [found]
        if found.job.shrink and found.case is not None:
            self._journal.enter(Phase.SHRINKING)
            started = time.monotonic()
            shrinker = Shrinker(explorer.spec, explorer.armed)
            case = shrinker.shrink(execution, finding, seed=found.job.seed)
            case = msgspec.structs.replace(case, origin=found.case.origin)
            shrunk = msgspec.structs.replace(
                _kept(found, case, folder),
                shrink_executions=shrinker.executions,
                shrink_seconds=time.monotonic() - started,
            )
            results.insert(0, shrunk)
        self._journal.enter(Phase.CHECKING)
        return self._confirmed(explorer, results)

    def _confirmed(self, explorer: Explorer, results: list[Result]) -> Answer:
        """The first of these results whose case fails again; the file of the other goes."""
        for result in results:
            assert result.case is not None
            again, finding = cases.rejudge(result.case, explorer.spec)
            if finding is not None:
                for other in results:
                    if other.file != result.file:
                        Path(other.file).unlink(missing_ok=True)
                return Done(result, again)
        reason = (
            f"{results[0].verdict.reason}; but the same schedule did not fail again in the same "
            "process: state that is kept between executions, or something not under control"
        )
        verdict = Verdict("unknown", reason, (), results[0].executions)
        return Done(msgspec.structs.replace(results[-1], verdict=verdict))

    def _trial(self, request: Trial) -> Answer:
        explorer = self._explorer(request.job)
        draw, case = request.draw, request.case
        if draw is not None:
            trail = Trail(RandomWalk(draw.walk), Path(request.trail), self._journal)
            inputs = draw.scenario, draw.fidelity, draw.faults
        else:
            assert case is not None
            trail = Trail(Replay(case.schedule.choices), Path(request.trail), self._journal)
            inputs = case.scenario, case.schedule.fidelity, case.schedule.faults
        scenario, fidelity, faults = inputs
        self._journal.enter(Phase.CHECKING)
        with session(), contextlib.closing(trail):
            execute(
                explorer.spec,
                scenario,
                trail,
                fidelity=fidelity,
                faults=faults,
                armed=explorer.armed,
                record=False,
            )
            if draw is None:
                return Survived()
            return Survived(explorer.hunt(Budget(1), first=draw.index).finding)

    def _again(self, request: Again) -> Answer:
        case = request.case
        spec = resolve(case.target, request.path)
        cases.fits(case, spec)
        self._journal.enter(Phase.CHECKING)
        with session():
            return Repeated(*cases.rejudge(case, beating(spec, self._journal)))


def _result(job: Job, outcome: Outcome, seconds: float) -> Result:
    return Result(
        job=job,
        verdict=outcome.verdict,
        executions=outcome.verdict.executions,
        alone_runs=outcome.alone_runs,
        steps=outcome.steps,
        hunt_seconds=seconds,
        also_alone=outcome.also_alone,
        issues=outcome.issues,
    )


def _as_found(explorer: Explorer, outcome: Outcome) -> Case:
    execution, finding = outcome.execution, outcome.finding
    assert execution is not None
    assert finding is not None
    return cases.make(
        explorer.spec.name,
        explorer.armed,
        execution.scenario,
        execution.schedule,
        finding,
        switches=execution.switches,
        seed=explorer.seed,
        execution=outcome.index,
    )


def _kept(result: Result, case: Case, folder: Path) -> Result:
    """The result with this case, which is on disk from here on."""
    file = cases.save(case, folder)
    finding = case.finding
    verdict = Verdict("violated", finding.message, (finding,), result.executions)
    return msgspec.structs.replace(result, verdict=verdict, case=case, file=str(file))


# Errors


def _explained(error: BaseException, target: str) -> Answer:
    """Whose error this is: of the target's code, or of ours."""
    place, tested, starting = "unknown place", False, False
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        starting = starting or code.co_qualname == "Run._start"
        if is_tested(code.co_filename) or is_ours(code.co_filename):
            tested = is_tested(code.co_filename)
            place = f"{shortened(code.co_filename)}:{trace.tb_lineno} in {code.co_name}"
        trace = trace.tb_next
    what = f"{type(error).__name__}({error})"
    if isinstance(error, Exception):
        if tested:
            return Unusable(f"{target}: {what} outside any operation, at {place}")
        return Broken(what, "".join(traceback.format_exception(error)))
    if starting:
        return Unusable(f"{target}: start raised {what}, at {place}")
    return Escaped(what, place)
