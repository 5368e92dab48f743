"""Mutants: wrong versions of the factory layer, made mechanically; how many are noticed.

First a few executions in which every operation comes one after another, whose results are held
against those of the layer as it is; then a hunt with one default setting, by all properties; at
last, for what neither noticed, the layer's own tests. Survivors are listed. Each mutant runs in a
process of its own.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing
import os
import random
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from benchmarks.equivalent import EQUIVALENT
from benchmarks.mutator import Mutant, mutants
from benchmarks.rows import Report, Row, at_least, figure
from isomodel.schedulers.fifo import Default
from isomodel.search.execute import execute, session
from isomodel.search.explore import Budget, Explorer
from isomodel.search.generate import Generator
from isomodel.targets import factory
from isomodel.targets.declare import TargetSpec, spec_of
from isomodel.targets.resolve import BUILTIN, resolve
from isomodel.values.errors import IsomodelError
from isomodel.values.scenario import Scenario

MODULES = (
    *("contexts", "agents", "tools", "events", "sessions", "identity", "state"),
    *("profiles", "analytics", "logs", "layer"),
)
"""The layer itself: no back ends, no target, no defects."""

EXECUTIONS, FEW = 1_500, 300
"""Executions of the hunt for one mutant; the same for a quick run."""

SAMPLE = 16
"""A quick run takes one mutant in so many."""

SMOKE = 40
"""Scenarios that are run one operation after another, before any hunt."""

TESTS = Path(__file__).parents[1] / "tests" / "properties" / "test_factory_layer.py"
TESTED = "the layer's own tests only"

CPU_SECONDS = 120
"""CPU time for one mutant: one that loops without ever waiting is noticed by that."""

WORKERS = 2
GOAL = 95.0
PACKAGE = factory.__name__
IDS = re.compile(r"[0-9a-f]{16,}")

Seen = Mapping[str, Any]


class Fate(msgspec.Struct, frozen=True):
    """What became of a mutant: ``by`` is empty if nothing noticed it."""

    mutant: Mutant
    by: str
    executions: int = 0

    @property
    def equivalent(self) -> str:
        """Why it is no defect, where it is none."""
        return "" if self.by else EQUIVALENT.get(self.mutant.name, "")


def all_mutants() -> list[Mutant]:
    """Every mutant of the layer, module by module; what it reports to the audit stays."""
    folder = Path(factory.__file__).parent
    return [
        mutant
        for module in MODULES
        for mutant in mutants((folder / f"{module}.py").read_text(), module, but="_audit.")
    ]


def scenarios(spec: TargetSpec) -> list[Scenario]:
    """What is run one after another: all kinds of operations, many times."""
    generator = Generator(spec)
    return [generator.scenario(random.Random(number)) for number in range(SMOKE)]


def results(spec: TargetSpec, scenario: Scenario) -> Seen:
    """What each user sees, ids by order of appearance."""
    known: dict[str, str] = {}

    def name(match: re.Match[str]) -> str:
        return known.setdefault(match.group(), f"id-{len(known)}")

    execution = execute(spec, scenario, Default(), fidelity="stock")
    text = msgspec.json.encode((execution.ended, execution.observations)).decode()
    seen: Seen = {"seen": IDS.sub(name, text), "error": execution.error}
    return seen


class _Loader(importlib.abc.SourceLoader):
    """Loads a mutated module under the name of the real one."""

    def __init__(self, place: str, source: str) -> None:
        self._place = place
        self._source = source

    def get_filename(self, fullname: str) -> str:
        """Where the real one is."""
        return self._place

    def get_data(self, path: str) -> bytes:
        """The mutated source."""
        return self._source.encode()

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """No byte code may be kept."""
        raise OSError

    def set_data(self, path: str, data: bytes) -> None:
        """Keep nothing."""


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the mutated module in place of the real one."""

    def __init__(self, name: str, source: str) -> None:
        self._name = name
        self._source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The mutant's, if it is asked for."""
        if fullname != self._name or path is None:
            return None
        place = str(Path(path[0]) / f"{fullname.rpartition('.')[2]}.py")
        loader = _Loader(place, self._source)
        return importlib.util.spec_from_file_location(fullname, place, loader=loader)


def load(mutant: Mutant) -> TargetSpec:
    """The factory layer as a target, with this mutant in it: for a process that ends soon."""
    for name in [name for name in sys.modules if name.startswith(PACKAGE + ".")]:
        del sys.modules[name]
    module = mutant.name.partition(".")[0]
    sys.meta_path.insert(0, _Finder(f"{PACKAGE}.{module}", mutant.source))
    target = importlib.import_module(f"{PACKAGE}.target")
    return spec_of(target.FactoryLayer, BUILTIN[0])


def judge(mutant: Mutant, expected: Sequence[tuple[Scenario, Seen]], executions: int) -> Fate:
    """Run it and see whether anything notices."""
    try:
        spec = load(mutant)
        with session():
            for number, (scenario, seen) in enumerate(expected):
                if results(spec, scenario) != seen:
                    return Fate(mutant, "results", number + 1)
            outcome = Explorer(spec).hunt(Budget(executions))
    except IsomodelError:
        return Fate(mutant, "start")
    if outcome.finding is not None:
        return Fate(mutant, outcome.finding.property, outcome.verdict.executions)
    if outcome.verdict.status == "unknown":
        return Fate(mutant, "unknown", outcome.verdict.executions)
    return Fate(mutant, _tested(), outcome.verdict.executions)


def _tested() -> str:
    """Whether the layer's own tests, on the ordinary event loop, notice what the hunt did not."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", str(TESTS)])
    return "" if code == pytest.ExitCode.OK else TESTED


def _child(
    send: Connection, mutant: Mutant, expected: Sequence[tuple[Scenario, Seen]], executions: int
) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    try:
        fate = judge(mutant, expected, executions)
    except Exception as error:
        fate = Fate(mutant, f"crash: {type(error).__name__}")
    send.send_bytes(msgspec.msgpack.encode((fate.by, fate.executions)))


def fates(
    chosen: Sequence[Mutant], executions: int, seconds: float | None = None
) -> Iterator[Fate]:
    """What becomes of each of these mutants, as it is known; ends after so many seconds."""
    spec = resolve(BUILTIN[0])
    with session():
        expected = [(scenario, results(spec, scenario)) for scenario in scenarios(spec)]
    fork = multiprocessing.get_context("fork")
    began = time.monotonic()
    waiting = list(reversed(chosen))
    running: dict[Connection, tuple[Mutant, Any]] = {}
    while waiting or running:
        over = seconds is not None and time.monotonic() - began > seconds
        while waiting and not over and len(running) < WORKERS:
            mutant = waiting.pop()
            receive, send = fork.Pipe(duplex=False)
            child = fork.Process(target=_child, args=(send, mutant, expected, executions))
            child.start()
            send.close()
            running[receive] = mutant, child
        if not running:
            return
        for ready in wait(list(running)):
            assert isinstance(ready, Connection)
            mutant, child = running.pop(ready)
            try:
                by, count = msgspec.msgpack.decode(ready.recv_bytes(), type=tuple[str, int])
                yield Fate(mutant, by, count)
            except EOFError:
                yield Fate(mutant, "endless loop, or the end of its process")
            ready.close()
            child.join()


def run(quick: bool) -> Report:
    """The score, by what noticed them, and the survivors."""
    every = all_mutants()
    chosen = every[::SAMPLE] if quick else every
    found = list(fates(chosen, FEW if quick else EXECUTIONS, 40 if quick else None))
    rows = [*_rows(found)]
    sample = f"{len(found)} of {len(every)} mutants"
    return Report("mutants", quick, sample, tuple(rows))


def _rows(found: Sequence[Fate]) -> Iterator[Row]:
    equivalent = [fate for fate in found if fate.equivalent]
    survivors = [fate for fate in found if not fate.by and not fate.equivalent]
    counted = len(found) - len(equivalent)
    killed = counted - len(survivors)
    yield at_least("mutants noticed", 100 * killed / max(1, counted), GOAL, "%")
    yield figure("mutants", len(found))
    yield figure("of these equivalent, as docs/mutants.md explains", len(equivalent))
    by = Counter(fate.by for fate in found if fate.by)
    for what, number in by.most_common():
        yield figure(f"noticed by {what}", number, "mutants")
    for fate in survivors:
        line = f"line {fate.mutant.line}: {fate.mutant.was}"
        yield figure(f"survived: {fate.mutant.name}", fate.executions, "executions", note=line)
