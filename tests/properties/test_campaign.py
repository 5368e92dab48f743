"""A campaign outlives what it tests: crashes, blocks and lies become results, and files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from isomodel.search import cases
from isomodel.search.campaign import child
from isomodel.search.campaign.campaign import Interrupted, replay_case, run_jobs
from isomodel.search.campaign.jobs import Job, Progress, Result
from isomodel.search.campaign.journal import Journal, Phase, Place, ending, read_last_words
from isomodel.search.exploring.explore import Explorer
from isomodel.search.running.execute import session
from isomodel.targets.resolve import resolve
from isomodel.values.case import Case
from isomodel.values.errors import BadInput
from isomodel.values.verdict import Finding

HOSTILE = (str(Path(__file__).parent / "hostile"),)
SHRUNK = ("Exits", "Leaks", "Quits", "LeaksHere", "DiesSmaller", "ExitsAlone")
NAMES = (
    *SHRUNK,
    *("Killed", "Spins", "Locked", "Stubborn", "Endless", "Once"),
    *("NoStart", "QuitsAtStart", "Missing", "Calm"),
)


def job(name: str, **changes: Any) -> Job:
    return msgspec.structs.replace(
        Job(f"hostile_targets:{name}", executions=40, shrink=name in SHRUNK, path=HOSTILE),
        **changes,
    )


class Campaign:
    """One campaign over every hostile target, which all tests below look at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.progress: list[Progress] = []
        self.told: dict[int, Result] = {}
        jobs = [job(name) for name in NAMES]
        jobs[NAMES.index("DiesSmaller")] = job("DiesSmaller", oracles="invariants")
        jobs.append(job("Leaks", armed=("nonsense",)))
        jobs.append(job("Calm", fidelities=("nonsense",)))
        self.results = run_jobs(
            jobs,
            workers=3,
            cases=folder,
            on_progress=self.progress.append,
            on_result=self.told.__setitem__,
            stall=1.5,
        )

    def __getitem__(self, name: str) -> Result:
        return self.results[NAMES.index(name)]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    folder = tmp_path_factory.mktemp("campaign")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOSTILE_MARK", str(folder / "mark"))
        yield Campaign(folder / "cases")


@pytest.mark.parametrize(
    ("name", "broken", "says"),
    [
        ("Exits", "no crash", "the process ended with exit code 3 at"),
        ("Killed", "no crash", "the process ended by signal 9 SIGKILL at"),
        ("Quits", "no crash", "SystemExit(4)"),
        ("Once", "no crash", "did not when that execution was run again on its own"),
        ("Spins", "no block", "blocked the event loop for 1.5 s at"),
        ("Locked", "no block", "(guarded)"),
        ("Stubborn", "liveness", "never ends"),
        ("Endless", "liveness", "never ends"),
        ("Leaks", "noninterference", "bob"),
        ("DiesSmaller", "liveness", "(shrinking died: the process ended with exit code 7 at"),
        ("ExitsAlone", "no crash", "in an alone run of one user's part"),
    ],
)
def test_what_a_target_does_to_its_process_is_a_finding_on_disk(
    campaign: Campaign, name: str, broken: str, says: str
) -> None:
    result = campaign[name]
    assert result.verdict.status == "violated", result.verdict
    assert result.case is not None
    assert result.case.finding.property == broken
    assert says in result.verdict.reason
    assert cases.load(Path(result.file)) == result.case
    assert result.executions >= 1


@pytest.mark.parametrize("name", ["Exits", "Killed", "Spins", "Locked"])
def test_a_death_says_where(campaign: Campaign, name: str) -> None:
    case = campaign[name].case
    assert case is not None
    assert "hostile_targets.py:" in case.finding.evidence["where"]
    assert case.finding.label in {operation.label for operation in case.scenario.operations}


def test_a_death_is_shrunk_and_dies_again_elsewhere(campaign: Campaign, tmp_path: Path) -> None:
    case = campaign["Exits"].case
    assert case is not None
    assert (case.size.operations, case.minimal) == (2, True)
    again = replay_case(case, cases=tmp_path, path=HOSTILE)
    assert again.finding is not None
    assert again.finding.same_failure(case.finding)
    assert again.execution is None


def test_a_case_is_found_again_by_seed_and_index(campaign: Campaign) -> None:
    case = campaign["Locked"].case
    assert case is not None
    spec = resolve(case.target, HOSTILE)
    draw = Explorer(spec, seed=case.origin.seed).draw(case.origin.execution)
    assert (draw.scenario, draw.faults) == (case.scenario, case.schedule.faults)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("NoStart", "start raised ConnectionError: no server"),
        ("QuitsAtStart", "start raised SystemExit(5)"),
        ("Missing", "no class Missing in hostile_targets; it declares operations in Calm, "),
    ],
)
def test_a_target_that_cannot_be_used_is_one_line(campaign: Campaign, name: str, says: str) -> None:
    result = campaign[name]
    assert result.verdict.status == "unknown"
    assert says in result.bad_input
    assert "\n" not in result.bad_input


def test_unknown_defects_and_our_own_errors(campaign: Campaign) -> None:
    armed, internal = campaign.results[-2:]
    assert "no defects to arm" in armed.bad_input
    assert internal.verdict.status == "unknown"
    assert "internal error of isomodel: KeyError" in internal.verdict.reason
    trace = Path(internal.verdict.reason.rpartition("traceback in ")[2])
    assert "KeyError: 'nonsense'" in trace.read_text()


def test_what_only_one_process_shows_is_unknown(campaign: Campaign) -> None:
    result = campaign["LeaksHere"]
    assert result.verdict.status == "unknown"
    assert "not reproducible in another process: first difference at step" in result.verdict.reason


def test_the_survivors_are_untouched(campaign: Campaign) -> None:
    calm = campaign["Calm"]
    assert calm.verdict.status == "ok", calm.verdict
    assert calm.executions == 40
    assert campaign.told == dict(enumerate(campaign.results))
    assert {each.phase for each in campaign.progress} <= {"hunting", "shrinking"}


def test_output_goes_to_the_logs(campaign: Campaign) -> None:
    logs = "".join(log.read_text() for log in campaign.folder.glob("*.log"))
    assert "dies" in logs
    kept = {Path(result.file).name for result in campaign.results if result.file}
    assert {file.name for file in campaign.folder.glob("*.json")} == kept, "no drafts, no rests"


def test_an_interruption_keeps_results_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            started.append(self)

    monkeypatch.setattr(child.subprocess, "Popen", Popen)  # type: ignore[attr-defined]

    def interrupt(number: int, result: Result) -> None:
        signal.raise_signal(signal.SIGINT)

    jobs = [job("Endless"), job("Calm", executions=10**9)]
    # whoever was started in the background ignores the signal
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(Interrupted) as caught:
            run_jobs(jobs, workers=2, cases=tmp_path, on_result=interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    done, running = caught.value.results
    assert done.verdict.status == "violated"
    assert running.verdict.reason.startswith("interrupted")
    assert started
    assert all(process.returncode is not None for process in started)


def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = (
        "from pathlib import Path; from isomodel.search.campaign.campaign import run_jobs; "
        "from isomodel.search.campaign.jobs import Job; "
        f"run_jobs([Job('hostile_targets:Lingers', path={HOSTILE!r})], workers=1, "
        f"cases=Path({str(tmp_path)!r}), stall=60)"
    )
    environ = {**os.environ, "HOSTILE_MARK": str(mark), "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], env=environ) as parent:
        wait_until(lambda: mark.exists() and bool(mark.read_text()))
        parent.kill()
    worker = int(mark.read_text())
    wait_until(lambda: not alive(worker))


def wait_until(happened: Any) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        pass
    if Path("/proc").exists():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


# The journal


def test_the_journal_is_seen_from_the_other_side(tmp_path: Path) -> None:
    ours, theirs = Journal(tmp_path / "j"), Journal(tmp_path / "j")
    theirs.enter(Phase.HUNTING)
    theirs.begin(7)
    theirs.beat()
    assert (ours.phase, ours.index, ours.beats, ours.since) == (Phase.HUNTING, 7, 3, 2)


def test_last_words_name_the_code_under_test(tmp_path: Path) -> None:
    words = tmp_path / "words"
    library, ours = json.__file__, cases.__file__
    words.write_text(
        f'task bob.1\nFatal Python error: Aborted\n\n  File "{library}", line 1 in loads\n'
        f'  File "/app/pool.py", line 12 in take\n  File "{ours}", line 3 in rejudge\n'
    )
    assert read_last_words(words) == Place("bob.1", "/app/pool.py:12 in take")
    assert read_last_words(tmp_path / "none") == Place()
    assert "out of memory" in ending(-9, Place())


# Cases


@pytest.fixture
def case(campaign: Campaign) -> Case:
    case = campaign["Leaks"].case
    assert case is not None
    return case


def test_a_case_is_saved_whole_or_not_at_all(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = cases.save(case, tmp_path / "new" / "folder")
    assert place == cases.save(case, place.parent)
    assert cases.load(place) == case
    assert place.name.startswith("hostile_targets-Leaks-noninterference-")
    before = place.read_bytes()

    def no_space(handle: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="no space"):
        cases.save(case, place.parent)
    assert [(file.name, file.read_bytes()) for file in place.parent.iterdir()] == [
        (place.name, before)
    ]


def test_what_is_no_json_does_not_lose_the_case(case: Case, tmp_path: Path) -> None:
    finding = msgspec.structs.replace(case.finding, evidence={"seen": "\udcff"})
    kept = cases.save(msgspec.structs.replace(case, finding=finding), tmp_path)
    assert cases.load(kept).finding.evidence == {"seen": "'\\udcff'"}


def test_files_that_are_no_cases(case: Case, tmp_path: Path) -> None:
    cases.save(case, tmp_path)
    with pytest.raises(BadInput, match=r"no such case file; .* has hostile_targets-Leaks-"):
        cases.load(tmp_path / "none.json")
    with pytest.raises(BadInput, match="there is no folder"):
        cases.load(tmp_path / "no" / "none.json")
    with pytest.raises(BadInput, match="cannot be read"):
        cases.load(tmp_path)
    (tmp_path / "half.json").write_bytes(b'{"schema": 1, "targ')
    with pytest.raises(BadInput, match="not a case file"):
        cases.load(tmp_path / "half.json")


def without_effort(finding: Finding | None) -> Finding | None:
    """The finding without how many runs alone were tried, which shrinking is sparing with."""
    if finding is None:
        return None
    evidence = {key: value for key, value in finding.evidence.items() if key != "tried"}
    return msgspec.structs.replace(finding, evidence=evidence)


def test_rejudging_finds_the_same_failure_until_it_is_repaired(case: Case) -> None:
    leaks, calm = (resolve(f"hostile_targets:{name}", HOSTILE) for name in ("Leaks", "Calm"))
    with session():
        execution, finding = cases.rejudge(case, leaks)
    assert without_effort(finding) == without_effort(case.finding)
    assert not execution.diverged
    cases.fits(case, leaks)
    with pytest.raises(BadInput, match="is not declared by hostile_targets:Calm"):
        cases.fits(case, calm)
