"""``isomodel scan PATH...``: anti-patterns in source code, as lines, JSON or SARIF."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import version

import msgspec

from isomodel.edges import documents, exits
from isomodel.edges.options import ScanOptions
from isomodel.edges.output import Line, Part, Screen
from isomodel.scan import rules, sarif
from isomodel.scan.run import scan
from isomodel.scan.values import Finding, Report, Rule, Unreadable
from isomodel.values.errors import BadInput


def run(options: ScanOptions, screen: Screen) -> int:
    """Scan and print; 0 nothing found, 1 something, 2 a path that could not be scanned."""
    _check(options)
    asked = rules.chosen(options.select, options.ignore)
    report = scan(options.paths, asked, options.exclude)
    if not report.files and not report.unreadable:
        raise BadInput(
            f"no Python file in {_paths(options)}; name a file or a folder that has some"
        )
    code = _code(report)
    if options.sarif:
        _write_sarif(report, asked)
    else:
        screen.show(list(_lines(report, asked)))
    for problem in report.unreadable:
        print(f"isomodel: {_problem(problem)}", file=sys.stderr)
    screen.document(
        documents.document(
            "scan",
            code,
            files=report.files,
            findings=[_row(finding) for finding in report.findings],
            unreadable=[msgspec.to_builtins(each) for each in report.unreadable],
            rules=[_explained(rule) for rule in asked],
        )
    )
    return code


def show_rules(screen: Screen) -> int:
    """List every rule with its reason and its fix."""
    parts: list[Part] = []
    for rule in rules.RULES:
        parts += [
            f"{rule.id}  {rule.name}",
            Line(f"        {rule.why}"),
            Line(f"        fix: {rule.fix}"),
        ]
    screen.show(parts)
    screen.document(
        documents.document("scan", exits.OK, rules=[_explained(rule) for rule in rules.RULES])
    )
    return exits.OK


def _check(options: ScanOptions) -> None:
    wrong = rules.unknown((*options.select, *options.ignore))
    if wrong is not None:
        raise BadInput(f"no rule's id begins with {wrong!r}; see `isomodel scan --rules`")
    if not rules.chosen(options.select, options.ignore):
        raise BadInput("--select and --ignore leave no rule; drop one of them")


def _code(report: Report) -> int:
    if report.unreadable:
        return exits.BAD_INPUT
    return exits.VIOLATED if report.open else exits.OK


def _lines(report: Report, asked: tuple[Rule, ...]) -> Iterator[Part]:
    fixes = {rule.id: rule.fix for rule in asked}
    for finding in report.open:
        yield f"{_place(finding)} {finding.rule} {finding.message}"
        yield Line(f"    fix: {fixes[finding.rule]}")
    hidden = len(report.findings) - len(report.open)
    yield Line(
        f"{_count(len(report.open), 'finding')} in {_count(report.files, 'file')}"
        + (f", {hidden} suppressed" if hidden else "")
    )


def _place(finding: Finding) -> str:
    return f"{finding.path}:{finding.line}:{finding.column}"


def _problem(problem: Unreadable) -> str:
    place = f"{problem.path}:{problem.line}" if problem.line else problem.path
    return f"cannot scan {place}; {problem.reason}; mend or --exclude it; the others were scanned"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _paths(options: ScanOptions) -> str:
    return ", ".join(map(str, options.paths))


def _write_sarif(report: Report, asked: tuple[Rule, ...]) -> None:
    document = sarif.document(report, asked, version("isomodel"))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


def _row(finding: Finding) -> dict[str, object]:
    return {name: getattr(finding, name) for name in finding.__struct_fields__}


def _explained(rule: Rule) -> dict[str, str]:
    return {"id": rule.id, "name": rule.name, "why": rule.why, "fix": rule.fix}
