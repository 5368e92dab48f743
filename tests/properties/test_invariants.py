"""Each invariant is seen to fire on what it forbids and to stay silent on a near miss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomodel.oracles import INVARIANTS, judge
from isomodel.oracles.event_order import LIFE_CYCLE, legal_next
from isomodel.oracles.reading import texts
from isomodel.values.execution import Execution, Leftover, Rollback, Shared
from isomodel.values.facts import (
    Accepted,
    Began,
    Broken,
    Connected,
    Counted,
    Delivered,
    Disconnected,
    Dropped,
    Ended,
    Fact,
    Identified,
    Issued,
    Noted,
    Owned,
    Sent,
    Total,
    Used,
    Wrote,
)
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import Schedule
from isomodel.values.trace import Event
from isomodel.values.verdict import Finding

OPERATIONS = (
    Operation("alice.1", "alice", "send", {"text": "SECRET-a1"}),
    Operation("bob.1", "bob", "read"),
    Operation("carol.1", "carol", "read"),
)


def by(label: str, *facts: Fact, time: float = 0.0) -> tuple[Noted, ...]:
    """These facts, noted during the operation of this label."""
    return tuple(Noted(fact, label, label.partition(".")[0], time) for fact in facts)


def history(*events: str) -> tuple[Event, ...]:
    """Events as ``"alice.1 ok"``, or ``"alice.1 ok 2.5"`` with a time."""
    made = []
    for event in events:
        label, kind, *time = event.split()
        user, name = label.partition(".")[0], "send" if label.startswith("alice") else "read"
        made.append(Event(kind, label, user, name, float(time[0]) if time else 0.0))  # type: ignore[arg-type]
    return tuple(made)


def execution(*facts: tuple[Noted, ...], groups: Any = (), **more: Any) -> Execution:
    more.setdefault("ended", "done")
    scenario = Scenario(OPERATIONS, groups=groups)
    noted = tuple(fact for several in facts for fact in several)
    return Execution(scenario, Schedule(), facts=noted, **more)


def broken(case: Execution) -> list[str]:
    return [finding.property for finding in judge(case)]


def only(case: Execution, name: str) -> Finding:
    """The one finding of this case, which must be of this property."""
    (finding,) = judge(case)
    assert finding.property == name
    return finding


def test_the_fourteen_invariants_are_there_in_order_of_how_much_they_tell() -> None:
    assert [invariant.name for invariant in INVARIANTS] == [
        "no leaked secret",
        "no shared state",
        "event target",
        "event order",
        "conservation",
        "uniqueness",
        "limits",
        "validation",
        "identity",
        "ownership",
        "promise",
        "rollback",
        "cleanup",
        "liveness",
    ]


def test_each_is_explained_and_documented() -> None:
    document = Path(__file__).parents[2].joinpath("docs", "invariants.md").read_text()
    for invariant in INVARIANTS:
        assert "fires" in invariant.explanation
        assert f"**{invariant.name}**" in document


def test_an_execution_that_left_nothing_breaks_nothing() -> None:
    assert judge(execution()) == ()


class TestNoLeakedSecret:
    def seen(self, user: str, value: Any, **more: Any) -> Execution:
        more.setdefault("secrets", {"SECRET-a1": "alice"})
        return execution(observations={user: ((f"{user}.1", "ok", value),)}, **more)

    @pytest.mark.parametrize(
        "value",
        [
            "SECRET-a1",
            {"rows": [("x", "... SECRET-a1 ...")]},
            {"SECRET-a1": 1},
            b"\xff SECRET-a1",
            {"SECRET-a1"},
            ValueError("no SECRET-a1 here"),
        ],
    )
    def test_it_fires_wherever_a_strangers_secret_shows(self, value: Any) -> None:
        finding = only(self.seen("bob", value), "no leaked secret")
        assert (finding.user, finding.operation, finding.label) == ("alice", "read", "bob.1")
        assert finding.evidence["seen_by"] == "bob"
        assert finding.evidence["from"] == "alice.1"
        assert "bob saw alice's secret 'SECRET-a1', given to alice.1" in finding.message

    def test_it_fires_once_for_what_history_and_observations_both_show(self) -> None:
        event = Event("ok", "bob.1", "bob", "read", 0.0, "SECRET-a1")
        secrets = {"SECRET-a1": "alice"}
        only(execution(history=(event,), secrets=secrets), "no leaked secret")
        only(self.seen("bob", "SECRET-a1", history=(event,)), "no leaked secret")

    def test_the_owner_may_see_it_and_so_may_the_group(self) -> None:
        assert broken(self.seen("alice", "SECRET-a1")) == []
        assert broken(self.seen("bob", "SECRET-a1", groups=(("alice", "bob"),))) == []

    def test_a_secret_that_begins_like_another_is_told_apart(self) -> None:
        secrets = {"SECRET-a1": "alice", "SECRET-a12": "bob"}
        assert broken(self.seen("bob", "SECRET-a12", secrets=secrets)) == []

    def test_arguments_the_user_sent_are_not_what_it_saw(self) -> None:
        event = Event("invoke", "bob.1", "bob", "read", 0.0, "SECRET-a1")
        assert broken(execution(history=(event,), secrets={"SECRET-a1": "alice"})) == []


class TestNoSharedState:
    shared = (Shared(("alice", "bob"), ("alice.ctx._state", "bob.ctx._state"), "dict"),)

    def test_it_fires_on_an_object_of_two_users(self) -> None:
        finding = only(execution(shared=self.shared), "no shared state")
        assert "share one dict: alice.ctx._state is bob.ctx._state" in finding.message

    def test_a_group_may_share(self) -> None:
        assert broken(execution(shared=self.shared, groups=(("bob", "alice"),))) == []


class TestEventTarget:
    def test_it_fires_on_a_delivery_to_another_user(self) -> None:
        case = execution(
            by("alice.1", Sent("e1", "alice")), by("bob.1", Delivered("e1", "bob", "c2"))
        )
        finding = only(case, "event target")
        assert (finding.user, finding.operation) == ("alice", "read")
        assert finding.message == "event e1 was sent to alice but was delivered to bob"

    def test_it_fires_on_a_connection_that_has_passed_to_another_user(self) -> None:
        case = execution(
            by("alice.1", Connected("alice", "c1"), Sent("e1", "alice", "agent_started")),
            by("bob.1", Disconnected("c1"), Connected("bob", "c1")),
            by("alice.1", Delivered("e1", "alice", "c1")),
        )
        assert "went over c1, which belongs to bob" in only(case, "event target").message

    def test_a_connection_that_passes_on_after_the_delivery_is_fine(self) -> None:
        case = execution(
            by("alice.1", Connected("alice", "c1"), Sent("e1", "alice")),
            by("alice.1", Delivered("e1", "alice", "c1"), Disconnected("c1")),
            by("bob.1", Connected("bob", "c1")),
        )
        assert broken(case) == []

    def test_a_connection_never_announced_is_judged_by_the_delivery(self) -> None:
        facts = by("alice.1", Sent("e1", "alice"), Delivered("e1", "alice", "c9"))
        assert broken(execution(facts)) == []


def run_of(*kinds: str) -> list[Fact]:
    """One run of alice that sends and delivers these kinds in this order."""
    facts: list[Fact] = []
    for number, kind in enumerate(kinds):
        facts += [Sent(f"e{number}", "alice", kind, "run 1"), Delivered(f"e{number}", "alice", "c")]
    return facts


STARTED, THINKING, TOOL, TOOL_DONE, COMPLETED = LIFE_CYCLE
WHOLE = (STARTED, THINKING, TOOL, TOOL_DONE, TOOL, TOOL_DONE, COMPLETED)


class TestEventOrder:
    def test_every_beginning_of_a_whole_run_is_fine(self) -> None:
        for length in range(len(WHOLE) + 1):
            assert broken(execution(by("alice.1", *run_of(*WHOLE[:length])))) == []

    def test_calls_of_tools_may_overlap(self) -> None:
        kinds = (STARTED, THINKING, TOOL, TOOL, TOOL_DONE, TOOL_DONE, COMPLETED)
        assert broken(execution(by("alice.1", *run_of(*kinds)))) == []

    @pytest.mark.parametrize(
        "kinds",
        [
            (THINKING,),
            (STARTED, TOOL),
            (STARTED, STARTED),
            (STARTED, THINKING, TOOL_DONE),
            (STARTED, THINKING, TOOL, COMPLETED),
            (STARTED, COMPLETED),
        ],
    )
    def test_it_fires_on_an_illegal_life_cycle(self, kinds: tuple[str, ...]) -> None:
        finding = only(execution(by("alice.1", *run_of(*kinds))), "event order")
        assert kinds[-1] in finding.message
        assert finding.evidence["run"] == "run 1"

    def test_it_fires_on_a_second_completion_and_its_delivery(self) -> None:
        kinds = (STARTED, THINKING, COMPLETED, COMPLETED)
        first, second = judge(execution(by("alice.1", *run_of(*kinds))))
        assert "legal: nothing" in first.message
        assert "after run run 1 had completed with e2" in second.message

    def test_other_kinds_have_no_life_cycle(self) -> None:
        assert broken(execution(by("alice.1", *run_of("chat", "chat", "")))) == []

    def test_it_fires_on_deliveries_out_of_order(self) -> None:
        case = execution(
            by("alice.1", Sent("e1", "alice"), Sent("e2", "alice")),
            by("alice.1", Delivered("e2", "alice", "c1"), Delivered("e1", "alice", "c1")),
        )
        message = only(case, "event order").message
        assert message == "delivery of event e1 to c1 came after e2, which was sent later"

    def test_two_runs_two_connections_and_two_users_have_no_order_between_them(self) -> None:
        case = execution(
            by("alice.1", Sent("e1", "alice", "", "r1"), Sent("e2", "alice", "", "r2")),
            by("alice.1", Delivered("e2", "alice", "c1"), Delivered("e1", "alice", "c1")),
            by("alice.1", Sent("e3", "alice"), Sent("e4", "alice")),
            by("alice.1", Delivered("e4", "alice", "c1"), Delivered("e3", "alice", "c2")),
        )
        assert broken(case) == []

    def test_it_fires_on_a_delivery_after_disconnecting(self) -> None:
        case = execution(
            by("alice.1", Connected("alice", "c1"), Sent("e1", "alice"), Disconnected("c1")),
            by("alice.1", Delivered("e1", "alice", "c1")),
        )
        assert "disconnected" in only(case, "event order").message

    def test_a_connection_that_came_back_may_receive(self) -> None:
        case = execution(
            by("alice.1", Connected("alice", "c1"), Sent("e1", "alice"), Disconnected("c1")),
            by("alice.1", Connected("alice", "c1"), Delivered("e1", "alice", "c1")),
        )
        assert broken(case) == []


class TestConservation:
    @pytest.mark.parametrize(
        ("facts", "words"),
        [
            ((Sent("e", "alice"),), "lost"),
            ((Sent("e", "alice"), *[Delivered("e", "alice", "c")] * 2), "delivered 2 times"),
            ((Sent("e", "alice"), *[Dropped("e", "full")] * 2), "dropped 2 times"),
            (
                (Sent("e", "alice"), Delivered("e", "alice", "c"), Dropped("e", "full")),
                "both delivered and dropped (full)",
            ),
            ((Delivered("e", "alice", "c"),), "delivered but never sent"),
            ((Dropped("e", "full"),), "dropped but never sent"),
            ((Sent("e", "alice"), Sent("e", "bob"), Delivered("e", "bob", "c")), "sent 2 times"),
        ],
    )
    def test_it_fires(self, facts: tuple[Fact, ...], words: str) -> None:
        finding = only(execution(by("alice.1", *facts)), "conservation")
        assert words in finding.message
        assert (finding.user, finding.operation) == ("alice", "send")

    def test_an_event_that_was_delivered_or_dropped_once_is_fine(self) -> None:
        facts = (Sent("e", "alice"), Sent("f", "alice"), Dropped("f", "full"))
        assert broken(execution(by("alice.1", *facts, Delivered("e", "alice", "c")))) == []

    def test_an_event_under_way_when_the_execution_was_cut_short_is_not_lost(self) -> None:
        assert broken(execution(by("alice.1", Sent("e", "alice")), ended="step limit")) == []

    def test_it_fires_on_a_counter_that_lost_an_update(self) -> None:
        case = execution(
            by("alice.1", Counted("calls", 1)), by("bob.1", Counted("calls", 2), Total("calls", 2))
        )
        finding = only(case, "conservation")
        assert finding.message == "counter calls shows 2 after counts of 3"

    def test_a_right_total_is_fine_and_so_is_one_taken_too_early(self) -> None:
        right = by("bob.1", Counted("calls", 2), Total("calls", 1), Total("calls", 2))
        early = by("bob.1", Total("calls", 0), Counted("calls", 1))
        assert broken(execution(right)) == broken(execution(early)) == []


class TestUniqueness:
    def test_it_fires_on_an_id_issued_again(self) -> None:
        case = execution(by("alice.1", Issued("run", "7")), by("bob.1", Issued("run", "7")))
        finding = only(case, "uniqueness")
        assert finding.message == "run id 7 was issued twice: in alice.1, and again in bob.1"

    def test_one_id_of_two_kinds_is_fine(self) -> None:
        assert broken(execution(by("alice.1", Issued("run", "7"), Issued("session", "7")))) == []


class TestLimits:
    def test_it_fires_once_an_operation_at_the_highest_use(self) -> None:
        case = execution(by("alice.1", Used("slots", 3, 2), Used("slots", 4, 2)))
        assert only(case, "limits").message == "4 of slots in use, where 2 is the most"

    def test_all_units_in_use_is_fine(self) -> None:
        assert broken(execution(by("alice.1", Used("slots", 2, 2)))) == []


class TestValidation:
    def test_it_fires_on_an_invalid_value_accepted(self) -> None:
        case = execution(by("alice.1", Accepted("user id", " ", False)))
        assert only(case, "validation").message.startswith("' ' was accepted as a user id")

    def test_it_fires_on_an_operation_that_should_have_been_refused(self) -> None:
        case = execution(history=history("alice.1 invoke", "alice.1 ok"), invalid=("alice.1",))
        finding = only(case, "validation")
        assert finding.label == "alice.1"
        assert "send(text='SECRET-a1')" in finding.message

    def test_a_valid_value_and_a_refusal_are_fine(self) -> None:
        facts = by("bob.1", Accepted("user id", "bob", True))
        ends = history("alice.1 invoke", "alice.1 fail")
        assert broken(execution(facts, history=ends, invalid=("alice.1",))) == []


class TestIdentity:
    def test_it_fires_when_a_user_is_taken_for_another(self) -> None:
        finding = only(execution(by("bob.1", Identified("token 1", "alice"))), "identity")
        assert (finding.user, finding.label) == ("alice", "bob.1")

    def test_the_right_user_and_nobodys_operation_are_fine(self) -> None:
        facts = (*by("bob.1", Identified("t", "bob")), Noted(Identified("t", "alice"), "", "", 0))
        assert broken(execution(facts)) == []


class TestOwnership:
    def engine(self, user: str) -> Owned:
        return Owned("engine", "e1", user)

    def test_it_fires_on_a_thing_or_a_row_of_a_stranger(self) -> None:
        assert broken(execution(by("bob.1", self.engine("alice")))) == ["ownership"]
        finding = only(execution(by("bob.1", Wrote("t", "row 1", "alice"))), "ownership")
        assert "row 1 was written under the name of alice in bob.1" in finding.message

    def test_within_a_group_it_is_fine(self) -> None:
        facts = by("bob.1", self.engine("alice"), self.engine("bob"))
        assert broken(execution(facts, groups=(("alice", "bob"),))) == []

    @pytest.mark.parametrize(
        "ends",
        [
            ("alice.1 invoke", "bob.1 invoke", "bob.1 ok"),
            ("alice.1 invoke", "bob.1 invoke", "bob.1 ok", "alice.1 ok"),
            ("alice.1 invoke", "bob.1 invoke", "alice.1 ok 2.0", "bob.1 ok 2.0"),
        ],
    )
    def test_it_fires_on_two_users_at_once(self, ends: tuple[str, ...]) -> None:
        case = execution(
            by("alice.1", self.engine("alice")),
            by("bob.1", self.engine("bob")),
            history=history(*ends),
        )
        finding = only(case, "ownership")
        assert (finding.user, finding.label) == ("alice", "bob.1")
        assert finding.evidence["labels"] == ["alice.1", "bob.1"]

    def test_it_fires_when_the_first_one_goes_on_using_it(self) -> None:
        case = execution(
            by("alice.1", self.engine("alice")),
            by("bob.1", self.engine("bob")),
            by("alice.1", Issued("row", "1")),
            history=history("alice.1 invoke", "bob.1 invoke", "alice.1 ok", "bob.1 ok"),
        )
        assert broken(case) == ["ownership"]

    def test_one_after_the_other_is_fine(self) -> None:
        case = execution(
            by("alice.1", self.engine("alice")),
            by("bob.1", self.engine("bob")),
            history=history("alice.1 invoke", "alice.1 ok", "bob.1 invoke", "bob.1 ok"),
        )
        assert broken(case) == []

    def test_one_given_back_before_its_operation_ended_is_fine(self) -> None:
        case = execution(
            by("alice.1", self.engine("alice"), self.engine("")),
            by("bob.1", self.engine("bob")),
            history=history("alice.1 invoke", "bob.1 invoke", "bob.1 ok", "alice.1 ok"),
        )
        assert broken(case) == []


class TestRollback:
    def ended(self, how: str, *facts: Fact, **more: Any) -> Execution:
        ends = history("alice.1 invoke", f"alice.1 {how}")
        return execution(by("alice.1", *facts), history=ends, **more)

    @pytest.mark.parametrize("how", ["ok", "fail", "info"])
    def test_it_fires_on_a_transaction_left_open(self, how: str) -> None:
        finding = only(self.ended(how, Began("t1")), "rollback")
        assert finding.message.endswith("was never ended")

    def test_it_fires_on_a_commit_of_an_operation_that_failed(self) -> None:
        finding = only(self.ended("fail", Began("t1"), Ended("t1", "commit")), "rollback")
        assert "t1 was committed, but alice.1 failed" in finding.message

    def test_a_transaction_of_an_operation_that_never_ended_is_not_judged(self) -> None:
        begun, facts = history("alice.1 invoke"), by("alice.1", Began("t1"))
        assert broken(execution(facts, history=begun, ended="step limit")) == []

    def test_one_still_open_where_the_execution_was_cut_short_is_not_judged(self) -> None:
        assert broken(self.ended("ok", Began("t1"), ended="step limit")) == []

    def test_commits_of_success_and_rollbacks_of_failure_are_fine(self) -> None:
        assert broken(self.ended("ok", Began("t1"), Ended("t1", "commit"))) == []
        assert broken(self.ended("fail", Began("t1"), Ended("t1", "rollback"))) == []
        assert broken(self.ended("info", Began("t1"), Ended("t1", "commit"))) == []

    def changed(self, how: str, after: Any, *facts: Fact) -> Execution:
        return self.ended(how, *facts, rollbacks=(Rollback("alice.1", "alice", [1], after),))

    def test_it_fires_on_state_changed_by_what_did_not_succeed(self) -> None:
        for how in ("fail", "info"):
            finding = only(self.changed(how, [1, 2]), "rollback")
            assert (finding.user, finding.operation) == ("alice", "send")

    def test_state_unchanged_or_committed_before_a_cancellation_is_fine(self) -> None:
        assert broken(self.changed("fail", [1])) == []
        committed = (Began("t1"), Ended("t1", "commit"))
        assert broken(self.changed("info", [1, 2], *committed)) == []


class TestCleanup:
    leftovers = (Leftover("task", "alice.1/reader", "alice"), Leftover("slot", "pool"))

    def test_it_fires_on_each_leftover(self) -> None:
        first, second = judge(execution(leftovers=self.leftovers))
        assert first.message == "task alice.1/reader of alice is left after all users have left"
        assert (first.user, second.user) == ("alice", "")

    @pytest.mark.parametrize("ended", ["step limit", "crash"])
    def test_what_an_execution_cut_short_left_is_not_judged(self, ended: str) -> None:
        assert broken(execution(leftovers=self.leftovers, ended=ended)) == []


class TestLiveness:
    waiting = ("alice.1 waits for slot", "bob.1 holds slot and waits for alice.1")

    def test_it_fires_on_a_deadlock_with_the_chain_of_who_waits(self) -> None:
        begun = history("alice.1 invoke", "bob.1 invoke", "bob.1 ok")
        finding = only(execution(history=begun, ended="deadlock", waiting=self.waiting), "liveness")
        assert (finding.user, finding.operation, finding.label) == ("alice", "send", "alice.1")
        assert "; ".join(self.waiting) in finding.message

    def test_it_fires_on_a_deadlock_outside_any_operation(self) -> None:
        finding = only(execution(ended="deadlock", waiting=self.waiting), "liveness")
        assert finding.message.startswith("deadlock outside any operation: alice.1 waits")

    def test_it_fires_on_an_operation_that_hangs(self) -> None:
        case = execution(history=history("alice.1 invoke", "alice.1 hang"))
        assert only(case, "liveness").label == "alice.1"

    def test_using_up_the_steps_is_unknown_not_a_hang(self) -> None:
        begun = history("alice.1 invoke", "alice.1 hang")
        assert broken(execution(history=begun, ended="step limit")) == []


ids = st.sampled_from(["1", "2", "3"])
people = st.sampled_from(["alice", "bob", ""])
some_facts = st.one_of(
    st.builds(Broken, ids, ids),
    st.builds(Sent, ids, people, st.sampled_from([*LIFE_CYCLE, ""]), ids),
    st.builds(Delivered, ids, people, ids),
    st.builds(Dropped, ids, ids),
    st.builds(Connected, people, ids),
    st.builds(Disconnected, ids),
    st.builds(Issued, ids, ids),
    st.builds(Owned, ids, ids, people),
    st.builds(Began, ids),
    st.builds(Ended, ids, st.sampled_from(["commit", "rollback"])),
    st.builds(Counted, ids, st.integers(0, 2)),
    st.builds(Total, ids, st.integers(0, 2)),
)
labels = st.sampled_from(["alice.1", "bob.1", ""])


class TestPromise:
    def test_a_broken_promise_is_told_with_what_was_seen(self) -> None:
        finding = only(execution(by("bob.1", Broken("all is free", "1 of 2"))), "promise")
        assert finding.message == "all is free: 1 of 2 (in bob.1)"
        assert (finding.user, finding.label, finding.operation) == ("bob", "bob.1", "read")
        assert finding.evidence == {"promise": "all is free", "why": "1 of 2"}

    def test_one_promise_broken_again_in_one_operation_is_one_finding(self) -> None:
        twice = by("bob.1", Broken("all is free", "1 of 2"), Broken("all is free", "0 of 2"))
        assert len(judge(execution(twice))) == 1
        other = by("bob.1", Broken("all are served", "1 waits"))
        assert len(judge(execution(twice, other))) == 2

    def test_a_promise_that_nobody_saw_broken_is_silent(self) -> None:
        assert judge(execution(by("bob.1", Used("units", 2, 2)))) == ()


@given(
    st.lists(st.builds(by, labels, some_facts), max_size=12),
    st.sampled_from(["done", "deadlock", "step limit", "crash"]),
    st.lists(st.sampled_from(["alice.1 ok", "alice.1 fail", "bob.1 info", "bob.1 hang"])),
)
def test_any_facts_are_judged_the_same_way_twice_and_never_raise(
    facts: list[tuple[Noted, ...]], ended: str, events: list[str]
) -> None:
    case = execution(*facts, ended=ended, history=history("alice.1 invoke", *events))
    names = [invariant.name for invariant in INVARIANTS]
    found = judge(case)
    assert found == judge(case)
    places = [names.index(finding.property) for finding in found]
    assert places == sorted(places)
    assert all(finding.message for finding in found)


@given(st.lists(st.sampled_from(LIFE_CYCLE), max_size=8))
def test_the_life_cycle_accepts_exactly_what_a_person_would(kinds: list[str]) -> None:
    legal = all(kind in legal_next(kinds[:place]) for place, kind in enumerate(kinds))
    tools = kinds[2:-1] if kinds[-1:] == [COMPLETED] else kinds[2:]
    open_calls = [tools[:n].count(TOOL) - tools[:n].count(TOOL_DONE) for n in range(len(tools) + 1)]
    expected = (
        kinds[:2] == [STARTED, THINKING][: len(kinds)]
        and all(kind in (TOOL, TOOL_DONE) for kind in tools)
        and min(open_calls) >= 0
        and (kinds[-1:] != [COMPLETED] or open_calls[-1] == 0)
    )
    assert legal == expected


@given(
    st.recursive(
        st.text(max_size=3) | st.integers() | st.binary(max_size=3),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    )
)
def test_every_string_within_a_value_is_read(value: Any) -> None:
    everything = list(texts([value, {"key": [{"MARK"}]}]))
    assert "MARK" in everything
    assert all(isinstance(text, str) for text in everything)
