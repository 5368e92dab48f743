"""Jobs and their results: what a campaign is asked to do, and what it reports, as values."""

from __future__ import annotations

from typing import Literal

import msgspec

from isomodel.values.case import Case
from isomodel.values.execution import Issue
from isomodel.values.schedule import Fidelity, RuntimeName
from isomodel.values.verdict import Finding, Verdict


class Job(msgspec.Struct, frozen=True):
    """Hunt one target, with these defects armed, from one seed.

    ``target`` is ``module:Class``; ``path`` lists folders to import it from. It ends at the
    first finding, after ``executions``, or after ``seconds``, whichever comes first.
    """

    target: str
    armed: tuple[str, ...] = ()
    seed: int = 0
    executions: int = 2_000
    seconds: float | None = None
    fidelities: tuple[Fidelity, ...] = ("stock", "portable")
    oracles: Literal["all", "noninterference", "invariants"] = "all"
    users: int | None = None
    operations: int = 4
    faults: int = 2
    shrink: bool = True
    path: tuple[str, ...] = ()
    runtime: RuntimeName = "asyncio"


class Progress(msgspec.Struct, frozen=True):
    """Where a running job is: ``phase`` is ``hunting`` or ``shrinking``."""

    job: int
    phase: Literal["hunting", "shrinking"]
    executions: int


class Result(msgspec.Struct, frozen=True):
    """How one job ended.

    ``case`` is the shrunk counterexample and ``file`` where it was kept. ``executions`` counts
    joint executions up to the finding, ``alone_runs`` and ``alone_steps`` what noninterference
    ran beside them, ``shrink_executions`` what shrinking took; times are in seconds.
    ``also_alone`` counts differences that the user could have seen alone, ``examples`` are some.
    ``policy`` is which of a hunt's ways of drawing executions drew the one that failed.
    ``confirmation`` tells how it went on the ordinary event loop, if that was tried.
    ``bad_input`` is the one-line message if the target could not be used at all.
    """

    job: Job
    verdict: Verdict
    case: Case | None = None
    file: str = ""
    executions: int = 0
    alone_runs: int = 0
    alone_steps: int = 0
    steps: int = 0
    shrink_executions: int = 0
    hunt_seconds: float = 0.0
    shrink_seconds: float = 0.0
    also_alone: int = 0
    examples: tuple[Finding, ...] = ()
    issues: tuple[Issue, ...] = ()
    policy: str = ""
    confirmation: str = ""
    bad_input: str = ""
