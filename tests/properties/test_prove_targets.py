"""A proof of a target covers what it says: all scenarios, all orders, all faults up to a bound."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import strategies as st

from isomodel.edges import exits
from isomodel.edges.cli import main as command
from isomodel.engine.control.control import Control
from isomodel.engine.world import io
from isomodel.search.cases import load, rejudge
from isomodel.search.proof.campaign import Journal, Plan, prove_target, read_journal
from isomodel.search.proof.run import _SUBJECTS, subjects
from isomodel.search.proof.scenarios import Bound, Scenarios
from isomodel.search.proof.target import Covered, Prover, scope_of
from isomodel.search.proof.tree import Limit
from isomodel.search.running.execute import session
from isomodel.targets.declare import Secret, observe, operation, spec_of
from isomodel.targets.factory.defects import DEFECTS
from isomodel.targets.resolve import BUILTIN
from isomodel.values import facts
from isomodel.values.errors import BadInput
from isomodel.values.scenario import Scenario


class Store:
    """What the users of these targets share."""

    def __init__(self) -> None:
        self.rows: dict[str, list[str]] = {}
        self.last = ""
        self.count = 0


class Sound:
    """Keeps users apart."""

    async def start(self) -> None:
        self.store = Store()

    @operation
    async def put(self, user: str, text: Secret) -> str:
        await io("write")
        self.store.rows.setdefault(user, []).append(text)
        return text

    @observe
    async def rows(self, user: str) -> list[str]:
        return list(self.store.rows.get(user, ()))


class Racing(Sound):
    """Returns what was put last, by whomever."""

    @operation
    async def put(self, user: str, text: Secret) -> str:
        self.store.last = text
        await io("write")
        return self.store.last


class Fragile(Sound):
    """Loses its balance if it is cancelled, or if its I/O fails, in the middle."""

    def state(self, user: str) -> int:
        return self.store.count

    @operation(atomic=True)
    async def put(self, user: str, text: Secret) -> str:
        self.store.count += 1
        await io("write", fails=OSError)
        self.store.count -= 1
        return "put"


class Handles(Sound):
    """Has handles, values that name users, and operations that end handles."""

    @operation(makes="session")
    async def open(self, user: str) -> object:
        return object()

    @operation(ends="session", number=st.sampled_from((1, 2)))
    async def close(self, user: str, session: object, number: int) -> str:
        return "closed"

    @operation(owner=st.sampled_from(("alice", "bob")))
    async def look(self, user: str, owner: str) -> str:
        return owner


class Stuck(Sound):
    """Two users can wait for each other for ever."""

    async def start(self) -> None:
        self.store = Store()
        self.locks = {"alice": asyncio.Lock(), "bob": asyncio.Lock()}

    @operation
    async def put(self, user: str, text: Secret) -> str:
        other = "bob" if user == "alice" else "alice"
        async with self.locks[user]:
            await io("write")
            async with self.locks[other]:
                return "put"


def prove(cls: type, bound: Bound, **options: Any) -> list[tuple[Scenario, Covered]]:
    spec = spec_of(cls)
    with session(), Control().installed(), scope_of(spec) as tracked:
        prover = Prover(spec, tracked, **options)
        return [(scenario, prover.prove(scenario)) for scenario in Scenarios(spec, bound)]


def plan_of(cls: type, **options: Any) -> Plan:
    return Plan(
        f"{Path(__file__).stem}:{cls.__name__}", path=(str(Path(__file__).parent),), **options
    )


def names(scenario: Scenario) -> list[tuple[str, str, bool]]:
    return [(o.label, o.name, o.beside) for o in scenario.operations]


def test_users_that_differ_only_in_their_names_are_counted_once() -> None:
    scenarios = list(Scenarios(spec_of(Sound), Bound(2, 2, 2)))

    assert [names(each) for each in scenarios] == [
        [("alice.1", "put", False), ("bob.1", "put", False)]
    ]


def test_a_value_that_names_a_user_is_renamed_with_it() -> None:
    bound = Bound(2, 2, 2, only=("look",))
    seen = {
        tuple(o.args["owner"] for o in each.operations)
        for each in Scenarios(spec_of(Handles), bound)
    }

    # each at its own, each at the other's, and both at one of them, whichever that is
    assert len(seen) == 3
    assert {("alice", "bob"), ("bob", "alice")} < seen


def test_every_program_of_one_user_comes_in_turn_and_side_by_side() -> None:
    bound = Bound(1, 2, only=("put", "look"), values=1)
    seen = [names(each) for each in Scenarios(spec_of(Handles), bound)]

    assert len(seen) == len({str(each) for each in seen}) == 2 + 2 * 2 * 2


def test_a_handle_is_used_only_once_made_and_until_it_is_ended() -> None:
    bound = Bound(1, 3, only=("open", "close"), values=1)
    seen = [[name for _, name, _ in names(each)] for each in Scenarios(spec_of(Handles), bound)]

    assert ["close"] not in seen
    assert ["open", "close"] in seen
    assert ["open", "close", "close"] not in seen
    assert ["open", "open", "close"] in seen


def test_a_sound_target_is_proved() -> None:
    covered = [each for _, each in prove(Sound, Bound(2, 3), faults=1)]

    assert all(each.left == "" and each.finding is None for each in covered)
    assert sum(each.executions for each in covered) > 20


def test_users_that_touch_nothing_in_common_need_one_execution() -> None:
    ((_, covered),) = prove(Sound, Bound(2, 2, 2))

    assert covered.executions == 1


def test_a_race_between_two_users_is_found() -> None:
    ((_, covered),) = prove(Racing, Bound(2, 2, 2))

    assert covered.finding is not None
    assert covered.finding.property in ("no leaked secret", "noninterference")
    assert covered.execution is not None
    assert covered.execution.schedule.choices


def test_a_deadlock_is_found() -> None:
    ((_, covered),) = prove(Stuck, Bound(2, 2, 2))

    assert covered.finding is not None
    assert covered.finding.property == "liveness"


@pytest.mark.parametrize(("faults", "found"), [(0, False), (1, True)])
def test_what_only_a_fault_breaks_needs_one(faults: int, found: bool) -> None:
    (_, covered), *_ = prove(Fragile, Bound(1, 1), faults=faults)

    assert (covered.finding is not None) == found


def test_facts_are_related_by_what_they_are_about_and_not_by_whom() -> None:
    one = facts.Sent("e1", "alice", "message", "")
    other = facts.Sent("e2", "bob", "message", "")
    delivered = facts.Delivered("e1", "alice", "ws")

    assert not set(subjects(one)) & set(subjects(other))
    assert set(subjects(one)) & set(subjects(delivered))
    assert not set(subjects(other)) & set(subjects(delivered))


def test_every_kind_of_fact_says_what_it_is_about() -> None:
    assert {*_SUBJECTS, facts.Sent} == set(get_args(facts.Fact))


QUICK = ("414-01", "414-02", "414-03", "414-04", "414-06", "414-13", "414-15", "414-16")
WITHIN = [
    name
    for name, defect in DEFECTS.items()
    if any(size.operations <= 2 and not size.faults for size in defect.minimum.values())
]
"""Defects with a counterexample of two operations and no fault."""


@pytest.mark.parametrize(
    "defect",
    [d if d in QUICK else pytest.param(d, marks=pytest.mark.slow) for d in WITHIN],
)
def test_each_defect_of_the_layer_is_found_without_randomness(defect: str, tmp_path: Path) -> None:
    plan = Plan(BUILTIN[0], (defect,), Bound(2, 2))
    proved = prove_target(plan, Journal(plan), keep=tmp_path / "journal.json")

    assert proved.found is not None
    assert proved.found.finding.property in DEFECTS[defect].noticed_by


@pytest.mark.slow
def test_the_sound_layer_holds_for_every_pair_of_operations(tmp_path: Path) -> None:
    plan = Plan(BUILTIN[0], (), Bound(2, 2, 2, values=2))
    proved = prove_target(plan, Journal(plan), keep=tmp_path / "journal.json", workers=2)

    assert proved.found is None
    assert proved.totals.unfinished == 0
    assert proved.totals.scenarios == proved.total


def test_a_stopped_proof_goes_on_where_it_was(tmp_path: Path) -> None:
    plan, place = plan_of(Sound, bound=Bound(2, 3)), tmp_path / "journal.json"
    whole = prove_target(plan, Journal(plan), keep=tmp_path / "whole.json")
    first = prove_target(plan, Journal(plan), keep=place, seconds=0.0)
    rest = prove_target(plan, read_journal(place, plan), keep=place)

    assert first.stopped
    assert first.totals.scenarios < whole.totals.scenarios
    assert rest.totals.scenarios == whole.totals.scenarios == whole.total
    assert rest.totals.executions == whole.totals.executions


def test_the_journal_of_another_proof_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "journal.json"
    plan = plan_of(Sound)
    prove_target(plan, Journal(plan), keep=place)

    with pytest.raises(BadInput, match="another proof"):
        read_journal(place, msgspec.structs.replace(plan, faults=1))
    place.write_text("{}")
    with pytest.raises(BadInput, match="not a journal"):
        read_journal(place, plan)


def test_two_workers_cover_what_one_does(tmp_path: Path) -> None:
    plan = plan_of(Sound, bound=Bound(2, 3))
    one = prove_target(plan, Journal(plan), keep=tmp_path / "one.json")
    two = prove_target(plan, Journal(plan), keep=tmp_path / "two.json", workers=2)

    assert (one.totals.scenarios, one.totals.executions) == (
        two.totals.scenarios,
        two.totals.executions,
    )


def run(cls: type, tmp_path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    out = tmp_path / "out.json"
    argv = ["prove", f"{Path(__file__).stem}:{cls.__name__}", "--path", str(Path(__file__).parent)]
    argv += ["--cases", str(tmp_path / "cases"), "--workers", "1", "--json", str(out), *options]
    code = command(argv)
    return code, json.loads(out.read_text()) if out.exists() else {}


@pytest.fixture
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_elsewhere")
def test_the_command_says_exactly_what_was_covered(tmp_path: Path) -> None:
    code, document = run(Sound, tmp_path, "--operations", "3", "--faults", "1")

    assert code == exits.OK
    totals = document["scenarios"]
    assert totals["done"] == totals["of"]
    assert (
        f"all {document['executions']} interleavings of all {totals['of']} scenarios with 1 to 2 "
        "users, up to 3 operations and up to 1 fault (portable)"
    ) == document["verdict"]["reason"]


@pytest.mark.usefixtures("_elsewhere")
def test_a_proof_without_faults_says_so_and_how_to_have_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, document = run(Sound, tmp_path)
    assert "up to 2 operations and no faults (portable)" in document["verdict"]["reason"]

    for faults, told in (("0", True), ("1", False)):
        command(["prove", f"{__name__}:Sound", "--faults", faults, "--workers", "1"])
        assert ("hunt injects faults" in capsys.readouterr().out) is told


@pytest.mark.usefixtures("_elsewhere")
def test_the_command_keeps_a_counterexample_that_fails_again(tmp_path: Path) -> None:
    code, document = run(Racing, tmp_path)

    assert code == exits.VIOLATED
    _, finding = rejudge(load(Path(document["case"])), spec_of(Racing))
    assert finding is not None


@pytest.mark.usefixtures("_elsewhere")
@pytest.mark.parametrize("bound", [("--preemptions", "1"), ("--delays", "0")])
def test_a_bounded_search_is_no_proof(tmp_path: Path, bound: tuple[str, str]) -> None:
    code, document = run(Sound, tmp_path, *bound)

    assert code == exits.UNKNOWN
    assert "proves nothing beyond it" in document["verdict"]["reason"]


@pytest.mark.usefixtures("_elsewhere")
def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Sound, tmp_path, "--only", "nothing")[0] == exits.BAD_INPUT
    assert run(Sound, tmp_path, "--resume", "missing.json")[0] == exits.BAD_INPUT
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_more_preemptions_see_more_and_none_sees_the_usual_order() -> None:
    def executions(limit: Limit | None) -> int:
        return sum(each.executions for _, each in prove(Sound, Bound(2, 2, 2), limit=limit))

    counts = [executions(Limit("preemptions", most)) for most in range(3)]

    assert counts == sorted(counts)
    assert counts[0] < counts[2]
