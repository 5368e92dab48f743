"""Trials: what of the suite notices one mutant of the factory layer.

Each trial loads the mutant in a process of its own, which a limit of CPU time ends if the mutant
never waits, and one of memory if it never stops growing.
"""

from __future__ import annotations

import faulthandler
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import os
import random
import re
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import msgspec
import pytest

from benchmarks.mutator import Mutant
from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, default
from isomodel.oracles import INVARIANTS
from isomodel.oracles.liveness import LIVENESS
from isomodel.schedulers.fifo import Default
from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.exploring.generate import Generator
from isomodel.search.judging.judge import Judge
from isomodel.search.running.execute import execute, session
from isomodel.targets import factory
from isomodel.targets.declare import TargetSpec, spec_of
from isomodel.targets.resolve import BUILTIN
from isomodel.values.errors import IsomodelError
from isomodel.values.execution import Execution
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import STRIKES, Fault, FaultKind

SCENARIOS = 120
"""Scenarios that are run one operation after another, before any hunt."""

STRUCK_BY: tuple[FaultKind, ...] = ("cancel", "fail", "timeout")
"""What operations are struck by, one at a time, at each of their steps."""

MOST_STEPS = 40

SECONDS = 10
"""CPU time for one execution and its judgement: a mutant that loops without ever waiting is
noticed by that."""

MEMORY = 4 << 30
"""Bytes of address space of a trial."""

TESTS = Path(__file__).parents[1] / "tests" / "properties" / "test_factory_layer.py"
PACKAGE = factory.__name__
IDS = re.compile(r"[0-9a-f]{16,}")

How = Literal["sequence", "sweep", "meet", "hunt", "tests"]
Seen = Mapping[str, Any]
Expected = Sequence[tuple[Scenario, Seen]]

START = "no start"
RESULTS = "other results of a sequence, and nothing else"
LOOP = "endless loop"
NO_VERDICT = "no verdict (an operation that never succeeds, say)"
OWN_TESTS = "the layer's own tests only"
INVARIANT_NAMES = frozenset(each.name for each in INVARIANTS) - {LIVENESS.name}


class Trial(msgspec.Struct, frozen=True):
    """One way to look at a mutant; a hunt has a budget and a seed."""

    how: How
    executions: int = 0
    seed: int = 0


class Notice(msgspec.Struct, frozen=True):
    """What noticed the mutant in a trial: ``by`` is empty for nothing.

    ``interferes``: the execution that broke an invariant is noticed by noninterference, too.
    """

    by: str = ""
    executions: int = 0
    interferes: bool = False
    why: str = ""


def sequences(spec: TargetSpec) -> list[Scenario]:
    """What is run one after another: all kinds of operations, many times."""
    generator = Generator(spec)
    return [generator.scenario(random.Random(number)) for number in range(SCENARIOS)]


def seen_in(execution: Execution) -> Seen:
    """What each user saw, ids by order of appearance."""
    known: dict[str, str] = {}

    def name(match: re.Match[str]) -> str:
        return known.setdefault(match.group(), f"id-{len(known)}")

    text = msgspec.json.encode((execution.ended, execution.observations)).decode()
    return {"seen": IDS.sub(name, text), "error": execution.error}


def expected_of(spec: TargetSpec) -> Expected:
    """What is seen of the layer as it is."""
    with session():
        return [(each, seen_in(_in_sequence(spec, each))) for each in sequences(spec)]


def _in_sequence(spec: TargetSpec, scenario: Scenario, faults: tuple[Fault, ...] = ()) -> Execution:
    return execute(spec, scenario, Default(), fidelity="stock", faults=faults)


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
    for name in list(sys.modules):
        if f"{name}.".startswith(f"{PACKAGE}."):
            del sys.modules[name]
    sys.meta_path.insert(0, _Finder(f"{PACKAGE}.{mutant.module}", mutant.source))
    target = importlib.import_module(f"{PACKAGE}.target")
    return spec_of(target.FactoryLayer, BUILTIN[0])


def attempt(mutant: Mutant, trial: Trial, expected: Expected) -> Notice:
    """Load the mutant into this process and look at it this way."""
    try:
        spec = load(mutant)
        with session():
            if trial.how == "sequence":
                return _sequence(spec, expected)
            if trial.how == "sweep":
                return _sweep(spec)
            if trial.how == "meet":
                return _meet(spec)
            if trial.how == "hunt":
                return _hunt(spec, trial)
        return _own_tests()
    except IsomodelError as error:
        return Notice(START, why=str(error))


def _sequence(spec: TargetSpec, expected: Expected) -> Notice:
    """What the oracles notice where operations come one after another, or else the results.

    Noninterference is asked only where results differ from those of the layer as it is.
    """
    differs = 0
    invariants, every = Judge(spec, oracles="invariants"), Judge(spec)
    for number, (scenario, seen) in enumerate(expected, 1):
        _more_time()

        def again(scenario: Scenario = scenario) -> Execution:
            return _in_sequence(spec, scenario)

        execution = again()
        differ = seen_in(execution) != seen
        notice = _judged(every if differ else invariants, execution, again, number)
        if notice.by:
            return notice
        if differ:
            differs = differs or number
    return Notice(RESULTS if differs else "", differs or len(expected))


def _sweep(spec: TargetSpec) -> Notice:
    """What the oracles notice where each kind of operation is struck by each single fault.

    At each of its steps in turn, with others of its kind after it and for another user.
    """
    judge = Judge(spec)
    executions = 0
    for scenario, label in struck(spec):
        for kind in STRUCK_BY:
            for at in range(MOST_STEPS):
                _more_time()
                executions += 1
                fault = Fault(kind, label, at + (kind in STRIKES))

                def again(scenario: Scenario = scenario, fault: Fault = fault) -> Execution:
                    return _in_sequence(spec, scenario, (fault,))

                execution = again()
                notice = _judged(judge, execution, again, executions)
                if notice.by:
                    return notice
                if not execution.fired:
                    break
    return Notice("", executions)


def struck(spec: TargetSpec) -> Iterator[tuple[Scenario, str]]:
    """For each kind of operation, a scenario with it, and the first operation of that kind."""
    generator = Generator(spec, users=2)
    for name in generator.names:
        for number in range(100):
            scenario = generator.scenario(random.Random(number), (name,))
            mine = [each for each in scenario.operations if each.name == name]
            alone = not any(each.beside for each in scenario.operations)
            if alone and len({each.user for each in mine}) > 1 and mine[1].user == mine[0].user:
                yield scenario, mine[0].label
                break


def _meet(spec: TargetSpec) -> Notice:
    """What the oracles notice where an operation begins after each step of another one.

    All pairs of kinds, of one user and of two.
    """
    judge = Judge(spec)
    executions = 0
    for scenario, first, second in meetings(spec):
        for step in range(1, MOST_STEPS):
            _more_time()
            executions += 1
            meeting = Meeting(first, second, step)

            def again(scenario: Scenario = scenario, meeting: Meeting = meeting) -> Execution:
                return execute(spec, scenario, meeting.anew(), fidelity="stock")

            execution = execute(spec, scenario, meeting, fidelity="stock")
            notice = _judged(judge, execution, again, executions)
            if notice.by:
                return notice
            if not meeting.met:
                break
    return Notice("", executions)


class Meeting:
    """The default rule, but for the second operation: it begins after that step of the first."""

    def __init__(self, first: str, second: str, step: int) -> None:
        self.met = False
        self._first = first
        self._second = second
        self._step = step
        self._taken = 0

    def anew(self) -> Meeting:
        """The same for another execution."""
        return Meeting(self._first, self._second, self._step)

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The beginning of the second when it is due, until then anything but that."""
        if last.name == self._first:
            self._taken = last.steps
        keys = [option.key for option in options]
        start = f"{self._second} start 0"
        if self.met or start not in keys:
            return default(options, last)
        others = [option for option in options if option.key != start]
        self.met = self._taken >= self._step
        if self.met or all(option.kind == "timer" for option in others):
            return keys.index(start)
        return options.index(others[default(others, last)])


def meetings(spec: TargetSpec) -> Iterator[tuple[Scenario, str, str]]:
    """For each pair of kinds, scenarios where they meet, and the labels of the two.

    The second stands beside the first, or is another user's; both do the first one, too, after it.
    """
    generator = Generator(spec)
    for number, (one, other) in enumerate(itertools.product(generator.names, repeat=2)):
        draw = random.Random(number)
        *before, first, second = generator.program("alice", (one, other), draw)
        others = generator.program("bob", (one,), draw)
        if not spec.operations[other].makes and {"made": first.label} not in second.args.values():
            beside = msgspec.structs.replace(second, beside=True)
            operations = (*before, first, beside, *others)
            yield Scenario(operations, number), first.label, second.label
        program = generator.program("alice", (one, one), draw)
        others = generator.program("bob", (other,), draw)
        first = next(each for each in program if each.name == one)
        yield Scenario((*program, *others), number), first.label, others[0].label


def _judged(
    judge: Judge, execution: Execution, again: Callable[[], Execution], number: int
) -> Notice:
    judged = judge(execution, again)
    if not judged.findings:
        return Notice()
    first = judged.findings[0]
    interferes = judge.isolation.judge(execution, again).status == "interference"
    return Notice(first.property, number, interferes, first.message)


def _hunt(spec: TargetSpec, trial: Trial) -> Notice:
    explorer = Explorer(spec, seed=trial.seed)
    outcome = explorer.hunt(Budget(trial.executions), before=lambda _: _more_time())
    executions = outcome.verdict.executions
    if outcome.verdict.status == "unknown":
        return Notice(NO_VERDICT, executions, why=outcome.verdict.reason)
    if outcome.finding is None or outcome.execution is None:
        return Notice("", executions)
    execution = outcome.execution
    draw = explorer.draw(outcome.index)
    judgement = explorer.judge.isolation.judge(execution, lambda: explorer.run(draw))
    interferes = judgement.status == "interference"
    return Notice(outcome.finding.property, executions, interferes, outcome.finding.message)


def _own_tests() -> Notice:
    """Whether the layer's own tests, on the ordinary event loop, notice it."""
    signal.setitimer(signal.ITIMER_VIRTUAL, 2 * SECONDS)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", str(TESTS)])
    return Notice("" if code == pytest.ExitCode.OK else OWN_TESTS)


def _more_time() -> None:
    """So much CPU time from now on, at the end of which the process ends."""
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)


def child(send: Connection, mutant: Mutant, trial: Trial, expected: Expected) -> None:
    """A trial in a process of its own, which sends its notice."""
    faulthandler.disable()  # the end of this process is a notice, and no news
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    _more_time()
    try:
        notice = attempt(mutant, trial, expected)
    except Exception as error:
        notice = Notice(f"crash: {type(error).__name__}", why=str(error))
    send.send_bytes(msgspec.msgpack.encode(notice))
