"""Schedulers do what their papers say: known detection probabilities, with fixed seeds.

Expected numbers of hits are computed beside each test. Observed ones may be four standard
deviations off, which a right scheduler is once in 15,000 seeds; the seeds here are fixed.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import msgspec
import pytest

from isomodel.engine.protocol import Scheduler
from isomodel.engine.world import io
from isomodel.schedulers.delay import DelayBounded, every_delay
from isomodel.schedulers.events import Accesses, Touches, by_kind, race, recorded, unknown
from isomodel.schedulers.pct import PCT
from isomodel.schedulers.pos import POS
from isomodel.schedulers.profile import UNKNOWN, Profile, Profiling
from isomodel.schedulers.round_robin import RoundRobin
from isomodel.schedulers.sticky import Sticky
from isomodel.schedulers.surw import SURW
from isomodel.search.program import run_program
from isomodel.search.running.execute import session
from isomodel.values.schedule import Fidelity

X: Accesses = frozenset({("x", True)})
Y: Accesses = frozenset({("y", True)})
NOTHING: Accesses = frozenset()
WALK = 0.0
"""``stay`` of the uniform walk."""


@pytest.fixture(autouse=True, scope="module")
def _in_a_session() -> Iterator[None]:
    with session():
        yield


def merged(scheduler: Scheduler, *lengths: int) -> str:
    """The order in which threads A, B ... of so many events each were run."""
    order: list[str] = []

    async def thread(name: str, length: int) -> None:
        for left in range(length, 0, -1):
            order.append(name)
            if left > 1:
                await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(
            *(thread(chr(65 + number), length) for number, length in enumerate(lengths))
        )

    assert run_program(main, scheduler, fidelity="portable")[0] == "ok"
    return "".join(order)


def number_of(stream: str) -> int:
    """Which thread of ``merged`` this is: "main/thread", "main/thread#2" ..."""
    _, _, number = stream.partition("#")
    return int(number or 1) - 1


def all_on_x(stream: str, number: int, kind: str) -> Accesses | None:
    return X if "/" in stream else NOTHING


def learned(lengths: Sequence[int], touches: Touches = unknown) -> Profile:
    profiling = Profiling(Sticky(0, stay=WALK), touches)
    merged(profiling, *lengths)
    return profiling.profile()


def sampled(make: Callable[[int], Scheduler], count: int, *lengths: int) -> Counter[str]:
    return Counter(merged(make(seed), *lengths) for seed in range(count))


def as_expected(hits: int, of: int, chance: float) -> bool:
    """Within four standard deviations of the binomial distribution."""
    return abs(hits - of * chance) <= 4 * math.sqrt(of * chance * (1 - chance))


def chi_square(seen: Counter[str], outcomes: Sequence[str]) -> float:
    """Against the uniform distribution, in standard deviations above its mean."""
    expected = seen.total() / len(outcomes)
    assert set(seen) <= set(outcomes)
    freedom = len(outcomes) - 1
    value = sum((seen[outcome] - expected) ** 2 / expected for outcome in outcomes)
    return (value - freedom) / math.sqrt(2 * freedom)


def merges(*lengths: int) -> list[str]:
    """All orders of so many events of A, B ..."""
    if not any(lengths):
        return [""]
    return [
        chr(65 + number) + rest
        for number, length in enumerate(lengths)
        if length
        for rest in merges(*lengths[:number], length - 1, *lengths[number + 1 :])
    ]


# The uniform walk


def test_a_uniform_walk_has_the_probabilities_of_coin_tosses() -> None:
    """Two threads of two events: after two of one, the rest is forced."""
    seen = sampled(lambda seed: Sticky(seed, stay=WALK), 2_000, 2, 2)
    for order in merges(2, 2):
        chance = 1 / 4 if order in ("AABB", "BBAA") else 1 / 8
        assert as_expected(seen[order], 2_000, chance), order


# PCT


def test_pct_hits_a_bug_of_depth_two_as_often_as_it_promises() -> None:
    """B between the 5th and 6th of A's ten: A first (1/2), and the change point there (1/10)."""
    profile = Profile(1, {"all": 10})
    seen = sampled(lambda seed: PCT(seed, profile, depth=2), 4_000, 10, 1)
    hits = seen["AAAAABAAAAA"]
    assert as_expected(hits, 4_000, 1 / (2 * 10))
    assert set(seen) == set(merges(10, 1))


def test_pct_finds_what_a_uniform_walk_misses() -> None:
    """B between the 15th and 16th of A's 30: 1/66 against 1/65,536."""
    profile = learned((30, 1))
    wanted = "A" * 15 + "B" + "A" * 15
    assert wanted in sampled(lambda seed: PCT(seed, profile, depth=2), 500, 30, 1)
    assert wanted not in sampled(lambda seed: Sticky(seed, stay=WALK), 500, 30, 1)


def test_pct_of_depth_one_never_preempts() -> None:
    seen = sampled(lambda seed: PCT(seed, depth=1), 100, 4, 4, 4)
    assert len(seen) == 6
    assert all(sum(a != b for a, b in pairwise(order)) == 2 for order in seen)


def test_pct_of_depth_two_preempts_at_most_once() -> None:
    profile = Profile(1, {"all": 8})
    for order in sampled(lambda seed: PCT(seed, profile, depth=2), 300, 4, 4):
        assert sum(a != b for a, b in pairwise(order)) <= 2


@pytest.mark.parametrize("horizon", [0, 3, 5_000])
def test_pct_bears_a_wrong_horizon(horizon: int) -> None:
    """Unknown, or too small: there are change points all the same. Too large: none falls in."""
    profile = Profile(1, {"all": horizon}) if horizon else UNKNOWN
    seen = sampled(lambda seed: PCT(seed, profile), 400, 6, 6)
    assert seen["AAAAAABBBBBB"] > 40
    assert (len(seen) > 4) == (horizon < 1_000)


# POS


def test_pos_draws_anew_for_what_races() -> None:
    """A B A B on one variable: three fair tosses, 1/8."""
    seen = sampled(lambda seed: POS(seed, touches=all_on_x), 2_000, 2, 2)
    assert as_expected(seen["ABAB"], 2_000, 1 / 8)


def test_without_races_pos_keeps_what_was_drawn() -> None:
    """A B A B without a new draw: four priorities in one order of the 24."""

    def apart(stream: str, number: int, kind: str) -> Accesses:
        return frozenset({(stream, True)})

    for touches in (apart, unknown):
        seen = sampled(lambda seed, touches=touches: POS(seed, touches=touches), 2_000, 2, 2)
        assert as_expected(seen["ABAB"], 2_000, 1 / 24)


def test_pos_beats_a_uniform_walk_where_only_two_events_race() -> None:
    """A's first event after the last of B's ten, all but those two apart: 1/11 against 1/1,024."""

    def touches(stream: str, number: int, kind: str) -> Accesses:
        race_of_last = (number_of(stream), number) in ((0, 0), (1, 9))
        return X if race_of_last else NOTHING

    late = "B" * 10 + "A"
    assert as_expected(
        sampled(lambda seed: POS(seed, touches=touches), 1_000, 1, 10)[late], 1_000, 1 / 11
    )
    assert sampled(lambda seed: Sticky(seed, stay=WALK), 1_000, 1, 10)[late] < 10


def test_only_conflicting_accesses_race() -> None:
    reads = frozenset({("x", False)})
    assert race(X, X)
    assert race(X, reads)
    assert not race(reads, reads)
    assert not race(X, Y)
    assert not race(X, None)
    assert not race(X, NOTHING)


def test_io_of_one_name_is_work_on_one_thing_until_more_is_known() -> None:
    assert by_kind("alice.1", 3, "users") == {("users", True)}
    assert by_kind("alice.1", 3, "step") is None


def test_what_was_recorded_of_a_step_is_expected_of_it() -> None:
    touches = recorded({("alice.1", 2): X, ("alice.1", 3): NOTHING})
    assert touches("alice.1", 2, "step") == X
    assert touches("alice.1", 3, "step") == NOTHING
    assert touches("alice.1", 4, "step") is None


# SURW


def test_surw_samples_all_orders_alike() -> None:
    """168 orders of 5, 2 and 1 events, for which a uniform walk differs by a factor of 100."""
    profile = learned((5, 2, 1))
    orders = merges(5, 2, 1)
    assert len(orders) == 168
    seen = sampled(lambda seed: SURW(seed, profile), 8_000, 5, 2, 1)
    assert chi_square(seen, orders) < 5
    walk = sampled(lambda seed: Sticky(seed, stay=WALK), 8_000, 5, 2, 1)
    assert chi_square(walk, orders) > 100


def test_surw_samples_the_orders_of_selected_events_alike() -> None:
    """The last two of A's eight events and the only one of each other thread are selected."""

    def touches(stream: str, number: int, kind: str) -> Accesses:
        return X if "/" in stream and (number_of(stream) or number >= 6) else NOTHING

    profile = learned((8, 1, 1, 1), touches)
    assert profile.shared() == ("x",)

    def selected(order: str) -> str:
        return "".join(
            name for at, name in enumerate(order) if name != "A" or order[:at].count("A") >= 6
        )

    def make(seed: int) -> Scheduler:
        return SURW(seed, profile, touches=touches)

    seen: Counter[str] = Counter()
    for order, times in sampled(make, 3_000, 8, 1, 1, 1).items():
        seen[selected(order)] += times
    assert chi_square(seen, merges(2, 1, 1, 1)) < 5


def test_surw_counts_children_with_their_parent_until_they_start() -> None:
    """A starts C in its second event: each of the legal orders is equally likely."""
    lengths = {"A": 3, "B": 2, "C": 3}

    def run(scheduler: Scheduler) -> str:
        order: list[str] = []

        async def child() -> None:
            for left in range(lengths["C"], 0, -1):
                order.append("C")
                if left > 1:
                    await asyncio.sleep(0)

        async def thread(name: str) -> None:
            for left in range(lengths[name], 0, -1):
                order.append(name)
                if name == "A" and left == 2:
                    children.append(asyncio.create_task(child()))
                if left > 1:
                    await asyncio.sleep(0)

        async def main() -> None:
            await asyncio.gather(thread("A"), thread("B"))
            await asyncio.gather(*children)

        children: list[asyncio.Task[None]] = []
        assert run_program(main, scheduler, fidelity="portable")[0] == "ok"
        return "".join(order)

    profiling = Profiling(Sticky(1, stay=WALK), all_on_x)
    run(profiling)
    profile = profiling.profile()
    legal = [
        order
        for order in set(merges(3, 2, 3))
        if "C" not in order[: order.index("A", order.index("A") + 1)]
    ]
    seen = Counter(run(SURW(seed, profile, touches=all_on_x)) for seed in range(6_000))
    assert chi_square(seen, sorted(legal)) < 5


def test_surw_draws_what_it_selects() -> None:
    def touches(stream: str, number: int, kind: str) -> Accesses:
        return X if number % 2 else Y

    profile = learned((4, 4), touches)
    drawn = Counter(SURW(seed, profile).selected for seed in range(400))
    assert set(drawn) == {"x", "y"}
    assert as_expected(drawn["x"], 400, 1 / 2)
    assert SURW(0, UNKNOWN).selected == ""


def test_surw_prefers_what_was_seen_to_race() -> None:
    """Three times of four the one that raced, else any of the four: 3/4 + 1/16."""
    counts = {"a": 1.0, "b": 1.0}
    labels = ("x", "y", "z", "lock")
    profile = Profile(1, counts, dict.fromkeys(labels, counts), labels, ("lock",))
    drawn = Counter(SURW(seed, profile).selected for seed in range(800))
    assert as_expected(drawn["lock"], 800, 13 / 16)
    assert set(drawn) == set(labels)


@pytest.mark.parametrize(
    "profile",
    [
        UNKNOWN,
        Profile(1, {"main/thread": 1, "main/thread#2": 1}),
        Profile(1, {"main/thread": 7, "main/thread#2": 2, "main/thread#3": 3, "gone": 20}),
        Profile(1, {"a": 9}, {"x": {"a": 9, "b": 4}}, ("x",), parents={"a": "b", "b": "a"}),
    ],
    ids=["none", "too small", "too large", "of something else"],
)
def test_surw_bears_a_wrong_profile(profile: Profile) -> None:
    """It is not uniform then, but reaches every order."""
    seen = sampled(lambda seed: SURW(seed, profile, touches=all_on_x), 3_000, 3, 2, 1)
    assert set(seen) == set(merges(3, 2, 1))


def test_surw_goes_on_where_a_turn_cannot_come() -> None:
    """The one drawn waits for a lock that another holds who has stopped: no deadlock of ours."""

    def touches(stream: str, number: int, kind: str) -> Accesses | None:
        return X

    async def main() -> None:
        lock = asyncio.Lock()

        async def thread() -> None:
            await asyncio.sleep(0)
            async with lock:
                await asyncio.sleep(0)

        await asyncio.gather(*(thread() for _ in range(4)))

    profiling = Profiling(Sticky(0, stay=WALK), touches)
    run_program(main, profiling, fidelity="portable")
    for seed in range(200):
        scheduler = SURW(seed, profiling.profile(), touches=touches)
        assert run_program(main, scheduler, fidelity="portable")[0] == "ok"


def test_surw_does_not_wait_for_ever_for_whom_never_comes() -> None:
    """It is the turn of one who is no more; two others poll for what a fourth has to do."""

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

    def touches(stream: str, number: int, kind: str) -> Accesses:
        return X if stream == "main/work" else NOTHING

    counts = {"main/work": 4.0, "gone": 400.0}
    profile = Profile(1, {"main/poll": 20}, {"x": counts}, ("x",))
    for seed in range(20):
        scheduler = SURW(seed, profile, touches=touches, selected="x")
        ended, _, loop = run_program(main, scheduler, fidelity="portable")
        assert ended == "ok"
        assert loop.steps < 5_000


# Delay bounding


def test_delay_bounding_runs_every_vector_of_delays_once() -> None:
    vectors, orders = [], set()
    for scheduler in every_delay(4):
        orders.add(merged(scheduler, 2, 2))
        vectors.append(scheduler.delays)
    assert len(set(vectors)) == len(vectors)
    assert [*map(len, vectors)] == sorted(map(len, vectors))
    assert orders == set(merges(2, 2))


@pytest.mark.parametrize(("bound", "count"), [(0, 1), (1, 1 + 4), (2, 1 + 4 + 6)])
def test_delay_bounding_counts_as_it_should(bound: int, count: int) -> None:
    """Two threads of five: four questions before the first is over, if it is never overtaken."""
    seen = [merged(scheduler, 5, 5) for scheduler in every_delay(bound)]
    assert seen[0] == "AAAAABBBBB"
    assert len(seen) >= count
    assert all(sum(a != b for a, b in pairwise(order)) <= 1 + 2 * bound for order in seen)


def test_no_delays_means_one_thread_after_another() -> None:
    assert merged(DelayBounded(7), 2, 2, 2) == "AABBCC"


def test_delays_are_drawn_from_the_horizon() -> None:
    profile = Profile(1, {"all": 8})
    drawn = Counter(DelayBounded(seed, profile, bound=1).delays for seed in range(800))
    assert set(drawn) == {(question,) for question in range(8)}
    assert all(as_expected(times, 800, 1 / 8) for times in drawn.values())


# Round robin and sticky


def test_round_robin_lets_nobody_get_two_ahead() -> None:
    seen = sampled(RoundRobin, 60, 5, 5, 5)
    assert len(seen) == 6
    for order in seen:
        for end in range(len(order)):
            done = [order[:end].count(name) for name in "ABC"]
            assert max(done) - min(done) <= 1


def test_round_robin_passes_over_those_who_are_done() -> None:
    for order in sampled(RoundRobin, 20, 1, 4, 4):
        assert order.count("B") == order.count("C") == 4


@pytest.mark.parametrize("stay", [0.0, 0.5, 0.9])
def test_sticky_goes_on_as_often_as_it_says(stay: float) -> None:
    """With ``stay``, or by the toss of a coin: of 19 choices while both can run."""
    stayed = switched = 0
    for seed in range(300):
        order = merged(Sticky(seed, stay=stay), 20, 20)
        both = order[: min(order.rindex("A"), order.rindex("B"))]
        for one, other in pairwise(both[:19]):
            stayed += one == other
            switched += one != other
    total = stayed + switched
    assert as_expected(stayed, total, stay + (1 - stay) / 2)


# Threads and streams


def arrived(scheduler: Scheduler, fidelity: Fidelity, *lengths: int) -> str:
    """As ``merged``, where every event is the arrival of I/O."""
    order: list[str] = []

    async def thread(name: str, length: int) -> None:
        for _ in range(length):
            await io("query")
            order.append(name)

    async def main() -> None:
        await asyncio.gather(
            *(thread(chr(65 + number), length) for number, length in enumerate(lengths))
        )

    assert run_program(main, scheduler, fidelity=fidelity)[0] == "ok"
    return "".join(order)


@pytest.mark.parametrize("fidelity", ["stock", "portable"])
def test_what_arrives_belongs_to_the_task_that_waits_for_it(fidelity: Fidelity) -> None:
    """All of it is the I/O of one operation, and numbered as it comes."""
    assert arrived(DelayBounded(0), fidelity, 4, 4) == "AAAABBBB"


def test_arrivals_for_one_thread_are_its_events_under_stock() -> None:
    profiling = Profiling(RoundRobin(0), by_kind)
    arrived(profiling, "stock", 2, 3)
    profile = profiling.profile()
    assert profile.events == {"main/thread": 3, "main/thread#2": 4}
    assert profile.shared() == ("query",)
    assert profile.raced == ("query",)


# Profiles


def test_a_task_that_never_ran_beside_another_is_counted_from_its_steps() -> None:
    """B starts when A is over: nobody was ever asked about it."""

    async def thread() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.create_task(thread())
        await asyncio.create_task(thread())

    profiling = Profiling(Sticky(0), lambda stream, number, kind: X)
    _, _, loop = run_program(main, profiling, fidelity="portable")
    assert profiling.profile().events == {}
    profile = profiling.profile(loop.step_counts())
    assert profile.events == {"main/thread": 2, "main/thread#2": 2}
    assert profile.parents == {"main/thread": "main", "main/thread#2": "main"}
    assert profile.shared() == ("x",)
    assert profile.raced == ()


def test_a_profile_counts_what_nobody_was_asked_about() -> None:
    """Whoever runs last runs alone, without questions."""
    profile = learned((3, 5), all_on_x)
    assert profile.events["main/thread"] == 3
    assert profile.events["main/thread#2"] == 5
    assert profile.touched == {"x": {"main/thread": 3, "main/thread#2": 5}}
    assert profile.horizon() >= 8


def test_profiles_add_up_to_means() -> None:
    x, y = ("x",), ("y",)
    one = Profile(1, {"a": 2}, {"x": {"a": 2}}, x, x, {"a": "m"})
    two = Profile(3, {"a": 6, "b": 4}, {"x": {"b": 4}}, parents={"b": "a"}, raced=y)
    both = one.plus(two)
    assert both == Profile(
        4,
        {"a": 5, "b": 3},
        {"x": {"a": 0.5, "b": 3}},
        x,
        x + y,
        {"a": "m", "b": "a"},
    )
    assert both.horizon() == 8
    assert msgspec.json.decode(msgspec.json.encode(both), type=Profile) == both
    assert one.plus(UNKNOWN) == UNKNOWN.plus(one) == one
    assert UNKNOWN.plus(UNKNOWN) == UNKNOWN
    assert both.shared() == ("x",)
    assert one.shared() == two.shared() == ()
