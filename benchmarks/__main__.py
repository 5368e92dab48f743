"""The command: run one benchmark or all, show the table, write the JSON."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from benchmarks import rows
from benchmarks.runtimes import PARTS

NAMES = (
    "defects",
    "catalogue",
    "mutants",
    "soundness",
    "shrink",
    "replay",
    "speed",
    "programs",
    "sct",
    "prove",
    "kits",
    "runtimes",
    "realbugs",
    "scan",
)


def _known() -> str:
    return f"{', '.join(NAMES)}; all; or a part of runtimes: {', '.join(PARTS)}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*NAMES, *PARTS, "all"], metavar="NAME", help=_known())
    parser.add_argument("--quick", action="store_true", help="a smaller sample, under 50 seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    options = parser.parse_args()
    names = NAMES if options.name == "all" else (options.name,)
    reports = []
    for name in names:
        report = importlib.import_module(f"benchmarks.{name}").run(options.quick)
        rows.show(report)
        reports.append(report)
        if options.json is not None:
            rows.write(reports, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
