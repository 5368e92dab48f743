"""A worker process: what it is asked, what it answers, and what it does in between.

It runs code that may end, block or kill it, so it owns nothing that has to survive. Its parent
(``isomodel.search.campaign.campaign``) reads its journal, and starts another one. It answers
requests in turn, so that imports are paid once.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NoReturn

import msgspec

from isomodel.engine.control.sources import shortened
from isomodel.engine.protocol import Scheduler
from isomodel.schedulers.random import RandomWalk
from isomodel.schedulers.replay import Replay
from isomodel.search import cases
from isomodel.search.campaign.jobs import Job, Result
from isomodel.search.campaign.journal import (
    Journal,
    LastWords,
    Phase,
    Place,
    Trail,
    beating,
    ending,
    is_ours,
    is_tested,
    read_last_words,
)
from isomodel.search.campaign.requests import (
    Again,
    Answer,
    Attempt,
    Broken,
    Confirm,
    Done,
    Ended,
    Escaped,
    Found,
    Hunt,
    Repeated,
    Request,
    Survived,
    Trial,
    Unusable,
    ended_by,
    target_of,
)
from isomodel.search.exploring.explore import Budget, Draw, Explorer
from isomodel.search.exploring.tally import Outcome
from isomodel.search.judging.confirm import confirm
from isomodel.search.running.execute import execute, session
from isomodel.search.shrinking.shrink import Shrinker
from isomodel.targets.resolve import check_armed, resolve
from isomodel.values.case import Case
from isomodel.values.errors import BadInput
from isomodel.values.execution import Execution
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import Schedule
from isomodel.values.verdict import Finding, Verdict


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

    worker = _Worker(Journal(Path(journal)), words, leave, say)
    with contextlib.suppress(EOFError):
        while True:
            worker.serve(line.recv())
    leave(0)


def _watch_parent(life: int, words: LastWords, leave: Callable[[int], object]) -> None:
    """End when the parent does, even in an endless loop; on its demand say who runs now."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while os.read(life, 1):
        words.who()
    with contextlib.suppress(OSError):
        os.killpg(0, signal.SIGKILL)  # with whatever the system under test has started
    leave(1)


class _Worker:
    """Serves requests, one after another."""

    def __init__(
        self,
        journal: Journal,
        words: LastWords,
        leave: Callable[[int], NoReturn],
        say: Callable[[Answer], None],
    ) -> None:
        self._journal = journal
        self._words = words
        self._leave = leave
        self._say = say
        self._lasting = contextlib.ExitStack()
        self._nursery: tuple[Job, Explorer] | None = None

    def serve(self, request: Request) -> None:
        """Answer one request; whatever happens, the last answer says that it is done."""
        target = target_of(request)
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
        if isinstance(request, Trial):
            explorer = self._explorer(request.job)
            with session():
                return self._trial(explorer, request)
        if isinstance(request, Attempt):
            return self._attempt(self._prepared(request.trial.job), request)
        return self._again(request)

    def _explorer(self, job: Job) -> Explorer:
        spec = resolve(job.target, job.path, job.runtime)
        check_armed(spec, job.armed)
        return Explorer(
            beating(spec, self._journal),
            seed=job.seed,
            fidelities=job.fidelities,
            armed=job.armed,
            oracles=job.oracles,
            users=job.users,
            operations=job.operations,
            faults=job.faults,
        )

    def _hunt(self, job: Job, folder: Path) -> Answer:
        explorer = self._explorer(job)
        with session():
            self._journal.enter(Phase.HUNTING)
            started = time.monotonic()
            outcome = explorer.hunt(
                Budget(job.executions, job.seconds),
                before=self._begins,
            )
            result = _result(job, outcome, time.monotonic() - started)
            if outcome.execution is None or outcome.finding is None:
                return Done(result)
            result = _kept(result, _as_found(explorer, outcome), folder)
            self._say(Found(result))
            return self._shrunk(explorer, outcome.execution, outcome.finding, result, folder)

    def _begins(self, draw: Draw) -> None:
        """Write down what it takes to run this execution again, should it be the last."""
        self._journal.begin(draw.index, msgspec.json.encode(draw))

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

    def _trial(self, explorer: Explorer, request: Trial) -> Answer:
        draw, case = request.draw, request.case
        self._journal.enter(Phase.CHECKING)
        if draw is not None:
            schedule = Schedule(draw.fidelity, (), draw.faults)
            scheduler = draw.scheduler()
            self._leave_trail(explorer, draw.scenario, schedule, scheduler, request.trail)
            _, judged = explorer.examine(draw)
            return Survived(judged.findings[0] if judged.findings else None)
        assert case is not None
        walks = map(RandomWalk, range(request.walks))
        schedulers: list[Scheduler] = [Replay(case.schedule.choices), *walks]
        for scheduler in schedulers:
            self._leave_trail(explorer, case.scenario, case.schedule, scheduler, request.trail)
        return Survived()

    def _leave_trail(
        self,
        explorer: Explorer,
        scenario: Scenario,
        schedule: Schedule,
        scheduler: Scheduler,
        trail: str,
    ) -> None:
        """One execution, each of whose choices is written down before it is made."""
        with contextlib.closing(Trail(scheduler, Path(trail), self._journal)) as recorder:
            execute(
                explorer.spec,
                scenario,
                recorder,
                fidelity=schedule.fidelity,
                faults=schedule.faults,
                armed=explorer.armed,
                record=False,
            )

    def _prepared(self, job: Job) -> Explorer:
        """What forks for this job need, made once, in a session that lasts."""
        if self._nursery is None or self._nursery[0] != job:
            if self._nursery is None:
                self._lasting.enter_context(session())
            self._nursery = (job, self._explorer(job))
        return self._nursery[1]

    def _attempt(self, explorer: Explorer, request: Attempt) -> Answer:
        self._journal.enter(Phase.CHECKING)
        self._words.clear()
        answer, result = os.pipe()
        life, demand = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our other thread holds no lock
            fork = os.fork()
        if not fork:
            os.close(demand)
            self._try(explorer, request.trial, result, life)
        os.close(result)
        os.close(life)
        try:
            blocked = self._wait(fork, request.stall, demand)
            place = read_last_words(self._words.path)
            said = os.read(answer, 4096).decode()
        finally:
            os.close(answer)
            os.close(demand)
        if blocked is True:
            return Ended(f"blocked the event loop for {request.stall:g} s", place)
        if not said:
            return Ended(ending(os.waitstatus_to_exitcode(blocked), place), place)
        kind, _, where = said.partition("\n")
        return Ended(kind, Place(where=where)) if kind else Survived()

    def _try(self, explorer: Explorer, trial: Trial, result: int, life: int) -> NoReturn:
        """Make a trial in this fork, and say how it went, if it comes to that."""
        said = "\n"
        try:
            self._words.process = os.getpid()
            _thread.start_new_thread(_watch_parent, (life, self._words, self._leave))
            self._trial(explorer, trial)
        except BaseException as error:
            answer = _explained(error, "")
            if isinstance(answer, Escaped):
                said = f"{ended_by(answer)}\n{answer.where}"
        os.write(result, said.encode())
        self._leave(0)

    def _wait(self, fork: int, stall: float, demand: int) -> int | Literal[True]:
        """The status of a fork when it has ended; True if it stood still and had to be ended."""
        beats, since = self._journal.beats, time.monotonic()
        while True:
            ended, status = os.waitpid(fork, os.WNOHANG)
            if ended:
                return status
            time.sleep(0.002)
            if self._journal.beats != beats:
                beats, since = self._journal.beats, time.monotonic()
            elif time.monotonic() - since > stall:
                break
        os.write(demand, b"?")
        time.sleep(0.05)
        for number in (signal.SIGABRT, signal.SIGKILL):
            os.kill(fork, number)
            time.sleep(0.05)
        os.waitpid(fork, 0)
        return True

    def _again(self, request: Again | Confirm) -> Answer:
        case = request.case
        spec = resolve(case.target, request.path, case.runtime)
        cases.fits(case, spec)
        self._journal.enter(Phase.CHECKING)
        spec = beating(spec, self._journal)
        with session():
            if isinstance(request, Confirm):
                return confirm(case, spec)
            return Repeated(*cases.rejudge(case, spec))


def _result(job: Job, outcome: Outcome, seconds: float) -> Result:
    return Result(
        job=job,
        verdict=outcome.verdict,
        executions=outcome.verdict.executions,
        alone_runs=outcome.alone_runs,
        steps=outcome.steps,
        hunt_seconds=seconds,
        also_alone=outcome.also_alone,
        examples=outcome.examples,
        issues=outcome.issues,
        policy=outcome.policy,
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
        runtime=explorer.spec.runtime,
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
