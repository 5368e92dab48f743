"""Feedback: a hunt goes on from executions that showed a new kind of hand-over between users."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec

from isomodel import Secret, io, operation
from isomodel.schedulers.held import Event
from isomodel.search.campaign.journal import Journal, beating
from isomodel.search.exploring import explore
from isomodel.search.exploring.affinity import Affinity
from isomodel.search.exploring.conflicts import Touch
from isomodel.search.exploring.explore import FOLLOWING, Budget, Draw, Explorer
from isomodel.search.exploring.extent import Extent
from isomodel.search.exploring.feedback import Feedback, Lead
from isomodel.search.exploring.generate import Generator
from isomodel.search.exploring.observe import Observer
from isomodel.search.running.execute import execute, session
from isomodel.search.running.runtimes import tracker_of
from isomodel.targets.declare import TargetSpec, spec_of
from isomodel.tracking.recorder import Access
from isomodel.values.scenario import Operation, Scenario


class Board:
    """Users write on one board and read it; nothing is wrong with that but for what they see."""

    async def start(self) -> None:
        self.notes: dict[str, str] = {}

    @operation
    async def write(self, user: str, text: Secret) -> str:
        await io("write")
        self.notes[user] = text
        return "ok"

    @operation
    async def count(self, user: str) -> bool:
        await io("count")
        return bool(self.notes.get(user, ""))


def spec() -> TargetSpec:
    return spec_of(Board)


def scenario() -> Scenario:
    operations = (
        Operation("alice.1", "alice", "write", {"text": "a"}),
        Operation("bob.1", "bob", "count", {}),
    )
    return Scenario(operations, 0, ())


def lead() -> Lead:
    return Lead(scenario(), "stock", ())


def touches(*, same_user: bool = False, write: bool = True) -> list[Touch]:
    reader = Event("alice.2" if same_user else "bob.1", 2)
    return [
        Touch(Event("alice.1", 2), ("Board", "notes"), write),
        Touch(reader, ("Board", "notes"), False),
    ]


def feedback() -> Feedback:
    return Feedback(Generator(spec()), Extent())


def test_a_new_hand_over_between_users_is_gone_on_from_once_it_was_seen() -> None:
    seen = feedback()

    assert seen.reversal(random.Random(0)) is None
    assert seen.learn(lead(), touches())
    assert not seen.learn(lead(), touches())
    turned = seen.reversal(random.Random(0))
    assert turned is not None
    (hold,) = turned.holds
    assert (hold.held, hold.until) == (Event("alice.1", 2), Event("bob.1", 2))


def test_what_one_user_hands_itself_or_only_reads_is_no_hand_over() -> None:
    seen = feedback()

    assert not seen.learn(lead(), touches(same_user=True))
    assert not seen.learn(lead(), touches(write=False))
    assert seen.handovers == 0


def test_a_hand_over_seen_both_ways_is_not_turned_around_again() -> None:
    seen = feedback()
    seen.learn(lead(), touches())
    other_way = [touch._replace(write=not touch.write) for touch in reversed(touches())]
    seen.learn(lead(), other_way)

    assert seen.handovers == 2
    assert seen.reversal(random.Random(0)) is None


def test_a_mutant_keeps_the_labels_of_the_scenario_it_comes_from() -> None:
    seen = feedback()
    seen.learn(lead(), touches())

    grown = 0
    for number in range(20):
        mutant = seen.mutant(random.Random(number))
        assert mutant is not None
        labels = [operation.label for operation in mutant.scenario.operations]
        assert {"alice.1", "bob.1"} <= set(labels)
        assert len(labels) == len(set(labels))
        grown += len(labels) > 2
    assert grown


def test_a_long_hunt_follows_up_and_equal_hunts_are_equal() -> None:
    def policies() -> list[tuple[str, int]]:
        drawn: list[Draw] = []
        with session():
            explorer = Explorer(spec(), seed=5)
            explorer.hunt(Budget(explore.EASY + 150), before=drawn.append)
        assert any(draw.policy in FOLLOWING for draw in drawn)
        assert {draw.policy for draw in drawn[: explore.EASY]} == {"walk", "sweep"}
        return [(draw.policy, draw.walk) for draw in drawn]

    assert policies() == policies()


def test_a_hunt_in_a_worker_sees_what_one_without_sees(tmp_path: Path) -> None:
    own, lent = spec(), beating(spec(), Journal(tmp_path / "journal"))
    seen: list[tuple[Sequence[Touch], tuple[str, ...]]] = []
    with session():
        for each in (own, lent):
            draw = Draw(0, scenario(), "stock", (), 0)
            tracker = tracker_of(each)
            observer = Observer(tracker, draw.scheduler())
            execute(
                each,
                draw.scenario,
                observer.scheduler,
                fidelity=draw.fidelity,
                around=observer.watching,
            )
            functions = [function.__qualname__ for function in tracker.functions()]
            seen.append((observer.touches, tuple(functions)))
    assert any("notes" in str(touch.label) for touch in seen[0][0])
    assert seen[0] == seen[1]


def test_the_inputs_of_an_execution_outlive_the_process(tmp_path: Path) -> None:
    turned = feedback()
    turned.learn(lead(), touches())
    going_on = turned.reversal(random.Random(0))
    assert going_on is not None
    draw = Draw(7, going_on.scenario, "stock", (), 3, "reversal", going_on.holds)
    journal, reader = Journal(tmp_path / "pages"), Journal(tmp_path / "pages")

    journal.begin(7, msgspec.json.encode(draw))
    assert reader.index == 7
    assert msgspec.json.decode(reader.inputs, type=Draw) == draw
    journal.begin(8)
    assert reader.inputs == b""
    journal.begin(9, bytes(1 << 20))
    assert (reader.index, reader.inputs) == (9, b""), "too much to keep: nothing, not the old"


def three() -> Scenario:
    operations = tuple(Operation(f"alice.{n}", "alice", name, {}) for n, name in enumerate("abc"))
    return Scenario(operations, 0, ())


def test_kinds_that_meet_in_what_one_of_them_writes_are_drawn_together() -> None:
    affinity, source = Affinity(), random.Random(0)
    table = ("start", "dict", 1)
    affinity.learn(
        three(),
        [
            Access("alice.0", 1, (table, "one"), write=True),
            Access("alice.1", 2, (table, "another"), write=False),
            Access("alice.1/inner", 9, (("start", "Config", 1), "size"), write=False),
            Access("alice.2", 4, (("start", "Config", 1), "size"), write=False),
        ],
    )
    drawn = [affinity.partner("a", "abc", source) for _ in range(300)]
    assert drawn.count("b") > drawn.count("c") > 0
    read = [affinity.partner("b", "abc", source) for _ in range(300)]
    assert read.count("a") > read.count("c"), "what both only read brings nobody together"
    assert affinity.seen == {"a": 1, "b": 1, "c": 1}


def test_that_two_operations_make_a_list_each_does_not_bring_them_together() -> None:
    affinity, source = Affinity(), random.Random(0)
    affinity.learn(
        three(),
        [
            Access("alice.0", 1, (("alice.0", "list", "1.1"), "*"), write=True),
            Access("alice.1", 2, (("alice.1", "list", "1.1"), "*"), write=True),
            Access("alice.0", 2, (("alice.0", "Channel", "1.2"), "queue"), write=True),
            Access("alice.2", 2, (("alice.2", "Channel", "1.1"), "queue"), write=False),
        ],
    )
    drawn = [affinity.partner("a", "bc", source) for _ in range(300)]
    assert drawn.count("c") > 2 * drawn.count("b")


def extent() -> Extent:
    """What one run of the board shows."""
    known = Extent()
    with session():
        draw = Draw(0, scenario(), "stock", (), 0)
        known.learn(execute(spec(), draw.scenario, draw.scheduler(), fidelity="stock"))
    return known


def test_how_far_operations_go_is_learned_from_their_executions() -> None:
    reach = extent().of("write")
    assert reach is not None
    assert (reach.steps, reach.io, reach.timers) == (2, 1, 0)
    assert [reach.places(kind) for kind in ("cancel", "fail", "jump")] == [1, 1, 0]
    assert extent().of("never seen") is None
    assert extent().may_be_struck("never seen")


def test_faults_strike_where_operations_are_known_to_come() -> None:
    generator, known = Generator(spec()), extent()
    found = [
        fault
        for seed in range(600)
        for fault in generator.faults(scenario(), random.Random(seed), 0, known)
    ]
    within = [fault for fault in found if fault.at <= 1]
    blind = [
        fault
        for seed in range(600)
        for fault in generator.faults(scenario(), random.Random(seed), 0)
        if fault.at <= 1
    ]
    assert len(within) > 0.9 * len(found) > len(blind)
    assert any(fault.at > 1 for fault in found), "what is known may not be all there is"
