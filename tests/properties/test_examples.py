"""The examples do what their pages say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.exploring.tally import Outcome
from isomodel.search.running.execute import session
from isomodel.targets.declare import spec_of

EXAMPLES = Path(__file__).parents[2] / "examples"


def hunt(target: str, cases: Path) -> subprocess.CompletedProcess[str]:
    command = ["hunt", "--path", str(EXAMPLES), "--cases", str(cases), "--executions", "400"]
    return subprocess.run(
        [sys.executable, "-m", "isomodel", *command, target],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_first_example_leaks_and_its_repair_does_not(tmp_path: Path) -> None:
    leaking = hunt("assistant:Assistant", tmp_path)
    assert leaking.returncode == 1, leaking.stderr
    assert "no leaked secret" in leaking.stdout
    assert "2 users, 2 operations, 1 switch, no fault" in leaking.stdout
    assert hunt("assistant:FixedAssistant", tmp_path).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_released_bugs_are_found_in_the_bad_versions_and_only_there() -> None:
    ran = subprocess.run(
        [sys.executable, EXAMPLES / "realbugs" / "run.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def hunted(block: str, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """A hunt of the class ``DraftsTarget`` in this source, without faults."""
    module = ModuleType("drafts")
    monkeypatch.setitem(sys.modules, "drafts", module)
    exec(block, module.__dict__)
    with session():
        explorer = Explorer(spec_of(module.DraftsTarget), seed=0, faults=0)
        return explorer.hunt(Budget(executions=500))


def test_the_sweeper_in_the_documentation_is_sound_and_one_that_goes_by_others_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guide = (EXAMPLES.parent / "docs" / "targets.md").read_text(encoding="utf-8")
    blocks = (block.partition("```")[0] for block in guide.split("```python\n")[1:])
    block = next(block for block in blocks if "class DraftsTarget" in block)
    assert hunted(block, monkeypatch).verdict.status == "ok"

    read = "return self.drafts.read(user)"
    assert read in block
    unaged = block.replace(read, "return self.drafts.rows.get(user, (None,))[0]")
    assert hunted(unaged, monkeypatch).verdict.status == "ok"

    own = "if until <= time.monotonic():"
    assert own in block
    oldest = "if min(until for _, until in self.rows.values()) <= time.monotonic():"
    assert hunted(unaged.replace(own, oldest), monkeypatch).verdict.status == "violated"


def test_a_target_of_a_released_bug_has_at_most_forty_lines() -> None:
    targets = sorted((EXAMPLES / "realbugs").glob("*/target.py"))
    assert len(targets) >= 8
    for target in targets:
        assert lines_of(target) <= 40, target


def lines_of(target: Path) -> int:
    """Without empty lines and what the first docstring says of the file."""
    text = target.read_text(encoding="utf-8").split('"""', 2)[2]
    return sum(bool(line.strip()) for line in text.splitlines())
