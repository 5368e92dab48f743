"""What every scheduler must keep, whatever its policy; and the wrappers around them."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomodel.engine.protocol import Scheduler
from isomodel.engine.world import io
from isomodel.schedulers.audit import Audit, Noted, Question, first_difference
from isomodel.schedulers.delay import DelayBounded
from isomodel.schedulers.events import Accesses
from isomodel.schedulers.injecting import Injecting, planned
from isomodel.schedulers.metrics import Counts, Metrics
from isomodel.schedulers.pct import PCT
from isomodel.schedulers.pos import POS
from isomodel.schedulers.profile import UNKNOWN, Profile, Profiling
from isomodel.schedulers.recording import Recording
from isomodel.schedulers.replay import Replay
from isomodel.schedulers.round_robin import RoundRobin
from isomodel.schedulers.sticky import Sticky
from isomodel.schedulers.surw import SURW
from isomodel.search.program import run_program
from isomodel.search.running.execute import session
from isomodel.values.schedule import Fault

_spec = importlib.util.spec_from_file_location(
    "determinism", Path(__file__).parent / "test_determinism.py"
)
assert _spec is not None
assert _spec.loader is not None
determinism = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(determinism)
Ran = determinism.Ran


@pytest.fixture(autouse=True, scope="module")
def _in_a_session() -> Iterator[None]:
    with session():
        yield


def touches(stream: str, number: int, kind: str) -> Accesses | None:
    """Something, nothing and unknown in turn."""
    return (frozenset({("x", number % 2 == 0)}), frozenset(), None)[number % 3]


def surw(seed: int, profile: Profile) -> Scheduler:
    return SURW(seed, profile, touches=touches)


def pos(seed: int, profile: Profile) -> Scheduler:
    return POS(seed, profile, touches=touches)


POLICIES: tuple[Callable[[int, Profile], Any], ...] = (
    PCT,
    POS,
    pos,
    SURW,
    surw,
    DelayBounded,
    RoundRobin,
    Sticky,
)
NAMES = st.sampled_from(("main", "main/_run", "main/_run#2", "main/_run#3", "gone"))
COUNTS = st.dictionaries(NAMES, st.floats(0, 50), max_size=4)
PROFILES = st.just(UNKNOWN) | st.builds(
    Profile,
    st.integers(1, 5),
    COUNTS,
    st.dictionaries(st.sampled_from(("x", "y")), COUNTS, max_size=2),
    st.just(("x",)),
    st.sampled_from(((), ("x",))),
    st.dictionaries(NAMES, NAMES, max_size=3),
)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", determinism.LOOPS)
@settings(max_examples=25, deadline=None)
@given(determinism.PROGRAMS, determinism.SEEDS, determinism.FAULTS, PROFILES)
def test_seed_and_profile_decide_the_execution_and_its_recording_repeats_it(
    policy: Any, kind: Any, program: Any, seed: int, faults: Any, profile: Profile
) -> None:
    once = Ran(kind, policy(seed, profile), program, faults)
    recording = Recording(policy(seed, profile))
    again = Ran(kind, recording, program, faults)
    assert again.all == once.all
    replay = Replay(recording.choices)
    replayed = Ran(kind, replay, program, again.met)
    assert replayed.all == once.all
    assert replay.diverged == 0


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", determinism.LOOPS)
@settings(max_examples=15, deadline=None)
@given(determinism.PROGRAMS, determinism.SEEDS, determinism.FAULTS)
def test_wrappers_that_look_on_change_nothing(
    policy: Any, kind: Any, program: Any, seed: int, faults: Any
) -> None:
    bare = Ran(kind, policy(seed, UNKNOWN), program, faults)
    for wrapper in (Metrics, Noted, Profiling):
        assert Ran(kind, wrapper(policy(seed, UNKNOWN)), program, faults).all == bare.all


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", determinism.LOOPS)
@settings(max_examples=15, deadline=None)
@given(determinism.PROGRAMS, determinism.SEEDS, determinism.FAULTS)
def test_what_an_execution_taught_serves_the_next(
    policy: Any, kind: Any, program: Any, seed: int, faults: Any
) -> None:
    profiling = Profiling(policy(seed, UNKNOWN), touches)
    Ran(kind, profiling, program, faults)
    profile = profiling.profile()
    assert all(count >= 0 for count in profile.events.values())
    once = Ran(kind, policy(seed, profile), program, faults)
    assert Ran(kind, policy(seed, profile), program, faults).all == once.all


@pytest.mark.parametrize("policy", [PCT, POS, SURW, RoundRobin, Sticky])
def test_a_lone_timer_is_hurried_now_and_then(policy: Any) -> None:
    """Time passes although something else could happen, in few executions but in some."""

    async def main() -> None:
        async def late() -> None:
            await asyncio.sleep(1)
            order.append("late")

        async def busy() -> None:
            for _ in range(20):
                await io()
            order.append("busy")

        await asyncio.gather(late(), busy())

    first = []
    for seed in range(60):
        order: list[str] = []
        run_program(main, policy(seed))
        first.append(order[0])
    assert {"late", "busy"} == set(first)


@pytest.mark.parametrize("policy", POLICIES)
def test_those_who_wait_by_looking_do_not_keep_others_from_running(policy: Any) -> None:
    """Two threads poll for what the third does: no policy may let them go on for ever."""

    async def main() -> None:
        done = False

        async def poll() -> None:
            while not done:
                await asyncio.sleep(0)

        async def work() -> None:
            nonlocal done
            for _ in range(3):
                await asyncio.sleep(0)
            done = True

        await asyncio.gather(poll(), poll(), work())

    for seed in range(30):
        profiling = Profiling(Sticky(seed), touches)
        _, _, loop = run_program(main, profiling, fidelity="portable")
        for profile in (UNKNOWN, profiling.profile(loop.step_counts())):
            assert run_program(main, policy(seed, profile), fidelity="portable")[0] == "ok"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("fidelity", ["stock", "portable"])
def test_io_may_be_begun_before_it_is_waited_for(policy: Any, fidelity: Any) -> None:
    """Whose event it is changes while it is pending."""

    async def main() -> None:
        async def user() -> None:
            early = asyncio.ensure_future(io("early"))
            await io("late")
            await early

        await asyncio.gather(user(), user())

    for seed in range(60):
        assert run_program(main, policy(seed, UNKNOWN), fidelity=fidelity)[0] == "ok"


# Metrics


def two_users() -> Any:
    async def user() -> None:
        await io("query")
        await io("query")

    return asyncio.gather(user(), user())


async def main() -> None:
    await two_users()


def test_metrics_count_questions_options_and_answers() -> None:
    metrics = Metrics(RoundRobin(0))
    run_program(main, metrics)
    counts = metrics.counts()
    assert counts == Counts(3, 6, 2, counts.switches, 2, {"query": 3})
    assert counts.plus(Counts(1, 3, 3, 1, 1, {"timer": 1})) == Counts(
        4, 9, 3, counts.switches + 1, 2, {"query": 3, "timer": 1}
    )


# Faults


def struck(scheduler: Scheduler, at: int) -> list[str]:
    """What a program saw in which one of two users is cancelled after so many steps."""
    seen: list[str] = []

    async def user(name: str) -> None:
        try:
            for _ in range(4):
                await io()
                seen.append(name)
        except asyncio.CancelledError:
            seen.append(f"{name} cancelled")
            raise

    async def both() -> None:
        await asyncio.gather(user("a"), user("b"), return_exceptions=True)

    run_program(both, scheduler, faults=(Fault("cancel", "both/user", at),))
    return seen


def test_a_fault_strikes_at_once_with_certainty() -> None:
    for seed in range(20):
        seen = struck(Injecting(PCT(seed), seed, chance=1.0), 2)
        assert seen.count("a") == 1
        assert "a cancelled" in seen


def test_a_fault_without_a_chance_strikes_only_where_nothing_else_can_happen() -> None:
    for seed in range(20):
        seen = struck(Injecting(PCT(seed), seed, chance=0.0), 2)
        assert seen.count("a") == seen.count("b") == 4


def test_the_policy_does_not_see_the_fault() -> None:
    class Watching:
        def choose(self, options: Any, last: Any) -> int:
            kinds.update(option.kind for option in options)
            return 0

    kinds: set[str] = set()
    struck(Injecting(Watching(), 0, chance=0.3), 1)
    assert kinds == {"go on", "io"} or kinds == {"io"}


def test_faults_are_planned_from_what_is_known() -> None:
    assert planned(UNKNOWN, 0) == ()
    profile = Profile(1, {"a": 3, "b": 1, "never": 0})
    drawn = {planned(profile, seed)[0] for seed in range(200)}
    assert drawn == {Fault("cancel", *where) for where in (("a", 1), ("a", 2), ("a", 3), ("b", 1))}


# The audit


def audited(program: Any, executions: int = 6) -> Audit:
    audit = Audit(every=2)
    for index in range(executions):
        if audit.is_due(index):
            first, second = Noted(Sticky(index, stay=0.0)), Noted(Sticky(index, stay=0.0))
            run_program(program, first)
            run_program(program, second)
            audit.compare(first, second)
    return audit


def test_an_execution_that_depends_on_its_inputs_only_is_stable() -> None:
    audit = audited(main)
    assert (audit.audited, audit.same, audit.stability) == (3, 3, 100)
    assert str(audit) == "100 % of 3 executions were the same twice"


def test_state_between_executions_is_noticed_and_the_first_difference_named() -> None:
    calls = count()

    async def main() -> None:
        kind = "cached" if next(calls) % 2 else "query"

        async def user() -> None:
            await io(kind)
            await io(kind)

        await asyncio.gather(user(), user())

    audit = audited(main)
    assert audit.stability == 0
    text = str(audit)
    assert "0 % of 3" in text
    assert "main/user query 0, main/user#2 query 0 could happen, then main/user cached 0" in text
    assert "state kept between executions" in text


def test_nothing_audited_says_nothing() -> None:
    assert Audit().stability is None
    assert str(Audit()) == "no execution was run twice"


def asked(*options: str, after: str = "a", step: int = 1, chosen: int = 0) -> Question:
    return Question(after, step, options, options[chosen])


@pytest.mark.parametrize(
    ("one", "two", "cause", "what"),
    [
        (asked("a", "b"), asked("b", "a"), "set", "in another order"),
        (asked("a 1", "b 1"), asked("a 7", "b 8"), "counter", "a 1, b 1 could happen, then a 7"),
        (asked("a", "b"), asked("a"), "state kept", "b could happen, then nothing more"),
        (asked("a", "b"), asked("a", "b", chosen=1), "scheduler", "chose a, then b"),
        (asked("a"), asked("a", after="b", step=3), "state kept", "then after 3 steps of b"),
        (asked("a"), None, "state kept", "only one of them went on after 1 steps of a"),
    ],
)
def test_each_difference_has_its_usual_cause(
    one: Question, two: Question | None, cause: str, what: str
) -> None:
    same = asked("a", "b", after="", step=0)
    difference = first_difference([same, one], [same] if two is None else [same, two])
    assert difference is not None
    assert difference.number == 1
    assert cause in difference.cause
    assert what in str(difference)
    assert first_difference([same, one], [same, one]) is None
