"""A report as a SARIF 2.1.0 document: what code hosts and editors read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from isomodel.scan.values import Finding, Report, Rule, Unreadable

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def document(report: Report, rules: Sequence[Rule], version: str) -> dict[str, Any]:
    """One run of the tool; files that could not be read are notifications of its invocation."""
    numbers = {rule.id: number for number, rule in enumerate(rules)}
    driver = {
        "name": "isomodel",
        "semanticVersion": version,
        "rules": [_rule(rule) for rule in rules],
    }
    invocation = {
        "executionSuccessful": not report.unreadable,
        "toolExecutionNotifications": [_notification(each) for each in report.unreadable],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation],
        "results": [_result(finding, numbers) for finding in report.findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.name},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.fix},
        "defaultConfiguration": {"level": "warning"},
    }


def _result(finding: Finding, numbers: dict[str, int]) -> dict[str, Any]:
    region = {
        "startLine": finding.line,
        "startColumn": finding.column,
        "endLine": finding.end_line,
        "endColumn": finding.end_column,
    }
    result = {
        "ruleId": finding.rule,
        "ruleIndex": numbers[finding.rule],
        "level": "warning",
        "message": {"text": finding.message},
        "locations": [_location(finding.path, region)],
    }
    if finding.suppressed is not None:
        result["suppressions"] = [{"kind": "inSource", "justification": finding.suppressed}]
    return result


def _notification(problem: Unreadable) -> dict[str, Any]:
    region = {"startLine": problem.line} if problem.line else None
    return {
        "level": "error",
        "message": {"text": problem.reason},
        "locations": [_location(problem.path, region)],
    }


def _location(path: str, region: dict[str, int] | None) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(path)}}
    if region is not None:
        physical["region"] = region
    return {"physicalLocation": physical}


def _uri(path: str) -> str:
    """A relative path stays relative; an absolute one becomes a ``file:`` URI."""
    pure = PurePath(path)
    return pure.as_uri() if pure.is_absolute() else quote(pure.as_posix())
