"""Hunt each released bug in the version that has it and in the one that has not.

python examples/realbugs/run.py [PACKAGE ...] [--keep] [-- OPTIONS OF isomodel hunt]

Each version gets a virtual environment of its own below ``.venvs``, made once. The same target,
with default settings, must find the bug in the one and not in the other; its counterexample
(``case.json`` and a test beside the target) must fail in the one and pass in the other. ``--keep``
replaces the stored counterexamples by the ones just found. Exits 1 if anything is not
as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from bugs import BUGS, HERE, Bug

ROOT = HERE.parents[1]
VIOLATED = 1


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="which (default: all)")
    parser.add_argument("--keep", action="store_true", help="store the counterexamples found")
    ours, theirs = _split(sys.argv[1:])
    options = parser.parse_args(ours)
    known = {bug.name or bug.package: bug for bug in BUGS}
    for name in options.packages:
        if name not in known:
            print(f"no such bug: {name}; there are {', '.join(known)}", file=sys.stderr)
            return 2
    chosen = [known[name] for name in options.packages] or list(BUGS)
    make_all(chosen)
    results = [tried(bug, theirs, options.keep) for bug in chosen]
    print(table(results))
    return 0 if all(result.as_it_should_be for result in results) else 1


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What is for this script, and what follows ``--``, for ``isomodel hunt``."""
    if "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def make_all(bugs: Sequence[Bug]) -> None:
    """Make the environments of these bugs, two at a time."""
    jobs = [(bug, version) for bug in bugs for version in (bug.bad, bug.good)]
    with ThreadPoolExecutor(2) as makers:
        list(makers.map(lambda job: make(*job), jobs))


def make(bug: Bug, version: str) -> None:
    """Make the environment of this version, if it is not there yet."""
    venv = bug.environment(version)
    if (venv / "complete").exists():
        return
    print(f"making {venv.relative_to(ROOT)}", file=sys.stderr)
    _call(sys.executable, "-m", "venv", "--clear", str(venv))
    pip = (str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet")
    project = ("--editable", f"{ROOT}[pytest]")
    _call(*pip, "--disable-pip-version-check", *bug.requirements(version), *project)
    (venv / "complete").touch()


@dataclass(frozen=True)
class Tried:
    """How the two hunts, and the stored counterexample in both versions, went."""

    bug: Bug
    bad: dict[str, Any]
    good: dict[str, Any]
    by_noninterference: bool
    regression: str

    @property
    def as_it_should_be(self) -> bool:
        """Found in the bad version, and the same failure not in the good one."""
        caught = self.bad["exit"] == VIOLATED and self.silence.startswith(("ok", "other"))
        return caught and self.regression == "fails, passes"

    @property
    def silence(self) -> str:
        """What the hunt in the good version says: another failure is not this bug's."""
        if self.good["exit"] != VIOLATED or self.bad["exit"] != VIOLATED:
            return str(self.good["verdict"]["status"])
        here, there = found(self.bad)["finding"], found(self.good)["finding"]
        if all(here[key] == there[key] for key in ("property", "operation")):
            return "VIOLATED"
        return f"other: {there['property']}, {'/'.join(found(self.good)['fidelities'])}"


def tried(bug: Bug, options: Sequence[str], keep: bool) -> Tried:
    """Both hunts, noninterference alone, and the stored counterexample."""
    bad = hunt(bug, bug.bad, options)
    alone = hunt(bug, bug.bad, [*options, "--oracles", "noninterference", "--no-shrink"])
    if keep and bad["exit"] == VIOLATED:
        store(bug, Path(found(bad)["case"]))
    good = hunt(bug, bug.good, options)
    return Tried(bug, bad, good, alone["exit"] == VIOLATED, regression(bug))


def hunt(bug: Bug, version: str, options: Sequence[str]) -> dict[str, Any]:
    """What ``isomodel hunt`` says of this version, as its JSON document."""
    print(f"hunting {bug.package} {version} {' '.join(options)}", file=sys.stderr)
    cases = bug.environment(version) / "cases"
    command = ("hunt", f"target:{bug.target}", "--cases", str(cases), *options, "--json")
    ran = _isomodel(bug, version, *command)
    return json.loads(ran.stdout)


def found(document: dict[str, Any]) -> dict[str, Any]:
    """The job that found something; under ``stock``, if that one did."""
    jobs = [job for job in document["results"] if job["finding"]]
    return min(jobs, key=lambda job: "stock" not in job["fidelities"])


def store(bug: Bug, case: Path) -> None:
    """Keep this counterexample beside the target, as a case file and as a test."""
    for former in bug.folder.glob("test_*.py"):
        former.unlink()
    stored = bug.folder / "case.json"
    stored.write_bytes(case.read_bytes())
    _isomodel(bug, bug.bad, "regress", str(stored), "--into", str(bug.folder))


def regression(bug: Bug) -> str:
    """What the stored test says of the bad version, and of the good one."""
    tests = [str(test) for test in bug.folder.glob("test_*.py")]
    if not tests:
        return "none stored: --keep"
    return ", ".join(_pytest(bug, version, tests) for version in (bug.bad, bug.good))


def _pytest(bug: Bug, version: str, tests: list[str]) -> str:
    words = ("-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", *tests)
    code = _python(bug, version, *words).returncode
    return {0: "passes", 1: "fails"}.get(code, f"exit code {code}")


def _isomodel(bug: Bug, version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    ran = _python(bug, version, "-m", "isomodel", *arguments)
    if ran.returncode not in (0, 1, 3):
        raise SystemExit(f"isomodel {' '.join(arguments)}\n{ran.stdout}{ran.stderr}")
    return ran


def _python(bug: Bug, version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(bug.environment(version) / "bin" / "python"), *arguments],
        cwd=bug.folder,
        env={**os.environ, "PYTHONPATH": str(bug.folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def _call(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{' '.join(command)}\n{ran.stdout}{ran.stderr}")


def lines_of(file: Path) -> int:
    """How long a file is, without empty lines and its docstring."""
    text = file.read_text(encoding="utf-8")
    if text.startswith('"""'):
        text = text.split('"""', 2)[2]
    return sum(1 for line in text.splitlines() if line.strip())


HEAD = ("package", "bad", "good", "found", "property", "alone", "runs", "s", "size", "good", "test")


def table(results: Sequence[Tried]) -> str:
    """One line for each package."""
    rows = [HEAD, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    text = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([*text, "", *LEGEND])


LEGEND = (
    "alone: whether noninterference finds it without any invariant; runs, s: executions and",
    "seconds until it is found; size: u users, o operations, s switches, f faults of what is left",
    "after shrinking; good: the hunt in the good version (docs/realbugs.md tells of its other",
    "failures); test: the stored counterexample in both",
)


def _row(result: Tried) -> tuple[str, ...]:
    bug, good = result.bug, result.silence
    alone = "found" if result.by_noninterference else "not"
    start = (bug.name or bug.package, bug.bad, bug.good)
    if result.bad["exit"] != VIOLATED:
        return (*start, "NOT FOUND", "", alone, "", "", "", good, result.regression)
    job = found(result.bad)
    size = "{users}u {operations}o {switches}s {faults}f".format(**job["size"])
    cost = (str(job["executions"]), f"{job['hunt_seconds']:.1f}")
    property_ = job["finding"]["property"]
    return (*start, "found", property_, alone, *cost, size, good, result.regression)


if __name__ == "__main__":
    sys.exit(main())
