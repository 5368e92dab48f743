"""Replay: an execution is a function of its inputs, in any process and under any hash seed.

Across Python versions the standard library's own steps may differ, so there a case has to reach
the same verdict, or the report names the step at which it parts.

    python -m benchmarks.replay digests SEED FIRST COUNT
    python -m benchmarks.replay cases FILE...

are what the other processes run; they answer in JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.defects import target
from benchmarks.peers import ROOT, environment, with_python
from benchmarks.rows import Report, Row, at_least, figure
from isomodel.search import cases
from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.running.execute import session
from isomodel.search.shrinking.shrink import Shrinker
from isomodel.targets.factory.defects_414 import OF_THE_ISSUE
from isomodel.targets.resolve import resolve
from isomodel.values.execution import Execution

COUNT, FEW = 1_000, 300
MINORS = (12, 13)
KEPT = ROOT / "tests" / "regression" / "cases"

ISSUE = [each.id for each in OF_THE_ISSUE]


def digests(seed: int, first: int, count: int) -> list[str]:
    """A hash of what each of these executions did, and of what its users saw."""
    with session():
        explorer = Explorer(target(), seed=seed)
        out = []
        for index in range(first, first + count):
            draw = explorer.draw(index)
            execution = explorer.run(draw)
            explorer.learn(draw, execution)
            out.append(_digest(execution))
        return out


def _digest(execution: Execution) -> str:
    content = (execution.trace, execution.observations, execution.facts)
    text = msgspec.json.encode(content, enc_hook=repr)
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def replayed(files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """For each case: whether it still fails the same way, and every step it took."""
    answers = {}
    with session():
        for file in files:
            case = cases.load(file)
            execution, finding = cases.rejudge(case, resolve(case.target))
            answers[file.name] = {
                "same": finding is not None,
                "diverged": execution.diverged,
                "steps": [f"{step.task} {step.what}" for step in execution.trace],
            }
    return answers


def run(quick: bool) -> Report:
    """The rows: another process, then other versions."""
    count = FEW if quick else COUNT
    rows = [*_other_process(count)]
    with tempfile.TemporaryDirectory() as folder:
        files = sorted(KEPT.glob("*.json")) if KEPT.is_dir() else []
        source = "kept in the tests"
        if not files:
            source = "found just now: the tests keep none"
            files = made(Path(folder), ISSUE[:6] if quick else ISSUE)
        here = replayed(files)
        version = platform.python_version()
        same = sum(answer["same"] for answer in here.values())
        what = f"cases that fail as recorded, {version}"
        rows.append(at_least(what, same, len(files), f"of {len(files)} cases", note=source))
        for minor in MINORS:
            if sys.version_info[:2] != (3, minor):
                rows += _other_version(minor, files, here, count, quick)
    sample = f"{count:,} executions, {len(files)} cases"
    return Report("replay", quick, sample, tuple(rows))


def made(folder: Path, defects: Sequence[str]) -> list[Path]:
    """A shrunk case of each defect, where no files are kept."""
    files = []
    with session():
        for defect in defects:
            outcome = Explorer(target(), armed=(defect,)).hunt(Budget(2_000))
            if outcome.execution is not None and outcome.finding is not None:
                case = Shrinker(target(), (defect,)).shrink(outcome.execution, outcome.finding)
                files.append(cases.save(case, folder))
    return files


def _other_process(count: int) -> Iterator[Row]:
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    other = _start(sys.executable, seed, "digests", "0", "0", str(count))
    ours = digests(0, 0, count)
    theirs = _answer(other)
    same = sum(one == two for one, two in zip(ours, theirs, strict=True))
    yield at_least(
        "identical in another process, other hash seed", same, count, f"of {count:,} executions"
    )
    again = digests(0, 0, min(count, 100))
    same = sum(one == two for one, two in zip(ours, again, strict=False))
    yield at_least(
        "identical when repeated in this process", same, len(again), f"of {len(again)} executions"
    )
    kinds = len(set(ours))
    yield figure("of these, different from each other", kinds, f"of {count:,} executions")


def _other_version(
    minor: int, files: Sequence[Path], here: dict[str, Any], count: int, quick: bool
) -> Iterator[Row]:
    what = f"cases that fail as recorded, Python 3.{minor}"
    folder = f".venv-3.{minor}"
    there = environment(folder).exists()
    python = environment(folder) if quick and there else None if quick else with_python(minor)
    if python is None:
        note = "no environment yet; run without --quick" if quick else "no such interpreter"
        yield figure(what, None, f"of {len(files)} cases", note=note)
        return
    names = [str(file) for file in files]
    answers: dict[str, Any] = _answer(_start(str(python), "3", "cases", *names))
    same = [name for name, answer in answers.items() if answer["same"]]
    parted = [_parting(name, here[name], answers[name]) for name in answers if name not in same]
    silent = [text for text in parted if not text]
    yield at_least(
        what, len(same), len(files), f"of {len(files)} cases", note="; ".join(filter(None, parted))
    )
    if parted:
        yield at_least(
            f"the others name the step where they part, Python 3.{minor}",
            len(parted) - len(silent),
            len(parted),
            f"of {len(parted)} cases",
        )
    identical = sum(answers[name]["steps"] == here[name]["steps"] for name in answers)
    yield figure(f"cases with the same steps, 3.{minor}", identical, f"of {len(files)} cases")
    ours = digests(0, 0, min(count, 200))
    theirs = _answer(_start(str(python), "3", "digests", "0", "0", str(len(ours))))
    equal = sum(one == two for one, two in zip(ours, theirs, strict=True))
    yield figure(f"executions with the same steps, 3.{minor}", equal, f"of {len(ours)} executions")


def _parting(name: str, one: dict[str, Any], two: dict[str, Any]) -> str:
    """The first step at which two replays of one case differ; "" if there is none."""
    longest = max(len(one["steps"]), len(two["steps"]))
    for step in range(longest):
        first = one["steps"][step] if step < len(one["steps"]) else "the end"
        second = two["steps"][step] if step < len(two["steps"]) else "the end"
        if first != second:
            return f"{name} parts at step {step + 1}: {first} here, {second} there"
    return ""


def _start(python: str, hash_seed: str, *arguments: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join((str(ROOT), str(ROOT / "src")))
    return subprocess.Popen(
        [python, "-m", "benchmarks.replay", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        text=True,
    )


def _answer(process: subprocess.Popen[str]) -> Any:
    text, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"another process failed: {process.args}")
    return json.loads(text)


def main() -> None:
    command, *arguments = sys.argv[1:]
    if command == "digests":
        seed, first, count = map(int, arguments)
        print(json.dumps(digests(seed, first, count)))
    else:
        print(json.dumps(replayed(map(Path, arguments))))


if __name__ == "__main__":
    main()
