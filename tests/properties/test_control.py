"""The control: what is virtual inside an execution, what is reported, what stays as it was."""

from __future__ import annotations

import _thread
import asyncio
import builtins
import copy
import datetime as datetime_module
import os
import pickle
import queue
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import types
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from os import urandom as early_urandom
from random import choice as early_choice
from random import getrandbits as early_getrandbits
from random import random as early_random
from time import monotonic as early_monotonic
from time import time as early_time
from typing import Any
from uuid import uuid1 as early_uuid1
from uuid import uuid4 as early_uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomodel.engine.control.control import Control
from isomodel.values.execution import Issue

EPOCH = 1_704_067_200
REAL = early_time()


class Run:
    """One execution after another, with a clock and an owner that the test sets."""

    def __init__(self) -> None:
        self.control = Control()
        self.time = 0.0
        self.owner = "alice.1"
        self.issues: tuple[Issue, ...] = ()

    @contextmanager
    def execution(self, *, seed: int = 1, owner: str = "alice.1", time: float = 0.0) -> Any:
        self.owner, self.time = owner, time
        self.control.begin(seed, lambda: self.time, lambda: self.owner, self.advance)
        try:
            yield
        finally:
            self.issues = self.control.end()

    def advance(self, seconds: float) -> None:
        self.time += seconds

    def draws(self, draw: Callable[[], Any], *, seed: int = 1, owner: str = "alice.1") -> list[Any]:
        with self.execution(seed=seed, owner=owner):
            return [draw() for _ in range(4)]


@pytest.fixture
def run() -> Iterator[Run]:
    one = Run()
    with one.control.installed():
        yield one


# Clocks

CLOCKS: dict[str, tuple[Callable[[], Any], Any]] = {
    "time.time": (lambda: time.time(), EPOCH + 2.5),
    "time by name": (lambda: early_time(), EPOCH + 2.5),
    "time.time_ns": (lambda: time.time_ns(), EPOCH * 10**9 + 2_500_000_000),
    "time.monotonic": (lambda: time.monotonic(), 2.5),
    "monotonic by name": (lambda: early_monotonic(), 2.5),
    "time.monotonic_ns": (lambda: time.monotonic_ns(), 2_500_000_000),
    "time.perf_counter": (lambda: time.perf_counter(), 2.5),
    "time.perf_counter_ns": (lambda: time.perf_counter_ns(), 2_500_000_000),
    "time.process_time": (lambda: time.process_time(), 2.5),
    "time.process_time_ns": (lambda: time.process_time_ns(), 2_500_000_000),
    "time.gmtime": (lambda: time.gmtime(), time.gmtime(EPOCH + 2)),
    "time.gmtime(None)": (lambda: time.gmtime(None), time.gmtime(EPOCH + 2)),
    "time.localtime": (lambda: time.localtime(), time.localtime(EPOCH + 2)),
    "time.ctime": (lambda: time.ctime(), time.ctime(EPOCH + 2)),
    "time.asctime": (lambda: time.asctime(), time.ctime(EPOCH + 2)),
    "time.strftime": (lambda: time.strftime("%S"), "02"),
    "datetime.now": (lambda: datetime.now(), datetime.fromtimestamp(EPOCH + 2.5)),
    "datetime.now(utc)": (
        lambda: datetime.now(datetime_module.UTC),
        datetime(2024, 1, 1, 0, 0, 2, 500_000, datetime_module.UTC),
    ),
    "datetime.now(tz=utc)": (lambda: datetime.now(tz=datetime_module.UTC).year, 2024),
    "datetime.utcnow": (lambda: datetime.utcnow(), datetime(2024, 1, 1, 0, 0, 2, 500_000)),
    "datetime.today": (lambda: datetime.today(), datetime.fromtimestamp(EPOCH + 2.5)),
    "date.today": (lambda: date.today(), date.fromtimestamp(EPOCH + 2.5)),
}


@pytest.mark.filterwarnings("ignore:.*utcnow:DeprecationWarning")
@pytest.mark.parametrize("name", CLOCKS)
def test_a_clock_reads_virtual_time_inside_an_execution_only(name: str, run: Run) -> None:
    read, expected = CLOCKS[name]
    outside = read()
    with run.execution(time=2.5):
        assert read() == expected
        assert type(read()) is type(outside)
    assert run.issues == ()
    if name != "time.strftime":
        assert read() != expected


@pytest.mark.skipif(not hasattr(time, "clock_gettime"), reason="not on this platform")
def test_posix_clocks_are_virtual(run: Run) -> None:
    with run.execution(time=2.5):
        assert time.clock_gettime(time.CLOCK_REALTIME) == EPOCH + 2.5
        assert time.clock_gettime(time.CLOCK_MONOTONIC) == 2.5
        assert time.clock_gettime_ns(time.CLOCK_REALTIME) == EPOCH * 10**9 + 2_500_000_000


def test_a_given_time_is_converted_as_ever(run: Run) -> None:
    def convert() -> tuple[Any, ...]:
        return (
            time.localtime(0),
            time.gmtime(0),
            time.ctime(0),
            time.asctime(time.gmtime(0)),
            time.strftime("%Y", time.gmtime(0)),
            datetime.fromtimestamp(0),
            date.fromtimestamp(0),
        )

    outside = convert()
    with run.execution():
        assert convert() == outside


def test_naive_local_times_agree_with_each_other(run: Run) -> None:
    with run.execution(time=7.0):
        assert datetime.now() == datetime.fromtimestamp(time.time())
        assert datetime.now().hour == time.localtime().tm_hour
        assert datetime.now().astimezone().timestamp() == time.time()


def test_now_is_a_plain_datetime_and_the_class_stays_the_same(run: Run) -> None:
    with run.execution():
        now = datetime.now()
        assert type(now) is datetime is datetime_module.datetime
        assert isinstance(now, date)
        assert pickle.loads(pickle.dumps(now)) == now
        assert pickle.loads(pickle.dumps(datetime)) is datetime
        assert repr(now).startswith("datetime.datetime(2")
        assert type(date.today()) is date
        assert type(now - datetime.now()) is timedelta


def test_subclasses_of_datetime_are_controlled_and_keep_their_type(run: Run) -> None:
    class Stamp(datetime):
        pass

    with run.execution():
        assert type(Stamp.now()) is type(Stamp.utcnow()) is type(Stamp.today()) is Stamp
        assert Stamp.now(datetime_module.UTC).year == 2024
    assert Stamp.now(datetime_module.UTC).year > 2024


def test_sleeping_takes_virtual_time_and_no_real_time(run: Run) -> None:
    before = early_time()
    with run.execution():
        time.sleep(3600)
        assert time.monotonic() == 3600
    assert early_time() - before < 60
    assert [issue.source for issue in run.issues] == ["time.sleep"]


def test_sleeping_without_a_hook_only_reports() -> None:
    control = Control()
    with control.installed():
        control.begin(1, lambda: 0.0, str)
        time.sleep(3600)
        assert [issue.source for issue in control.end()] == ["time.sleep"]


def test_sleeping_less_than_nothing_is_an_error_as_ever(run: Run) -> None:
    with run.execution(), pytest.raises(ValueError, match="non-negative"):
        time.sleep(-1)


def test_waiting_on_a_queue_ends_at_its_timeout_though_virtual_time_stands_still(run: Run) -> None:
    with run.execution(), pytest.raises(queue.Empty):
        queue.Queue[int]().get(timeout=0.01)


# Streams


def by_default(pick: Callable[[Any], Any] = random.choice) -> Any:
    return pick(range(10**9))


DRAWS: dict[str, Callable[[], Any]] = {
    "random.random": lambda: random.random(),
    "random by name": lambda: early_random(),
    "random.getrandbits": lambda: random.getrandbits(64),
    "getrandbits by name": lambda: early_getrandbits(64),
    "random.randint": lambda: random.randint(0, 10**9),
    "random.choice": lambda: random.choice(range(10**9)),
    "choice by name": lambda: early_choice(range(10**9)),
    "choice as a default argument": lambda: by_default(),
    "random.shuffle": lambda: random.sample(range(10**6), 3),
    "random.gauss": lambda: random.gauss(0, 1),
    "random.randbytes": lambda: random.randbytes(8),
    "random.Random()": lambda: random.Random().random(),
    "random.SystemRandom()": lambda: random.SystemRandom().random(),
    "os.urandom": lambda: os.urandom(8),
    "urandom by name": lambda: early_urandom(8),
    "secrets.token_hex": lambda: secrets.token_hex(),
    "secrets.token_urlsafe": lambda: secrets.token_urlsafe(),
    "secrets.choice": lambda: secrets.choice(range(10**9)),
    "secrets.randbelow": lambda: secrets.randbelow(10**9),
    "uuid.uuid1": lambda: uuid.uuid1(),
    "uuid1 by name": lambda: early_uuid1(),
    "uuid.uuid4": lambda: uuid.uuid4(),
    "uuid4 by name": lambda: early_uuid4(),
}
every_draw = pytest.mark.parametrize("name", DRAWS)


@every_draw
def test_the_same_owner_draws_the_same_under_the_same_seed(name: str, run: Run) -> None:
    first = run.draws(DRAWS[name])
    assert run.issues == ()
    assert run.draws(DRAWS[name]) == first
    assert len(set(map(str, first))) == 4


@every_draw
def test_another_seed_and_another_owner_draw_something_else(name: str, run: Run) -> None:
    drawn = [
        *run.draws(DRAWS[name]),
        *run.draws(DRAWS[name], seed=2),
        *run.draws(DRAWS[name], owner="bob.1"),
        *run.draws(DRAWS[name], owner=""),
    ]
    assert len(set(map(str, drawn))) == 16


@every_draw
def test_outside_an_execution_draws_are_the_program_s_own(name: str, run: Run) -> None:
    inside = run.draws(DRAWS[name])
    outside = [DRAWS[name]() for _ in range(4)]
    assert not set(map(str, inside)) & set(map(str, outside))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["alice.1", "bob.1", ""]), st.sampled_from(sorted(DRAWS))),
        max_size=12,
    )
)
def test_an_owner_draws_what_it_would_have_drawn_alone(program: list[tuple[str, str]]) -> None:
    def drawn(owners: set[str]) -> list[tuple[str, Any]]:
        values = []
        with one.execution():
            for owner, name in program:
                if owner in owners:
                    one.owner = owner
                    values.append((owner, DRAWS[name]()))
        return values

    one = Run()
    with one.control.installed():
        together = drawn({"alice.1", "bob.1", ""})
        for owner in ("alice.1", "bob.1", ""):
            assert [item for item in together if item[0] == owner] == drawn({owner})


def test_ids_do_not_shift_random_numbers(run: Run) -> None:
    plain = run.draws(lambda: random.random())
    assert run.draws(lambda: (uuid.uuid4(), os.urandom(3), uuid.uuid1(), random.random())[-1]) == (
        plain
    )


def test_ids_do_not_give_away_random_numbers(run: Run) -> None:
    numbers = run.draws(lambda: random.randbytes(8))
    assert not set(numbers) & set(run.draws(lambda: os.urandom(8)))


def test_the_second_normal_variate_stays_with_its_owner(run: Run) -> None:
    alone = run.draws(lambda: random.gauss(0, 1), owner="bob.1")
    with run.execution():
        random.gauss(0, 1)
        run.owner = "bob.1"
        assert random.gauss(0, 1) == alone[0]


def test_seeding_the_module_seeds_the_owner_s_stream_alone(run: Run) -> None:
    bob = run.draws(lambda: random.random(), owner="bob.1")
    with run.execution():
        random.seed(3)
        assert random.random() == random.Random(3).random()
        state = random.getstate()
        first = random.random()
        random.setstate(state)
        assert random.random() == first
        random.seed()
        run.owner = "bob.1"
        assert random.random() == bob[0]
    assert run.issues == ()


def test_a_hunt_leaves_the_program_s_own_stream_where_it_was() -> None:
    run = Run()
    random.seed(5)
    with run.control.installed():
        for _ in range(3):
            with run.execution():
                random.seed(3)
                random.gauss(0, 1)
    assert random.random() == random.Random(5).random()


def test_what_the_program_drew_outside_stays_drawn() -> None:
    run = Run()
    random.seed(5)
    with run.control.installed():
        random.seed(6)
        random.random()
    expected = random.Random(6)
    expected.random()
    assert random.random() == expected.random()


def test_a_random_with_a_seed_is_deterministic_and_silent(run: Run) -> None:
    mine = random.Random(3)
    expected = [random.Random(3).random(), random.Random("x").random()]
    with run.execution():
        assert [mine.random(), random.Random("x").random()] == expected
    assert run.issues == ()


def test_ids_from_time_are_never_twice(run: Run) -> None:
    made = []
    with run.execution():
        for label in ["alice.1", "bob.1"] * 200:
            run.owner = label
            run.time += 1e-8
            made.append(uuid.uuid1(clock_seq=0))
    assert len(set(made)) == len(made)
    assert {one.version for one in made} == {1}
    assert {one.time // 10**7 - 12_219_292_800 for one in made} == {EPOCH}


def test_the_network_card_is_the_same_on_every_machine(run: Run) -> None:
    real = uuid.getnode()
    with run.execution():
        assert uuid.getnode() == 0x02_00_00_00_00_01
        assert uuid.uuid1(node=7, clock_seq=5).node == 7
        assert uuid.uuid1(node=7, clock_seq=5).clock_seq == 5
    assert uuid.getnode() == real


def test_entropy_of_no_length_and_of_negative_length(run: Run) -> None:
    with run.execution():
        assert os.urandom(0) == b""
        with pytest.raises(ValueError, match="negative"):
            os.urandom(-1)


IN_ANOTHER_PROCESS = """
import os, random, secrets, time, uuid
from isomodel.engine.control.control import Control
control = Control()
with control.installed():
    control.begin(7, lambda: 1.5, lambda: "alice.1")
    print(random.random(), random.gauss(0, 1), os.urandom(4), secrets.token_hex(4), uuid.uuid4(),
          uuid.uuid1(), uuid.getnode(), random.Random().random(), time.time_ns())
    assert control.end() == ()
"""


def test_another_process_with_another_hash_seed_draws_the_same() -> None:
    printed = {
        subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(printed) == 1


def test_numpy_s_global_state_is_kept_for_each_owner(run: Run) -> None:
    numpy = pytest.importorskip("numpy")
    first = run.draws(lambda: numpy.random.rand())
    assert run.draws(lambda: numpy.random.rand()) == first
    assert run.draws(lambda: numpy.random.rand(), owner="bob.1") != first
    assert run.draws(lambda: numpy.random.default_rng().random()) == (
        run.draws(lambda: numpy.random.default_rng().random())
    )
    with run.execution():
        numpy.random.seed(3)
        assert numpy.random.rand() == numpy.random.RandomState(3).rand()
    assert numpy.random.rand() not in first
    run.control.uninstall()
    assert numpy.random.rand.__self__ is numpy.random.mtrand._rand
    run.control.install()


NUMPY_INSIDE = """
from isomodel.engine.control.control import Control
control = Control()
with control.installed():
    for _ in range(2):
        control.begin(7, lambda: 1.5, lambda: "alice.1")
        import numpy
        numpy.random.rand()
        print([issue.source for issue in control.end()])
"""


def test_numpy_imported_inside_an_execution_is_reported_there_and_controlled_in_the_next() -> None:
    pytest.importorskip("numpy")
    ran = subprocess.run([sys.executable, "-c", NUMPY_INSIDE], capture_output=True, check=True)
    assert ran.stdout.split() == [b"['numpy.random']", b"[]"]


# Draws that escape


def escaped(draw: Callable[[], float] = random.random) -> float:
    return draw()


def test_a_draw_past_the_control_is_noticed_at_the_end(run: Run) -> None:
    with run.execution():
        escaped()
    assert [issue.source for issue in run.issues] == ["random imported by name"]
    assert run.draws(lambda: random.random())
    assert run.issues == ()


def test_draws_between_executions_are_no_escape(run: Run) -> None:
    run.draws(lambda: random.random())
    escaped()
    random.seed(4)
    random.choice([1, 2])
    run.draws(lambda: random.random())
    assert run.issues == ()


def test_draws_of_another_thread_are_no_escape(run: Run) -> None:
    with in_a_thread(lambda: (random.random(), random.choice([1, 2]))) as ask, run.execution():
        ask()
    assert run.issues == ()


# Reports


def start_thread() -> None:
    threading.Thread(target=lambda: None).start()


def start_raw_thread() -> None:
    _thread.start_new_thread(lambda: None, ())


def run_process() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def run_system() -> None:
    os.system("true")


def fork() -> None:
    os.fork() or os._exit(0)


def make_socket() -> None:
    socket.socket().close()


def make_pair() -> None:
    for end in socket.socketpair():
        end.close()


def look_up() -> None:
    socket.getaddrinfo("127.0.0.1", 80)


def sleep() -> None:
    time.sleep(0.1)


def ask() -> None:
    builtins.input()


REPORTED: list[tuple[str, Callable[[], None]]] = [
    ("thread", start_thread),
    ("thread", start_raw_thread),
    ("subprocess", run_process),
    ("subprocess", run_system),
    ("socket", make_socket),
    ("socket", make_pair),
    ("socket", look_up),
    ("time.sleep", sleep),
    ("input", ask),
]
if hasattr(os, "fork"):
    REPORTED.append(("subprocess", fork))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("source", "use"), REPORTED, ids=lambda value: getattr(value, "__name__", value)
)
def test_what_is_not_controlled_is_reported_once_where_it_is_used(
    source: str, use: Callable[[], None], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115
    use_quietly(use)
    with run.execution():
        for _ in range(3):
            use_quietly(use)
    line = use.__code__.co_firstlineno + 1
    (issue,) = run.issues
    assert issue.source == source
    assert issue.where.endswith(f"test_control.py:{line}")
    with run.execution():
        pass
    assert not run.issues


def use_quietly(use: Callable[[], None]) -> None:
    try:
        use()
    except (EOFError, OSError):
        assert use is ask


def test_another_event_loop_is_reported(run: Run) -> None:
    with run.execution():
        asyncio.new_event_loop().close()
    assert "own event loop" in {issue.source for issue in run.issues}


def test_a_socket_made_outside_is_reported_when_it_is_used_inside(run: Run) -> None:
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"x")
        with run.execution():
            assert other.recv(1) == b"x"
    assert [issue.source for issue in run.issues] == ["socket"]


def test_each_place_is_reported(run: Run) -> None:
    with run.execution():
        time.sleep(1)
        time.sleep(1)
    assert len(run.issues) == 2


# Where the control reaches, and where everything is as it was


@contextmanager
def in_a_thread(act: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """A function that has ``act`` done in a thread started before."""
    go, answers = threading.Event(), queue.Queue[Any]()

    def answer() -> None:
        go.wait()
        answers.put(act())

    thread = threading.Thread(target=answer)
    thread.start()

    def ask() -> Any:
        go.set()
        return answers.get()

    try:
        yield ask
    finally:
        go.set()
        thread.join()


def test_other_threads_keep_the_originals(run: Run) -> None:
    with in_a_thread(lambda: (time.time(), datetime.now())) as ask, run.execution():
        real, now = ask()
    assert real >= REAL
    assert now.year > 2024
    assert run.issues == ()


def snapshot() -> list[Any]:
    modules = (time, os, random, uuid, socket, subprocess, threading, queue, _thread, builtins)
    here = sys.modules[__name__]
    spaces = [dict(vars(module)) for module in (*modules, asyncio, asyncio.events, here)]
    spaces += [dict(vars(kind)) for kind in (random.Random, socket.socket, datetime)]
    known = [value for space in spaces for value in space.values() if callable(value)]
    return [*known, type(random._inst)]


def test_a_program_imported_after_installing_is_controlled_in_default_arguments_too(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
from dataclasses import dataclass, field
from datetime import datetime
from random import random
from time import time

@dataclass
class Message:
    at: datetime = field(default_factory=datetime.now)
    made: float = field(default_factory=time)

def wait(jitter=random):
    return jitter()
"""
    program = module(monkeypatch, "some_program", source)
    with run.execution(time=1.0):
        assert program.Message().made == EPOCH + 1
        assert program.Message().at == datetime.fromtimestamp(EPOCH + 1)
        assert program.wait() != program.wait()
    assert run.issues == ()


def test_uninstalling_puts_every_original_back() -> None:
    before = snapshot()
    run = Run()
    with run.control.installed():
        changed = sum(one is not other for one, other in zip(before, snapshot(), strict=False))
        assert changed > 40
    after = snapshot()
    assert len(after) == len(before)
    assert all(one is other for one, other in zip(before, after, strict=True))


def test_installing_is_counted_and_shared() -> None:
    one, other = Control(), Control()
    original = time.time
    with one.installed(), other.installed(), one.installed():
        patched = time.time
        assert patched is not original
        one.uninstall()
        assert time.time is patched
        one.install()
    assert time.time is original
    one.uninstall()
    assert time.time is original


def module(monkeypatch: pytest.MonkeyPatch, name: str, source: str) -> Any:
    made = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, made)
    exec(source, vars(made))
    return made


BY_NAME = "from time import time, perf_counter\nfrom os import urandom\nfrom random import random"


@pytest.mark.parametrize("early", [True, False])
def test_names_imported_before_and_after_are_controlled_and_restored(
    early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run()
    originals = (time.time, time.perf_counter, os.urandom, random.random)
    user = module(monkeypatch, "some_user", BY_NAME) if early else None
    with run.control.installed():
        user = user or module(monkeypatch, "some_user", BY_NAME)
        with run.execution(time=1.0):
            assert (user.time(), user.perf_counter()) == (EPOCH + 1, 1.0)
            drawn = (user.urandom(4), user.random())
        with run.execution():
            assert drawn == (user.urandom(4), user.random())
        assert run.issues == ()
    assert (user.time, user.perf_counter, user.urandom, user.random) == originals


@pytest.mark.parametrize("early", [True, False])
def test_what_runs_executions_keeps_real_time_and_what_is_run_does_not(
    early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make() -> tuple[Any, Any]:
        machinery = module(monkeypatch, "isomodel.search.some_module", BY_NAME)
        return machinery, module(monkeypatch, "isomodel.targets.some_module", BY_NAME)

    run = Run()
    made = make() if early else None
    with run.control.installed():
        machinery, target = made or make()
        with run.execution():
            assert machinery.time() >= REAL
            assert target.time() == EPOCH


def test_a_module_that_loads_itself_on_first_use_is_left_asleep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    woken = []

    class Lazy(types.ModuleType):
        def __getattribute__(self, name: str) -> Any:
            woken.append(name)
            return super().__getattribute__(name)

    monkeypatch.setitem(sys.modules, "some_lazy", Lazy("some_lazy"))
    monkeypatch.setitem(sys.modules, "some_object", object())
    woken.clear()
    with Control().installed():
        pass
    assert woken == []


def test_a_clock_as_a_class_attribute_is_no_method(run: Run) -> None:
    class Span:
        clock: Any = time.perf_counter
        started: Any = datetime.now

    assert Span().clock() > 0
    with run.execution(time=1.0):
        assert Span().clock() == 1.0
        assert Span().started() == datetime.now()


def test_controlled_functions_are_pickled_and_copied_by_name(run: Run) -> None:
    assert pickle.loads(pickle.dumps(time.time)) is time.time
    assert pickle.loads(pickle.dumps(random.random)) is random.random
    assert copy.deepcopy({"clock": time.time})["clock"] is time.time
    assert time.time.__name__ == "time"
    assert repr(time.time) == "<built-in function time>"
    assert isinstance(copy.copy(random._inst), random.Random)


def test_an_execution_inside_another_has_streams_of_its_own(run: Run) -> None:
    expected = run.draws(lambda: random.random())
    inner = Run()
    with inner.control.installed(), run.execution():
        drawn = [random.random()]
        with inner.execution(seed=9, time=5.0):
            assert random.random() not in expected
            assert time.monotonic() == 5.0
        drawn.append(random.random())
        assert time.monotonic() == 0.0
    assert drawn == expected[:2]


def test_an_execution_needs_an_installed_control() -> None:
    with pytest.raises(RuntimeError, match="call install"):
        Control().begin(1, lambda: 0.0, str)


def test_executions_in_two_threads_at_once_are_refused(run: Run) -> None:
    def begin() -> str:
        try:
            run.control.begin(1, lambda: 0.0, str)
        except RuntimeError as error:
            return str(error)
        return ""

    with in_a_thread(begin) as ask, run.execution():
        assert "another thread" in ask()


def test_ending_what_never_began_finds_nothing() -> None:
    assert Control().end() == ()
