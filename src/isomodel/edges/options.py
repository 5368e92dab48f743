"""What a person may ask of each command, as values, and how text becomes them."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Literal

import msgspec

from isomodel.values.schedule import Fidelity

CASES = Path(".isomodel/cases")
"""Where counterexamples are kept unless ``--cases`` says otherwise."""

PROOFS = Path(".isomodel/proofs")
"""Where journals of proofs are kept."""

ALIASES = {
    "factory": "isomodel.targets.factory.target:FactoryLayer",
    "platform": "isomodel.targets.platform.target:Platform",
}
"""Short names for the targets that come with isomodel."""

FIDELITIES: dict[str, tuple[Fidelity, ...]] = {
    "stock": ("stock",),
    "portable": ("portable",),
    "both": ("stock", "portable"),
}


class HuntOptions(msgspec.Struct, frozen=True):
    """``isomodel hunt``. ``executions`` and ``seconds`` are None where the person named none."""

    target: str | None
    armed: tuple[str, ...]
    seed: int
    executions: int | None
    seconds: float | None
    fidelities: tuple[Fidelity, ...]
    oracles: Literal["all", "noninterference", "invariants"]
    users: int | None
    operations: int
    faults: int
    workers: int
    cases: Path
    path: tuple[str, ...]
    shrink: bool
    runtimes: tuple[str, ...] = ()
    """On which to hunt; empty: all that the target declares."""


class ProveOptions(msgspec.Struct, frozen=True):
    """``isomodel prove``. ``resume`` names the journal of a proof that was stopped."""

    target: str
    armed: tuple[str, ...]
    users: int
    operations: int
    together: int
    beside: bool
    values: int
    only: tuple[str, ...]
    faults: int
    preemptions: int | None
    delays: int | None
    oracles: Literal["all", "noninterference", "invariants"]
    seconds: float | None
    workers: int
    resume: Path | None
    cases: Path
    path: tuple[str, ...]
    shrink: bool


class ReplayOptions(msgspec.Struct, frozen=True):
    """``isomodel replay``. ``fidelity``, ``armed`` and ``runtime`` replace the case's own if given.

    ``confirm``: on the ordinary event loop, too.
    """

    case: Path
    fidelity: Fidelity | None
    armed: tuple[str, ...] | None
    path: tuple[str, ...]
    confirm: bool = False
    runtime: str = ""


def cores() -> int:
    """How many cores this process may use: a container often has fewer than its machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def names(text: str) -> tuple[str, ...]:
    """``asyncio,trio`` as a tuple, each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


class ScanOptions(msgspec.Struct, frozen=True):
    """``isomodel scan``. ``select`` and ``ignore`` are beginnings of rule ids; () selects all."""

    paths: tuple[Path, ...]
    select: tuple[str, ...]
    ignore: tuple[str, ...]
    exclude: tuple[str, ...]
    sarif: bool


def positive(text: str) -> int:
    """A whole number of at least 1."""
    value = natural(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def natural(text: str) -> int:
    """A whole number of at least 0."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def duration(text: str) -> float:
    """``30s``, ``10m`` or ``8h`` in seconds."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh])", text)
    if match is None or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time like 30s, 10m or 8h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
