"""Scan: how many of the anti-patterns on its own page it tells from their mends, beside ruff.

The page's examples are ours, so that all of ours are found says little; what a peer that is not
made for many users finds of them says what the rules add. Ruff runs with all its rules for bugs,
asyncio and its own (B, ASYNC, RUF, PLE, PLW); a rule counts where it is broken by the bad example
and not by the good one.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.rows import Report, at_least, at_most, figure
from isomodel.scan.rules import RULES
from isomodel.scan.run import scan_source

PAGE = Path(__file__).parents[1] / "docs" / "scan.md"
EXAMPLES = re.compile(
    r"### (ISO\d+): .*?```python\n(# bad.*?)```.*?```python\n(# good.*?)```", re.DOTALL
)
PEER = "B,ASYNC,RUF,PLE,PLW"


def run(quick: bool) -> Report:
    """Scan both halves of every example."""
    examples = EXAMPLES.findall(PAGE.read_text(encoding="utf-8"))
    found = sum(rule in _ids(bad) for rule, bad, _ in examples)
    false = sum(bool(_ids(good)) for _, _, good in examples)
    peer = _of_ruff(examples)
    ours = len(examples)
    return Report(
        "scan",
        quick,
        f"the {ours} pairs of examples in docs/scan.md",
        (
            at_least("anti-patterns told from their mend", found, ours, "examples"),
            at_most("mends reported", false, 0, "examples"),
            figure("ruff: told from their mend", len(peer), "examples", note=", ".join(peer)),
            figure("isomodel over ruff", found / max(1, len(peer)), "times"),
        ),
    )


def _ids(source: str) -> set[str]:
    return {finding.rule for finding in scan_source("example.py", source, RULES)}


def _of_ruff(examples: list[tuple[str, str, str]]) -> list[str]:
    """The examples of which ruff reports the bad half by a rule that the good one keeps."""
    codes: dict[str, set[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for rule, bad, good in examples:
            Path(folder, f"{rule}-bad.py").write_text(bad, encoding="utf-8")
            Path(folder, f"{rule}-good.py").write_text(good, encoding="utf-8")
        options = ("--isolated", "--preview", "--select", PEER, "--output-format", "json")
        command = (sys.executable, "-m", "ruff", "check", *options, folder)
        output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    for each in json.loads(output):
        codes.setdefault(Path(each["filename"]).stem, set()).add(each["code"])
    return [
        rule
        for rule, _, _ in examples
        if codes.get(f"{rule}-bad", set()) - codes.get(f"{rule}-good", set())
    ]
