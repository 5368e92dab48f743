"""Environments: that of the peers, and those of other interpreters, made when asked for.

    python -m benchmarks.peers install

puts the peers, isomodel and some heavy libraries into one environment, so that a comparison is
made under one interpreter.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PEERS = {
    "seedloop": "0.4.1",
    "simloop": "0.2.2",
    "simloom": "0.5.0",
    "frontrun": "0.7.0",
    "interleave-test": "0.1.0",
}
NEEDED = ("greenlet", "pytest", "redis>=8")
"""What isomodel's threads need, and what the peers' own programs and tests import."""

HEAVY = ("sqlalchemy", "aiohttp", "redis", "pandas")
"""Libraries that should not slow an execution down, only because they are imported."""

MINORS = (12, 13)
"""The Python versions that all of these peers support, the preferred one first."""


def environment(folder: str) -> Path:
    """The interpreter of this environment, there or not."""
    return ROOT / folder / "bin" / "python"


def installed() -> dict[str, str]:
    """The packages in the peers' environment, each with its version; none without it."""
    python = environment(".venv-peers")
    if not python.exists():
        return {}
    code = (
        "import importlib.metadata as m, json;"
        "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
    )
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    found: dict[str, str] = json.loads(answer.stdout) if answer.returncode == 0 else {}
    return found


def interpreter(minor: int) -> str | None:
    """A working Python 3.``minor`` that can make environments, if this machine has one."""
    for candidate in _candidates(f"python3.{minor}"):
        code = f"import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, {minor}))"
        try:
            answer = subprocess.run([candidate, "-c", code], capture_output=True, check=False)
        except OSError:
            continue
        if answer.returncode == 0:
            return candidate
    return None


def _candidates(name: str) -> Iterator[str]:
    """On the PATH, where it may be a shim that does not work, and beside our own."""
    yield sys.executable
    on_path = shutil.which(name)
    if on_path:
        yield on_path
    for found in sorted(Path(sys.base_prefix).parent.glob(f"*/bin/{name}")):
        yield str(found)


def make(folder: str, minors: Sequence[int], requirements: Sequence[str]) -> Path | None:
    """An environment with these packages, made now if need be; None if it cannot be."""
    python = environment(folder)
    if not python.exists():
        base = next(filter(None, map(interpreter, minors)), None)
        if base is None:
            return None
        subprocess.run([base, "-m", "venv", ROOT / folder], check=True)
    ready = python.parent.parent / "ready"
    if not ready.exists() or ready.read_text() != "\n".join(requirements):
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*command, *requirements], cwd=ROOT, check=False).returncode:
            return None
        ready.write_text("\n".join(requirements))
    return python


def install() -> Path | None:
    """The peers' environment."""
    wanted = [f"{name}=={version}" for name, version in PEERS.items()]
    return make(".venv-peers", MINORS, ["-e", ".", *wanted, *NEEDED, *HEAVY])


def with_python(minor: int) -> Path | None:
    """An environment with isomodel under Python 3.``minor``."""
    return make(f".venv-3.{minor}", [minor], ["-e", "."])


class Runner:
    """A process that measures on request (see ``benchmarks.runner``), in either environment."""

    def __init__(self, python: Path | str, *imports: str) -> None:
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.runner", *imports],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """One measurement."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the runner ended while it was asked for {request}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("command", choices=["install"])
    parser.parse_args()
    python = install()
    if python is None:
        versions = " or ".join(f"3.{minor}" for minor in MINORS)
        print(f"the peers need Python {versions} and a package index; not installed")
        return 1
    with Runner(python) as runner:
        print(f"installed under Python {runner.ask(do='version')['python']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
