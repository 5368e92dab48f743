"""``isomodel prove TARGET``: every interleaving of all scenarios within a bound."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.progress import BarColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bars

from isomodel.bridges.explain import explain
from isomodel.edges import documents, exits, report
from isomodel.edges.hunt import check_folder
from isomodel.edges.options import PROOFS, ProveOptions
from isomodel.edges.output import Line, Part, Screen
from isomodel.search import cases
from isomodel.search.campaign.campaign import replay_case
from isomodel.search.proof.campaign import (
    Found,
    Journal,
    Plan,
    Progress,
    Proved,
    case_of,
    journal_name,
    prove_target,
    read_journal,
)
from isomodel.search.proof.scenarios import Bound
from isomodel.search.proof.tree import Limit
from isomodel.search.running.execute import session
from isomodel.search.shrinking.shrink import Shrinker
from isomodel.targets.declare import TargetSpec
from isomodel.targets.resolve import check_armed, resolve
from isomodel.values.case import Case
from isomodel.values.errors import BadInput
from isomodel.values.verdict import Verdict

EVERY = 10.0
"""Seconds between two lines of progress where it cannot be drawn over itself."""


def run(options: ProveOptions, screen: Screen) -> int:
    """Prove; the exit code says what came of it."""
    spec = resolve(options.target, options.path)
    if "asyncio" not in spec.runtimes:
        raise BadInput(f"{spec.name}: proofs are for asyncio only; hunt on {spec.runtime} instead")
    check_armed(spec, options.armed)
    for name in options.only:
        if name not in spec.operations:
            known = ", ".join(sorted(spec.operations))
            raise BadInput(f"--only {name}: {spec.name} has no such operation; it has {known}")
    check_folder(options.cases)
    plan = _plan(options, spec)
    place = options.resume or PROOFS / journal_name(plan)
    check_folder(place.parent)
    journal = Journal(plan) if options.resume is None else read_journal(place, plan)
    try:
        with _watching(screen) as watch:
            proved = prove_target(
                plan,
                journal,
                keep=place,
                workers=options.workers,
                seconds=options.seconds,
                on_progress=watch,
            )
    except KeyboardInterrupt:
        done = report.counted(journal.totals.scenarios, "scenario")
        raise KeyboardInterrupt(f"{done} proved; go on with --resume {place}") from None
    verdict = verdict_on(proved, spec)
    kept = _keep(proved.found, options, spec) if proved.found is not None else None
    if kept is not None:
        screen.show(_violated(verdict, *kept, options))
    else:
        screen.show(_finished(verdict, proved, place))
    code = exits.of(verdict)
    screen.document(_document(code, verdict, proved, place, kept))
    return code


def _plan(options: ProveOptions, spec: TargetSpec) -> Plan:
    limit = None
    if options.preemptions is not None:
        limit = Limit("preemptions", options.preemptions)
    elif options.delays is not None:
        limit = Limit("delays", options.delays)
    return Plan(
        target=options.target,
        armed=options.armed,
        bound=Bound(
            users=1 if spec.once else options.users,
            operations=1 if spec.once else options.operations,
            together=options.together,
            beside=options.beside,
            values=options.values,
            only=options.only,
        ),
        faults=options.faults,
        oracles=options.oracles,
        limit=limit,
        path=options.path,
    )


def verdict_on(proved: Proved, spec: TargetSpec) -> Verdict:
    """``ok`` only if everything within the bound was run, and something was observed."""
    totals = proved.totals
    if proved.found is not None:
        finding = proved.found.finding
        return Verdict("violated", finding.message, (finding,), totals.executions)
    reasons = list(_reasons(proved, spec))
    if not reasons:
        return Verdict("ok", _covered(proved), (), totals.executions)
    return Verdict("unknown", f"{'; '.join(reasons)}; {_covered(proved)}", (), totals.executions)


def _covered(proved: Proved) -> str:
    """Exactly what was covered, in words."""
    plan, totals = proved.plan, proved.totals
    bound = plan.bound
    complete = totals.scenarios == proved.total and not totals.unfinished
    whole = totals.scenarios - totals.unfinished
    which = f"all {proved.total}" if complete else f"{whole} of {proved.total}"
    most = report.counted(bound.operations, "operation")
    users = f"{bound.together} to {bound.users}" if bound.together < bound.users else bound.users
    what = "interleavings" if plan.limit is None else _limited(plan.limit)
    faults = f"up to {report.counted(plan.faults, 'fault')}" if plan.faults else "no faults"
    only = f" of {', '.join(bound.only)}" if bound.only else ""
    beside = "" if bound.beside else ", in turn"
    return (
        f"all {totals.executions} {what} of {which} scenarios with {users} users, up to "
        f"{most}{only}{beside} and {faults} (portable)"
    )


def _limited(limit: Limit) -> str:
    return f"executions with at most {report.counted(limit.most, limit.kind[:-1])}"


def _reasons(proved: Proved, spec: TargetSpec) -> Iterator[str]:
    plan, totals = proved.plan, proved.totals
    if proved.stopped:
        yield proved.stopped
    if totals.unfinished:
        yield f"{totals.unfinished} scenarios were not finished ({totals.left[0]})"
    if plan.limit is not None:
        yield "a bound on schedules proves nothing beyond it"
    if not totals.executions:
        yield "no execution was run"
    for name in sorted(plan.bound.only or spec.operations):
        if name not in totals.succeeded:
            yield f"operation {name} never succeeded within the bound"
    if not totals.observed and not spec.once:
        yield "no user observed anything"
    if plan.bound.users < 2 and not spec.once:
        yield "no execution had two users"
    for issue in totals.issues:
        yield f"not under control: {issue.source} at {issue.where}"


def _keep(found: Found, options: ProveOptions, spec: TargetSpec) -> tuple[Case, Path]:
    """The counterexample on disk, then shrunk; the simplest that fails again."""
    case = case_of(_plan(options, spec), found, found.execution.switches)
    place = cases.save(case, options.cases)
    if not options.shrink:
        return case, place
    with session():
        shrunk = Shrinker(spec, options.armed).shrink(found.execution, found.finding)
        shrunk = msgspec.structs.replace(shrunk, origin=case.origin)
        _, again = cases.rejudge(shrunk, spec)
    if again is None:
        return case, place
    better = cases.save(shrunk, options.cases)
    if better != place:
        place.unlink(missing_ok=True)
    return shrunk, better


def _violated(verdict: Verdict, case: Case, place: Path, options: ProveOptions) -> list[Part]:
    again = replay_case(case, cases=options.cases, path=options.path)
    extra = "".join(f" --path {shlex.quote(each)}" for each in options.path)
    return [
        Line(f"violated: {report.failure(case)}", report.STYLES["violated"]),
        "",
        *explain(case, again.execution).splitlines(),
        "",
        f"after {report.counted(verdict.executions, 'execution')}, {_size(case, options)}",
        f"case: {place}",
        f"next: isomodel replay {shlex.quote(str(place))}{extra}",
        f"      isomodel regress {shlex.quote(str(place))}{extra}",
    ]


def _size(case: Case, options: ProveOptions) -> str:
    return report.shrunk(case) if options.shrink else f"not shrunk: {case.size}"


def _finished(verdict: Verdict, proved: Proved, place: Path) -> list[Part]:
    totals = proved.totals
    parts: list[Part] = [
        Line(f"{verdict.status}: {verdict.reason}", report.STYLES[verdict.status]),
        f"{totals.abandoned} more executions were left where they were known, "
        f"{totals.transitions} transitions, {report.seconds(proved.seconds)}",
    ]
    if not proved.plan.faults:
        parts.append("hunt injects faults (cancellations, failing I/O), this did not: --faults 1")
    parts += [f"values: {each}" for each in proved.values]
    parts += [f"not finished: {each}" for each in totals.left]
    if proved.stopped:
        parts.append(f"go on with: --resume {place}")
    return parts


def _document(
    code: int, verdict: Verdict, proved: Proved, place: Path, kept: tuple[Case, Path] | None
) -> dict[str, Any]:
    totals = proved.totals
    case = None if kept is None else kept[0]
    return documents.document(
        "prove",
        code,
        target=proved.plan.target,
        verdict=documents.verdict(verdict),
        plan=msgspec.to_builtins(proved.plan),
        scenarios={"done": totals.scenarios, "unfinished": totals.unfinished, "of": proved.total},
        executions=totals.executions,
        abandoned=totals.abandoned,
        transitions=totals.transitions,
        also_alone=totals.also_alone,
        values=list(proved.values),
        left=list(totals.left),
        seconds=round(proved.seconds, 3),
        journal=str(place),
        finding=None if case is None else msgspec.to_builtins(case.finding),
        size=None if case is None else documents.size(case.size),
        case="" if kept is None else str(kept[1]),
    )


@contextmanager
def _watching(screen: Screen) -> Iterator[Callable[[Progress], None]]:
    """Shows how far the proof is, in the form that fits where progress goes."""
    if not screen.live:
        yield _lines(screen)
        return
    columns = (SpinnerColumn(), BarColumn(bar_width=20), TextColumn("{task.fields[what]}"))
    with Bars(*columns, console=screen.errors, transient=True) as bars:
        row = bars.add_task("", total=None, what="")
        yield lambda now: bars.update(row, total=now.of, completed=now.scenarios, what=_said(now))


def _lines(screen: Screen) -> Callable[[Progress], None]:
    said = time.monotonic()

    def tell(now: Progress) -> None:
        nonlocal said
        if time.monotonic() - said >= EVERY:
            said = time.monotonic()
            screen.progress(_said(now))

    return tell


def _said(now: Progress) -> str:
    left = "" if now.remaining is None else f", about {report.seconds(now.remaining)} left"
    return f"{now.scenarios} of {now.of} scenarios, {now.executions:,} executions{left}"
