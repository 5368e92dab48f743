"""A worker process as its parent sees it: started, asked, watched, and buried.

Processes are made from scratch, never forked, so that they inherit nothing and ``__main__`` is
not run again. Each leads a process group of its own, that ends with it. POSIX only.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Pipe
from pathlib import Path

from isomodel.search.campaign.journal import Journal, Phase, Place, ending, read_last_words
from isomodel.search.campaign.requests import Answer, Escaped, Found, Request, ended_by
from isomodel.search.judging.judge import CRASH
from isomodel.values.scenario import Scenario
from isomodel.values.verdict import Finding

NO_BLOCK = "no block"

STALL = 10.0
"""Seconds without any progress after which a worker counts as blocked."""

STARTING_LIMIT = 60.0
"""Seconds that importing a target may take."""

TICK = 0.1
"""Seconds between two looks at a worker."""

LOG_LIMIT = 16_000_000
"""Bytes of a worker's output that are kept."""


class Stopped(Exception):
    """The campaign is to end."""


class Death(Exception):
    """A worker died, blocked, or was about to end itself.

    ``kind`` tells deaths apart: equal kinds are the same failure.
    """

    def __init__(
        self, kind: str, phase: Phase, index: int, place: Place, inputs: bytes = b""
    ) -> None:
        self.kind = kind
        self.phase = phase
        self.index = index
        self.place = place
        self.inputs = inputs
        super().__init__(f"{kind} at {place.where}" if place.where else kind)

    @property
    def blocked(self) -> bool:
        """Whether it stood still, and was ended by its parent."""
        return self.kind.startswith("blocked")

    def finding(self, scenario: Scenario, doubt: str = "") -> Finding:
        """This death as a broken property of an execution of the scenario."""
        label = self.place.task.partition("/")[0]
        mine = [operation for operation in scenario.operations if operation.label == label]
        who = f"{label} ({mine[0].name}) of {mine[0].user}: " if mine else ""
        return Finding(
            property=NO_BLOCK if self.blocked else CRASH,
            message=f"{who}{self} during this execution{doubt}",
            user=mine[0].user if mine else "",
            operation=mine[0].name if mine else "",
            label=label if mine else "",
            evidence={"how": self.kind, "where": self.place.where, "task": self.place.task},
        )


_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from isomodel.search.campaign.worker import main; main(*sys.argv[2:])"
)


class Child:
    """A worker process, as its parent sees it: asked one thing at a time."""

    def __init__(self, crew: Crew, name: str, hash_seed: int) -> None:
        self._crew = crew
        self._log = crew.cases / f"{name}.log"
        stem = crew.scratch / f"{next(crew.numbers)}"
        self._words = stem.with_suffix(".words")
        self._gone = False
        pages = stem.with_suffix(".journal")
        self.journal = Journal(pages)
        self._line, theirs = Pipe()
        life, self._life = os.pipe()
        handles = (theirs.fileno(), life)
        arguments = [json.dumps(sys.path), *map(str, (*handles, pages, self._words))]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONUNBUFFERED": "1"},
                pass_fds=handles,
                start_new_session=True,
            )
        theirs.close()
        os.close(life)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, and whatever processes it has started."""
        self._kill()
        self._line.close()
        os.close(self._life)
        self.journal.close()

    def _kill(self) -> None:
        if self._gone:  # its number may be another's by now
            return
        self._gone = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def ask(
        self,
        request: Request,
        *,
        stall: float | None = None,
        heard: Callable[[Found], None] = lambda found: None,
        look: Callable[[Journal], None] = lambda journal: None,
    ) -> Answer:
        """The last answer to a request. Raises Death if there is none, Stopped at the end.

        ``heard`` gets what was found on the way, ``look`` the journal, several times a second.
        """
        stall = self._crew.stall if stall is None else stall
        beats, since = self.journal.beats, time.monotonic()
        try:
            self._line.send(request)
            while True:
                if self._line.poll(TICK):
                    answer = self._line.recv()
                    if not isinstance(answer, Found):
                        return self._alive(answer)
                    heard(answer)
                if self._crew.stop.is_set():
                    raise Stopped
                if self.journal.beats != beats:
                    beats, since = self.journal.beats, time.monotonic()
                elif time.monotonic() - since > self._patience(stall):
                    raise self._blocked(stall)
                if self._process.poll() is not None and not self._line.poll(0):
                    raise self._dead()
                look(self.journal)
                self._trim_log()
        except (EOFError, OSError):
            raise self._dead() from None

    def _alive(self, answer: Answer) -> Answer:
        if isinstance(answer, Escaped):
            place = Place(where=answer.where)
            raise self._death(ended_by(answer), place)
        return answer

    def _patience(self, stall: float) -> float:
        starting = self.journal.phase in (Phase.IDLE, Phase.STARTING)
        return max(stall, STARTING_LIMIT) if starting else stall

    def _blocked(self, stall: float) -> Death:
        """Have it say where it is, and end it."""
        with contextlib.suppress(OSError):
            os.write(self._life, b"?")
            time.sleep(TICK)
            self._process.send_signal(signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        self._kill()
        kind = f"blocked the event loop for {stall:g} s"
        return self._death(kind, read_last_words(self._words))

    def _dead(self) -> Death:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        self._kill()
        place = read_last_words(self._words)
        kind = ending(self._process.returncode, place)
        return self._death(kind, place)

    def _death(self, kind: str, place: Place) -> Death:
        journal = self.journal
        return Death(kind, journal.phase, journal.index, place, journal.inputs)

    def _trim_log(self) -> None:
        with contextlib.suppress(OSError):
            if self._log.stat().st_size > LOG_LIMIT:
                os.truncate(self._log, 0)


class Crew:
    """What the processes of a campaign have in common: folders, patience, the sign to stop."""

    def __init__(self, cases: Path, stall: float) -> None:
        self.cases = cases
        self.stall = stall
        self.stop = threading.Event()
        self.numbers = itertools.count(1)
        self._scratch = tempfile.TemporaryDirectory(prefix="isomodel-", ignore_cleanup_errors=True)
        self.scratch = Path(self._scratch.name)

    def __enter__(self) -> Crew:
        self.cases.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.cleanup()
        for log in self.cases.glob("*.log"):
            with contextlib.suppress(OSError):
                if not log.stat().st_size:
                    log.unlink()

    def child(self, name: str, hash_seed: int = 0) -> Child:
        """A new worker process, which imports what it needs when it is asked."""
        return Child(self, name, hash_seed)
