"""A Hypothesis state machine for any target.

    TestMail = machine(Mail).TestCase

Its rules, one for each operation, only record: who does what, with which arguments. At the end
of an example the recorded scenario runs under many schedules. So Hypothesis draws what it is good
at, programs and values, and no schedule is drawn choice by choice, which measured twenty times
slower and shrank badly.

A failure is shrunk by our shrinker, and once; so these machines run without Hypothesis's shrink
phase, unless their settings say otherwise. Its examples are then larger than the counterexample
that is shown.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    rule,
    run_state_machine_as_test,
)

from isomodel.bridges.failure import Unknown
from isomodel.bridges.profiles import for_machine
from isomodel.bridges.trials import Trials
from isomodel.bridges.tries import stable_hash
from isomodel.search.exploring.generate import secret_for
from isomodel.search.judging.judge import Oracles
from isomodel.search.running.execute import session
from isomodel.targets.declare import USERS, Argument, OperationSpec, TargetSpec, on, spec_of
from isomodel.targets.resolve import check_armed
from isomodel.values.errors import BadInput, Violated
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import Fidelity

BESIDE = st.sampled_from((False,) * 9 + (True,))
"""Whether an operation starts without waiting for its user's previous one: rarely."""


class ScenarioMachine(RuleBasedStateMachine):
    """Records a scenario, and runs it when the example ends."""

    target: ClassVar[TargetSpec]
    trials: ClassVar[Trials]
    in_session: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self._program: list[Operation] = []

    def record(self, spec: OperationSpec, user: str, beside: bool, values: dict[str, Any]) -> str:
        """Append an operation; its label, which stands for the handle that it makes."""
        makers = [values[a.name] for a in spec.arguments if a.made]
        if makers:
            user = _user_of(makers[0])
        mine = [operation for operation in self._program if operation.user == user]
        label = f"{user}.{len(mine) + 1}"
        arguments: dict[str, Any] = {}
        for argument in spec.arguments:
            if argument.secret:
                arguments[argument.name] = secret_for(user, len(mine) + 1)
            elif argument.made:
                arguments[argument.name] = {"made": values[argument.name]}
            else:
                arguments[argument.name] = self._plain(spec, argument.name, values[argument.name])
        beside = beside and bool(mine) and not spec.makes and mine[-1].label not in makers
        if all(_user_of(maker) == user for maker in makers):
            self._program.append(Operation(label, user, spec.name, arguments, beside))
        return label

    def _plain(self, spec: OperationSpec, name: str, value: Any) -> Any:
        try:
            return msgspec.to_builtins(value)
        except (TypeError, ValueError) as error:
            raise BadInput(
                f"{self.target.name}: argument {name!r} of {spec.name} is not JSON ({error}); use "
                "strings, numbers, booleans, None, lists, dicts or dataclasses of these"
            ) from None

    def scenario(self) -> Scenario:
        """What was recorded."""
        program = tuple(self._program)
        users = {operation.user for operation in program}
        groups = tuple(group for group in self.target.together if users.intersection(group))
        return Scenario(program, stable_hash(program), groups)

    def teardown(self) -> None:
        """Run the recorded scenario, unless the example was given up halfway."""
        if not self._program or sys.exc_info()[0] is not None:
            return
        with _session(type(self)):
            counterexample = self.trials.run(self.scenario())
        _report(counterexample)

    @classmethod
    def run(cls, how: settings | None = None) -> None:
        """Run the machine: raises Violated, or Unknown where passing would say nothing."""
        cls.trials.reset()
        with _session(cls):
            run_state_machine_as_test(cls, settings=how)
            counterexample = cls.trials.roll_call()
        _report(counterexample)
        verdict = cls.trials.verdict()
        if verdict.status != "ok":
            raise Unknown(verdict.reason)


def machine(
    target: type | TargetSpec,
    *,
    armed: Sequence[str] = (),
    schedules: int = 30,
    fidelities: Sequence[Fidelity] = ("stock", "portable"),
    oracles: Oracles = "all",
    operations: int = 6,
    runtime: str = "",
) -> type[ScenarioMachine]:
    """A state machine whose examples are scenarios of ``operations`` operations for ``target``.

    Each runs under ``schedules`` schedules in each fidelity. ``armed`` names defects of the
    target to arm; ``runtime`` is by default the first that it declares. Its ``TestCase`` is for
    pytest and unittest; ``run()`` runs it on the spot. Its settings follow the Hypothesis
    profile that is loaded when it is made, with a quarter of the profile's examples;
    ``TestCase.settings`` may be replaced as with any state machine.
    """
    spec = on(target if isinstance(target, TargetSpec) else spec_of(target), runtime)
    check_armed(spec, armed)
    bundles = {o.makes: Bundle(o.makes) for o in spec.operations.values() if o.makes}
    name = f"{spec.cls.__name__}Machine"
    members: dict[str, Any] = {
        "__doc__": f"Scenarios of {spec.name} under many schedules.",
        "_hypothesis_internal_add_digest": f"{spec.name} {sorted(armed)}".encode(),
        "target": spec,
        "trials": Trials(spec, tuple(armed), schedules, fidelities, oracles),
        **{f"do_{o.name}": _rule(spec, o, bundles) for o in spec.operations.values()},
    }
    made: Any = type(name, (ScenarioMachine,), members)
    made.TestCase = _test_case(made, operations)
    return made  # type: ignore[no-any-return]


def _rule(spec: TargetSpec, operation: OperationSpec, bundles: dict[str, Bundle[str]]) -> Any:
    """The rule that records one operation."""
    most = max(1, min(spec.max_users, len(USERS)))
    users = (*USERS[:2] * 2, *USERS[2:most]) if most > 1 else USERS[:1]  # two users meet most
    taken = {argument.name for argument in operation.arguments}
    user, beside = _free("user", taken), _free("beside", taken)
    drawn: dict[str, Any] = {
        argument.name: _strategy(argument, operation, bundles)
        for argument in operation.arguments
        if not argument.secret
    }
    drawn[beside] = BESIDE
    if not any(argument.made for argument in operation.arguments):
        drawn[user] = st.sampled_from(users)

    def recording(self: ScenarioMachine, **values: Any) -> str | None:
        who = values.pop(user, "")
        label = self.record(operation, who, values.pop(beside), values)
        return label if operation.makes else None

    recording.__name__ = recording.__qualname__ = f"do_{operation.name}"
    record: Any = rule  # its overloads cannot say "with a target or without"
    if operation.makes:
        return record(target=bundles[operation.makes], **drawn)(recording)
    return record(**drawn)(recording)


def _strategy(argument: Argument, of: OperationSpec, bundles: dict[str, Bundle[str]]) -> Any:
    if argument.made:
        bundle = bundles[argument.made]
        return consumes(bundle) if of.ends == argument.name else bundle
    return argument.strategy


def _free(name: str, taken: set[str]) -> str:
    """``name``, or with underscores as long as an argument of the operation is called so."""
    while name in taken:
        name += "_"
    return name


def _user_of(label: str) -> str:
    return label.rpartition(".")[0]


def _test_case(made: type[ScenarioMachine], operations: int) -> Any:
    """The machine as a TestCase, which also fails where nothing was shown."""
    plain: Any = made.TestCase

    class MachineTestCase(plain):  # type: ignore[misc]
        settings = for_machine(operations)

        def runTest(self) -> None:
            __tracebackhide__ = True
            made.run(self.settings)

        vars(runTest).update(vars(plain.runTest))

    MachineTestCase.__name__ = plain.__name__
    MachineTestCase.__qualname__ = plain.__qualname__
    MachineTestCase.__doc__ = made.__doc__
    return MachineTestCase


@contextlib.contextmanager
def _session(cls: type[ScenarioMachine]) -> Iterator[None]:
    """A session for all examples of a run, or for one if Hypothesis was started without ``run``."""
    if cls.in_session:
        yield
        return
    cls.in_session = True
    try:
        with session():
            yield
    finally:
        cls.in_session = False


def _report(counterexample: str | None) -> None:
    """Raise it, if there is one: always here, since two places would be two bugs to Hypothesis."""
    __tracebackhide__ = True
    if counterexample is not None:
        raise Violated(counterexample)
