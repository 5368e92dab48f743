"""What a worker process is asked, and what it answers: the values that cross the border."""

from __future__ import annotations

import msgspec

from isomodel.search.campaign.jobs import Job, Result
from isomodel.search.campaign.journal import Place
from isomodel.search.exploring.explore import Draw
from isomodel.search.judging.confirm import Confirmation
from isomodel.values.case import Case
from isomodel.values.execution import Execution
from isomodel.values.verdict import Finding


class Hunt(msgspec.Struct, frozen=True):
    """Do this job; keep what it finds in folder ``cases``. Answers: Found, then Done."""

    job: Job
    cases: str


class Trial(msgspec.Struct, frozen=True):
    """Run something that may end this process, and write its choices into file ``trail``.

    ``draw`` is run as the hunt did, alone runs included; without it, ``case`` is replayed, and
    after that run under so many random ``walks``. Answer, if any: Survived.
    """

    job: Job
    trail: str
    draw: Draw | None = None
    case: Case | None = None
    walks: int = 0


class Attempt(msgspec.Struct, frozen=True):
    """Make this trial in a fork, to which standing still for ``stall`` seconds is the end.

    Forks cost milliseconds where processes made from scratch cost a second; what they say is
    for shrinking, never for the last word. Answer: Ended or Survived.
    """

    trial: Trial
    stall: float


class Again(msgspec.Struct, frozen=True):
    """Replay a case, and judge it. Answer: Repeated."""

    case: Case
    path: tuple[str, ...] = ()


class Confirm(msgspec.Struct, frozen=True):
    """Run a case on the ordinary event loop. Answer: a Confirmation."""

    case: Case
    path: tuple[str, ...] = ()


Request = Hunt | Trial | Attempt | Again | Confirm

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


class Ended(msgspec.Struct, frozen=True):
    """An attempt took its process down: how, and where."""

    kind: str
    place: Place


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


Answer = (
    Found | Done | Draw | Survived | Ended | Repeated | Confirmation | Unusable | Escaped | Broken
)


def refusal(answer: Answer) -> str:
    """An answer that is no result, in one line."""
    if isinstance(answer, Unusable):
        return answer.message
    if isinstance(answer, Broken):
        return f"internal error of isomodel: {answer.error}"
    return f"internal error of isomodel: unexpected {type(answer).__name__}"


def target_of(request: Request) -> str:
    """The target that a request is about."""
    if isinstance(request, Again | Confirm):
        return request.case.target
    if isinstance(request, Attempt):
        return request.trial.job.target
    return request.job.target


def ended_by(escaped: Escaped) -> str:
    """What escaped, as the kind of a death."""
    return f"{escaped.error} ended the process"
