"""``isomodel hunt module:function``: a main function is a target, with all that targets have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peer_programs import FIFO, main_of
from isomodel.edges import exits
from isomodel.edges.cli import main
from isomodel.engine.world import io
from isomodel.schedulers.fifo import Default
from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.exploring.once import FAULTS
from isomodel.search.exploring.tally import Outcome
from isomodel.search.running.execute import execute, session
from isomodel.targets.declare import spec_of
from isomodel.targets.program import target_of
from isomodel.targets.resolve import resolve
from isomodel.values.errors import BadInput
from isomodel.values.scenario import Operation, Scenario
from tests.properties.programs import mains

MAINS = "tests.properties.programs.mains"


def hunt(program: Callable[[], Any], executions: int = 200, **options: Any) -> Outcome:
    spec = spec_of(target_of(program, program.__name__))
    with session():
        return Explorer(spec, **options).hunt(Budget(executions))


@pytest.mark.parametrize("name", ["a", "b", "c", "e2", "f"])
def test_what_is_found_in_a_program_is_found_in_the_target_made_of_it(name: str) -> None:
    outcome = hunt(main_of(name, io))
    assert outcome.verdict.status == "violated"


@pytest.mark.parametrize("program", [main_of("g conflicting", io), *FIFO.values()])
def test_a_sound_program_is_ok_though_it_has_no_users(program: Any) -> None:
    assert hunt(program, fidelities=("stock",)).verdict.status == "ok"


def test_no_task_is_cancelled_by_nobody() -> None:
    """A task group whose child is cancelled alone goes on: unless told, nobody does that."""
    assert hunt(mains.on_a_loop_in_turn, 400).verdict.status == "ok"

    async def closes() -> None:
        await mains.on_a_loop_in_turn()

    closes.cancels = "any"  # type: ignore[attr-defined]
    assert hunt(closes, 400).verdict.status == "violated"


def test_a_program_that_raises_has_broken_a_promise_and_one_that_never_ends_liveness() -> None:
    for program, broken in ((mains.on_a_loop, "promise"), (mains.waits_for_ever, "liveness")):
        finding = hunt(program).finding
        assert finding is not None
        assert finding.property == broken


@pytest.mark.parametrize(
    ("program", "status"),
    [
        (mains.threaded, "violated"),
        (mains.with_its_own_loop, "violated"),
        (mains.threaded_under_a_lock, "ok"),
        (mains.leaves_a_thread, "ok"),
        (mains.leaves_well, "ok"),
        (mains.leaves_badly, "violated"),
    ],
)
def test_a_plain_function_runs_in_a_thread_and_may_start_more(program: Any, status: str) -> None:
    pytest.importorskip("greenlet", reason="threads under control need isomodel[threads]")
    assert hunt(program, 100).verdict.status == status


def test_nothing_is_printed_of_how_threads_are_ended(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("greenlet", reason="threads under control need isomodel[threads]")
    spec = spec_of(target_of(mains.leaves_a_thread, "leaves_a_thread"))
    scenario = Scenario((Operation("alice.1", "alice", "main", {}),))
    with session():
        assert execute(spec, scenario, Default(), fidelity="stock").ended == "done"
    assert capfd.readouterr().err == ""


def test_a_function_that_needs_arguments_is_refused_in_one_line() -> None:
    with pytest.raises(BadInput, match="this one takes seconds"):
        resolve(f"{MAINS}:writes_after")


@pytest.mark.parametrize("name", ["yields", "yields_on_a_loop"])
def test_a_generator_function_is_refused_as_a_call_runs_nothing_of_it(name: str) -> None:
    with pytest.raises(BadInput, match="generator function"):
        resolve(f"{MAINS}:{name}")


def test_a_function_says_where_it_runs() -> None:
    pytest.importorskip("trio")
    assert resolve(f"{MAINS}:on_trio").runtime == "trio"


def test_hunt_replay_and_regress_take_a_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("app.py").write_text(Path(mains.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["hunt", "app:on_a_loop", "--executions", "50", "--json"]) == exits.VIOLATED
    (result,) = [
        each
        for each in json.loads(capsys.readouterr().out)["results"]
        if each["fidelities"] == ["stock"]
    ]
    assert result["finding"]["property"] == "promise"
    assert result["size"]["users"] == result["size"]["operations"] == 1
    assert main(["replay", result["case"]]) == exits.VIOLATED
    assert main(["regress", result["case"]]) == exits.OK
    (test,) = Path("tests/regression").glob("test_*.py")
    assert "app:on_a_loop" in test.read_text(encoding="utf-8")


def test_a_proof_of_a_function_covers_its_one_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["prove", f"{MAINS}:on_a_loop_in_turn", "--path", str(Path.cwd())]) == exits.OK
    assert "all 4 interleavings of all 1 scenarios" in capsys.readouterr().out


def test_a_cancellation_planned_for_a_program_is_never_withheld() -> None:
    explorer = Explorer(spec_of(target_of(mains.on_a_loop_in_turn, "program")))
    with session():
        draws = [explorer.draw(index) for index in range(64)]
    assert all(draw.strike is None for draw in draws if draw.index % FAULTS != FAULTS - 1)
