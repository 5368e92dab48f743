"""Finished data as text: what a hunt found, on what a green verdict rests, what to do next."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence

from isomodel.bridges.wording import NOT_MINIMAL
from isomodel.edges.options import ALIASES
from isomodel.edges.output import Line, Part
from isomodel.search.campaign.jobs import Job, Result
from isomodel.values.case import Case
from isomodel.values.verdict import Verdict

EVIDENCE = (
    "A green hunt is evidence, not proof: it ran this many of very many interleavings, "
    "of small scenarios."
)
STYLES = {"ok": "bold green", "violated": "bold red", "unknown": "bold yellow"}


def short(target: str) -> str:
    """The short name of a built-in target, or the name as it is."""
    return next((alias for alias, full in ALIASES.items() if full == target), target)


def named(job: Job) -> str:
    """The job for a person: its target, what is armed, under which fidelity, from which seed."""
    armed = f" with {', '.join(job.armed)}" if job.armed else ""
    return f"{short(job.target)}{armed}, {_where(job)}, seed {job.seed}"


def _where(job: Job) -> str:
    """The fidelities, and the runtime if it is not the usual one."""
    elsewhere = f" on {job.runtime}" if job.runtime != "asyncio" else ""
    return " and ".join(job.fidelities) + elsewhere


def _what(job: Job) -> str:
    """The target, and the runtime if it is not the usual one."""
    return short(job.target) + (f" on {job.runtime}" if job.runtime != "asyncio" else "")


def finished(result: Result) -> str:
    """How a job ended, in part of a line."""
    if result.bad_input:
        return f"cannot be hunted: {result.bad_input}"
    effort = f"{counted(result.executions, 'execution')}, {seconds(result.hunt_seconds)}"
    if result.verdict.status != "violated":
        return f"{result.verdict.status} ({effort})"
    size = f", {shrunk(result.case)}" if result.case and result.job.shrink else ""
    return f"violated: {broken(result)} ({effort}{size})"


def shrunk(case: Case) -> str:
    """The size of a case that was shrunk, and whether that is the least there is."""
    return f"shrunk to {case.size}" + ("" if case.minimal else f", {NOT_MINIMAL}")


def broken(result: Result) -> str:
    """The property that the counterexample breaks, and where it shows."""
    return result.verdict.reason if result.case is None else failure(result.case)


def failure(case: Case) -> str:
    """The property that a case breaks, and where it shows."""
    finding = case.finding
    return finding.property + (f" in {finding.operation}" if finding.operation else "")


def merged(results: Sequence[Result]) -> Verdict:
    """One verdict on several jobs of one hunt: the worst of theirs, with every reason once."""
    executions = sum(result.executions for result in results)
    for status in ("violated", "unknown"):
        worst = [result for result in results if result.verdict.status == status]
        if worst:
            reasons = Counter(r for each in worst for r in each.verdict.reason.split("; "))
            findings = tuple(f for each in worst for f in each.verdict.findings)
            return Verdict(status, "; ".join(reasons), findings, executions)
    return Verdict("ok", f"nothing found in {executions} executions", (), executions)


def violated(results: Sequence[Result], story: str, extra: str) -> list[Part]:
    """The counterexample, where it is, and the next two commands."""
    first, *others = [result for result in results if result.verdict.status == "violated"]
    drawn = f"drawn by policy {first.policy}, " if first.policy else ""
    took = f", shrunk in {seconds(first.shrink_seconds)}" if first.shrink_seconds else ""
    parts: list[Part] = [
        story.rstrip("\n"),
        "",
        Line(f"violated: {broken(first)}", STYLES["violated"]),
        Line(
            f"  found under {_where(first.job)} in "
            f"{counted(first.executions, 'execution')} "
            f"({drawn}seed {first.job.seed}, {seconds(first.hunt_seconds)}{took})"
        ),
    ]
    if first.case is not None and first.confirmation:
        parts.append(Line(f"  {confirmation(first.case.confirmed['asyncio'], first.confirmation)}"))
    parts += [Line(f"  {_elsewhere(result)}") for result in results if result is not first]
    parts += ["", f"case:     {first.file}"]
    parts += [f"          {other.file}" for other in others if other.file not in ("", first.file)]
    file = shlex.quote(first.file)
    parts.append(f"again:    isomodel replay {file}{extra}")
    parts.append(f"as test:  isomodel regress {file}{extra}")
    return parts


def confirmation(confirmed: bool, why: str) -> str:
    """Whether a counterexample shows on the ordinary event loop, too."""
    if confirmed:
        return f"confirmed on the ordinary event loop ({why})"
    return f"not confirmed on the ordinary event loop: {why}"


def _elsewhere(result: Result) -> str:
    where = f"{_where(result.job)}, seed {result.job.seed}"
    return f"under {where}: {finished(result)}"


def clean(results: Sequence[Result], operations: Iterable[str]) -> list[Part]:
    """On what an ok rests. A hunt is only ok if every operation succeeded at least once."""
    parts: list[Part] = [
        Line(f"ok: nothing found in {_what(results[0].job)}", STYLES["ok"]),
        Line(f"  {effort(results)}"),
        Line(f"  every operation succeeded at least once: {', '.join(sorted(operations))}"),
    ]
    also_alone = sum(result.also_alone for result in results)
    if also_alone:
        parts.append(
            Line(
                f"  {counted(also_alone, 'difference')} not counted: "
                "the user could have seen the same with nobody else there"
            )
        )
        first = next(example for result in results for example in result.examples)
        parts.append(Line(f"    such as {first.label}: {first.message} (--json has more)"))
    return [*parts, Line(EVIDENCE)]


def unknown(results: Sequence[Result]) -> list[Part]:
    """Why it is neither ok nor violated."""
    name = _what(results[0].job)
    text = f"unknown: nothing found in {name}, but not enough was checked"
    parts: list[Part] = [Line(text, STYLES["unknown"])]
    parts += [Line(f"  - {reason}") for reason in merged(results).reason.split("; ")]
    return [*parts, Line(f"  {effort(results)}")]


def effort(results: Sequence[Result]) -> str:
    """How much was run."""
    split = Counter[str]()
    for result in results:
        split[" and ".join(result.job.fidelities)] += result.executions
    each = ", ".join(
        f"{count:,} {fidelity}" if len(split) > 1 else fidelity for fidelity, count in split.items()
    )
    total = counted(sum(split.values()), "execution")
    steps = counted(sum(result.steps for result in results), "step")
    alone = counted(sum(result.alone_runs for result in results), "run")
    seed = min(result.job.seed for result in results)
    return f"{total} ({each}; seed {seed}), {steps}, {alone} of one user alone"


def counted(count: int, noun: str) -> str:
    """``1 step``, ``1,200 steps``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def seconds(value: float) -> str:
    """A time a person can read."""
    return f"{value:.1f} s" if value < 100 else f"{value / 60:.1f} min"
