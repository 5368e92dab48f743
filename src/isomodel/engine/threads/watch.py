"""The watch: notices, from a real thread, that a thread of ours does not come back.

All threads of an execution share one OS thread, so whoever blocks it (a socket, a lock in C, a
subprocess) or never comes to a point (an endless computation) stops them all. After ``patience``
seconds without a step the execution ends with an alarm that says where that was. The thread is
brought back by an exception: from a signal handler where it is the process's main thread, which
interrupts waiting too, or else as soon as it runs Python code again.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
import time
from _thread import start_new_thread
from time import monotonic, sleep
from typing import Any

from isomodel.engine.threads.crew import Crew
from isomodel.engine.threads.here import here
from isomodel.engine.threads.members import Ended
from isomodel.engine.threads.where import line_of

PATIENCE = 10.0

BUSY = 0.02
"""Of the time, how much a thread uses at least that runs and does not wait; machines are shared."""

_SIGNAL = getattr(signal, "SIGURG", None)
"""A signal that by default does nothing."""


class Watch:
    """Watches the executions of this process between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self.patience = PATIENCE
        self._number = 0
        self._handler: Any = None
        self._stuck: Crew | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._number += 1
        if _SIGNAL is not None and threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(_SIGNAL, self._interrupt)
        start_new_thread(self._look, (self._number,))

    def stop(self) -> None:
        """Watch no more."""
        self._number += 1
        if self._handler is not None:
            signal.signal(_SIGNAL, self._handler)  # type: ignore[arg-type]
            self._handler = None

    def _look(self, number: int) -> None:
        seen: tuple[object, int] = (None, -1)
        since, used = monotonic(), 0.0
        while number == self._number:
            sleep(min(1.0, self.patience / 4))
            crew = here.crew
            now = (crew, crew.steps if crew is not None else 0)
            if crew is None or now != seen:
                seen, since, used = now, monotonic(), _cpu_time(crew)
            elif monotonic() - since > self.patience and number == self._number:
                self._alarm(crew, _cpu_time(crew) - used > BUSY * self.patience)
                since = monotonic()

    def _alarm(self, crew: Crew, moves: bool) -> None:
        frame = sys._current_frames().get(crew.os_thread)
        does = (
            "runs on without touching anything that is shared"
            if moves
            else "blocks in something that is not under control"
        )
        crew.alarm(
            f"{crew.label()} {does}, at {line_of(frame)}, for more than {self.patience:g} s; "
            "leave that call out of the program, or put a stand-in there"
        )
        self._stuck = crew
        if self._handler is not None:
            assert _SIGNAL is not None
            signal.pthread_kill(crew.os_thread, _SIGNAL)
        else:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(crew.os_thread), ctypes.py_object(Ended)
            )

    def _interrupt(self, number: int, frame: Any) -> None:
        crew = here.crew
        if crew is not None and crew is self._stuck:
            raise Ended


def _cpu_time(crew: Crew | None) -> float:
    """What the OS thread of this crew has used of a processor so far, in seconds."""
    if crew is None or not hasattr(time, "pthread_getcpuclockid"):
        return 0.0
    return time.clock_gettime(time.pthread_getcpuclockid(crew.os_thread))
