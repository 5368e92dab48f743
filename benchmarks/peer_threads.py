"""The peers' programs (a) to (g) in the form that their thread tools are given: plain functions.

As in the side-by-side comparison, ``time.sleep(0)`` stands where the others await I/O. (d2), one
interleaving of 3e11, is left out: nobody finds it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Program(NamedTuple):
    """What makes the state, what runs in a thread each, and what holds at the end."""

    setup: Callable[[], Any]
    bodies: Sequence[Callable[[Any], object]]
    check: Callable[[Any], bool]


class State:
    """Whatever a program puts there."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


# (a) lost update


def counts(s: State) -> None:
    seen = s.n
    time.sleep(0)
    s.n = seen + 1


# (b) check, then act: two users in one session slot


def logs_in(s: State, user: str, delay: int) -> None:
    for _ in range(delay):
        time.sleep(0)
    slot = s.free[0]
    time.sleep(0)
    s.free = [each for each in s.free if each is not slot]
    slot.owner = user
    s.session[user] = slot


# (c) an event of another user's through a pooled buffer: depth 3


def take(s: State) -> State:
    return s.pool.pop() if s.pool else State(data=None)


def release(s: State, user: str) -> None:
    buffer = s.leased.pop(user, None)
    if buffer is not None:
        s.pool.append(buffer)


def emits_a(s: State) -> None:
    buffer = take(s)
    s.leased["a"] = buffer
    buffer.data = "ev-a"
    time.sleep(0)
    time.sleep(0)
    s.out["a"].append(buffer.data)
    release(s, "a")


def expires_a(s: State) -> None:
    for _ in range(5):
        time.sleep(0)
    release(s, "a")


def emits_b(s: State) -> None:
    for _ in range(5):
        time.sleep(0)
    buffer = take(s)
    s.leased["b"] = buffer
    buffer.data = "ev-b"
    time.sleep(0)
    s.out["b"].append(buffer.data)
    release(s, "b")


# (d1) one order of 120


def logs(number: int) -> Callable[[State], None]:
    def body(s: State) -> None:
        for _ in range(3):
            time.sleep(0)
        s.log.append(number)

    return body


# (f) two locks in opposite order


def one_way(s: State) -> None:
    with s.one:
        time.sleep(0)
        with s.other:
            s.n += 1


def other_way(s: State) -> None:
    for _ in range(3):
        time.sleep(0)
    with s.other:
        time.sleep(0)
        with s.one:
            s.n += 1


# (g) correct


def adds_locked(s: State) -> None:
    for _ in range(3):
        with s.lock:
            s.n += 1


def adds_alone(name: str) -> Callable[[State], None]:
    def body(s: State) -> None:
        mine = getattr(s, name)
        for _ in range(3):
            mine.n += 1
            time.sleep(0)

    return body


BUGGY = {
    "a": Program(lambda: State(n=0), [counts, counts], lambda s: s.n == 2),
    "b": Program(
        lambda: State(free=[State(owner=None), State(owner=None)], session={}),
        [lambda s: logs_in(s, "a", 0), lambda s: logs_in(s, "b", 3)],
        lambda s: s.session["a"] is not s.session["b"],
    ),
    "c": Program(
        lambda: State(pool=[State(data=None)], leased={}, out={"a": [], "b": []}),
        [emits_a, expires_a, emits_b],
        lambda s: s.out == {"a": ["ev-a"], "b": ["ev-b"]},
    ),
    "d1": Program(
        lambda: State(log=[]),
        [logs(number) for number in range(5)],
        lambda s: s.log != [3, 0, 4, 2, 1],
    ),
    "f": Program(
        lambda: State(one=threading.Lock(), other=threading.Lock(), n=0),
        [one_way, other_way],
        lambda s: s.n == 2,
    ),
}

CORRECT = {
    "g conflicting": Program(
        lambda: State(n=0, lock=threading.Lock()), [adds_locked] * 3, lambda s: s.n == 9
    ),
    "g independent": Program(
        lambda: State(p0=State(n=0), p1=State(n=0), p2=State(n=0)),
        [adds_alone(f"p{number}") for number in range(3)],
        lambda s: s.p0.n == s.p1.n == s.p2.n == 3,
    ),
}
