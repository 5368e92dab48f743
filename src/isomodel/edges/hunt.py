"""``isomodel hunt TARGET``: search one target, and show what was found or what was checked."""

from __future__ import annotations

import math
import os
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from isomodel.bridges.explain import explain
from isomodel.edges import documents, exits, report
from isomodel.edges.options import ALIASES, HuntOptions
from isomodel.edges.output import Part, Screen
from isomodel.edges.progress import watching
from isomodel.search.campaign.campaign import Interrupted, replay_case, run_jobs
from isomodel.search.campaign.jobs import Job, Result
from isomodel.search.running.runtimes import check_runtime
from isomodel.targets.declare import TargetSpec, on
from isomodel.targets.resolve import check_armed, resolve
from isomodel.values.errors import BadInput
from isomodel.values.schedule import Fidelity, RuntimeName

EXECUTIONS = 2_000
"""A hunt's budget where the person named none."""

SLICE = 1_000
"""Executions of one job, at most: jobs are what runs in parallel, and what a finding ends."""

SLICE_SECONDS = 60.0

STRIDE = 1_000_003
"""Between the seeds of slices, so that neighbouring ``--seed`` values share none."""


def run(options: HuntOptions, screen: Screen) -> int:
    """Hunt; the exit code says what came of it."""
    name = options.target or ALIASES["factory"]
    spec = resolve(name, options.path)
    check_armed(spec, options.armed)
    runtimes = [on(spec, each).runtime for each in options.runtimes or spec.runtimes]
    for each in runtimes:
        check_runtime(each)
    began = time.time()
    results: list[Result] = []
    for position, each in enumerate(runtimes):
        if position:
            screen.show([""])
        results += _on_one(options, spec, each, screen)
    verdict = report.merged(results)
    code = exits.of(verdict)
    screen.show(logs(options.cases, began))
    screen.document(
        documents.document(
            "hunt",
            code,
            target=name,
            verdict=documents.verdict(verdict),
            results=documents.results(results),
        )
    )
    return code


def _on_one(
    options: HuntOptions, spec: TargetSpec, runtime: RuntimeName, screen: Screen
) -> list[Result]:
    """Hunt on one runtime, with the whole budget, and show what came of it."""
    results: list[Result] = []
    for jobs in waves(options, spec.name, runtime):
        results += hunt_all(jobs, options, screen, report.named)
        if any(result.verdict.status == "violated" for result in results):
            break
    status = report.merged(results).status
    if status == "violated":
        screen.show(report.violated(results, *_story(results, options)))
    elif status == "ok":
        screen.show(report.clean(results, spec.operations))
    else:
        screen.show(report.unknown(results))
    return results


def waves(
    options: HuntOptions, target: str, runtime: RuntimeName = "asyncio"
) -> Iterator[list[Job]]:
    """The jobs of a hunt, as many at once as there are workers.

    A hunt ends with the first wave that finds something. Up to the first finding, in the order of
    jobs, the result depends on seed and budget only and not on the number of workers, unless a
    time ends it.
    """
    jobs = [
        msgspec.structs.replace(job, runtime=runtime)
        for job in (
            _timed(options, target) if options.seconds is not None else _counted(options, target)
        )
    ]
    for first in range(0, len(jobs), options.workers):
        yield jobs[first : first + options.workers]


def _counted(options: HuntOptions, target: str) -> Iterator[Job]:
    each = math.ceil((options.executions or EXECUTIONS) / len(options.fidelities))
    slices = math.ceil(each / SLICE)
    for number in range(slices):
        for fidelity in options.fidelities:
            yield _job(options, target, number, (fidelity,), math.ceil(each / slices), None)


def _timed(options: HuntOptions, target: str) -> Iterator[Job]:
    assert options.seconds is not None
    rounds = math.ceil(options.seconds / SLICE_SECONDS)
    total = rounds * options.workers
    most = math.ceil((options.executions or 10**12) / total)
    for number in range(total):
        yield _job(options, target, number, options.fidelities, most, options.seconds / rounds)


def _job(
    options: HuntOptions,
    target: str,
    number: int,
    fidelities: tuple[Fidelity, ...],
    executions: int,
    seconds: float | None,
) -> Job:
    return Job(
        target=target,
        armed=options.armed,
        seed=options.seed + number * STRIDE,
        executions=executions,
        seconds=seconds,
        fidelities=fidelities,
        oracles=options.oracles,
        users=options.users,
        operations=options.operations,
        faults=options.faults,
        shrink=options.shrink,
        path=options.path,
    )


def hunt_all(
    jobs: list[Job], options: HuntOptions, screen: Screen, named: Callable[[Job], str]
) -> list[Result]:
    """Run these jobs with progress. Raises BadInput if a target cannot be used."""
    check_folder(options.cases)
    with watching(screen, [named(job) for job in jobs], jobs) as watch:
        try:
            results = run_jobs(
                jobs,
                workers=options.workers,
                cases=options.cases,
                on_progress=watch.progress,
                on_result=watch.result,
            )
        except Interrupted as stop:
            kept = sum(bool(result.file) for result in stop.results)
            raise KeyboardInterrupt(
                f"{watch.done} of {len(jobs)} jobs were finished; "
                f"{report.counted(kept, 'counterexample')} kept in {options.cases}"
            ) from None
    for result in results:
        if result.bad_input:
            raise BadInput(result.bad_input)
    return results


def check_folder(cases: Path) -> None:
    """Make the folder for counterexamples before the hunt rather than fail after it."""
    try:
        cases.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
    else:
        if os.access(cases, os.W_OK):
            return
        reason = "no permission to write"
    raise BadInput(f"cannot keep counterexamples in {cases}; {reason}; name a folder with --cases")


def _story(results: Sequence[Result], options: HuntOptions) -> tuple[str, str]:
    """The explained counterexample, and the options that the next command needs, too."""
    case = next(r.case for r in results if r.verdict.status == "violated")
    assert case is not None
    again = replay_case(case, cases=options.cases, path=options.path)
    extra = "".join(f" --path {shlex.quote(each)}" for each in options.path)
    return explain(case, again.execution), extra


def logs(cases: Path, since: float) -> list[Part]:
    """Where the output of targets went, if they wrote any since this time."""
    written = [log for log in sorted(cases.glob("*.log")) if log.stat().st_mtime >= since]
    return [f"output of targets: {log}" for log in written]
