"""Threads under control: what is found, what is not, and what leaves control."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("greenlet", reason="threads under control need the extra isomodel[threads]")

from benchmarks import thread_programs
from isomodel.engine.threads.points import with_points
from isomodel.engine.threads.runtime import control
from isomodel.schedulers.audit import Noted, first_difference
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.pct import PCT
from isomodel.schedulers.random import RandomWalk
from isomodel.schedulers.replay import Replay
from isomodel.search.campaign.journal import beating
from isomodel.search.exploring.explore import Explorer
from isomodel.search.exploring.plans import ScheduleSearch
from isomodel.search.program import ProgramOutcome
from isomodel.search.running.execute import execute, replay, session
from isomodel.search.running.runtimes import prepared
from isomodel.search.threads import (
    Granularity,
    ThreadedProgram,
    controlled,
    explore_threads,
    run_threads,
)
from isomodel.targets.declare import spec_of
from isomodel.targets.factory.threads import Usage
from isomodel.values.errors import BadInput
from isomodel.values.facts import Total
from isomodel.values.scenario import Operation, Scenario
from tests.properties.programs import threaded as programs
from tests.properties.programs import threaded_ends as ends

BOTH: tuple[Granularity, ...] = ("accesses", "instructions")

granularities = pytest.mark.parametrize("granularity", BOTH)


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    before, control.patience = control.patience, 0.3
    yield
    control.patience = before


def explore(*bodies: Callable[[Any], object], **options: Any) -> ProgramOutcome:
    options = {"setup": programs.Counter, "executions": 60, **options}
    return explore_threads(*bodies, **options)


def checked(*bodies: Callable[[Any], object], **options: Any) -> ProgramOutcome:
    return explore(*bodies, check=programs.Counter.is_two, **options)


# What is found, and what is not


@granularities
def test_an_update_in_one_line_can_be_lost(granularity: Granularity) -> None:
    outcome = checked(programs.adds, programs.adds, granularity=granularity)
    assert outcome.verdict.status == "violated"
    text = str(outcome.counterexample)
    assert f"(threads at {granularity}, 1 switch)" in text
    assert "adds waits at threaded.py:" in text
    assert "in adds; adds#2 comes first" in text


@granularities
def test_under_a_lock_it_cannot(granularity: Granularity) -> None:
    verdict = checked(programs.adds_locked, programs.adds_locked, granularity=granularity).verdict
    assert verdict.status == "ok"
    assert "of the program's own code" in verdict.reason


@granularities
def test_a_variable_of_a_closure_can_be_lost_too(granularity: Granularity) -> None:
    outcome = explore(lambda _: programs.counts_in_a_closure(), granularity=granularity)
    assert outcome.verdict.status == "violated"


def test_the_conflict_is_named_with_both_lines() -> None:
    example = checked(programs.adds, programs.adds).counterexample
    assert example is not None
    (clash,) = example.clashes
    assert clash.what == "Counter.n"
    assert {clash.first[0], clash.second[0]} == {"adds", "adds#2"}
    assert all("threaded.py" in where for _, _, where in (clash.first, clash.second))


@granularities
def test_two_locks_in_opposite_order_deadlock(granularity: Granularity) -> None:
    outcome = explore(programs.one_way, programs.other_way, granularity=granularity)
    assert outcome.verdict.status == "violated"
    assert "one_way waits for a lock held by other_way at" in outcome.verdict.reason
    assert "other_way waits for a lock held by one_way at" in outcome.verdict.reason


@granularities
def test_two_locks_in_one_order_do_not(granularity: Granularity) -> None:
    outcome = explore(programs.one_way, programs.one_way, granularity=granularity)
    assert outcome.verdict.status == "ok"


def test_a_dict_that_changes_while_a_thread_goes_through_it() -> None:
    outcome = explore(programs.looks_while_it_changes, programs.changes_it)
    assert "changed size during iteration" in outcome.verdict.reason


@pytest.mark.parametrize(
    ("looks", "fails"),
    [
        (programs.looks_at_items, True),
        (programs.looks_at_numbered_values, True),
        (programs.looks_at_a_copy, False),
        (programs.numbers_what_is_its_own, False),
    ],
)
@granularities
def test_views_and_iterators_look_into_their_container_as_they_go(
    looks: Callable[[Any], object], fails: bool, granularity: Granularity
) -> None:
    outcome = explore(
        looks, programs.changes_the_table, setup=programs.Table, granularity=granularity
    )
    assert ("changed size during iteration" in outcome.verdict.reason) is fails


def test_a_short_sleep_ends_in_the_middle_of_what_another_does() -> None:
    outcome = checked(programs.sleeps_in_the_middle, programs.adds)
    assert outcome.verdict.status == "violated"


def test_nobody_waits_for_seconds_though_he_could_run() -> None:
    assert explore(programs.gives_up_after_a_second).verdict.status == "ok"


def test_what_a_thread_raises_is_a_failure_by_the_threads_name() -> None:
    assert explore(programs.raises).verdict.reason == "ValueError: in a thread in raises"


def test_a_process_that_would_never_end_is_a_failure() -> None:
    outcome = explore(programs.leaves_a_thread_that_never_ends)
    assert outcome.verdict.status == "violated"
    assert "wait" in outcome.verdict.reason
    assert explore(programs.leaves_a_daemon).verdict.status == "ok"


@granularities
def test_the_standard_librarys_primitives_work(granularity: Granularity) -> None:
    outcome = explore(programs.all_primitives, granularity=granularity, executions=30)
    assert outcome.verdict.status == "ok", outcome.verdict.reason


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="what was made before is out of reach")
def test_what_is_local_to_a_thread_stays_so() -> None:
    names: set[str] = set()

    def check(counter: programs.Counter) -> None:
        assert all(kept for kept, _ in counter.seen)
        names.update(name for _, name in counter.seen)

    outcome = explore(programs.keeps_what_is_local, programs.keeps_what_is_local, check=check)
    assert outcome.verdict.status == "ok", outcome.verdict.reason
    assert names == {"keeps_what_is_local", "keeps_what_is_local#2"}


# Schedules


def test_a_counterexample_replays_from_its_schedule() -> None:
    outcome = checked(programs.adds, programs.adds)
    assert outcome.schedule is not None
    program = ThreadedProgram(
        (programs.adds, programs.adds), programs.Counter, programs.Counter.is_two
    )
    with under_control(program):
        replay = Replay(outcome.schedule.choices)
        how, why, _ = run_threads(program, replay)
        assert (how, why, replay.diverged) == ("raised", outcome.verdict.reason, 0)
        assert run_threads(program, Default())[0] == "ok"


def under_control(program: ThreadedProgram[Any], granularity: Granularity = "accesses") -> Any:
    search = ScheduleSearch(program.roots, 0, rewriting=with_points, packages=())
    return controlled(search, granularity)


@granularities
def test_an_execution_is_a_function_of_its_seed(granularity: Granularity) -> None:
    program = ThreadedProgram((programs.all_primitives,), programs.Counter, id)
    with under_control(program, granularity):
        run_threads(program, RandomWalk(0), granularity=granularity)
        for seed in range(5):
            runs = [Noted(RandomWalk(seed)), Noted(RandomWalk(seed))]
            for noted in runs:
                run_threads(program, noted, granularity=granularity)
            assert runs[0].questions
            assert first_difference(runs[0].questions, runs[1].questions) is None


ELSEWHERE = """
from tests.properties.test_threads import *
for granularity in BOTH:
    for bodies in ((programs.adds,) * 2, (programs.one_way, programs.other_way)):
        outcome = checked(*bodies, granularity=granularity)
        print(outcome.execution, outcome.policy, outcome.schedule, outcome.counterexample)
print(explore(programs.workers_race, check=programs.Counter.is_two).counterexample)
"""


def test_another_process_with_another_hash_seed_finds_the_same() -> None:
    root = Path(__file__).parent.parent.parent
    said = [
        subprocess.run(
            [sys.executable, "-c", ELSEWHERE],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{root}/src:{root}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert "switch 1" in said[0]


# Leaving control


def test_locks_made_before_control_are_waited_for_under_control() -> None:
    assert checked(*[programs.takes_one_made_before] * 2).verdict.status == "ok"
    assert checked(programs.waits_on_one_made_before, programs.wakes_it).verdict.status == "ok"
    assert programs.BEFORE.acquire(blocking=False)
    programs.BEFORE.release()


def test_a_lock_that_nothing_under_control_has_is_an_alarm() -> None:
    with programs.TAKEN:
        verdict = explore(programs.takes_one_that_is_taken).verdict
    assert verdict.status == "unknown"
    assert "for a lock that nothing under control has" in verdict.reason
    assert "in takes_one_that_is_taken" in verdict.reason


@pytest.mark.parametrize(
    ("body", "alarm"),
    [
        (programs.never_yields, "runs on without touching anything that is shared"),
        (programs.waits_for_a_socket, "blocks in something that is not under control"),
    ],
)
def test_a_thread_that_does_not_come_back_is_an_alarm_by_name(body: Any, alarm: str) -> None:
    verdict = explore(body).verdict
    assert verdict.status == "unknown"
    assert f"{body.__name__} {alarm}, at threaded.py:" in verdict.reason


def test_a_thread_that_looks_again_and_again_lets_others_run() -> None:
    assert explore(programs.spins, programs.adds).verdict.status == "ok"
    verdict = explore(programs.spins, max_steps=2_000).verdict
    assert (verdict.status, verdict.reason) == ("unknown", "still busy after 2000 steps")


def test_afterwards_threads_are_real_again() -> None:
    checked(programs.adds, programs.adds)
    passed: queue.SimpleQueue[int] = queue.SimpleQueue()
    thread = threading.Thread(target=lambda: passed.put(threading.get_native_id()))
    thread.start()
    thread.join()
    assert passed.get(timeout=5) != threading.get_native_id()
    assert type(threading.Lock().acquire).__name__ == "builtin_function_or_method"


def test_without_greenlet_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "greenlet", None)
    with pytest.raises(BadInput, match=r"pip install 'isomodel\[threads\]'"):
        checked(programs.adds)
    with pytest.raises(BadInput, match="no bodies"):
        explore()
    with pytest.raises(BadInput, match="write 'accesses' or 'instructions'"):
        explore(programs.adds, granularity="lines")


# Event loops and drivers


@pytest.mark.parametrize(
    "body", [programs.a_loop_and_its_workers, programs.a_loop_in_another_thread]
)
def test_event_loops_and_threads_wait_for_each_other(body: Any) -> None:
    outcome = explore(body, executions=40)
    assert outcome.verdict.status == "ok", outcome.verdict.reason


def test_who_blocks_the_loop_that_he_waits_for_is_told() -> None:
    assert "deadlock: blocks_its_own_loop" in explore(programs.blocks_its_own_loop).verdict.reason


def test_workers_of_one_loop_race() -> None:
    outcome = checked(programs.workers_race)
    assert outcome.verdict.status == "violated"
    assert outcome.counterexample is not None
    assert any(clash.what == "Counter.n" for clash in outcome.counterexample.clashes)


def test_an_update_lost_in_sqlite_is_named_with_both_statements() -> None:
    outcome = explore_threads(
        programs.deposits_ten,
        programs.deposits_five,
        setup=programs.Bank,
        check=programs.Bank.holds_all,
        executions=40,
    )
    assert outcome.counterexample is not None
    (clash,) = outcome.counterexample.clashes
    assert clash.what == "database bank.db"
    assert clash.first[0] != clash.second[0]
    assert "update account set balance = ?" in clash.first[2]
    assert "update account set balance = ?" in clash.second[2]


def test_who_locks_the_database_first_loses_none_and_waits_under_control() -> None:
    outcome = explore_threads(
        programs.deposits_ten_alone,
        programs.deposits_five_alone,
        setup=programs.Bank,
        check=programs.Bank.holds_all,
        executions=40,
    )
    assert outcome.verdict.status == "ok", outcome.verdict.reason


def test_two_sessions_of_sqlalchemy_lose_an_update_over_aiosqlite() -> None:
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("aiosqlite")
    from examples import sqlalchemy_aiosqlite as example

    outcome = explore_threads(example.two_users_deposit, setup=example.Bank, executions=20)
    assert outcome.counterexample is not None
    (clash,) = outcome.counterexample.clashes
    assert clash.first[0] != clash.second[0]
    assert "UPDATE account SET balance" in clash.first[2]
    assert "UPDATE account SET balance" in clash.second[2]
    sound = example.two_users_deposit_in_one_statement
    assert explore_threads(sound, setup=example.Bank, executions=20).verdict.status == "ok"


def test_code_of_others_is_interrupted_where_it_is_asked_for() -> None:
    def inside(**options: Any) -> bool:
        outcome = explore(programs.takes_numbers, programs.takes_numbers, **options)
        return outcome.verdict.status == "violated"

    assert not inside(check=programs.numbers_are_unique)
    assert inside(check=programs.numbers_are_unique, within=("calendar",))


# Targets


def judged(armed: tuple[str, ...], executions: int, **options: Any) -> set[str]:
    """The properties that a short hunt of the layer's counters in threads finds broken."""
    explorer = Explorer(spec_of(Usage), armed=armed, **options)
    broken: set[str] = set()
    with session():
        for index in range(executions):
            draw = explorer.fresh(index)
            execution = explorer.run(draw, record=True)
            assert execution.ended == "done", execution.waiting
            found = explorer.judge(execution, lambda d=draw: explorer.run(d, record=True))
            broken |= {finding.property for finding in found.findings}
    return broken


def test_operations_that_are_plain_functions_run_in_threads() -> None:
    assert judged(("414-12",), 12) == {"conservation"}
    assert judged((), 12) == set()


def test_eight_threads_and_fifty_operations_on_one_counter() -> None:
    operations = tuple(
        Operation(f"u{user}.{number}", f"u{user}", "count", {}, beside=False)
        for user in range(8)
        for number in range(1, 8 - (user > 1))
    )
    assert len(operations) == 50
    spec, sums = spec_of(Usage), set()
    for armed in ((), ("414-12",)):
        with session():
            execution = execute(
                spec, Scenario(operations), RandomWalk(1), fidelity="stock", armed=armed
            )
            again = replay(spec, execution.scenario, execution.schedule, armed=armed)
        assert (execution.ended, execution.uncontrolled) == ("done", ())
        assert again.facts == execution.facts
        sums.add(execution.facts[-1].fact)
    assert Total("operations", 50) in sums
    assert min(fact.value for fact in sums if isinstance(fact, Total)) < 50


def test_only_on_threads_may_an_operation_be_a_plain_function() -> None:
    class Plain(Usage):
        runtime = "asyncio"

    with pytest.raises(BadInput, match='write `async def count`, or `runtime = "threads"`'):
        spec_of(Plain)

    class Mixed(Usage):
        runtime = ("threads", "asyncio")

    with pytest.raises(BadInput, match="goes with no other"):
        spec_of(Mixed)


# Generated programs


def same_as_real_threads(numbers: range, folder: Path, granularity: Granularity) -> None:
    for number in numbers:
        module = thread_programs.load(number, folder)
        expected = thread_programs.in_real_threads(module)
        results: list[object] = []
        program = ThreadedProgram(
            module.BODIES, module.Shared, lambda s, m=module, r=results: r.append(m.result(s))
        )
        with under_control(program, granularity):
            for seed in range(4):
                scheduler = RandomWalk(seed) if seed % 2 else PCT(seed)
                how, why, _ = run_threads(
                    program, scheduler, granularity=granularity, max_steps=200_000
                )
                assert (how, results) == ("ok", [expected]), (number, seed, why)
                results.clear()


@granularities
def test_generated_programs_have_the_results_of_real_threads(
    granularity: Granularity, tmp_path: Path
) -> None:
    control.patience = 20.0
    same_as_real_threads(range(8), tmp_path, granularity)


@pytest.mark.slow
@pytest.mark.timeout(900)
@granularities
def test_five_hundred_generated_programs_do(granularity: Granularity, tmp_path: Path) -> None:
    control.patience = 20.0
    same_as_real_threads(range(500), tmp_path, granularity)


def test_a_workers_sign_of_life_does_not_hide_the_code_of_a_target() -> None:
    """Hunts once interrupted no thread of any target, and found nothing."""
    spec = spec_of(Usage)
    journal: Any = None  # asked for only where an execution begins

    assert prepared(beating(spec, journal)) is prepared(spec)


# Ends of threads


def at_the_end(*bodies: Callable[[Any], object], **options: Any) -> ProgramOutcome:
    return explore(*bodies, setup=ends.State, **options)


@granularities
def test_finalisers_of_what_a_thread_kept_to_itself_may_wait(granularity: Granularity) -> None:
    body = ends.keeps_one_to_itself
    options: Any = {"check": ends.State.two_are_gone, "granularity": granularity}
    assert at_the_end(body, body, **options).verdict.status == "ok"
    assert at_the_end(ends.workers_keep_some, granularity=granularity).verdict.status == "ok"


@granularities
def test_finalisers_race_like_any_code(granularity: Granularity) -> None:
    options: Any = {"check": ends.State.two_are_gone, "granularity": granularity}
    careless = at_the_end(ends.drops_one_carelessly, ends.drops_one_carelessly, **options)
    assert careless.verdict.status == "violated"
    assert at_the_end(ends.drops_one, ends.drops_one, **options).verdict.status == "ok"


def test_a_finaliser_that_waits_for_ever_is_a_deadlock_and_ends_in_silence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    verdict = at_the_end(ends.waits_in_a_finaliser).verdict
    assert "deadlock" in verdict.reason
    assert "in __del__" in verdict.reason
    assert "Ended" not in capsys.readouterr().err


@granularities
def test_a_thread_that_swallows_its_end_is_left_alone_and_named(granularity: Granularity) -> None:
    verdict = at_the_end(ends.leaves_one_that_swallows, granularity=granularity).verdict
    assert verdict.status == "unknown"
    assert "swallows what is to end it, at threaded_ends.py:" in verdict.reason
    assert "deadlock" in at_the_end(ends.swallows, granularity=granularity).verdict.reason


def test_who_waits_for_a_notification_is_not_said_to_hold_a_lock() -> None:
    reason = at_the_end(ends.waits_for_news).verdict.reason
    assert "waits_for_news waits to be notified at threaded_ends.py:" in reason
    assert "held by" not in reason


def test_a_thread_begins_with_nothing_of_the_one_before() -> None:
    """Greenlets are used again: context variables, values of its own and names must not be."""
    assert at_the_end(ends.looks_for_what_was_left, executions=100).verdict.status == "ok"
    assert at_the_end(ends.never_begins, executions=30).verdict.status == "ok"
