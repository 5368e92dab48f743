"""A main function is enough: threads, tasks, its own loop, and numbers of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from isomodel.schedulers.replay import Replay
from isomodel.search.program import ProgramOutcome, explore_program, run_program
from isomodel.search.running.execute import session
from isomodel.values.errors import BadInput
from tests.properties.programs import mains


def threads(*bodies: Callable[..., object], **options: Any) -> ProgramOutcome:
    pytest.importorskip("greenlet", reason="threads under control need isomodel[threads]")
    from isomodel.search.threads import explore_threads

    return explore_threads(*bodies, **{"executions": 60, **options})


@pytest.mark.parametrize("granularity", ["accesses", "instructions"])
@pytest.mark.parametrize("main", [mains.threaded, mains.with_its_own_loop])
def test_a_function_that_makes_its_state_needs_nothing_else(main: Any, granularity: Any) -> None:
    assert threads(main, granularity=granularity).verdict.status == "violated"


def _hidden(main: Callable[[], None]) -> Callable[[], None]:
    return lambda: main()


@pytest.mark.parametrize(
    "body",
    [
        _hidden(mains.threaded),
        functools.partial(mains.threaded),
        functools.partial(_hidden(_hidden(mains.threaded))),
    ],
)
@pytest.mark.parametrize("granularity", ["accesses", "instructions"])
def test_a_program_is_seen_inside_what_was_wrapped_around_it(body: Any, granularity: Any) -> None:
    """Its module is named nowhere but in a closure or a partial."""
    assert threads(body, granularity=granularity).verdict.status == "violated"


def test_a_coroutine_function_is_no_body_of_a_thread() -> None:
    with pytest.raises(BadInput, match="on_a_loop is a coroutine function"):
        threads(mains.on_a_loop)


def test_a_plain_function_is_no_program_for_tasks() -> None:
    with pytest.raises(BadInput, match="explore_threads"):
        explore_program(mains.threaded)  # type: ignore[arg-type]


def test_what_happens_only_for_some_random_numbers_is_found_and_replayed() -> None:
    outcome = explore_program(mains.seldom_unlucky, executions=500)
    assert outcome.verdict.status == "violated"
    assert outcome.schedule is not None
    choices = outcome.schedule.choices
    with session():
        ended, _, _ = run_program(mains.seldom_unlucky, Replay(choices), seed=outcome.seed)
        others = run_program(mains.seldom_unlucky, Replay(choices), seed=0)[0]
    assert (ended, others) == ("raised", "ok")


@pytest.mark.parametrize("main", [mains.seldom_unlucky_in_a_thread, mains.seldom_the_same_id])
def test_threads_draw_other_numbers_too(main: Any) -> None:
    assert threads(main, executions=500).verdict.status == "violated"


@pytest.mark.parametrize(("held_up", "found"), [(0.1, "ok"), (1.0, "violated")])
def test_a_thread_at_work_is_held_up_for_as_long_as_is_said(held_up: float, found: str) -> None:
    outcome = threads(
        mains.Counter.increment,
        mains.writes_after(1.0),
        setup=mains.Counter,
        check=lambda counter: counter.value == 100,
        held_up=held_up,
    )
    assert outcome.verdict.status == found


def test_locks_refuse_the_arguments_that_real_ones_refuse() -> None:
    told: list[object] = []
    real = mains.attempts_to_take_locks()
    outcome = threads(lambda: told.append(mains.attempts_to_take_locks()), executions=1)
    assert outcome.verdict.status == "ok"
    assert told[-1] == real
