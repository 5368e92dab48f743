"""Finished data as JSON documents; docs/commands.md describes their fields."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from isomodel.bridges.wording import shown
from isomodel.search.campaign.jobs import Result
from isomodel.values.case import Size
from isomodel.values.verdict import Finding, Verdict

SCHEMA = 1


def document(command: str, code: int, **fields: Any) -> dict[str, Any]:
    """What every document starts with; ``exit`` is the exit code."""
    head = {"schema": SCHEMA, "isomodel": version("isomodel"), "command": command, "exit": code}
    return {**head, **fields}


def verdict(value: Verdict) -> dict[str, Any]:
    """A verdict without its evidence, which is in the case file."""
    return {"status": value.status, "reason": value.reason, "executions": value.executions}


def size(value: Size | None) -> dict[str, int] | None:
    """Users, operations, switches and faults."""
    return None if value is None else msgspec.to_builtins(value)


def result(value: Result) -> dict[str, Any]:
    """One job and how it ended; times are in seconds."""
    case = value.case
    return {
        "target": value.job.target,
        "armed": list(value.job.armed),
        "seed": value.job.seed,
        "fidelities": list(value.job.fidelities),
        "verdict": verdict(value.verdict),
        "finding": None if case is None else msgspec.to_builtins(case.finding),
        "size": None if case is None else size(case.size),
        "minimal": case is not None and case.minimal,
        "confirmed": {} if case is None else case.confirmed,
        "confirmation": value.confirmation,
        "case": value.file,
        "policy": value.policy,
        "executions": value.executions,
        "steps": value.steps,
        "alone_runs": value.alone_runs,
        "also_alone": value.also_alone,
        "also_alone_examples": [_example(each) for each in value.examples],
        "shrink_executions": value.shrink_executions,
        "hunt_seconds": round(value.hunt_seconds, 3),
        "shrink_seconds": round(value.shrink_seconds, 3),
        "uncontrolled": [msgspec.to_builtins(issue) for issue in value.issues],
    }


def _example(of: Finding) -> dict[str, str]:
    """A difference that was not counted; values as text, since what was seen may be no JSON."""
    sides = {side: shown(of.evidence.get(side), 200) for side in ("with", "alone")}
    return {"label": of.label, "operation": of.operation, "message": of.message, **sides}


def results(values: Sequence[Result]) -> list[dict[str, Any]]:
    """All jobs, in their order."""
    return [result(value) for value in values]
