"""Kits over asyncio's primitives and current releases: what is found, and whether it is explained.

The targets are those of ``examples/kits``, one module for each package; a module whose package is
not installed is passed over and named. What is known of a target stands in its ``KNOWN``: the
property that breaks, and the page that explains it. Anything else that is found is unexplained.
The program on each page is run, and has to print under ``asyncio.run`` what the page says.
"""

from __future__ import annotations

import importlib
import logging
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.crew import WORKERS, spread
from benchmarks.rows import ABSENT, Report, Row, at_most, figure
from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.running.execute import session
from isomodel.targets.declare import spec_of
from isomodel.values.schedule import Fidelity

ROOT = Path(__file__).parents[1]
TARGETS = ROOT / "examples" / "kits"
EACH, QUICK = 4_000, 50
SECONDS_QUICK = 45.0


class Hunt(msgspec.Struct, frozen=True):
    """A hunt for one target under one fidelity."""

    module: str
    target: str
    fidelity: Fidelity
    executions: int


class Hunted(msgspec.Struct, frozen=True):
    """What came of it: ``status``, and the property and message of what was found."""

    status: str
    property: str
    message: str
    executions: int
    seconds: float


class Known(msgspec.Struct, frozen=True):
    """A finding that is explained: how it shows, and on which page."""

    property: str
    starts: str
    page: str


def modules() -> list[str]:
    return sorted(path.stem for path in TARGETS.glob("*.py"))


def load(module: str) -> Any:
    """The module of targets; raises ImportError where its package is missing."""
    if str(TARGETS) not in sys.path:
        sys.path.insert(0, str(TARGETS))
    return importlib.import_module(module)


def targets(module: Any) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and hasattr(value, "together")
    ]


def known(module: Any, target: str) -> list[Known]:
    return [Known(*each) for each in getattr(module, "KNOWN", {}).get(target, ())]


def hunt(job: Hunt) -> Hunted:
    """Hunt until a finding or the end; what the packages log of the faults is not ours."""
    logging.disable(logging.CRITICAL)
    cls = getattr(load(job.module), job.target)
    start = time.process_time()
    with session():
        explorer = Explorer(spec_of(cls), seed=0, fidelities=(job.fidelity,))
        outcome = explorer.hunt(Budget(job.executions))
    finding = outcome.finding
    return Hunted(
        outcome.verdict.status,
        finding.property if finding else "",
        finding.message if finding else outcome.verdict.reason,
        outcome.verdict.executions,
        time.process_time() - start,
    )


def run(quick: bool) -> Report:
    """A row for each target, and how many findings nobody has explained."""
    rows: list[Row] = []
    jobs: list[Hunt] = []
    for name in modules():
        try:
            module = load(name)
        except ImportError as error:
            rows.append(figure(name, None, note=f"{ABSENT}: {error.name}"))
            continue
        jobs += [
            Hunt(name, target, fidelity, QUICK if quick else EACH)
            for target in targets(module)
            for fidelity in ("stock", "portable")
        ]
    done = list(spread(hunt, jobs, SECONDS_QUICK if quick else None))
    unexplained = unknown = explained = 0
    for job, hunted in sorted(done, key=lambda pair: (pair[0].module, pair[0].target)):
        page = _page(job, hunted)
        rows.append(_row(job, hunted, page))
        unexplained += hunted.status == "violated" and not page
        explained += bool(page)
        unknown += hunted.status == "unknown"
    rows.append(figure("hunts, of a target under a fidelity", len(done), f"of {len(jobs)}"))
    rows.append(figure("findings explained", explained))
    rows.append(at_most("findings unexplained", unexplained, 0))
    rows.append(figure("unknown", unknown))
    rows.append(_programs())
    sample = f"up to {QUICK if quick else EACH:,} executions each, {WORKERS} processes"
    return Report("kits", quick, sample, tuple(rows))


def _page(job: Hunt, hunted: Hunted) -> str:
    """The page that explains this finding, if there is one."""
    for each in known(load(job.module), job.target):
        fits = hunted.property == each.property and each.starts in hunted.message
        if hunted.status == "violated" and fits and (ROOT / each.page).exists():
            return each.page
    return ""


def _row(job: Hunt, hunted: Hunted, page: str) -> Row:
    what = f"{job.module} {job.target}, {job.fidelity}"
    note = "" if hunted.status == "ok" else page or hunted.message
    value = hunted.property if hunted.status == "violated" else hunted.status
    return figure(what, value, f"after {hunted.executions:,}", note=note)


PROGRAM = re.compile(r"```python\n(.*?)```\n\n```\n(.*?)```", re.DOTALL)


def shows(page: Path) -> bool:
    """Whether the page's program prints what the page says that it prints."""
    program = PROGRAM.search(page.read_text(encoding="utf-8"))
    if program is None:
        return False
    ran = subprocess.run(
        [sys.executable, "-c", program[1]], capture_output=True, text=True, timeout=60, check=False
    )
    return ran.stdout == program[2]


def _programs() -> Row:
    pages = sorted((ROOT / "docs" / "findings").glob("*.md"))
    silent = [page.stem for page in pages if not shows(page)]
    note = f"not shown here (package or version): {', '.join(silent)}" if silent else ""
    what = f"findings whose program shows them under asyncio.run, of {len(pages)}"
    return figure(what, len(pages) - len(silent), note=note)
