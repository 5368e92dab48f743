"""Questions that several invariants ask of an execution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from isomodel.values.execution import Execution
from isomodel.values.facts import Noted
from isomodel.values.trace import Event

AnyFact = TypeVar("AnyFact")

_WITHOUT_TEXT = (type(None), bool, int, float)


def facts(execution: Execution, kind: type[AnyFact]) -> Iterator[tuple[AnyFact, Noted]]:
    """The facts of one kind in the order they were noted, each with who noted it."""
    for noted in execution.facts:
        if type(noted.fact) is kind:
            yield noted.fact, noted


def name_of(execution: Execution, label: str) -> str:
    """The name of the operation or final check with this label; the label if it has none."""
    for operation in execution.scenario.operations:
        if operation.label == label:
            return operation.name
    user, _, check = label.partition(".")
    return check if user in execution.observations and check else label


def ends(execution: Execution) -> dict[str, Event]:
    """How each operation that ended did so: ``ok``, ``fail`` or ``info``, by label."""
    return {
        event.label: event for event in execution.history if event.kind in ("ok", "fail", "info")
    }


def at(execution: Execution, noted: Noted) -> dict[str, str]:
    """The arguments of a Finding that say at which operation this fact was noted."""
    return {"operation": name_of(execution, noted.label), "label": noted.label}


def during(noted: Noted) -> str:
    """Words for the operation in which a fact was noted."""
    return f"in {noted.label}" if noted.label else "outside any operation"


def apart(execution: Execution, one: str, other: str) -> bool:
    """Whether these are two users that share nothing by design."""
    return other not in execution.scenario.group_of(one)


def texts(value: Any) -> Iterator[str]:
    """Every string within a value: keys and items at any depth, bytes as Latin-1.

    Other objects count as what their ``repr`` shows, which is what a log would show. Elements
    of sets come in the order of their ``repr``, so that two runs list them alike.
    """
    kind = type(value)
    if kind is str:
        yield value
    elif kind is dict:
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif kind is list or kind is tuple:
        for item in value:
            yield from texts(item)
    elif kind is set or kind is frozenset:
        for item in sorted(value, key=repr):
            yield from texts(item)
    elif kind is bytes or kind is bytearray:
        yield value.decode("latin-1")
    elif kind not in _WITHOUT_TEXT:
        yield str(value) if isinstance(value, str) else repr(value)
