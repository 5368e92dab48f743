"""Threaded programs: bodies, setups and checks, in pairs of which one is wrong."""

from __future__ import annotations

import asyncio
import calendar
import concurrent.futures
import queue
import socket
import sqlite3
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

TAKEN = threading.Lock()
BEFORE = threading.Lock()
AGAIN = threading.RLock()
CONDITION = threading.Condition()
LOCAL = threading.local()
QUEUE: queue.SimpleQueue[int] = queue.SimpleQueue()


class Counter:
    def __init__(self) -> None:
        self.n = 0
        self.lock = threading.Lock()
        self.other = threading.Lock()
        self.seen: list[Any] = []

    def is_two(self) -> bool:
        return self.n == 2


def adds(counter: Counter) -> None:
    counter.n += 1


def adds_locked(counter: Counter) -> None:
    with counter.lock:
        counter.n += 1


def one_way(counter: Counter) -> None:
    with counter.lock, counter.other:
        counter.n += 1


def other_way(counter: Counter) -> None:
    with counter.other, counter.lock:
        counter.n += 1


def counts_in_a_closure() -> None:
    n = 0

    def more() -> None:
        nonlocal n
        n += 1

    threads = [threading.Thread(target=more) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert n == 2


def looks_while_it_changes(counter: Counter) -> None:
    for _ in dict.fromkeys(counter.seen):
        pass
    table = counter.__dict__.setdefault("table", {"a": 1})
    for key in table:
        counter.n += len(key)


def changes_it(counter: Counter) -> None:
    counter.__dict__.setdefault("table", {"a": 1})["b"] = 2


def takes_one_made_before(counter: Counter) -> None:
    with BEFORE, AGAIN, AGAIN:
        counter.n += 1


def waits_on_one_made_before(counter: Counter) -> None:
    with CONDITION:
        CONDITION.wait_for(lambda: counter.n == 1)
        counter.n += 1
    assert QUEUE.get() == 5


def wakes_it(counter: Counter) -> None:
    with CONDITION:
        counter.n = 1
        CONDITION.notify()
    QUEUE.put(5)


def takes_one_that_is_taken(counter: Counter) -> None:
    with TAKEN:
        pass


def never_yields(counter: Counter) -> None:
    x = 0
    while True:
        x += 1


def waits_for_a_socket(counter: Counter) -> None:
    one, _other = socket.socketpair()
    one.recv(1)


def spins(counter: Counter) -> None:
    while not counter.n:
        pass


def raises(counter: Counter) -> None:
    raise ValueError("in a thread")


def leaves_a_thread_that_never_ends(counter: Counter) -> None:
    threading.Thread(target=threading.Event().wait, daemon=False).start()


def leaves_a_daemon(counter: Counter) -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def keeps_what_is_local(counter: Counter) -> None:
    LOCAL.x = mine = threading.get_ident()
    counter.n += 1
    with counter.lock:
        counter.seen.append((LOCAL.x == mine, threading.current_thread().name))


def all_primitives(counter: Counter) -> None:
    event, barrier, semaphore = threading.Event(), threading.Barrier(2), threading.Semaphore(1)
    passed: queue.Queue[int] = queue.Queue(1)
    got: list[int] = []

    def producer() -> None:
        event.wait()
        barrier.wait()
        for number in range(3):
            passed.put(number)

    def consumer() -> None:
        barrier.wait()
        with semaphore:
            got.extend(passed.get() for _ in range(3))

    threads = [threading.Thread(target=producer), threading.Thread(target=consumer)]
    for thread in threads:
        thread.start()
    event.set()
    for thread in threads:
        thread.join()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        got += pool.map(abs, (-3, -4))
    timer = threading.Timer(1.5, got.append, (5,))
    began = time.monotonic()
    timer.start()
    timer.join()
    assert got == [0, 1, 2, 3, 4, 5]
    assert time.monotonic() - began == 1.5
    assert not threading.Event().wait(100)


def sleeps_in_the_middle(counter: Counter) -> None:
    seen = counter.n
    time.sleep(0.001)
    counter.n = seen + 1


def gives_up_after_a_second(counter: Counter) -> None:
    done: queue.Queue[int] = queue.Queue()
    threading.Thread(target=lambda: done.put(sum(range(3)))).start()
    assert done.get(timeout=1) == 3


def takes_numbers(counter: Counter) -> None:
    calendar.setfirstweekday((calendar.firstweekday() + 1) % 7)


def numbers_are_unique(counter: Counter) -> bool:
    moved = calendar.firstweekday()
    calendar.setfirstweekday(0)
    return moved == 2


# Event loops


def a_loop_and_its_workers(counter: Counter) -> None:
    async def main() -> None:
        passed: queue.Queue[int] = queue.Queue()
        got, _ = await asyncio.gather(
            asyncio.to_thread(passed.get), asyncio.to_thread(passed.put, 7)
        )
        assert got == 7
        async with asyncio.timeout(5):
            await asyncio.to_thread(time.sleep, 1)
        try:
            async with asyncio.timeout(1):
                await asyncio.to_thread(time.sleep, 5)
        except TimeoutError:
            return
        raise AssertionError("the time limit did not strike")

    asyncio.run(main())


def a_loop_in_another_thread(counter: Counter) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def later(value: int) -> int:
        await asyncio.sleep(1)
        return value

    futures = [asyncio.run_coroutine_threadsafe(later(k), loop) for k in range(3)]
    assert [future.result() for future in futures] == [0, 1, 2]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def blocks_its_own_loop(counter: Counter) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()

    asyncio.run(main())


def workers_race(counter: Counter) -> None:
    async def main() -> None:
        await asyncio.gather(*(asyncio.to_thread(adds, counter) for _ in range(2)))

    asyncio.run(main())


# SQLite


class Bank:
    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.file = str(Path(self.folder.name, "bank.db"))
        with sqlite3.connect(self.file) as database:
            database.execute("create table account (balance integer)")
            database.execute("insert into account values (0)")

    def holds_all(self) -> bool:
        database = sqlite3.connect(self.file)
        (balance,) = database.execute("select balance from account").fetchone()
        database.close()
        self.folder.cleanup()
        return bool(balance == 15)


def deposits_ten(bank: Bank) -> None:
    _deposit(bank, 10, "begin")


def deposits_five(bank: Bank) -> None:
    _deposit(bank, 5, "begin")


def deposits_ten_alone(bank: Bank) -> None:
    _deposit(bank, 10, "begin immediate")


def deposits_five_alone(bank: Bank) -> None:
    _deposit(bank, 5, "begin immediate")


def _deposit(bank: Bank, amount: int, begin: str) -> None:
    database = sqlite3.connect(bank.file, isolation_level=None)
    if begin != "begin":
        database.execute(begin)
    (balance,) = database.execute("select balance from account").fetchone()
    if begin == "begin":
        database.execute(begin)
    database.execute("update account set balance = ?", (balance + amount,))
    database.execute("commit")
    database.close()


# Looking at containers by way of views and iterators


class Table:
    def __init__(self) -> None:
        self.rows = {1: "a", 2: "b"}
        self.line = [1, 2]
        self.seen: list[Any] = []


def changes_the_table(table: Table) -> None:
    table.rows[3] = "c"


def looks_at_items(table: Table) -> None:
    for key, row in table.rows.items():
        table.seen.append((key, row))


def looks_at_numbered_values(table: Table) -> None:
    table.seen = [row for _, row in enumerate(zip(table.rows.values(), range(9), strict=False))]


def looks_at_a_copy(table: Table) -> None:
    for key, row in enumerate(list(table.rows.items())):
        table.seen.append((key, row))


def numbers_what_is_its_own(table: Table) -> None:
    mine = {"x": 1}
    for key, number in mine.items():
        table.seen.append((key, number))
