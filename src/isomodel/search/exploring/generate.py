"""Scenarios at random: a few users, a few kinds of operation, arguments from strategies."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import HypothesisWarning
from hypothesis.strategies import SearchStrategy

from isomodel.search.exploring.extent import Extent
from isomodel.targets.declare import USERS, Argument, OperationSpec, TargetSpec
from isomodel.values.errors import BadInput
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import STRIKES, Fault, FaultKind

EXAMPLES = 24
"""Values drawn beforehand for each argument: Hypothesis costs a hundred times an execution."""

Pools = Mapping[tuple[str, str], tuple[Any, ...]]


def secret_for(user: str, number: int) -> str:
    """An unforgeable marker of this user: nothing but this argument contains it."""
    code = random.Random(f"{user} {number}").getrandbits(32)
    return f"{user}'s-secret-{number}-{code:08x}"


def pools_of(spec: TargetSpec) -> Pools:
    """For each argument that has a strategy, some of its values, the simplest first.

    The values are the same in every process. Raises BadInput if a value is not JSON.
    """
    return {
        (operation.name, argument.name): _examples(spec, operation, argument)
        for operation in spec.operations.values()
        for argument in operation.arguments
        if argument.strategy is not None
    }


def _examples(spec: TargetSpec, operation: OperationSpec, argument: Argument) -> tuple[Any, ...]:
    assert argument.strategy is not None
    try:
        values = [msgspec.to_builtins(value) for value in _draw(argument.strategy)]
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"{spec.name}: argument {argument.name!r} of {operation.name} is not JSON ({error}); "
            "use strings, numbers, booleans, None, lists, dicts or dataclasses of these"
        ) from None
    return tuple(values)


def _draw(strategy: SearchStrategy[Any]) -> list[Any]:
    values: list[Any] = []

    @seed(0)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        values.append(value)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)
        collect()
    return values


KINDS: tuple[FaultKind, ...] = (
    *("cancel",) * 5,
    *("fail", "refuse", "reset"),  # without a network all three of them are failing I/O
    *("timeout",) * 2,
    *("slow", "jump", "split"),
)  # fmt: skip
"""Kinds of faults, as often as each is drawn."""

BEHIND_THE_FIRST = 0.3
"""How many of the earliest cancellations are queued right behind the first step of their task."""

MORE_AFTER = 100
"""Executions of a hunt after which they may have one more fault: few faults come first."""


WITHIN = 0.85
"""How many faults are planned where such an operation was seen to come; some go further."""

AGAIN = 0.5
"""How many faults beyond the first are like it, of an operation of the same kind: what counts
failures, or keeps what they left, shows when they pile up."""

BESIDE, CLOSE = 0.25, 0.5
"""How often an operation starts beside the one before; the same where few kinds are to meet."""


class Generator:
    """Draws scenarios and faults for one target.

    Each scenario mixes two to four kinds of operation only (swarm testing): uniform mixes of
    many kinds rarely let two operations meet. It has at most ``most_users``, of at most
    ``most_operations`` each but for those that make what others need.
    """

    def __init__(
        self,
        spec: TargetSpec,
        *,
        users: int | None = None,
        operations: int = 4,
        faults: int = 2,
    ) -> None:
        self.spec = spec
        self._most_faults = faults
        self.pools = pools_of(spec)
        self.most_users = min(users or spec.max_users, len(USERS))
        self.most_operations = 1 if spec.once else operations
        self._makers = {o.makes: o.name for o in spec.operations.values() if o.makes}
        self._names = sorted(spec.operations)

    @property
    def names(self) -> list[str]:
        """The kinds of operations there are."""
        return self._names

    def scenario(self, draw: random.Random, kinds: Sequence[str] = ()) -> Scenario:
        """A scenario with at least two users, where the target allows two.

        Of these ``kinds`` of operations, side by side more often, where any are given.
        """
        most = self.most_users
        count = 2 if most == 2 or draw.random() < 0.7 else draw.randint(min(2, most), most)
        users = USERS[: max(1, min(count, most))]
        beside = CLOSE if kinds else BESIDE
        kinds = kinds or draw.sample(self._names, min(len(self._names), draw.randint(1, 4)))
        operations: list[Operation] = []
        for user in users:
            operations += self._program(user, kinds, draw, beside)
        return self._scenario(operations, users, draw)

    def small(
        self, programs: Sequence[Sequence[str]], draw: random.Random, *, beside: bool
    ) -> Scenario:
        """Each user does these kinds of operations, ``beside`` one another wherever that may be.

        No more users, and none of more operations, than scenarios may have.
        """
        users = USERS[: min(len(programs), self.most_users)]
        operations: list[Operation] = []
        for user, kinds in zip(users, programs, strict=False):
            program: list[Operation] = []
            for name in kinds[: self.most_operations]:
                self._add(program, user, name, draw, float(beside))
            operations += program
        return self._scenario(operations, users, draw)

    def _scenario(
        self, operations: Sequence[Operation], users: Sequence[str], draw: random.Random
    ) -> Scenario:
        groups = tuple(
            group for group in self.spec.together if any(user in users for user in group)
        )
        return Scenario(tuple(operations), draw.getrandbits(32), groups)

    def extended(self, scenario: Scenario, draw: random.Random) -> Scenario:
        """This scenario with one more operation at a user's end, or one put beside the last.

        Labels stay what they are, so that what is known of the others still holds. A program stays
        as it is.
        """
        if self.spec.once:
            return scenario
        user = draw.choice(scenario.users)
        program = [each for each in scenario.operations if each.user == user]
        others = [each for each in scenario.operations if each.user != user]
        last = program[-1]
        if len(program) > 1 and draw.random() < 0.3 and not self.spec.operations[last.name].makes:
            program[-1] = msgspec.structs.replace(last, beside=not last.beside)
        elif len(program) < self.most_operations + 2:
            self._add(program, user, draw.choice(self._names), draw)
        return msgspec.structs.replace(scenario, operations=tuple(others + program))

    def program(self, user: str, kinds: Sequence[str], draw: random.Random) -> list[Operation]:
        """Operations of these kinds one after another, with the makers of what they need."""
        program: list[Operation] = []
        for name in kinds:
            self._add(program, user, name, draw, 0.0)
        return program

    def _program(
        self, user: str, kinds: Sequence[str], draw: random.Random, beside: float
    ) -> list[Operation]:
        program: list[Operation] = []
        wanted = draw.randint(1, self.most_operations)
        while len(program) < wanted:
            self._add(program, user, draw.choice(kinds), draw, beside)
        return program

    def _add(
        self,
        program: list[Operation],
        user: str,
        name: str,
        draw: random.Random,
        likely: float = BESIDE,
    ) -> None:
        """Append this operation, and before it the makers of the handles that it needs."""
        spec = self.spec.operations[name]
        arguments: dict[str, Any] = {}
        for argument in spec.arguments:
            if argument.made:
                maker = self._open(program, argument.made, draw)
                if maker is None:
                    self._add(program, user, self._makers[argument.made], draw, likely)
                    maker = program[-1].label
                arguments[argument.name] = {"made": maker}
        label = f"{user}.{len(program) + 1}"
        for argument in spec.arguments:
            if argument.secret:
                arguments[argument.name] = secret_for(user, len(program) + 1)
            elif not argument.made:
                arguments[argument.name] = draw.choice(self.pools[name, argument.name])
        beside = bool(program) and not spec.makes and draw.random() < likely
        if any(value == {"made": program[-1].label} for value in arguments.values() if program):
            beside = False
        program.append(Operation(label, user, name, arguments, beside))

    def _open(self, program: list[Operation], kind: str, draw: random.Random) -> str | None:
        """A handle of this kind that the user has made and not yet given up."""
        ended = {
            value["made"]
            for operation in program
            if self.spec.operations[operation.name].ends == kind
            for value in operation.args.values()
            if isinstance(value, dict) and "made" in value
        }
        labels = [
            operation.label
            for operation in program
            if self.spec.operations[operation.name].makes == kind and operation.label not in ended
        ]
        return draw.choice(labels) if labels else None

    def faults(
        self,
        scenario: Scenario,
        draw: random.Random,
        index: int = 0,
        extent: Extent | None = None,
    ) -> tuple[Fault, ...]:
        """The faults of execution ``index``: none in every second one, and few more than one.

        ``extent`` says how far operations go, where it is known: beyond that nothing is struck.
        """
        most = min(self._most_faults, 1 + index // MORE_AFTER)
        count = 0
        while count < most and draw.random() < 0.5:
            count += 1
        out: list[Fault] = []
        first = ""
        for _ in range(count):
            operations, kind = scenario.operations, None
            if out and draw.random() < AGAIN:
                kind = out[0].kind
                operations = tuple(o for o in operations if o.name == first)
            elif extent is not None and draw.random() < WITHIN:
                operations = tuple(o for o in operations if extent.may_be_struck(o.name))
            struck = draw.choice(operations or scenario.operations)
            first = first or struck.name
            out.append(fault_of(self.spec, struck, draw, extent, kind))
        return tuple(dict.fromkeys(out))


def kinds_of(spec: TargetSpec) -> frozenset[str]:
    """The kinds of faults that may strike this target."""
    inside = ("cancel inside",) if spec.cancels == "any" else ()
    return frozenset((*KINDS, *inside, *_opted(spec)))


def _opted(spec: TargetSpec) -> tuple[FaultKind, ...]:
    """The kinds of faults that only targets that ask for them are struck by."""
    scopes: tuple[FaultKind, ...] = ("scope",) if spec.scopes else ()
    partitions: tuple[FaultKind, ...] = ("partition",) if spec.partitions else ()
    return (*scopes, *partitions)


def strike_of(spec: TargetSpec, operation: Operation, draw: random.Random) -> Fault:
    """A fault that makes one of this operation's tasks give up, possible from its first step on."""
    scopes: tuple[FaultKind, ...] = ("scope",) if spec.scopes else ()
    kinds: tuple[FaultKind, ...] = ("cancel", "cancel", "cancel", "timeout", *scopes)
    kind = draw.choice(kinds)
    if kind == "cancel" and spec.cancels == "any" and draw.random() < 0.5:
        return Fault(kind, f"{operation.label}/?{draw.randrange(3)}", 0)
    return Fault(kind, operation.label, 1)


def fault_of(
    spec: TargetSpec,
    operation: Operation,
    draw: random.Random,
    extent: Extent | None = None,
    wanted: FaultKind | None = None,
) -> Fault:
    """A fault of one of this operation's tasks, mostly where it is known to come if that is.

    Of the ``wanted`` kind, if any is.
    """
    kind = draw.choice((*KINDS, *_opted(spec) * 3)) if wanted is None else wanted
    reach = extent.of(operation.name) if extent is not None and draw.random() < WITHIN else None
    if reach is not None and not reach.places(kind):
        kind = "cancel"
    task, at = operation.label, min(int(draw.expovariate(0.4)), 40)
    if kind == "jump":
        at = min(at, 3)
    if kind == "cancel" and spec.cancels == "any" and draw.random() < 0.5:
        return Fault(kind, f"{task}/?{draw.randrange(3)}", at)
    if reach is not None:
        at %= reach.places(kind) or 1
    if not at and draw.random() < BEHIND_THE_FIRST:
        return Fault(kind, task, 0)
    return Fault(kind, task, at + (kind in STRIKES))
