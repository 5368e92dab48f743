"""Progress while jobs run: a live table on a terminal, elsewhere a line for each finished job."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from isomodel.edges.output import Screen
from isomodel.edges.report import finished
from isomodel.search.campaign.jobs import Job, Progress, Result


class Watch(Protocol):
    """Is told what happens to the jobs; ``done`` counts those that ended."""

    done: int

    def progress(self, now: Progress) -> None:
        """A job is this far."""
        ...

    def result(self, index: int, result: Result) -> None:
        """A job has ended."""
        ...


class Lines:
    """A line for each finished job."""

    def __init__(self, screen: Screen, names: list[str]) -> None:
        self.done = 0
        self._screen = screen
        self._names = names

    def progress(self, now: Progress) -> None:
        """Say nothing: a log is read afterwards."""

    def result(self, index: int, result: Result) -> None:
        """Say how it ended."""
        self.done += 1
        of = f"[{self.done}/{len(self._names)}]"
        self._screen.progress(f"{of} {self._names[index]}: {finished(result)}")


class Table:
    """A row for each running job, and one for all."""

    def __init__(self, bars: Bars, names: list[str], jobs: list[Job]) -> None:
        self.done = 0
        self._bars = bars
        self._all = bars.add_task("all jobs", total=len(jobs), what=f"0 of {len(jobs)} done")
        self._rows = [
            bars.add_task(name, total=_total(job), what="", visible=False, start=False)
            for name, job in zip(names, jobs, strict=True)
        ]
        self._began: dict[TaskID, float] = {}

    def progress(self, now: Progress) -> None:
        """Show how far it is, and how fast."""
        row = self._rows[now.job]
        if row not in self._began:
            self._began[row] = time.monotonic()
            self._bars.start_task(row)
        seconds = time.monotonic() - self._began[row]
        rate = f", {now.executions / seconds:,.0f}/s" if seconds > 0.5 else ""
        text = "shrinking" if now.phase == "shrinking" else f"{now.executions:,} executions{rate}"
        done = {"completed": now.executions} if now.phase == "hunting" else {}
        self._bars.update(row, visible=True, what=text, **done)  # type: ignore[arg-type]

    def result(self, index: int, result: Result) -> None:
        """Take its row away."""
        self.done += 1
        self._bars.update(self._rows[index], visible=False)
        total = len(self._rows)
        self._bars.update(self._all, completed=self.done, what=f"{self.done} of {total} done")


def _total(job: Job) -> float | None:
    return job.executions if job.seconds is None else None


@contextmanager
def watching(screen: Screen, names: list[str], jobs: list[Job]) -> Iterator[Watch]:
    """A watch on these jobs, in the form that fits where progress goes."""
    if not screen.live:
        yield Lines(screen, names)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[what]}"),
    )
    with Bars(*columns, console=screen.errors, transient=True) as bars:
        yield Table(bars, names, jobs)
