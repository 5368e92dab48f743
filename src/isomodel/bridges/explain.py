"""A counterexample as text for people: what broke, what they saw, and in which order."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator
from typing import Any

from isomodel.bridges.lanes import WIDTH, lanes
from isomodel.bridges.wording import (
    NOT_MINIMAL,
    called,
    counted,
    failed,
    orders,
    outcome,
    shorten,
    shown,
    size,
    switched,
)
from isomodel.oracles import INVARIANTS
from isomodel.oracles.noninterference import EXPLANATION, NAME
from isomodel.values.case import Case
from isomodel.values.execution import Execution
from isomodel.values.scenario import Scenario
from isomodel.values.verdict import Finding

EXPLANATIONS = {NAME: EXPLANATION, **{each.name: each.explanation for each in INVARIANTS}}

_MOST = 6
"""Differences shown between what was seen with others and alone."""


def explain(case: Case, execution: Execution | None = None) -> str:
    """The case as text of at most 100 columns.

    ``execution`` is the case replayed; without it the order of events is not drawn, and the
    schedule is told choice by choice.
    """
    blocks = [_headline(case.finding), _sizes(case), _meaning(case.finding)]
    evidence = case.finding.evidence
    if "with" in evidence or "alone" in evidence:
        blocks.append(list(_side_by_side(case)))
    else:
        blocks.append(list(_evidence(case.finding)))
    blocks.append(list(_origins(case, execution)))
    if execution is not None and execution.trace:
        blocks.append(list(_order(case, execution)))
        blocks.append(list(_waiting(execution, case.finding.message)))
    else:
        blocks.append(list(_retold(case)))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _headline(finding: Finding) -> list[str]:
    where = f" in {finding.operation}" if finding.operation else ""
    return [
        shorten(f"Broken{where}: {finding.property}", WIDTH),
        *textwrap.wrap(finding.message + ".", WIDTH - 2, initial_indent="", break_long_words=True),
    ]


def _sizes(case: Case) -> list[str]:
    fidelity = case.schedule.fidelity
    moved = (case.origin.fidelity, fidelity) == ("portable", "stock")
    first = " (first seen under portable)" if moved else ""
    lines = [size(case.size), f"found under {fidelity}{first}: {orders(fidelity, case.runtime)}"]
    if fidelity == "portable" and case.confirmed.get("stock") is False:
        tried = case.searched.get("stock", 0)
        effort = f" in {counted(tried, 'execution')}" if tried else ""
        lines.append(
            f"not found under stock{effort}: on {case.runtime}'s loop it may be out of reach"
        )
    if "asyncio" in case.confirmed:
        told = "confirmed" if case.confirmed["asyncio"] else "not confirmed"
        lines.append(f"{told} on the ordinary event loop")
    if case.cut_short:
        lines.append(NOT_MINIMAL)
    if case.armed:
        lines.append(f"defect armed on purpose: {', '.join(case.armed)}")
    return [line for text in lines for line in textwrap.wrap(text, WIDTH)]


def _meaning(finding: Finding) -> list[str]:
    explanation = EXPLANATIONS.get(finding.property, "")
    sentences = 1 if finding.property == NAME else 2
    short = ". ".join(explanation.split(". ")[:sentences]).rstrip(".")
    return textwrap.wrap(f"{finding.property}: {short}.", WIDTH) if short else []


def _evidence(finding: Finding) -> Iterator[str]:
    """The values behind the finding, but for those that its message tells."""
    for name, value in finding.evidence.items():
        told = value if isinstance(value, list | tuple) else [value]
        if not all(str(each) in finding.message for each in told):
            yield f"  {name}: {shown(value, WIDTH - 4 - len(name))}"


# What the user saw


def _side_by_side(case: Case) -> Iterator[str]:
    finding = case.finding
    jointly, alone = finding.evidence.get("with"), finding.evidence.get("alone")
    others = ", ".join(user for user in case.scenario.users if user != finding.user)
    width = (WIDTH - 4) // 2
    yield f"What {finding.user} saw of {finding.label}"
    yield (
        f"  {shorten(f'with {others}', width - 2).ljust(width)}  alone, its own order, clock and "
        "faults kept"
    )
    for one, other in _compared(jointly, alone):
        left, right = _wrapped(one, width - 2), _wrapped(other, width - 2)
        for index in range(max(len(left), len(right))):
            first = left[index] if index < len(left) else ""
            second = right[index] if index < len(right) else ""
            yield f"  {first.ljust(width)}  {second}".rstrip()
    if tried := finding.evidence.get("tried"):
        yield f"  None of {tried} other runs of {finding.user} alone shows what this one does."


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="    ") or [""]


def _compared(jointly: Any, alone: Any) -> Iterator[tuple[str, str]]:
    """Pairs of lines: the whole where the outcomes differ, else each place that does."""
    if not isinstance(jointly, dict) or not isinstance(alone, dict):
        yield _whole(jointly), _whole(alone)
    elif jointly.get("label") != alone.get("label"):
        yield _first(jointly), _first(alone)
    elif (jointly.get("outcome"), alone.get("outcome")) != ("ok", "ok"):
        yield _whole(jointly), _whole(alone)
    else:
        yield from _differences(jointly.get("value"), alone.get("value"))


def _first(entry: dict[str, Any]) -> str:
    return f"{entry.get('label')} came first: {_whole(entry)}"


def _whole(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "nothing: it never came to that"
    return outcome(str(entry.get("outcome")), entry.get("value"), 160)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def _differences(jointly: Any, alone: Any) -> Iterator[tuple[str, str]]:
    places = list(_compared_at("", jointly, alone))
    apart = [place for place in places if place[1] != place[2]]
    for path, one, other in apart[:_MOST]:
        yield _leaf(path, one), _leaf(path, other)
    if len(apart) > _MOST:
        yield f"... and {len(apart) - _MOST} more", ""
    alike = len(places) - len(apart)
    if apart and alike:
        yield f"({alike} more alike)", f"({alike} more alike)"


_NOTHING = object()


def _compared_at(path: str, one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """The two values at each place, as deep as both have places there."""
    if isinstance(one, dict) and isinstance(other, dict) and one and other:
        for key in dict.fromkeys((*one, *other)):
            deeper = f"{path}.{key}" if path else str(key)
            yield from _compared_at(deeper, one.get(key, _NOTHING), other.get(key, _NOTHING))
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and one and other:
        pairs = itertools.zip_longest(one, other, fillvalue=_NOTHING)
        for index, (mine, its) in enumerate(pairs):
            yield from _compared_at(f"{path}[{index}]", mine, its)
    else:
        yield path, one, other


def _leaf(path: str, value: Any) -> str:
    text = "nothing there" if value is _NOTHING else shown(value, 120)
    return f"{path}: {text}" if path else text


# Where a foreign value came from


def _origins(case: Case, execution: Execution | None) -> Iterator[str]:
    """Unique values make this a match of strings."""
    jointly = case.finding.evidence.get("with")
    alone = repr(case.finding.evidence.get("alone"))
    if not isinstance(jointly, dict) or not case.finding.user:
        return
    told: list[str] = []
    seen = repr(jointly.get("value"))
    for text, source in _sources(case.scenario, execution, case.finding.user):
        foreign = len(text) > 3 and text in seen and text not in alone
        if foreign and not any(known in text or text in known for known in told):
            told.append(text)
            yield from textwrap.wrap(f"{shown(text)} comes from {source}", WIDTH)
            if len(told) == 3:
                return


def _sources(
    scenario: Scenario, execution: Execution | None, user: str
) -> Iterator[tuple[str, str]]:
    """Strings that other users sent or saw, each with where."""
    mine = scenario.group_of(user)
    for operation in scenario.operations:
        if operation.user not in mine:
            for name, value in operation.args.items():
                for text in _strings(value):
                    yield text, f"{operation.label}, {operation.name}({name}=...)"
    for other in scenario.users:
        if other not in mine:
            yield other, f"{other}, who shares nothing with {user}"
    for event in execution.history if execution is not None else ():
        if event.user not in mine and event.kind == "ok":
            for text in _strings(event.value):
                yield text, f"{event.label}, the result of {event.name}"


def _strings(value: Any) -> Iterator[str]:
    for _, leaf in _leaves(value, ""):
        if isinstance(leaf, str):
            yield leaf


# What happened


def _order(case: Case, execution: Execution) -> Iterator[str]:
    label = case.finding.label
    where = (
        "here it departs from the run alone" if case.finding.property == NAME else "here it shows"
    )
    yield "The order of events" + (f"  (>> {where})" if label else "")
    for line in lanes(execution, label):
        yield f"{line}".rstrip()


def _waiting(execution: Execution, message: str) -> Iterator[str]:
    for chain in execution.waiting[:_MOST]:
        if chain not in message:
            yield from textwrap.wrap(chain, WIDTH, subsequent_indent="    ")


def _retold(case: Case) -> Iterator[str]:
    yield "What happens"
    for operation in case.scenario.operations:
        beside = "  (beside the one before)" if operation.beside else ""
        yield shorten(f"  {operation.label}  {called(operation)}{beside}", WIDTH)
    for choice in case.schedule.choices:
        yield shorten(f"  {switched(choice)}", WIDTH)
    for fault in case.schedule.faults:
        yield shorten(f"  {failed(fault)}", WIDTH)
