"""The command line as a person or a CI job meets it: exit codes, messages, JSON, plain text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from isomodel.edges import exits
from isomodel.edges.cli import main
from isomodel.edges.options import ALIASES
from isomodel.edges.output import Grid, Line, plain
from isomodel.targets.factory.defects import DEFECTS
from isomodel.targets.resolve import BUILTIN

LEAKY = """
    import asyncio
    from isomodel import Secret, observe, operation

    class Chat:
        "Keeps the last message in one place for everybody."

        defects = {"loud": "shouts"}

        def __init__(self):
            self.last = ""
            self.loud = False

        def arm(self, name):
            self.loud = True

        @operation
        async def send(self, user: str, text: Secret) -> str:
            self.last = text
            await asyncio.sleep(0)
            return self.last
"""

SOUND = """
    import asyncio
    from isomodel import Secret, observe, operation

    class Notes:
        "Keeps notes by user."

        def __init__(self):
            self.notes = {}

        @operation
        async def keep(self, user: str, text: Secret) -> int:
            print("a target may print")
            mine = self.notes.setdefault(user, [])
            mine.append(text)
            await asyncio.sleep(0)
            return len(mine)

        @observe
        async def kept(self, user: str) -> list[str]:
            return self.notes.get(user, [])
"""

SILENT = """
    from isomodel import operation

    class Hole:
        @operation
        async def shout(self, user: str) -> None:
            pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, source in (("leaky", LEAKY), ("sound", SOUND), ("silent", SILENT)):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    (tmp_path / "broken.py").write_text("import no_such_module_anywhere\n", encoding="utf-8")
    return tmp_path


class Ran:
    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.out}\n--\n{self.err}"


def isomodel(folder: Path, *arguments: str, seconds: float = 100, **environment: str) -> Ran:
    done = subprocess.run(
        [sys.executable, "-m", "isomodel", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    return Ran(done)


def one_line(text: str) -> str:
    assert text.count("\n") == 1, text
    assert text.startswith("isomodel: "), text
    assert "Traceback" not in text
    return text


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of a case of ``leaky:Chat``."""
    folder = tmp_path_factory.mktemp("found")
    (folder / "leaky.py").write_text(textwrap.dedent(LEAKY), encoding="utf-8")
    ran = isomodel(folder, "hunt", "leaky:Chat", "--executions", "50", "--fidelity", "stock")
    assert ran.code == exits.VIOLATED, ran
    (case,) = (folder / ".isomodel/cases").glob("*.json")
    return case.read_text(encoding="utf-8")


@pytest.fixture
def case(folder: Path, found: str) -> Path:
    file = folder / "case.json"
    file.write_text(found, encoding="utf-8")
    return file


# Bad input: one line, exit 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["hunt", "--no-such-option"], ["--no-such-option", "isomodel --help"]),
        (["no-such-command"], ["no-such-command", "hunt"]),
        (["hunt", "--for", "10"], ["--for", "30s, 10m or 8h"]),
        (["hunt", "--for", "0s"], ["--for"]),
        (["hunt", "--seed", "-1"], ["--seed"]),
        (["hunt", "--executions", "0"], ["--executions", "at least 1"]),
        (["hunt", "--fidelity", "best"], ["--fidelity", "stock"]),
        (["hunt", "nonsense"], ["nonsense", "module:Class"]),
        (["hunt", "no_such_module_x:Chat"], ["no_such_module_x"]),
        (["hunt", "json:JSONEncoder"], ["json:JSONEncoder", "@operation"]),
        (["hunt", "factory", "--arm", "414-99"], ["414-99", "414-01"]),
        (["hunt", "--json", "no/such/folder/out.json"], ["no/such/folder/out.json"]),
        (["hunt", "--json", "factory"], []),
        (["hunt", "--cases", "file"], ["file", "--cases"]),
        (["replay"], ["CASE"]),
        (["replay", "no-such-case.json"], ["no-such-case.json"]),
        (["regress", "no-such-case.json"], ["no-such-case.json"]),
        (["targets", "nonsense"], ["nonsense"]),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_and_exit_2(
    arguments: list[str],
    words: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "factory").mkdir()
    (tmp_path / "file").touch()

    assert main(arguments) == exits.BAD_INPUT

    said = capsys.readouterr()
    line = one_line(said.err)
    assert all(word in line for word in words), line
    assert said.out == ""


def test_a_module_that_cannot_be_imported_is_named_with_its_error(folder: Path) -> None:
    ran = isomodel(folder, "hunt", "broken:Chat")

    assert ran.code == exits.BAD_INPUT
    assert "no_such_module_anywhere" in one_line(ran.err)


def test_files_that_are_no_cases(
    folder: Path, found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = json.loads(found)
    for content, word in (
        ("{", "not a case file"),
        ("[]", "not a case file"),
        (json.dumps({**good, "schema": 99}), "newer"),
        (json.dumps({**good, "scenario": 7}), "damaged"),
        (json.dumps({**good, "target": "gone:Gone"}), "gone"),
        (json.dumps({**good, "armed": ["quiet"]}), "quiet"),
    ):
        file = folder / "changed.json"
        file.write_text(content, encoding="utf-8")
        assert main(["replay", str(file), "--path", str(folder)]) == exits.BAD_INPUT
        assert word in one_line(capsys.readouterr().err)


def test_a_case_of_another_declaration_is_refused(folder: Path, case: Path) -> None:
    renamed = LEAKY.replace("def send", "def post")
    (folder / "leaky.py").write_text(textwrap.dedent(renamed), encoding="utf-8")

    ran = isomodel(folder, "replay", str(case))

    assert ran.code == exits.BAD_INPUT
    assert "send" in one_line(ran.err)
    assert "post" in ran.err


# Hunting


def test_a_leak_is_explained_with_the_next_two_commands(folder: Path) -> None:
    ran = isomodel(folder, "hunt", "leaky:Chat", "--executions", "200")

    assert ran.code == exits.VIOLATED, ran
    case = next(line for line in ran.out.splitlines() if line.startswith("case:")).split()[1]
    assert (folder / case).is_file()
    assert f"isomodel replay {case}" in ran.out
    assert f"isomodel regress {case}" in ran.out
    assert "violated: no leaked secret in send" in ran.out
    assert "bob" in ran.out
    assert "\x1b" not in ran.out + ran.err
    assert "] leaky:Chat, stock, seed 0: violated: no leaked secret in send" in ran.err


def test_the_printed_commands_are_complete_in_any_folder(folder: Path) -> None:
    """Each is run as it stands, from beside the target's folder; the test from its root, too."""
    here = folder / "elsewhere" / "deep"
    here.mkdir(parents=True)
    hunted = isomodel(here, "hunt", "leaky:Chat", "--executions", "50", "--path", "../..")
    printed = dict(line.split(":", 1) for line in hunted.out.splitlines() if ": " in line)

    replayed = isomodel(here, *printed["again"].split()[1:])
    assert replayed.code == exits.VIOLATED, replayed
    kept = isomodel(here, *printed["as test"].split()[1:])
    assert kept.code == exits.OK, kept
    assert "note:" not in kept.out
    test = next(line for line in kept.out.splitlines() if line.startswith("run:")).split()[-1]
    assert Path(test).name == "test_leaky_chat_no_leaked_secret_send.py"
    for where, file in ((here, test), (folder.parent, here / test)):
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)],
            cwd=where,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert "Broken in send: no leaked secret" in ran.stdout, ran.stdout


def test_regress_says_where_the_test_would_not_find_its_target(folder: Path, case: Path) -> None:
    here = folder / "elsewhere"
    here.mkdir()
    lost = isomodel(here, "regress", str(folder / case))
    assert lost.code == exits.OK, lost
    assert "no module leaky from here" in lost.out
    assert "no module" not in isomodel(here, "regress", str(folder / case), "--path", "..").out


def test_a_sound_target_is_ok_and_says_on_what_that_rests(folder: Path) -> None:
    ran = isomodel(folder, "hunt", "sound:Notes", "--executions", "60", "--workers", "2")

    assert ran.code == exits.OK, ran
    assert "ok: nothing found in sound:Notes" in ran.out
    assert "60 executions (30 stock, 30 portable; seed 0)" in ran.out
    assert "evidence, not proof" in ran.out
    assert not list((folder / ".isomodel/cases").glob("*.json"))


def test_differences_that_are_not_counted_are_shown_by_example(folder: Path) -> None:
    """Alice's two requests at once may end in either order, alone as with bob."""
    source = """
        from isomodel import io, observe, operation

        class Desk:
            def __init__(self):
                self.ends = {}
                self.line = 0

            @operation
            async def ask(self, user: str) -> int:
                self.line += 1
                await (io("long") if self.line % 2 else io("short"))
                self.ends[user] = self.ends.get(user, 0) + 1
                return 0

            @operation
            async def look(self, user: str) -> int:
                return self.ends.get(user, 0)

            @observe
            async def seen(self, user: str) -> int:
                return self.ends.get(user, 0)
    """
    (folder / "desk.py").write_text(textwrap.dedent(source), encoding="utf-8")
    ran = isomodel(folder, "hunt", "desk:Desk", "--json", "o.json", "--workers", "1")

    assert ran.code == exits.OK, ran
    results = json.loads((folder / "o.json").read_text(encoding="utf-8"))["results"]
    told = [each for result in results for each in result["also_alone_examples"]]
    assert bool(told) == any(result["also_alone"] for result in results)
    assert told
    assert told[0]["with"] != told[0]["alone"]
    assert f"such as {told[0]['label']}: {told[0]['message']}" in ran.out


def test_what_observes_nothing_is_unknown(folder: Path) -> None:
    ran = isomodel(folder, "hunt", "silent:Hole", "--executions", "40", "--fidelity", "stock")

    assert ran.code == exits.UNKNOWN, ran
    assert "no user observed anything" in ran.out


def test_the_number_of_workers_does_not_change_what_is_found(folder: Path) -> None:
    first, second = (
        isomodel(folder, "hunt", "leaky:Chat", "--workers", workers, "--json")
        for workers in ("1", "3")
    )

    one, other = (json.loads(ran.out)["results"][0] for ran in (first, second))
    for key in ("finding", "executions", "size", "seed", "fidelities", "case"):
        assert one[key] == other[key]


def test_a_time_budget_is_kept(folder: Path) -> None:
    ran = isomodel(folder, "hunt", "sound:Notes", "--for", "1s", "--json", "--workers", "1")

    document = json.loads(ran.out)
    assert ran.code == exits.OK, ran
    assert document["results"][0]["executions"] > 10
    assert document["results"][0]["hunt_seconds"] < 10


def test_a_defect_of_the_built_in_layer_is_found_and_explained(tmp_path: Path) -> None:
    ran = isomodel(tmp_path, "hunt", "factory", "--arm", "414-09", "--fidelity", "stock")

    assert ran.code == exits.VIOLATED, ran
    assert "414-09" in ran.out


# The self-test


def test_the_self_test_shows_a_row_for_every_known_defect(tmp_path: Path) -> None:
    ran = isomodel(tmp_path, "hunt", "--executions", "4", "--no-shrink", "--json", "board.json")

    document = json.loads((tmp_path / "board.json").read_text(encoding="utf-8"))
    found = [row["id"] for row in document["defects"] if row["found"]]
    assert [row["id"] for row in document["defects"]] == list(DEFECTS)
    assert {"414-01", "414-03"} <= set(found)
    assert f"{len(found)} of {len(DEFECTS)} known defects found" in ran.out


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_self_test_finds_every_known_defect_and_nothing_else(tmp_path: Path) -> None:
    ran = isomodel(tmp_path, "hunt", "--no-shrink", "--json", "board.json", seconds=600)

    document = json.loads((tmp_path / "board.json").read_text(encoding="utf-8"))
    assert ran.code == exits.OK, ran
    assert {row["id"] for row in document["defects"]} == set(DEFECTS)
    assert all(row["found"] for row in document["defects"])
    assert document["verdict"]["status"] == "ok"
    assert f"{len(DEFECTS)} of {len(DEFECTS)} known defects found; sound layer ok" in ran.out


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_the_self_test_holds_from_other_seeds(tmp_path: Path, seed: str) -> None:
    ran = isomodel(tmp_path, "hunt", "--seed", seed, "--no-shrink", seconds=900)

    assert ran.code == exits.OK, ran


def test_the_self_test_fails_if_a_defect_is_missed(tmp_path: Path) -> None:
    ran = isomodel(tmp_path, "hunt", "--executions", "1", "--no-shrink")

    assert ran.code == exits.VIOLATED, ran
    assert "missed: 414-08" in ran.out
    assert "NOT FOUND" in ran.out


# JSON


def test_json_is_alone_on_standard_output(folder: Path) -> None:
    ran = isomodel(folder, "hunt", "sound:Notes", "--executions", "20", "--json")

    document = json.loads(ran.out)
    assert document["exit"] == ran.code == exits.OK
    assert document["verdict"]["status"] == "ok"
    assert {result["fidelities"][0] for result in document["results"]} == {"stock", "portable"}


def test_json_goes_to_a_file_beside_the_text(folder: Path) -> None:
    ran = isomodel(folder, "hunt", "leaky:Chat", "--json", "out.json")

    document: dict[str, Any] = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    assert document["exit"] == ran.code == exits.VIOLATED
    assert ran.out.splitlines()[-1] == "JSON: out.json"
    found = document["results"][0]
    assert found["finding"]["property"] == "no leaked secret"
    assert found["size"]["users"] == 2
    assert (folder / found["case"]).is_file()


def test_targets_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets", "--json"]) == exits.OK

    (factory,) = json.loads(capsys.readouterr().out)["targets"]
    assert factory["target"] == ALIASES["factory"]
    assert "414-10" in factory["defects"]


# Replaying and keeping


def test_replay_fails_again_and_after_the_repair_does_not(folder: Path, case: Path) -> None:

    again = isomodel(folder, "replay", str(case))
    assert again.code == exits.VIOLATED, again
    assert "the same failure again" in again.out

    repaired = LEAKY.replace("self.last = text", "mine = text").replace(
        "return self.last", "return mine"
    )
    (folder / "leaky.py").write_text(textwrap.dedent(repaired), encoding="utf-8")
    fixed = isomodel(folder, "replay", str(case), "--json", "out.json")
    assert fixed.code == exits.OK, fixed
    assert "does not fail any more" in fixed.out
    assert json.loads((folder / "out.json").read_text())["verdict"]["status"] == "ok"


def test_replay_confirms_on_the_ordinary_loop_what_shows_there(folder: Path, case: Path) -> None:
    told = isomodel(folder, "replay", str(case), "--confirm")
    assert told.code == exits.VIOLATED
    assert "confirmed on the ordinary event loop (asyncio." in told.out
    repaired = isomodel(folder, "replay", str(case), "--confirm", "--json", "--arm", "")
    assert json.loads(repaired.out)["confirmation"]["confirmed"] is True  # the leak needs no defect


def test_replay_names_choices_that_have_no_counterpart(folder: Path, case: Path) -> None:
    changed = json.loads(case.read_text(encoding="utf-8"))
    changed["schedule"]["choices"] = [{**changed["schedule"]["choices"][0], "step": 7}]
    case.write_text(json.dumps(changed), encoding="utf-8")

    ran = isomodel(folder, "replay", str(case))

    assert ran.code == exits.OK, ran
    assert "1 stored choice had no counterpart" in ran.out


def test_replay_with_a_defect_says_so(folder: Path, case: Path) -> None:
    ran = isomodel(folder, "replay", str(case), "--arm", "loud")

    assert ran.code == exits.VIOLATED, ran
    assert "armed: loud; in the case: none" in ran.out


def test_regress_writes_a_test_and_says_how_to_run_it(folder: Path, case: Path) -> None:

    ran = isomodel(folder, "regress", str(case), "--into", "kept")

    assert ran.code == exits.OK, ran
    test = ran.out.splitlines()[0].split()[1]
    assert (folder / test).is_file()
    assert f"pytest {test}" in ran.out


# Targets, help, and errors of our own


def test_targets_warns_of_what_a_declaration_leaves_unchecked(folder: Path) -> None:
    ran = isomodel(folder, "targets", "silent:Hole")

    assert ran.code == exits.OK, ran
    for word in ("observes nothing", "Secret", "`leave`", "`roots`"):
        assert any(word in line for line in ran.out.splitlines() if line.startswith("warning:"))


def test_targets_warns_of_a_handle_that_no_operation_takes(folder: Path) -> None:
    source = """
        from isomodel import operation

        class Desk:
            @operation(makes="session")
            async def open(self, user: str) -> str:
                return user

            @operation
            async def close(self, user: str, sesion: str) -> None:
                pass
    """
    for name, text in (("typo", source), ("right", source.replace("sesion", "session"))):
        (folder / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
        ran = isomodel(folder, "targets", f"{name}:Desk")
        assert ("which no operation takes" in ran.out) is (name == "typo"), ran


def test_every_built_in_target_has_a_short_name() -> None:
    assert set(BUILTIN) <= set(ALIASES.values())


@pytest.mark.parametrize("command", ["hunt", "replay", "regress", "targets"])
def test_help_has_an_example_and_the_exit_codes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])

    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"  isomodel {command} " in text
    assert "exit codes: 0 ok" in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])

    assert capsys.readouterr().out.startswith("isomodel ")


def test_an_internal_error_is_one_line_and_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("isomodel.edges.targets.run", lambda *_: 1 // 0)

    assert main(["targets"]) == exits.INTERNAL

    line = one_line(capsys.readouterr().err)
    file = Path(line.split("the traceback is in ")[1].split(";")[0])
    assert "ZeroDivisionError" in file.read_text(encoding="utf-8")
    file.unlink()


def test_an_interruption_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("isomodel.edges.targets.run", interrupted)

    assert main(["targets"]) == exits.INTERRUPTED
    assert one_line(capsys.readouterr().err) == "isomodel: interrupted; nothing was kept\n"


def test_a_grid_is_aligned_plain_text() -> None:
    grid = Grid(("name", "count"), (("a", "1"), ("longer", "12")), frozenset(("count",)))

    assert plain(grid) == "name    count\na           1\nlonger     12"
    assert plain(Line("text", "bold red")) == "text"
