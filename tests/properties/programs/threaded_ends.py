"""Threads at their end: finalisers that wait, and bodies that swallow what is to end them."""

from __future__ import annotations

import contextvars
import queue
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

LOCAL = threading.local()


class Dying:
    """Counts, under a lock, how many of it are gone."""

    lock = threading.Lock()
    gone = 0

    def __del__(self) -> None:
        with Dying.lock:
            Dying.gone += 1


class Careless(Dying):
    """The same without the lock."""

    def __del__(self) -> None:
        Dying.gone += 1


class State:
    def __init__(self) -> None:
        Dying.gone = 0
        self.queue: queue.Queue[int] = queue.Queue()
        self.seen: list[Any] = []

    def two_are_gone(self) -> bool:
        return Dying.gone == 2


def keeps_one_to_itself(state: State) -> None:
    LOCAL.mine = Dying()
    time.sleep(0)


def workers_keep_some(state: State) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(keeps_one_to_itself, [state] * 4))


def drops_one(state: State) -> None:
    thing = Dying()
    del thing


def drops_one_carelessly(state: State) -> None:
    thing = Careless()
    del thing


def waits_in_a_finaliser(state: State) -> None:
    thing = Dying()
    with Dying.lock:
        del thing


def swallows(state: State) -> None:
    while True:
        try:
            state.queue.get()
        except BaseException as error:
            state.seen.append(error)


def leaves_one_that_swallows(state: State) -> None:
    threading.Thread(target=swallows, args=(state,), daemon=True).start()


def waits_for_news(state: State) -> None:
    state.queue.get()


VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def leaves_something(seen: list[Any]) -> None:
    seen.append((VARIABLE.get(), getattr(LOCAL, "left", None), sys.exc_info()[0]))
    VARIABLE.set("left")
    LOCAL.left = "left"
    try:
        raise ValueError
    except ValueError:
        time.sleep(0)


def looks_for_what_was_left(state: State) -> None:
    for _ in range(3):
        threads = [threading.Thread(target=leaves_something, args=(state.seen,)) for _ in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert state.seen == [("unset", None, None)] * 6


def never_begins(state: State) -> None:
    threading.Thread(target=state.seen.append, args=(1,), daemon=True).start()
    assert state.seen in ([], [1])
