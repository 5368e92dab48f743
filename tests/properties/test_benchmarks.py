"""What of the benchmarks does not depend on how fast this machine is."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # `pytest` alone would not look there

from benchmarks import defects, peers_examples, programs, replay, rows, shrink, soundness
from benchmarks.peer_drivers import Program
from benchmarks.peer_programs import FIFO, PROGRAMS, main_of
from benchmarks.peers import PEERS, Runner
from benchmarks.published import EXAMPLES, Example
from benchmarks.published_beside import searched
from benchmarks.rows import Report, Row, at_least, at_most, figure, ratio_at_least
from benchmarks.toy import MINIMUM_STEPS, Machine
from isomodel.engine.world import io
from isomodel.search.program import explore_program


@pytest.mark.parametrize("name", programs.BUGGY)
def test_each_program_with_a_bug_is_found_broken_from_one_seed(name: str) -> None:
    assert math.isfinite(programs.find(programs.Search(name, 0, True)))


@pytest.mark.parametrize("name", sorted(FIFO))
def test_programs_that_rely_on_documented_order_are_left_alone(name: str) -> None:
    outcome = explore_program(FIFO[name], executions=200, fidelity="stock")
    assert outcome.verdict.status == "ok"


@pytest.mark.parametrize("fidelity", ["stock", "portable"])
@pytest.mark.parametrize("name", ["g conflicting", "g independent"])
def test_correct_programs_are_left_alone(name: str, fidelity: str) -> None:
    outcome = explore_program(main_of(name, io), executions=200, fidelity=fidelity)  # type: ignore[arg-type]
    assert outcome.verdict.status == "ok"


def test_only_the_cancellation_nobody_asks_for_needs_an_injected_one() -> None:
    assert math.isinf(programs.find(programs.Search("e1", 0, False)))


@pytest.mark.parametrize(("fails", "found"), [("AssertionError", True), ("deadlock", False)])
def test_a_published_bug_is_found_only_as_what_it_is(fails: str, found: bool) -> None:
    program = Program(main_of("a", io))
    example = Example("a", "nobody", lambda: program, True, fails=fails)
    assert math.isfinite(searched(example, program, 0, 50)[0]) is found


@pytest.mark.parametrize(
    ("broken", "told", "met"),
    [
        (True, {"executions": [3.0, 1.0], "verdicts": [["violated", "so"]] * 2}, True),
        (True, {"executions": [3.0, math.inf], "verdicts": [["violated", "so"]] * 2}, False),
        (True, {"executions": [], "verdicts": [], "error": "no such page"}, False),
        (False, {"executions": [math.inf], "verdicts": [["ok", "nothing"]]}, True),
        (False, {"executions": [math.inf], "verdicts": [["unknown", "busy"]]}, False),
        (False, {"executions": [], "verdicts": [], "error": "no such page"}, False),
    ],
)
def test_a_published_program_meets_its_goal_with_every_seed_or_not_at_all(
    broken: bool, told: dict[str, list[float]], met: bool
) -> None:
    row = peers_examples._row(Example("a", "nobody", Program, broken), told, {"executions": [2.0]})
    assert row.met is met
    assert row.goal == ("found" if broken else "silent")


def test_every_published_program_belongs_to_a_peer_and_has_a_name_of_its_own() -> None:
    names = [(example.peer, example.what) for example in EXAMPLES]
    assert {peer for peer, _ in names} <= set(PEERS)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("who", ["isomodel stock", "isomodel portable", "bare send", "asyncio.run"])
def test_the_runner_measures_what_needs_no_peer(who: str) -> None:
    with Runner(sys.executable) as runner:
        answer = runner.ask(do="speed", who=who, program="g independent", executions=20)
    assert answer["rate"] > 0


def test_the_runner_counts_hits() -> None:
    with Runner(sys.executable) as runner:
        assert runner.ask(do="hits", who="isomodel", program="a", executions=20)["hits"] > 5
        assert runner.ask(do="hits", who="isomodel", program="g independent", executions=20) == {
            "hits": 0
        }


def test_goals_are_judged_by_the_value_not_by_what_is_shown() -> None:
    assert at_least("x", 20, 20).met
    assert not at_least("x", 19, 20).met
    assert at_most("x", 2.4999, 2.5).met
    assert not at_most("x", 2.50001, 2.5).met
    assert not ratio_at_least("x", 1.0, "peer", 2.0, 0.5, 3.09, "/s").met
    assert figure("x", 1).met is None


def test_reports_are_json_with_every_column(tmp_path: Path) -> None:
    report = Report("x", True, "1 seed", (at_most("a", math.inf, 2), figure("b", None)))
    place = tmp_path / "rows.json"
    rows.write([report], place)
    document = json.loads(place.read_text())
    columns = {"what", "value", "unit", "peer", "peer_value", "ratio", "goal", "met", "note"}
    for row in document["reports"][0]["rows"]:
        assert set(row) == columns
    assert document["reports"][0]["rows"][0]["met"] is False


def test_tables_show_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    rows.show(Report("x", False, "1 seed", (Row("some figure", 1), at_least("a goal", 1, 2))))
    shown = capsys.readouterr().out
    assert "some figure" in shown
    assert "missed: a goal" in shown


def test_the_interval_of_a_median_leaves_one_in_twenty_outside() -> None:
    assert programs.interval(range(1, 21)) == (6, 15)
    assert programs.interval([3.0]) == (3.0, 3.0)


def test_the_published_figures_name_programs_that_exist() -> None:
    assert set(programs.PUBLISHED) < set(PROGRAMS)
    assert set(programs.BESIDE) < set(PEERS)


def test_a_defect_is_found_and_held_against_its_minimum() -> None:
    search = defects.Search("414-06", "all", 0, 50, None, True)
    found = defects.hunt(search)
    assert found.found
    assert found.size is not None


def test_the_toy_takes_the_four_steps_that_it_is_said_to_take() -> None:
    machine = Machine()
    machine.create("alice")
    machine.dispatch("bob")
    machine.dispatch("alice")
    with pytest.raises(AssertionError, match="isolation"):
        machine.resume(0)
    assert len(Machine.steps) == MINIMUM_STEPS
    machine.teardown()


def test_the_toy_is_quiet_where_each_request_ends_before_the_next() -> None:
    machine = Machine()
    for user in ("alice", "bob"):
        machine.create(user)
        machine.dispatch(user)
        machine.resume(0)
    machine.teardown()


def test_both_sides_of_the_toy_are_found_and_held_against_the_minimum() -> None:
    mine = shrink.shrink(shrink.Shrinking("toy", 2))
    assert mine is not None
    assert mine.minimal
    peer = shrink.shrink(shrink.Shrinking("hypothesis", 2))
    assert peer is not None
    assert peer.size.endswith("steps")
    assert peer.minimal == (peer.size == f"{MINIMUM_STEPS} steps")


def test_a_piece_of_the_soundness_hunt_counts_what_it_ran() -> None:
    checked = soundness.check(soundness.Piece("stock", 0, 0, 20))
    assert checked.executions == 20
    assert checked.alone_runs > 0


def test_digests_tell_executions_apart_and_repeat() -> None:
    first = replay.digests(0, 0, 20)
    assert first == replay.digests(0, 0, 20)
    assert len(set(first)) == 20


def test_the_parting_step_is_named() -> None:
    one, two = {"steps": ["a", "b", "c"]}, {"steps": ["a", "x", "c"]}
    assert "parts at step 2: b here, x there" in replay._parting("case", one, two)
    assert replay._parting("case", one, {"steps": ["a", "b"]}).endswith("c here, the end there")
    assert replay._parting("case", one, one) == ""
