"""Trace and history: what an execution did, step by step, and what its users saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec


class Step(msgspec.Struct, frozen=True):
    """One step of a task or one arrival from outside.

    ``time`` is virtual, in seconds since the start of the execution; ``task`` the one that
    ran; ``what`` a step, or the key of the arrival; ``where`` the source line at which the
    task stopped, when the execution was run with that detail.
    """

    time: float
    task: str
    what: str
    where: str = ""


class Event(msgspec.Struct, frozen=True):
    """One client-visible event: an operation begins, or ends in one of three ways.

    ``ok``: it returned ``value``. ``fail``: it raised, and must not have had an effect.
    ``info``: it was cancelled, so its outcome is unknown. ``hang``: it never ended.
    """

    kind: Literal["invoke", "ok", "fail", "info", "hang"]
    label: str
    user: str
    name: str
    time: float
    value: Any = None


def apart(one: Step, other: Step) -> str:
    """Two steps that differ, in as few words as tell them apart."""
    ways: tuple[Callable[[Step], str], ...] = (
        lambda step: f"{step.task} {step.what}",
        lambda step: f"{step.task} {step.what} at {step.time:g} s",
        lambda step: f"{step.task} {step.what} at {step.where}",
    )
    for say in ways:
        if say(one) != say(other):
            return f"{say(one)}, then {say(other)}"
    return f"{one}, then {other}"
