"""Kept stories: written from cases, read as stories, replayed without a search; and explained."""

from __future__ import annotations

import ast
import asyncio
import importlib
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from shrinking import shrunk

from isomodel import BadInput, Violated, io, operation
from isomodel.bridges.explain import explain
from isomodel.bridges.lanes import lanes
from isomodel.bridges.options import OPTIONS
from isomodel.bridges.regression import slug, source, write
from isomodel.schedulers.fifo import Default
from isomodel.search.cases import name_of
from isomodel.search.running.execute import execute, replay
from isomodel.targets.declare import TargetSpec, spec_of
from isomodel.testing import (
    Story,
    StoryWarning,
    Unknown,
    beside,
    cancel,
    do,
    fail,
    jump,
    made,
    slow,
    switch,
)
from isomodel.values.case import Case, Size
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import Fault, Schedule, Switch
from isomodel.values.verdict import Finding

DESK = """
from isomodel import Secret, io, observe, operation

class Desk:
    defects = {"shared": "one current text for all users", "harmless": "nothing at all"}

    def __init__(self):
        self.armed = ""
        self.current = ""

    def arm(self, name):
        self.armed = name

    @operation
    async def post(self, user: str, text: Secret) -> str:
        mine = self.current = text
        await io("store", fails=OSError)
        return self.current if self.armed == "shared" else mine

    @operation(makes="box")
    async def open(self, user: str) -> str:
        return user

    @operation(ends="box")
    async def close(self, user: str, box: str) -> str:
        return box
"""

TARGET = "keptdesk:Desk"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a version of the target's source in place, and gives its class."""
    monkeypatch.syspath_prepend(tmp_path)

    def place(text: str = DESK) -> TargetSpec:
        (tmp_path / "keptdesk.py").write_text(text, encoding="utf-8")
        sys.modules.pop("keptdesk", None)
        importlib.invalidate_caches()
        return spec_of(importlib.import_module("keptdesk").Desk, TARGET)

    yield place
    sys.modules.pop("keptdesk", None)


def found(spec: TargetSpec, **options: Any) -> Case:
    """A shrunk case of the armed defect."""
    return shrunk(spec, seed=1, armed=("shared",), **options)


def loaded(path: Path) -> ModuleType:
    """The written test, imported."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def story(**changes: Any) -> Story:
    """The story of bob's post within alice's."""
    values: dict[str, Any] = {
        "target": TARGET,
        "property": "no leaked secret",
        "at": "post",
        "operations": [
            do("alice.1", "post", text="alice's-secret"),
            do("bob.1", "post", text="bob's-secret"),
        ],
        "schedule": [switch(after="alice.1", step=1, to="bob.1 start 0")],
        **changes,
    }
    return Story(**values)


# Written


def test_a_written_story_holds_on_the_sound_target_and_fails_with_the_defect(
    desk: Any, tmp_path: Path
) -> None:
    case = found(desk())
    test = loaded(write(case, tmp_path))
    test.test_the_story_holds()
    test.test_the_story_fails_when_armed("shared")
    assert test.STORY.defects == ("shared",)


def test_a_written_story_has_neither_line_numbers_nor_a_search(desk: Any, tmp_path: Path) -> None:
    text = write(found(desk()), tmp_path).read_text(encoding="utf-8")
    assert not re.search(r"\w:\d+", text)
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    assert [node.module for node in imports] == ["isomodel.testing"]


def test_a_story_names_the_way_from_its_own_folder_to_its_target(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "keptfar.py").write_text(DESK, encoding="utf-8")
    case = a_case(target="keptfar:Desk")
    place = write(case, tmp_path / "tests" / "kept", path=[str(tmp_path / "far")])
    text = place.read_text(encoding="utf-8")
    assert 'path=[Path(__file__).parent / "../../far"],' in text
    assert str(tmp_path) not in text
    path = [*sys.path]
    try:
        loaded(place).test_the_story_holds()
    finally:
        sys.path[:] = path
        sys.modules.pop("keptfar", None)
    many = source(case, path=[f"../{'x' * 60}{number}" for number in range(3)])
    assert max(map(len, many.split("\n"))) <= 100
    ast.parse(many)


def test_files_are_named_after_module_and_class_or_after_the_armed_defect() -> None:
    case = a_case(target="shop.cart:Target", armed=())
    assert slug(case).startswith("cart_target_")
    assert name_of(case).startswith("cart-Target-")
    armed = a_case(target="shop.cart:Target", armed=("lost",))
    assert slug(armed).startswith("lost_")
    assert name_of(armed).startswith("Target-lost-")


def test_a_story_survives_renamed_line_numbers(desk: Any, tmp_path: Path) -> None:
    test = loaded(write(found(desk()), tmp_path))
    desk("# moved\n" * 50 + DESK.replace("        await io", "\n        # saved\n        await io"))
    test.test_the_story_holds()
    test.test_the_story_fails_when_armed("shared")


def test_the_docstring_tells_what_broke_and_how_much_there_is_to_follow(
    desk: Any, tmp_path: Path
) -> None:
    written = write(found(desk()), tmp_path, title="one desk for two users")
    doc = ast.get_docstring(ast.parse(written.read_text(encoding="utf-8")))
    assert doc is not None
    assert doc.startswith("shared: one desk for two users.")
    assert "no leaked secret: " in doc
    assert "2 users, 2 operations, 1 switch, no fault; found under stock" in doc


def test_what_hangs_is_told_without_line_numbers() -> None:
    message = "bob.1 waits at Pool.take:88 > Lock.acquire:114; alice.1 waits at run:7"
    case = a_case(finding=Finding("liveness", message))
    doc = ast.get_docstring(ast.parse(source(case)))
    assert doc is not None
    assert "bob.1 waits at Pool.take > Lock.acquire; alice.1 waits at run." in doc


def test_the_same_failure_replaces_its_test_another_target_gets_its_own(tmp_path: Path) -> None:
    one = a_case()
    other = msgspec.structs.replace(one, target="elsewhere:Desk")
    assert write(one, tmp_path) == write(one, tmp_path)
    assert write(other, tmp_path) != write(one, tmp_path)
    assert write(other, tmp_path) == write(other, tmp_path)


def test_a_case_without_defects_has_one_test(tmp_path: Path) -> None:
    text = write(a_case(armed=()), tmp_path).read_text(encoding="utf-8")
    assert "pytest" not in text
    assert text.count("def test_") == 1


# Written from data that anyone may have sent


def a_case(**changes: Any) -> Case:
    values: dict[str, Any] = {
        "target": TARGET,
        "scenario": Scenario((Operation("alice.1", "alice", "post", {"text": "hello"}),)),
        "schedule": Schedule(),
        "finding": Finding("no leaked secret", "it leaked", operation="post", label="alice.1"),
        "size": Size(1, 1, 0, 0),
        "armed": ("shared",),
        **changes,
    }
    return Case(**values)


TEXTS = st.text() | st.sampled_from(
    ['"""', "\\", "it's", 'say "hi"', "a\nb", "{x}", "\ud800", "x" * 300, "# noqa", "\\N{DASH}"]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def strange_cases(draw: Any) -> Case:
    texts, numbers = draw(st.lists(TEXTS, min_size=8, max_size=8)), st.integers(0, 99)
    operations = tuple(
        Operation(f"{user}.{n}", user, texts[0], {"text": draw(JSON)}, beside=draw(st.booleans()))
        for n, user in enumerate(("alice", "bob", "alice"))
    )
    return a_case(
        target=texts[1],
        scenario=Scenario(operations, draw(numbers), (("alice", texts[2]),)),
        schedule=Schedule(
            "portable",
            (Switch(texts[3], draw(numbers), texts[4], draw(numbers)),),
            (Fault("cancel", texts[5], draw(numbers)), Fault("fail", texts[5], draw(numbers))),
        ),
        finding=Finding(texts[6], texts[7], operation=texts[0]),
        armed=draw(st.sampled_from(((), ("a",), (texts[2],)))),
    )


@settings(max_examples=200, deadline=None)
@given(strange_cases())
def test_whatever_a_case_holds_the_written_story_is_the_same_and_nothing_else_is_run(
    case: Case,
) -> None:
    text = source(case)
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            known = "Story do beside made switch cancel fail STORY.holds STORY.fails"
            assert name in (*known.split(), "pytest.mark.parametrize")
    space: dict[str, Any] = {}
    exec(compile(tree, "story", "exec"), space)
    written = space["STORY"]
    assert (written.target, written.scenario, written.schedule) == (
        case.target,
        case.scenario,
        case.schedule,
    )
    assert (written.property, written.at) == (case.finding.property, case.finding.operation)


@settings(max_examples=8, deadline=None, phases=[Phase.generate])
@given(st.lists(strange_cases(), min_size=20, max_size=20))
def test_a_written_story_is_formatted_as_ruff_would(strange: list[Case]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(strange):
            (Path(folder) / f"case_{number}.py").write_text(source(case), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=100", "--diff"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["class", "a b", "x)=", ""])
def test_a_name_that_is_no_argument_never_gets_into_the_source(name: str) -> None:
    scenario = Scenario((Operation("alice.1", "alice", "post", {name: 1}),))
    with pytest.raises(BadInput, match="is no name of an argument"):
        source(a_case(scenario=scenario))


def test_a_value_that_is_no_json_is_refused() -> None:
    scenario = Scenario((Operation("alice.1", "alice", "post", {"text": object()}),))
    with pytest.raises(BadInput, match="not JSON"):
        source(a_case(scenario=scenario))


def test_a_label_of_somebody_else_is_refused() -> None:
    scenario = Scenario((Operation("bob.1", "alice", "post", {"text": "x"}),))
    with pytest.raises(BadInput, match="does not begin with its user"):
        source(a_case(scenario=scenario))


def test_a_file_name_holds_no_path() -> None:
    case = a_case(armed=("../../x",), finding=Finding("/etc/passwd", "", operation="a/b"))
    assert re.fullmatch(r"[a-z0-9_]+", slug(case))


# Replayed


def test_a_violated_story_raises_with_the_explained_case(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk()
    monkeypatch.setattr(OPTIONS, "arm", "shared")
    with pytest.raises(Violated, match="The order of events"):
        story().holds()


def test_a_story_of_an_operation_that_is_gone_says_so(desk: Any) -> None:
    desk(DESK.replace("def post", "def publish"))
    with pytest.raises(BadInput, match=r"alice.1 \(post\) is not declared .* publish"):
        story().holds()


def test_a_story_of_an_argument_that_is_gone_says_so(desk: Any) -> None:
    desk(DESK.replace("text", "body"))
    with pytest.raises(BadInput, match="unknown argument 'text'; it takes body"):
        story().holds()


def test_a_story_whose_defect_is_gone_says_so(desk: Any) -> None:
    desk(DESK.replace('"shared":', '"common":'))
    with pytest.raises(BadInput, match="no defect 'shared'"):
        story().fails(armed="shared")


def test_a_story_with_a_harmless_defect_is_unknown_not_ok(desk: Any) -> None:
    desk()
    with pytest.raises(Unknown, match="with harmless armed, 'no leaked secret' does not break"):
        story().fails(armed="harmless")


def test_a_story_whose_whole_schedule_is_gone_is_unknown_not_ok(desk: Any) -> None:
    desk(DESK.replace("        await io", "        # await io"))
    with pytest.raises(Unknown, match=r"at step 1 of alice.1 .* bob.1 starts\. Hunt again"):
        story().holds()


def test_unless_the_story_says_why(desk: Any) -> None:
    desk(DESK.replace("        await io", "        # await io"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        story(diverges="nothing is awaited between write and read any more").holds()


def test_a_story_of_which_a_part_is_gone_holds_with_a_warning_that_names_it(desk: Any) -> None:
    desk()
    half = [*story().schedule.choices, switch(after="alice.1", step=9, to="bob.1 store 0")]
    with pytest.warns(StoryWarning, match=r"at step 9 of alice.1 .* the store of bob.1 arrives"):
        story(schedule=half).holds()


def test_a_fault_that_comes_too_late_is_named(desk: Any) -> None:
    desk()
    with pytest.warns(StoryWarning, match="alice.1 ended before its cancellation"):
        story(faults=[cancel("alice.1", after=9)]).holds()


def test_a_story_that_never_ends_is_unknown_not_ok(desk: Any) -> None:
    endless = "while True: await __import__('asyncio').sleep(0)"
    desk(DESK.replace('await io("store", fails=OSError)', endless))
    with pytest.raises(Unknown, match=r"unknown: keptdesk:Desk: .* still busy"):
        story(schedule=[]).holds()


def test_an_operation_that_never_ran_is_unknown_not_ok(desk: Any) -> None:
    whole = story()
    execution = execute(desk(), whole.scenario.only(("alice",)), Default(), fidelity="stock")
    with pytest.raises(Unknown, match=r"bob.1 \(post\) never ran, so the story shows nothing"):
        whole._took_place(SimpleNamespace(execution=execution, missed=[]))  # type: ignore[arg-type]


def test_the_words_make_what_they_say() -> None:
    assert do("alice.1", "x", label="l", operation="o").args == {"label": "l", "operation": "o"}
    assert beside("alice.1", "x").beside
    assert made("alice.1") == {"made": "alice.1"}
    assert cancel("alice.1/child", after=2) == Fault("cancel", "alice.1/child", 2)
    assert fail("alice.1", io=0) == Fault("fail", "alice.1", 0)
    assert switch(after="a", step=1, to="go on") == Switch("a", 1, "go on")
    with pytest.raises(BadInput, match="'alice' is no label"):
        do("alice", "x")


def test_a_story_with_handles_and_faults_comes_back_as_it_was(desk: Any, tmp_path: Path) -> None:
    desk()
    case = a_case(
        armed=(),
        scenario=Scenario(
            (
                Operation("alice.1", "alice", "open"),
                Operation("alice.2", "alice", "close", {"box": {"made": "alice.1"}}),
                Operation("bob.1", "bob", "post", {"text": "bob's"}),
            )
        ),
        schedule=Schedule("portable", (), (Fault("fail", "bob.1", 0),)),
    )
    test = loaded(write(case, tmp_path))
    assert test.STORY.scenario == case.scenario
    assert test.STORY.schedule == case.schedule
    test.test_the_story_holds()


def test_the_story_in_the_documentation_holds(desk: Any) -> None:
    desk()
    guide = Path(__file__).parents[2] / "docs" / "pytest.md"
    example = guide.read_text(encoding="utf-8").split("```python\n")[3].partition("```")[0]
    space: dict[str, Any] = {}
    exec(example.replace("myapp.iso:Desk", TARGET), space)
    space["test_the_story_holds"]()
    space["STORY"].fails(armed="shared")


# Explained


def test_an_explanation_has_the_property_the_size_the_fidelity_and_the_lanes(desk: Any) -> None:
    spec = desk()
    case = found(spec)
    text = explain(case, replay(spec, case.scenario, case.schedule, armed=case.armed))
    assert text.startswith("Broken in post: no leaked secret\n")
    assert "2 users, 2 operations, 1 switch, no fault" in text
    assert "found under stock: only orders the stock asyncio loop can produce" in text
    assert re.search(r"^ +alice +bob$", text, re.MULTILINE)
    assert re.search(r"^>> +(alice|bob)\.1 -> ", text, re.MULTILINE)


def test_noninterference_is_told_side_by_side_with_the_source_of_what_is_foreign(desk: Any) -> None:
    spec = desk()
    case = found(spec, oracles="noninterference", users=2)
    text = explain(case, replay(spec, case.scenario, case.schedule, armed=case.armed))
    harmed = case.finding.user
    (other,) = {"alice", "bob"} - {harmed}
    assert re.search(rf"with {other} +alone, its own order, clock and faults kept", text)
    assert re.search(rf"\"{other}'s-secret\S+ +\"{harmed}'s-secret", text)
    assert re.search(rf"\"{other}'s-secret\S+ comes from {other}.1, post\(text=...\)", text)
    assert ">> here it departs from the run alone" in text


def test_without_an_execution_the_schedule_is_told_in_words() -> None:
    schedule = Schedule(
        "portable",
        (Switch("alice.1", 2, "bob.1 start 0"), Switch("", 0, "bob.1 step", 1)),
        (Fault("cancel", "alice.1", 3), Fault("fail", "alice.1", 0)),
    )
    case = a_case(schedule=schedule, confirmed={"stock": False, "portable": True})
    text = explain(case)
    assert "When alice.1 has taken 2 steps, bob.1 starts." in text
    assert "First, bob.1 goes on, too." in text
    assert "alice.1 is cancelled after 3 steps." in text
    assert "The I/O number 0 of alice.1 fails." in text
    assert "not found under stock" in text


def compared(jointly: Any, alone: Any, **changes: Any) -> list[str]:
    """The rows of the table that compares what was seen with others and alone, without spaces."""
    seen = {
        key: {"label": "alice.1", "outcome": "ok", "value": value}
        for key, value in (("with", jointly), ("alone", alone))
    }
    seen["with"] |= changes
    finding = Finding("noninterference", "x", user="alice", label="alice.1", evidence=seen)
    text = explain(a_case(finding=finding))
    table = text.partition("faults kept\n")[2].partition("\n\n")[0]
    return [re.sub(r" {2,}", " | ", row.strip()) for row in table.split("\n")]


def test_differences_are_told_at_the_deepest_place_that_both_sides_have() -> None:
    assert compared([], ["x"]) == ["[] | ['x']"]
    assert compared({"rows": {}}, {"rows": {"a": 1}}) == ["rows: {} | rows: {'a': 1}"]
    assert compared(["x", "y"], ["x"]) == [
        "[1]: 'y' | [1]: nothing there",
        "(1 more alike) | (1 more alike)",
    ]
    assert compared({"a": [1], "b": 2}, {"a": [3], "b": 2})[0] == "a[0]: 1 | a[0]: 3"
    assert compared(None, [1]) == ["None | [1]"]
    assert compared(1, 2, label="alice.2") == ["alice.2 came first: 1 | alice.1 came first: 2"]


@settings(max_examples=200, deadline=None)
@given(strange_cases(), JSON, JSON)
def test_an_explanation_is_never_wider_than_a_hundred_columns(
    case: Case, jointly: Any, alone: Any
) -> None:
    seen = {
        key: {"label": "alice.0", "outcome": "ok", "value": value}
        for key, value in (("with", jointly), ("alone", alone))
    }
    finding = msgspec.structs.replace(case.finding, user="alice", label="alice.0", evidence=seen)
    text = explain(msgspec.structs.replace(case, finding=finding))
    assert max(map(len, text.split("\n"))) <= 100


def test_lanes_are_never_wider_than_a_hundred_columns(desk: Any) -> None:
    spec = desk()
    for count in range(1, 9):
        users = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")[:count]
        operations = tuple(
            Operation(f"{user}.1", user, "post", {"text": f"{user}'s " + "x" * 80})
            for user in users
        )
        execution = execute(spec, Scenario(operations), Default(), fidelity="stock")
        case = a_case(scenario=execution.scenario, schedule=execution.schedule)
        assert max(map(len, explain(case, execution).split("\n"))) <= 100


class Pumping:
    """What is sent goes out in a task of its own."""

    async def start(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    @operation
    async def send(self, user: str, text: str) -> None:
        self.tasks.append(asyncio.create_task(self.pump()))
        await asyncio.sleep(0)

    async def pump(self) -> None:
        await io("socket", fails=OSError)
        await asyncio.sleep(1)


@pytest.mark.parametrize("fidelity", ["stock", "portable"])
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (slow("alice.1", io=0), "alice.1/pump begins I/O 0 of alice.1, which outlasts"),
        (fail("alice.1", io=0), "alice.1/pump begins I/O 0 of alice.1, which fails"),
        (cancel("alice.1/pump", after=1), "alice.1/pump is cancelled"),
        (jump("alice.1", timer=0), "the clock jumps past every pending timer"),
    ],
)
def test_every_fault_is_in_the_order_of_events_by_the_task_that_it_strikes(
    fidelity: Any, fault: Fault, told: str
) -> None:
    scenario = Scenario((do("alice.1", "send", text="x"), do("bob.1", "send", text="x")))
    schedule = Schedule(fidelity, (), (fault,))
    execution = replay(spec_of(Pumping), scenario, schedule)
    assert execution.schedule.faults == execution.fired == (fault,)
    rows = " ".join(line.strip() for line in lanes(execution))
    assert told in rows
    assert rows.index(told) > rows.index("alice.1 begins send")


class CancelsAny(Pumping):
    """Any task of its operations may be cancelled."""

    cancels = "any"


def test_a_fault_is_called_after_the_task_that_it_struck_and_not_after_the_plan() -> None:
    scenario = Scenario((do("alice.1", "send", text="x"),))
    plan = cancel("alice.1/?0", after=1)
    execution = replay(spec_of(CancelsAny), scenario, Schedule("stock", (), (plan,)))
    assert execution.fired == execution.schedule.faults == (cancel("alice.1/pump", after=1),)
    assert "alice.1/pump is cancelled" in " ".join(lanes(execution))
    assert not any("too late" in row for row in lanes(execution))


def test_a_fault_that_came_too_late_is_not_hidden() -> None:
    scenario = Scenario((do("alice.1", "send", text="x"),))
    fault = cancel("alice.1", after=1)
    execution = replay(spec_of(Pumping), scenario, Schedule("stock", (), ()))
    execution = msgspec.structs.replace(execution, schedule=Schedule("stock", (), (fault,)))
    assert any("cancellation of alice.1: it comes too late" in row for row in lanes(execution))


def test_what_a_child_does_after_its_operation_has_ended_is_told_by_the_name_of_the_child() -> None:
    scenario = Scenario((do("alice.1", "send", text="x"),))
    rows = [line.strip() for line in lanes(replay(spec_of(Pumping), scenario, Schedule()))]
    after = rows[rows.index("alice.1 -> None") + 1 :]
    assert any(row.startswith("alice.1/pump ") for row in after), rows
    assert not any(row.startswith("alice.1 ") for row in after), rows
