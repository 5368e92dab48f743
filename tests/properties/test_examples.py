"""The examples do what their pages say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
@pytest.mark.timeout(600)
def test_redis_py_leaks_in_4_5_3_and_not_in_4_5_5() -> None:
    ran = subprocess.run(
        [EXAMPLES / "redis_py" / "run"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "redis-py 4.5.3: leaks, as expected" in ran.stdout
    assert "redis-py 4.5.5: nothing found, as expected" in ran.stdout
