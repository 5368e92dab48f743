"""The Hypothesis machine: it records scenarios, runs them, and never passes for nothing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from isomodel import BadInput, Secret, Violated, io, observe, operation
from isomodel.bridges.options import OPTIONS
from isomodel.bridges.tries import tries
from isomodel.search import cases
from isomodel.search.exploring.generate import secret_for
from isomodel.targets.declare import spec_of
from isomodel.testing import Unknown, machine
from isomodel.values.scenario import Operation, Scenario

# Targets


class Desk:
    """Armed, it keeps what it works on in one place across an await."""

    defects: ClassVar = {"shared": "one current text for all users"}

    def __init__(self) -> None:
        self.armed = False
        self.current = ""

    def arm(self, name: str) -> None:
        self.armed = True

    @operation
    async def post(self, user: str, text: Secret) -> str:
        mine = self.current = text
        await io("store", fails=OSError)
        return self.current if self.armed else mine


class Line:
    """Armed, a cancelled question leaves its reply to whoever asks next."""

    defects: ClassVar = {"dirty": "the reply to a cancelled question stays on the line"}

    def __init__(self) -> None:
        self.armed = False
        self.replies: list[str] = []
        self.free = asyncio.Lock()

    def arm(self, name: str) -> None:
        self.armed = True

    @operation(number=st.integers(0, 9))
    async def ask(self, user: str, number: int) -> str:
        async with self.free:
            self.replies.append(f"{number} for {user}")
            try:
                await io("reply")
            except asyncio.CancelledError:
                if not self.armed:
                    self.replies.clear()
                raise
            return self.replies.pop(0)


class Tickets:
    """Hands out tickets; it notes every use of one that is not the user's or is no longer."""

    misuse: ClassVar[list[str]] = []

    def __init__(self) -> None:
        self.open: dict[int, str] = {}
        self.number = 0

    @operation(makes="ticket")
    async def take(self, user: str) -> int:
        self.number += 1
        self.open[self.number] = user
        return self.number

    @operation
    async def use(self, user: str, ticket: int) -> str:
        if self.open.get(ticket) != user:
            self.misuse.append(f"{user} uses {ticket}")
        return "used"

    @operation(ends="ticket")
    async def give_back(self, user: str, ticket: int) -> str:
        if self.open.pop(ticket, None) != user:
            self.misuse.append(f"{user} gives back {ticket}")
        return "given back"


class Refusing:
    @operation
    async def read(self, user: str) -> str:
        return "page"

    @operation
    async def write(self, user: str) -> str:
        raise PermissionError("read-only")


class Silent:
    @operation
    async def nod(self, user: str) -> None:
        pass


class Moody:
    """Gives bob alice's text once in the life of its process, and never again."""

    before: ClassVar[list[str]] = []

    @operation
    async def ask(self, user: str, text: Secret) -> str:
        if user == "bob" and len(self.before) == 1:
            self.before.append(text)
            return self.before[0]
        if user == "alice" and not self.before:
            self.before.append(text)
        return text


class Awkward:
    """Calls its arguments what the machine would like to call its own."""

    seen: ClassVar[list[tuple[str, int, int]]] = []

    @operation(user=st.just(7), beside=st.just(8))
    async def run(self, who: str, user: int, beside: int) -> str:
        self.seen.append((who, user, beside))
        return "ran"


class Wordy:
    """Three operations, of which one example of one step can try but one."""

    @operation
    async def one(self, user: str) -> str:
        return "1"

    @operation
    async def two(self, user: str) -> str:
        return "2"

    @observe
    async def three(self, user: str) -> str:
        return "3"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where case files go during the test."""
    monkeypatch.setattr(OPTIONS, "cases", tmp_path / "cases")
    return tmp_path / "cases"


def same_every_time(made: Any, examples: int = 25) -> settings:
    return settings(made.TestCase.settings, derandomize=True, database=None, max_examples=examples)


def run(target: type, armed: tuple[str, ...] = (), examples: int = 25, **how: Any) -> None:
    made = machine(target, armed=armed, **how)
    made.run(same_every_time(made, examples))


def posts(*users: str) -> Scenario:
    return Scenario(
        tuple(Operation(f"{user}.1", user, "post", {"text": secret_for(user, 1)}) for user in users)
    )


# Verdicts


@pytest.mark.parametrize("target", [Desk, Line, Tickets])
def test_a_sound_target_passes(target: type) -> None:
    run(target)


@pytest.mark.parametrize(("target", "defect"), [(Desk, "shared"), (Line, "dirty")])
def test_a_broken_target_fails_with_the_explained_case(target: type, defect: str) -> None:
    with pytest.raises(Violated, match="The order of events"):
        run(target, (defect,))


def test_the_case_that_is_shown_is_shrunk_and_on_disk(folder: Path) -> None:
    with pytest.raises(Violated) as caught:
        run(Desk, ("shared",))
    (file,) = folder.glob("*.json")
    case = cases.load(file)
    assert str(case.size) == "2u 2o 1s 0f"
    assert case.minimal
    assert f"case file: {file}" in str(caught.value)


def test_a_case_is_on_disk_before_it_is_shrunk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Power(BaseException):
        pass

    def out(*args: Any, **options: Any) -> None:
        raise Power

    monkeypatch.setattr("isomodel.bridges.trials.Shrinker.shrink", out)
    with pytest.raises(Power):
        run(Desk, ("shared",))
    (file,) = folder.glob("*.json")
    assert not cases.load(file).minimal


def test_an_operation_that_never_succeeds_is_unknown_not_ok() -> None:
    with pytest.raises(Unknown, match=r"unknown: operation write never succeeded \(Permission"):
        run(Refusing)


def test_a_target_that_shows_nothing_is_unknown_not_ok() -> None:
    with pytest.raises(Unknown, match="no user observed anything"):
        run(Silent)


def test_a_failure_that_does_not_repeat_is_unknown_not_a_finding() -> None:
    Moody.before.clear()
    with pytest.raises(Unknown, match="broke once, and not when run again"):
        run(Moody)


def test_an_operation_that_no_example_tried_is_tried_at_the_end() -> None:
    run(Wordy, examples=1, operations=1)


def test_a_defect_nobody_declared_is_refused() -> None:
    with pytest.raises(BadInput, match="'sharde'"):
        machine(Desk, armed=["sharde"])


def test_the_invariants_alone_miss_what_noninterference_sees() -> None:
    run(Line, ("dirty",), oracles="invariants")


# Recording


def test_rules_only_record(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Any = machine(Desk)
    example = made()
    example.do_post(user="alice", beside=False)
    example.do_post(user="bob", beside=True)
    example.do_post(user="alice", beside=True)
    assert [(o.label, o.beside) for o in example.scenario().operations] == [
        ("alice.1", False),
        ("bob.1", False),
        ("alice.2", True),
    ]
    assert example.scenario().operations[2].args == {"text": secret_for("alice", 2)}
    assert made.trials.verdict().executions == 0


def test_an_empty_scenario_is_not_run() -> None:
    made: Any = machine(Desk)
    made().teardown()
    assert made.trials.verdict().executions == 0


def test_an_example_given_up_halfway_is_not_run() -> None:
    made: Any = machine(Desk)
    example = made()
    example.do_post(user="alice", beside=False)
    try:
        raise KeyError
    except KeyError:
        example.teardown()
    assert made.trials.verdict().executions == 0


def test_one_user_is_judged_by_the_invariants_only() -> None:
    made: Any = machine(Desk, armed=["shared"])
    assert made.trials.run(posts("alice")) is None
    assert made.trials._judge.isolation.runs == 0
    assert made.trials.run(posts("alice", "bob")) is not None


def test_handles_are_used_by_their_owner_while_they_last() -> None:
    Tickets.misuse.clear()
    run(Tickets, schedules=1)
    assert Tickets.misuse == []


def test_arguments_may_be_called_as_the_machine_calls_its_own() -> None:
    Awkward.seen.clear()
    run(Awkward, examples=3)
    assert {seen[1:] for seen in Awkward.seen} == {(7, 8)}
    assert {seen[0] for seen in Awkward.seen} >= {"alice", "bob"}


def test_settings_may_be_replaced_as_with_any_machine() -> None:
    test: Any = machine(Desk).TestCase
    test.settings = settings(test.settings, max_examples=3)
    test("runTest").runTest()


# Schedules


def test_the_tries_are_a_function_of_the_scenario() -> None:
    spec = spec_of(Desk)
    once, again = (
        [attempt() for attempt in tries(spec, posts("alice", "bob"), "portable", 20)]
        for _ in range(2)
    )
    assert once == again


def test_each_try_repeats_itself() -> None:
    for attempt in tries(spec_of(Desk), posts("alice", "bob"), "stock", 20):
        assert attempt() == attempt()


def test_the_default_schedule_comes_first_then_one_departure_then_random_ones() -> None:
    first, *rest = [
        attempt() for attempt in tries(spec_of(Desk), posts("alice", "bob"), "stock", 20)
    ]
    assert len(rest) == 19
    assert first.schedule.choices == ()
    assert first.schedule.faults == ()
    departures = [len(e.schedule.choices) + len(e.schedule.faults) for e in rest]
    assert max(departures[:5]) == 1
    assert any(e.schedule.faults for e in rest)


def test_the_same_scenarios_are_drawn_in_every_run_of_ci() -> None:
    drawn: list[list[Scenario]] = []
    for _ in range(2):
        made: Any = machine(Desk)
        drawn.append([])
        made.trials.run = drawn[-1].append
        made.run(same_every_time(made, 10))
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) >= 5


# In pytest


TEST = """
    from isomodel.testing import machine
    from {module} import Desk
    TestDesk = machine(Desk, armed={armed}).TestCase
"""


@pytest.fixture
def inner(pytester: pytest.Pytester) -> pytest.Pytester:
    """A pytest of its own, with the targets of this module at hand."""
    pytester.makepyfile(targets=Path(__file__).read_text(encoding="utf-8"))
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.syspathinsert()
    return pytester


def test_a_failure_in_pytest_prints_the_shrunk_case_and_leaves_the_file(
    inner: pytest.Pytester,
) -> None:
    inner.makepyfile(TEST.format(module="targets", armed=["shared"]))
    result = inner.runpytest("--isomodel-cases=kept", "--hypothesis-profile=ci", "--junitxml=x.xml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*isomodel counterexample*",
            "Broken in post: no leaked secret",
            "2 users, 2 operations, 1 switch, no fault",
            "case file: *kept*.json",
        ]
    )
    result.stdout.no_fnmatch_line("*hypothesis*stateful.py*")
    result.stdout.no_fnmatch_line("*Failing test case*")
    assert len(list((inner.path / "kept").glob("*.json"))) == 1
    assert "The order of events" in (inner.path / "x.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize("profile", ["ci", "dev", "nightly"])
def test_the_profiles_exist(inner: pytest.Pytester, profile: str) -> None:
    inner.makepyfile(
        f"""
        from hypothesis import settings
        def test_it():
            assert settings.get_current_profile_name() == {profile!r}
        """
    )
    inner.runpytest(f"--hypothesis-profile={profile}").assert_outcomes(passed=1)


def test_a_profile_of_the_project_is_left_alone(inner: pytest.Pytester) -> None:
    inner.makeconftest(
        """
        from hypothesis import settings
        settings.register_profile("nightly", max_examples=77)
        """
    )
    inner.makepyfile(
        """
        from hypothesis import settings
        def test_it():
            assert settings().max_examples == 77
        """
    )
    result = inner.runpytest_subprocess("--hypothesis-profile=nightly")
    result.assert_outcomes(passed=1)


def test_a_pytest_run_without_isomodel_loads_none_of_its_engine(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys
        def test_it():
            assert not [name for name in sys.modules if name.startswith("isomodel.search")]
            assert "isomodel.bridges.machine" not in sys.modules
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_unittest_can_run_it_too(inner: pytest.Pytester) -> None:
    file = inner.makepyfile(TEST.format(module="targets", armed=[]))
    command = [sys.executable, "-m", "unittest", f"{file.stem}.TestDesk"]
    done = subprocess.run(command, cwd=inner.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_machine_in_the_documentation_passes(inner: pytest.Pytester) -> None:
    guide = Path(__file__).parents[2] / "docs" / "pytest.md"
    blocks = guide.read_text(encoding="utf-8").split("```python\n")[1:3]
    inner.makepyfile("\n".join(block.partition("```")[0] for block in blocks))
    inner.runpytest("--hypothesis-profile=ci").assert_outcomes(passed=1)
