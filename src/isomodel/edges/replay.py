"""``isomodel replay CASE``: run a counterexample again; the same failure, or none any more."""

from __future__ import annotations

import msgspec

from isomodel.bridges.explain import explain
from isomodel.edges import documents, exits, report
from isomodel.edges.options import ReplayOptions
from isomodel.edges.output import Line, Part, Screen
from isomodel.search import cases
from isomodel.search.campaign.campaign import confirm_case, replay_case
from isomodel.search.judging.confirm import Confirmation
from isomodel.targets.resolve import resolve
from isomodel.values.case import Case
from isomodel.values.errors import BadInput
from isomodel.values.execution import Execution
from isomodel.values.verdict import Finding


def run(options: ReplayOptions, screen: Screen) -> int:
    """Replay; 1 if the same failure shows, 0 if it does not any more."""
    stored = cases.load(options.case)
    spec = resolve(stored.target, options.path, options.runtime or stored.runtime)
    case = msgspec.structs.replace(_asked(stored, options), runtime=spec.runtime)
    if options.confirm and case.runtime != "asyncio":
        raise BadInput(
            f"{options.case}: --confirm runs on asyncio's own loop, and this case is for "
            f"{case.runtime}; leave out --confirm"
        )
    cases.fits(case, spec, str(options.case))
    again = replay_case(case, cases=options.case.parent, path=options.path)
    execution, finding = again.execution, again.finding
    if finding is not None:
        case = msgspec.structs.replace(case, finding=finding)
        code, parts = exits.VIOLATED, _still(case, execution)
    elif execution is None:
        code, parts = exits.UNKNOWN, _died(case)
    else:
        code, parts = exits.OK, _gone(case, execution)
    confirmation = None
    if options.confirm:
        confirmation = confirm_case(case, cases=options.case.parent, path=options.path)
        told = report.confirmation(confirmation.confirmed, confirmation.why)
        parts.append(Line(f"  {told}"))
    screen.show([*parts, *_changed(stored, case)])
    screen.document(_document(options, case, execution, finding, code, confirmation))
    return code


def _asked(case: Case, options: ReplayOptions) -> Case:
    """The case under the fidelity and with the defects that were asked for."""
    schedule = case.schedule
    if options.fidelity is not None:
        schedule = msgspec.structs.replace(schedule, fidelity=options.fidelity)
    armed = case.armed if options.armed is None else options.armed
    return msgspec.structs.replace(case, schedule=schedule, armed=armed)


def _still(case: Case, execution: Execution | None) -> list[Part]:
    return [
        explain(case, execution).rstrip("\n"),
        "",
        Line(
            f"violated: the same failure again, {report.failure(case)}", report.STYLES["violated"]
        ),
        *_divergence(execution),
    ]


def _gone(case: Case, execution: Execution | None) -> list[Part]:
    divergence = _divergence(execution)
    return [
        Line(f"ok: does not fail any more: {report.failure(case)}", report.STYLES["ok"]),
        *(divergence or ["  the whole stored schedule was followed"]),
        Line("One schedule was run, no others; hunt again before you call it fixed."),
    ]


def _died(case: Case) -> list[Part]:
    return [
        Line(f"unknown: not the same failure, {report.failure(case)}", report.STYLES["unknown"]),
        "  the process died or stood still in another way; hunt again to see how",
    ]


def _divergence(execution: Execution | None) -> list[Part]:
    if execution is None or not execution.diverged:
        return []
    return [
        Line(
            f"  {report.counted(execution.diverged, 'stored choice')} had no counterpart: "
            "the program has changed, and this was another run"
        )
    ]


def _changed(stored: Case, case: Case) -> list[Part]:
    """What differs from the stored case on request."""
    parts: list[Part] = []
    if case.schedule.fidelity != stored.schedule.fidelity:
        parts.append(
            f"  run under {case.schedule.fidelity}; "
            f"the case was found under {stored.schedule.fidelity}"
        )
    if case.armed != stored.armed:
        now, then = (", ".join(each.armed) or "none" for each in (case, stored))
        parts.append(f"  armed: {now}; in the case: {then}")
    return parts


def _document(
    options: ReplayOptions,
    case: Case,
    execution: Execution | None,
    finding: Finding | None,
    code: int,
    confirmation: Confirmation | None,
) -> dict[str, object]:
    return documents.document(
        "replay",
        code,
        target=case.target,
        armed=list(case.armed),
        fidelity=case.schedule.fidelity,
        case=str(options.case),
        verdict={"status": exits.STATUS[code]},
        finding=None if finding is None else msgspec.to_builtins(finding),
        size=documents.size(case.size),
        diverged=0 if execution is None else execution.diverged,
        steps=0 if execution is None else execution.steps,
        ended="process" if execution is None else execution.ended,
        confirmation=_told(confirmation),
    )


def _told(confirmation: Confirmation | None) -> dict[str, object] | None:
    if confirmation is None:
        return None
    return {"confirmed": confirmation.confirmed, "why": confirmation.why}
