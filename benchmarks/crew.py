"""Work spread over a few processes, until it is done or the time is up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import Any, TypeVar

WORKERS = 2

Input = TypeVar("Input")
Output = TypeVar("Output")


def spread(
    work: Callable[[Input], Output], inputs: Iterable[Input], seconds: float | None = None
) -> Iterator[tuple[Input, Output]]:
    """Each input with its result, as they come; none is begun once ``seconds`` have passed."""
    deadline = None if seconds is None else time.monotonic() + seconds
    waiting = iter(inputs)
    running: dict[Future[Any], Input] = {}
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        while True:
            while len(running) < WORKERS + 1:  # one waits, so that none is idle
                if deadline is not None and time.monotonic() > deadline:
                    break
                each = next(waiting, None)
                if each is None:
                    break
                running[pool.submit(work, each)] = each
            if not running:
                return
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield running.pop(future), future.result()
