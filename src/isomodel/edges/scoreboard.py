"""The self-test's scoreboard: a row for each known defect, and the sound layer below."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from isomodel.edges import report
from isomodel.edges.options import HuntOptions
from isomodel.edges.output import Grid, Line, Part
from isomodel.search.campaign.jobs import Result
from isomodel.targets.factory.defects import Defect
from isomodel.values.case import Size

LEGEND = (
    "size: u users, o operations, s context switches, f faults; "
    "= is the known minimum, > is larger, < is smaller"
)


class Score(msgspec.Struct, frozen=True):
    """A defect, and how its hunt ended."""

    defect: Defect
    result: Result

    @property
    def found(self) -> bool:
        """Whether a property broke; whether it is one that must notice it, ``expected`` says."""
        return self.result.verdict.status == "violated"

    @property
    def expected(self) -> bool:
        """Whether the property is among those that must notice this defect."""
        return self.minimum is not None

    @property
    def minimum(self) -> Size | None:
        """The smallest counterexample of the property that was found broken."""
        case = self.result.case
        return None if case is None else self.defect.minimum.get(case.finding.property)

    @property
    def mark(self) -> str:
        """How the counterexample's size compares with the known minimum."""
        case, minimum = self.result.case, self.minimum
        if case is None or minimum is None:
            return ""
        return "=" if case.size == minimum else "<" if case.size < minimum else ">"


def screen(
    scores: Sequence[Score], sound: Sequence[Result], options: HuntOptions, seconds: float
) -> list[Part]:
    """Everything the self-test shows."""
    found = sum(score.found for score in scores)
    verdict = report.merged(sound)
    good = found == len(scores) and verdict.status == "ok"
    summary = f"{found} of {report.counted(len(scores), 'known defect')} found; sound layer "
    parts: list[Part] = [_grid(scores), Line(LEGEND), ""]
    parts += [line for each in by_fidelity(sound) for line in _end(each)]
    parts += [Line(f"missed: {_missed(score)}") for score in scores if not score.found]
    parts += [
        Line(
            f"unexpected: {score.defect.id} was noticed by {report.broken(score.result)}, "
            f"not by {' or '.join(score.defect.noticed_by)}"
        )
        for score in scores
        if score.found and not score.expected
    ]
    parts += ["", Line(f"{summary}{verdict.status}; {report.seconds(seconds)}", _style(good))]
    if good:
        parts.append(Line(report.EVIDENCE))
    parts.append(f"counterexamples: {options.cases}")
    example = _example(scores)
    if example:
        parts.append(f"see one with: isomodel replay {example}")
    return parts


def _example(scores: Sequence[Score]) -> str:
    """A counterexample worth a first look: one with a switch, at its known minimum, if any."""
    kept = [score for score in scores if score.result.case is not None and score.result.file]
    telling = [s for s in kept if s.mark == "=" and s.result.case and s.result.case.size.switches]
    return next((score.result.file for score in [*telling, *kept]), "")


def _grid(scores: Sequence[Score]) -> Grid:
    headings = ("id", "defect", "found by", "runs", "hunt", "shrink", "size", "", "minimum")
    return Grid(
        headings, tuple(map(_row, scores)), frozenset(("runs", "hunt", "shrink", "size", "minimum"))
    )


def _row(score: Score) -> tuple[str, ...]:
    result, case = score.result, score.result.case
    return (
        score.defect.id,
        score.defect.title,
        case.finding.property if case is not None else "NOT FOUND",
        f"{result.executions:,}",
        report.seconds(result.hunt_seconds),
        report.seconds(result.shrink_seconds) if case is not None else "",
        str(case.size) if case is not None else "",
        score.mark,
        str(score.minimum) if score.minimum is not None else "",
    )


def by_fidelity(results: Sequence[Result]) -> list[Result]:
    """One result for each fidelity: the slices of one budget, added up."""
    out = []
    for fidelities in dict.fromkeys(result.job.fidelities for result in results):
        mine = [result for result in results if result.job.fidelities == fidelities]
        out.append(
            msgspec.structs.replace(
                mine[0],
                verdict=report.merged(mine),
                case=next((result.case for result in mine if result.case), None),
                file=next((result.file for result in mine if result.file), ""),
                executions=sum(result.executions for result in mine),
                steps=sum(result.steps for result in mine),
                alone_runs=sum(result.alone_runs for result in mine),
            )
        )
    return out


def _end(result: Result) -> list[Part]:
    head = f"sound layer: {report.effort([result])}: "
    if result.verdict.status == "ok":
        return [Line(head + "nothing found")]
    if result.verdict.status == "unknown":
        reasons = [Line(f"  - {each}") for each in result.verdict.reason.split("; ")]
        return [Line(head + "unknown"), *reasons]
    return [Line(head + f"violated: {report.broken(result)}"), f"  {result.file}"]


def _missed(score: Score) -> str:
    return f"{score.defect.id} ({score.defect.title}): {score.result.verdict.reason}"


def _style(good: bool) -> str:
    return report.STYLES["ok" if good else "violated"]
