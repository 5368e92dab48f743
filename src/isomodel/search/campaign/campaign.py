"""A campaign: jobs in supervised processes, so that a crash is a finding and not the end.

Each supervisor (a thread) runs one job after another in a worker process, which it watches by
the journal they share and replaces when it has died or blocked. What killed it is run once more
in a process of its own, with every choice written down, and becomes a case like any other. A
case found in the ordinary way must show again in a warm process with another hash seed before
it is reported.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from isomodel.search.campaign.autopsy import Autopsy
from isomodel.search.campaign.child import STALL, Child, Crew, Death, Stopped
from isomodel.search.campaign.jobs import Job, Progress, Result
from isomodel.search.campaign.journal import Journal, Phase, Place
from isomodel.search.campaign.requests import (
    Again,
    Answer,
    Broken,
    Confirm,
    Done,
    Found,
    Hunt,
    Repeated,
    Unusable,
    refusal,
)
from isomodel.search.cases import save, write
from isomodel.search.judging.confirm import Confirmation
from isomodel.values.case import Case
from isomodel.values.errors import BadInput
from isomodel.values.execution import Execution
from isomodel.values.trace import apart
from isomodel.values.verdict import Finding, Verdict

PROGRESS_EVERY = 0.2
"""Seconds between two reports of progress of one job."""

SHRINKING_LIMIT = 300.0
"""Seconds that shrinking may take before the case is reported as found."""


class Interrupted(KeyboardInterrupt):
    """A person ended the campaign. ``results`` are in job order, as far as each job came."""

    def __init__(self, results: list[Result]) -> None:
        super().__init__("interrupted")
        self.results = results


class Replayed(msgspec.Struct, frozen=True):
    """A case, run again in a process of its own.

    ``finding`` is the same failure, if it showed; ``execution`` is missing where the process
    died or blocked.
    """

    finding: Finding | None
    execution: Execution | None = None


def run_jobs(
    jobs: Sequence[Job],
    *,
    workers: int,
    cases: Path,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_result: Callable[[int, Result], None] = lambda number, result: None,
    stall: float = STALL,
) -> list[Result]:
    """Run these jobs in at most so many processes; their results, in job order.

    Counterexamples, and what the systems under test print (``worker-1.log``), go to folder
    ``cases``. The callbacks are called in this thread. A worker that stands still for ``stall``
    seconds is blocked. Raises Interrupted when a person interrupts.
    """
    with Crew(cases, stall) as crew:
        return _Campaign(jobs, crew).run(min(workers, len(jobs)), on_progress, on_result)


def replay_case(
    case: Case, *, cases: Path, path: Sequence[str] = (), stall: float = STALL
) -> Replayed:
    """Run a case again in a process of its own, which it may end or block.

    Raises BadInput if the target cannot be used, or no longer fits the case.
    """
    with Crew(cases, stall) as crew, crew.child("replay") as child:
        try:
            answer = child.ask(Again(case, tuple(path)))
        except Death as death:
            found = death.finding(case.scenario)
            same = found.property == case.finding.property
            return Replayed(found if same else None)
    if isinstance(answer, Repeated):
        return Replayed(answer.finding, answer.execution)
    raise BadInput(refusal(answer))


def confirm_case(
    case: Case, *, cases: Path, path: Sequence[str] = (), stall: float = STALL
) -> Confirmation:
    """Run a case on the ordinary event loop, in a process of its own.

    Raises BadInput if the target cannot be used, or no longer fits the case.
    """
    with Crew(cases, stall) as crew, crew.child("confirm") as child:
        answer = _confirmation(child, case, tuple(path))
    if isinstance(answer, Confirmation):
        return answer
    raise BadInput(refusal(answer))


def _confirmation(child: Child, case: Case, path: tuple[str, ...]) -> Answer:
    try:
        return child.ask(Confirm(case, path))
    except Death as death:
        found = death.finding(case.scenario)
        same = found.property == case.finding.property
        return Confirmation(same, f"there the process ended: {death}", None, found)


# Supervision

News = Progress | tuple[int, Result] | BaseException | None
"""What supervisors report: None at their end, an exception for an error of their own."""


class _Campaign:
    """Hands jobs to supervisors, and their news to the caller."""

    def __init__(self, jobs: Sequence[Job], crew: Crew) -> None:
        self._jobs = jobs
        self._crew = crew
        self._todo: queue.SimpleQueue[tuple[int, Job]] = queue.SimpleQueue()
        for number, job in enumerate(jobs):
            self._todo.put((number, job))
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._verifier = _Verifier(crew)
        self._results: dict[int, Result] = {}

    def run(
        self,
        workers: int,
        on_progress: Callable[[Progress], None],
        on_result: Callable[[int, Result], None],
    ) -> list[Result]:
        """All results; the callbacks are called in this thread."""
        names = [f"worker-{number + 1}" for number in range(workers)]
        threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in names]
        for thread in threads:
            thread.start()
        try:
            self._listen(workers, on_progress, on_result)
        except KeyboardInterrupt:
            self._end(threads)
            raise Interrupted(self._all_results()) from None
        finally:
            self._end(threads)
        return self._all_results()

    def _listen(
        self,
        workers: int,
        on_progress: Callable[[Progress], None],
        on_result: Callable[[int, Result], None],
    ) -> None:
        while workers:
            news = self._news.get()
            if news is None:
                workers -= 1
            elif isinstance(news, Progress):
                on_progress(news)
            elif isinstance(news, tuple):
                self._results[news[0]] = news[1]
                on_result(*news)
            else:
                raise news

    def _end(self, threads: list[threading.Thread]) -> None:
        self._crew.stop.set()
        for thread in threads:
            thread.join()
        self._verifier.close()
        while not self._news.empty():
            news = self._news.get()
            if isinstance(news, tuple):
                self._results.setdefault(*news)

    def _all_results(self) -> list[Result]:
        missing = Verdict("unknown", "interrupted before it began")
        return [
            self._results.get(number) or Result(job, missing)
            for number, job in enumerate(self._jobs)
        ]

    def _work(self, name: str) -> None:
        """The life of one supervisor."""
        supervisor = _Supervisor(name, self._crew, self._verifier, self._news.put)
        try:
            while not self._crew.stop.is_set():
                number, job = self._todo.get_nowait()
                self._news.put((number, supervisor.run(number, job)))
        except queue.Empty:
            pass
        except BaseException as error:
            self._news.put(error)
        finally:
            supervisor.close()
            self._news.put(None)


class _Supervisor:
    """Runs jobs in a worker process, which it replaces when it has died."""

    def __init__(
        self, name: str, crew: Crew, verifier: _Verifier, tell: Callable[[Progress], None]
    ) -> None:
        self._name = name
        self._crew = crew
        self._verifier = verifier
        self._tell = tell
        self._child: Child | None = None
        self._path: tuple[str, ...] = ()
        self._found: Result | None = None

    def close(self) -> None:
        """End the worker."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def run(self, number: int, job: Job) -> Result:
        """Do this job, whatever it does to its process."""
        self._found = None
        watch = _Watch(number, self._tell)
        try:
            request = Hunt(job, str(self._crew.cases))
            answer = self._worker(job).ask(request, heard=self._hear, look=watch)
            return self._judged(job, answer)
        except Stopped:
            reason = f"interrupted after {watch.executions} executions"
            return self._but(job, "interrupted before it was shrunk", reason)
        except Death as death:
            self.close()
            if self._found is not None or death.phase is Phase.STARTING:
                return self._but(job, f"shrinking died: {death}", bad=f"{death}, on importing it")
            if death.phase is Phase.IDLE:
                log = self._crew.cases / f"{self._name}.log"
                return self._but(job, "", f"internal error: no worker ({death}); see {log}")
            return Autopsy(job, death, self._crew).result(watch.seconds)

    def _worker(self, job: Job) -> Child:
        """The worker; another one if modules are to come from elsewhere."""
        if self._child is None or self._path != job.path:
            self.close()
            self._child, self._path = self._crew.child(self._name), job.path
        return self._child

    def _hear(self, found: Found) -> None:
        self._found = found.result

    def _judged(self, job: Job, answer: Answer) -> Result:
        if isinstance(answer, Done):
            return self._verifier.check(answer)
        if isinstance(answer, Unusable) and self._found is None:
            return Result(job, Verdict("unknown", answer.message), bad_input=answer.message)
        reason = refusal(answer)
        if isinstance(answer, Broken):
            reason += f"; traceback in {_keep_traceback(self._crew.cases, answer)}"
        return self._but(job, f"shrinking died: {reason}", reason)

    def _but(self, job: Job, note: str, reason: str = "", bad: str = "") -> Result:
        """What was found so far, with this note; else nothing, for this reason."""
        if self._found is not None:
            verdict = self._found.verdict
            noted = msgspec.structs.replace(verdict, reason=f"{verdict.reason} ({note})")
            return msgspec.structs.replace(self._found, verdict=noted)
        bad_input = f"{job.target}: {bad}" if bad else ""
        return Result(job, Verdict("unknown", bad_input or reason), bad_input=bad_input)


class _Watch:
    """Tells the caller how far a job is, and ends a shrinking that takes too long."""

    def __init__(self, number: int, tell: Callable[[Progress], None]) -> None:
        self.executions = 0
        self._number = number
        self._tell = tell
        self._began = time.monotonic()
        self._shrinking: float | None = None
        self._told = 0.0

    @property
    def seconds(self) -> float:
        """How long the job has taken so far."""
        return time.monotonic() - self._began

    def __call__(self, journal: Journal) -> None:
        """Read the journal, and pass on what is news, at most five times a second."""
        now, phase = time.monotonic(), journal.phase
        if phase is Phase.HUNTING:
            self.executions = journal.index
        elif phase is Phase.SHRINKING:
            self._shrinking = self._shrinking or now
            if now - self._shrinking > SHRINKING_LIMIT:
                took = f"it took more than {SHRINKING_LIMIT:g} s"
                raise Death(took, phase, journal.index, Place())
        if now - self._told >= PROGRESS_EVERY:
            self._told = now
            shrinking = phase in (Phase.SHRINKING, Phase.CHECKING)
            done = journal.since if shrinking else self.executions
            self._tell(Progress(self._number, "shrinking" if shrinking else "hunting", done))


class _Verifier:
    """Replays cases in a process with another hash seed, kept warm; one for all supervisors."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._path: tuple[str, ...] = ()

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def check(self, done: Done) -> Result:
        """The result, unknown if its case does not fail again in the other process."""
        result = done.result
        if result.case is None or done.execution is None or result.verdict.status != "violated":
            return result
        with self._lock:
            doubt, note = self._doubt(result.case, done.execution, result.job.path)
            if not doubt:
                result = self._confirmed(result, result.case)
        verdict = result.verdict
        reason = f"{verdict.reason}{doubt}{note}"
        if doubt:
            verdict = Verdict("unknown", reason, (), verdict.executions)
        else:
            verdict = msgspec.structs.replace(verdict, reason=reason)
        return msgspec.structs.replace(result, verdict=verdict)

    def _doubt(self, case: Case, execution: Execution, path: tuple[str, ...]) -> tuple[str, str]:
        """Why the case is not to be believed, or what should be known of it; mostly neither."""
        try:
            answer = self._warm(path).ask(Again(case, path))
        except Death as death:
            self.close()
            return f"; not reproducible in another process: {death}", ""
        if not isinstance(answer, Repeated):
            return f"; not reproducible in another process: {refusal(answer)}", ""
        parted = _parting(execution, answer.execution)
        if answer.finding is None:
            return f"; not reproducible in another process: {parted or 'the same steps'}", ""
        if parted:
            return "", f" (another process fails the same way by other steps: {parted})"
        return "", ""

    def _confirmed(self, result: Result, case: Case) -> Result:
        """The result whose case says whether it shows on the ordinary event loop, too."""
        if case.schedule.fidelity != "stock" or case.runtime != "asyncio":
            return result
        answer = _confirmation(self._warm(result.job.path), case, result.job.path)
        if not isinstance(answer, Confirmation):
            return msgspec.structs.replace(result, confirmation=refusal(answer))
        if answer.execution is None:
            self.close()
        confirmed = {**case.confirmed, "asyncio": answer.confirmed}
        case = msgspec.structs.replace(case, confirmed=confirmed)
        file = str(save(case, self._crew.cases))
        return msgspec.structs.replace(result, case=case, file=file, confirmation=answer.why)

    def _warm(self, path: tuple[str, ...]) -> Child:
        if self._child is None or self._path != path:
            self.close()
            self._child, self._path = self._crew.child("verifier", hash_seed=1), path
        return self._child


def _parting(one: Execution, other: Execution) -> str:
    """The first step at which two executions differ, in words."""
    for number, (mine, its) in enumerate(zip(one.trace, other.trace, strict=False), 1):
        if mine != its:
            return f"first difference at step {number}: {apart(mine, its)}"
    if len(one.trace) != len(other.trace):
        ends = min(len(one.trace), len(other.trace))
        return f"first difference at step {ends + 1}: one of them ended"
    if one.observations != other.observations:
        return "the same steps, but other observations"
    return ""


def _keep_traceback(folder: Path, broken: Broken) -> Path:
    """The file that has the traceback of an internal error; one for each error."""
    text = broken.traceback.encode(errors="backslashreplace")
    place = folder / f"internal-error-{hashlib.blake2b(text, digest_size=4).hexdigest()}.txt"
    write(place, text)
    return place
