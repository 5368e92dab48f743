"""Counterexamples of programs: shrunk, and told by task, line and conflicting access."""

from __future__ import annotations

import asyncio

from isomodel.engine.world import io
from isomodel.search.program import explore_program
from isomodel.values.schedule import Switch


class Pool:
    def __init__(self) -> None:
        self.free = ["buffer"]
        self.held: dict[str, str] = {}


async def lends_too_early() -> None:
    """Fails only if the sweep comes while the first user is between its two waits."""
    pool = Pool()
    sent: list[str] = []

    async def send() -> None:
        pool.held["a"] = "mine"
        await io("prepare")
        assert pool.held.get("a") == "mine"
        await io("send")
        sent.append(pool.held["a"])

    async def sweep() -> None:
        for _ in range(4):
            await io("tick")
        if not sent:
            pool.held["a"] = "somebody else's"

    await asyncio.gather(send(), sweep())
    assert sent == ["mine"]


async def keeps_it() -> None:
    """The near miss: what is swept is another user's."""
    pool = Pool()

    async def send() -> None:
        pool.held["a"] = "mine"
        await io("send")
        assert pool.held["a"] == "mine"

    async def sweep() -> None:
        await io("tick")
        pool.held["b"] = "swept"

    await asyncio.gather(send(), sweep())


def test_a_counterexample_names_the_switches_and_both_accesses_that_conflict() -> None:
    outcome = explore_program(lends_too_early, executions=300, cancel=False)

    example = outcome.counterexample
    assert example is not None
    assert example.schedule == outcome.schedule
    assert len(example.switches) <= 1
    clash = example.clashes[0]
    assert clash.what == "Pool.held['a']" or clash.what == "dict['a']"
    assert clash.first[0] == "lends_too_early/sweep"
    assert clash.first[1] == "writes"
    assert "test_counterexample.py:" in clash.first[2]
    assert clash.second[0] == "lends_too_early/send"
    assert clash.second[1] == "reads"
    assert "conflict over" in str(example)


def test_the_shrunk_schedule_fails_in_the_same_way_and_no_choice_can_be_left_out() -> None:
    from isomodel.schedulers.replay import Replay
    from isomodel.search.program import FAILED, run_program
    from isomodel.search.running.execute import session

    outcome = explore_program(lends_too_early, executions=300, seed=3, cancel=False)
    assert outcome.schedule is not None

    def fails(choices: tuple[Switch, ...]) -> bool:
        ended, _, _ = run_program(lends_too_early, Replay(choices), seed=3)
        return ended in FAILED

    choices = outcome.schedule.choices
    with session():
        assert fails(choices)
        for index in range(len(choices)):
            assert not fails(choices[:index] + choices[index + 1 :])


def test_accesses_of_different_keys_are_no_conflict_and_no_failure() -> None:
    outcome = explore_program(keeps_it, executions=100, cancel=False)

    assert outcome.verdict.status == "ok"
    assert outcome.counterexample is None


def test_a_failure_that_does_not_show_again_is_unknown_not_violated() -> None:
    calls = []

    async def fails_once() -> None:
        calls.append(1)
        assert len(calls) != 3
        await io("work")

    outcome = explore_program(fails_once, executions=10, cancel=False)

    assert outcome.verdict.status == "unknown"
    assert "state kept between executions" in outcome.verdict.reason
