"""The pytest plugin: options, Hypothesis profiles, and counterexamples people can read.

It is loaded in every pytest run wherever isomodel is installed, so it imports nothing heavy until
a run turns out to need it, and leaves runs without isomodel as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from isomodel.bridges.options import OPTIONS

if TYPE_CHECKING:
    from isomodel.bridges.exploring import Explore
    from isomodel.values.schedule import RuntimeName

SECTION = "isomodel counterexample"
_BEFORE = pytest.StashKey[tuple[Path, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Our options."""
    group = parser.getgroup("isomodel", "isomodel: user isolation")
    group.addoption(
        "--isomodel-cases",
        metavar="DIR",
        default=None,
        help="folder for the case files of counterexamples (default: .isomodel/cases)",
    )
    group.addoption(
        "--isomodel-arm",
        metavar="DEFECT",
        default=None,
        help="arm this defect of the target in kept stories, to see them fail",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before Hypothesis loads the profile it was asked for, see that there is one."""
    if "hypothesis" in sys.modules or config.getoption("hypothesis_profile", None):
        from isomodel.bridges.profiles import register

        register()
    config.stash[_BEFORE] = (OPTIONS.cases, OPTIONS.arm)
    cases = config.getoption("isomodel_cases")
    if cases is not None:
        OPTIONS.cases = config.invocation_params.dir / cases
    OPTIONS.arm = config.getoption("isomodel_arm") or ""


def pytest_unconfigure(config: pytest.Config) -> None:
    """Put the options back: a pytest run may have been started inside another."""
    OPTIONS.cases, OPTIONS.arm = config.stash.get(_BEFORE, (OPTIONS.cases, OPTIONS.arm))


# Fixtures: ``explore(main)`` runs an async function under many schedules.


@pytest.fixture
def explore_asyncio() -> Explore:
    """Runs an async function on asyncio under many schedules (``bridges.exploring``)."""
    return _explore("asyncio")


@pytest.fixture
def explore_trio() -> Explore:
    """Runs an async function on trio under many schedules."""
    return _explore("trio")


@pytest.fixture
def explore_anyio() -> Explore:
    """Runs an async function that is written for anyio on asyncio, and then on trio."""
    return _explore("asyncio", "trio")


def _explore(*runtimes: RuntimeName) -> Explore:
    from isomodel.bridges.exploring import Explore

    return Explore(runtimes)


class Counterexample:
    """A failure's report: one line where a traceback would stand, all of it as text (JUnit)."""

    def __init__(self, where: str, story: str) -> None:
        self.where = where
        self.story = story

    def __str__(self) -> str:
        return self.story

    def toterminal(self, tw: Any) -> None:
        """What pytest shows above the report sections."""
        tw.line(f"{self.where}: {self.story.splitlines()[0]}", red=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the explained counterexample instead of a traceback through our own code."""
    report = yield
    from isomodel.values.errors import Violated

    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, Violated) and report.failed:
        story = str(error)
        report.longrepr = Counterexample(item.nodeid, story)  # type: ignore[assignment]
        report.sections.insert(0, (SECTION, story))
    return report
