"""Runtimes on the command line: one command for both, cases that know theirs, clear refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from isomodel.edges import exits

TARGETS = """
    import anyio
    import trio
    from isomodel import Secret, io, operation

    class Chat:
        "Keeps the last message in one place for everybody."

        runtime = ("asyncio", "trio")

        async def start(self):
            self.last = ""
            self.lock = anyio.Lock()

        @operation
        async def send(self, user: str, text: Secret) -> str:
            self.last = text
            await io("store")
            return self.last

    class Alone(Chat):
        runtime = "trio"

        @operation
        async def send(self, user: str, text: Secret) -> str:
            async with self.lock:
                return await super().send(user, text)

    class Mixed(Chat):
        runtime = "asyncio"

        @operation
        async def send(self, user: str, text: Secret) -> str:
            await trio.sleep(1)
            return text
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runtimes")
    (folder / "chats.py").write_text(textwrap.dedent(TARGETS), encoding="utf-8")
    return folder


def isomodel(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "isomodel", *arguments],
        cwd=folder,
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.fixture(scope="module")
def cases(folder: Path) -> dict[str, Path]:
    """The case of each runtime, found with one command."""
    few = ("--executions", "40", "--fidelity", "stock", "--workers", "1")
    hunted = isomodel(folder, "hunt", "chats:Chat", *few)
    assert hunted.returncode == exits.VIOLATED, hunted
    assert "found under stock on trio" in hunted.stdout
    assert "on trio, only orders its own loop can produce" in hunted.stdout
    found = {}
    for file in (folder / ".isomodel/cases").glob("*.json"):
        found[json.loads(file.read_text(encoding="utf-8"))["runtime"]] = file
    return found


def test_one_command_hunts_on_both_and_each_case_knows_its_runtime(cases: dict[str, Path]) -> None:
    assert sorted(cases) == ["asyncio", "trio"]
    assert "Chat-trio-" in cases["trio"].name


@pytest.mark.parametrize(
    ("of", "chosen"), [("trio", ()), ("asyncio", ("--runtime", "trio")), ("asyncio", ())]
)
def test_a_case_is_replayed_on_its_runtime_or_on_the_other(
    folder: Path, cases: dict[str, Path], of: str, chosen: tuple[str, ...]
) -> None:
    again = isomodel(folder, "replay", str(cases[of]), *chosen)
    assert again.returncode == exits.VIOLATED, again
    on_trio = (chosen or ("", of))[1] == "trio"
    assert ("on trio, only orders" in again.stdout) == on_trio


def test_a_case_of_trio_becomes_a_test_on_trio(folder: Path, cases: dict[str, Path]) -> None:
    kept = isomodel(folder, "regress", str(cases["trio"]), "--into", "kept")
    assert kept.returncode == exits.OK, kept
    (test,) = (folder / "kept").glob("test_*trio*.py")
    assert 'runtime="trio",' in test.read_text(encoding="utf-8")


def test_a_sound_target_is_ok_on_trio(folder: Path) -> None:
    hunted = isomodel(folder, "hunt", "chats:Alone", "--executions", "60", "--workers", "1")
    assert hunted.returncode == exits.OK, hunted
    assert "ok: nothing found in chats:Alone on trio" in hunted.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("hunt", "chats:Alone", "--runtime", "asyncio"), "not declared for runtime"),
        (("hunt", "chats:Chat", "--runtime", "curio"), "runtime 'curio' is not known"),
        (("hunt", "chats:Mixed", "--executions", "5"), 'code of trio under runtime "asyncio"'),
        (("prove", "chats:Alone"), "proofs are for asyncio only"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    refused = isomodel(folder, *arguments)
    assert refused.returncode == exits.BAD_INPUT, refused
    (line,) = [each for each in refused.stderr.splitlines() if each.startswith("isomodel: ")]
    assert said in line
    assert "Traceback" not in refused.stderr


def test_a_case_of_trio_cannot_be_confirmed_on_asyncios_loop(
    folder: Path, cases: dict[str, Path]
) -> None:
    refused = isomodel(folder, "replay", str(cases["trio"]), "--confirm")
    assert refused.returncode == exits.BAD_INPUT
    assert "leave out --confirm" in refused.stderr
