"""Generated threaded programs whose result no schedule may change.

Each thread of a program goes through a few fragments, drawn from below: exceptions, generators,
recursion, sort keys, C code that calls back into Python, locks, queues, conditions, pools. What a
fragment gives back depends on its arguments alone, and what threads share is guarded, so real
threads have one result, and under control every schedule must have the same.
"""

# ruff: noqa: E501 - the fragments are read more easily unfolded

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

HEAD = """
import asyncio, bisect, collections, contextlib, contextvars, copy, dataclasses, functools, heapq
import itertools, json, operator, pickle, queue, re, sqlite3, string, sys, threading, time, weakref
from concurrent.futures import ThreadPoolExecutor

VAR = contextvars.ContextVar("var", default=0)
BEFORE = threading.Lock()
AGAIN = threading.RLock()
LOCAL = threading.local()


class Shared:
    def __init__(self):
        self.lock = threading.Lock()
        self.condition = threading.Condition()
        self.n = 0
        self.turn = 0
        self.items = {}
        self.queue = queue.Queue(2)


class Value:
    def __init__(self, v):
        self.v = v

    def __lt__(self, other):
        return self.v < other.v

    def __eq__(self, other):
        return isinstance(other, Value) and self.v == other.v

    def __hash__(self):
        return hash(self.v) % 3

    def __add__(self, other):
        return Value(self.v + (other.v if isinstance(other, Value) else other))

    __radd__ = __add__

    def __repr__(self):
        return f"V{self.v}"

    def __format__(self, spec):
        return f"<{self.v:{spec or 'd'}}>"

    def __reduce__(self):
        return Value, (self.v,)

    def __deepcopy__(self, memo):
        return Value(copy.copy(self.v))


@dataclasses.dataclass(order=True)
class Point:
    x: int
    y: int = 0


class Descriptor:
    def __get__(self, thing, kind=None):
        return self if thing is None else thing.__dict__.get("kept", 7)

    def __set__(self, thing, value):
        thing.__dict__["kept"] = value


class Odd:
    kept = Descriptor()
    counted = 0

    def __getattr__(self, name):
        if name.startswith("no_"):
            raise AttributeError(name)
        return len(name)

    @property
    def double(self):
        return self.kept * 2

    @functools.cached_property
    def once(self):
        return self.kept + 1

    @classmethod
    def made(cls, value):
        odd = cls()
        odd.kept = value
        return odd
"""

FRAGMENTS = {
    "exceptions": """
    out = []
    try:
        try:
            raise ValueError(i)
        except ValueError as error:
            out.append(sys.exc_info()[1].args[0] == error.args[0])
            raise KeyError(i) from error
        finally:
            out.append(sys.exc_info()[0].__name__)
    except KeyError as error:
        out.append((error.args[0], error.__cause__.args[0]))
    out.append(sys.exc_info()[0])
    return out""",
    "groups": """
    try:
        raise ExceptionGroup("g", [ValueError(i), TypeError(i)])
    except* ValueError as caught:
        got = [e.args[0] for e in caught.exceptions]
    except* TypeError as caught:
        other = [e.args[0] for e in caught.exceptions]
    return got, other""",
    "generators": """
    def gen(n):
        total = 0
        try:
            while total < n:
                sent = yield Value(total)
                total += sent or 1
        except GeneratorExit:
            s.items["closed", i] = total
            raise
        except KeyError:
            yield -1
        return total
    def outer():
        result = yield from gen(3)
        yield result
    g = gen(9)
    first = [next(g).v, g.send(2).v, g.throw(KeyError())]
    g.close()
    h = gen(9); next(h); h.close()
    return first, [repr(v) for v in outer()], s.items["closed", i], list(itertools.islice(gen(9), 2)) == [Value(0), Value(1)]""",
    "recursion": """
    box = Point(0)
    def down(n):
        box.x += 1
        return 0 if n == 0 else 1 + down(n - 1)
    return down(60 + i), box.x""",
    "sorting": """
    values = [Value((k * 7 + i) % 5) for k in range(6)]
    def key(v):
        return -v.v
    return (
        repr(sorted(values)), repr(sorted(values, key=key)), repr(max(values, key=key)), repr(min(values)),
        repr(sorted(values, key=functools.cmp_to_key(lambda a, b: b.v - a.v))),
    )""",
    "heap": """
    heap = []
    for k in range(6):
        heapq.heappush(heap, Value((k * 5 + i) % 7))
    ordered = [heapq.heappop(heap).v for _ in range(3)]
    rest = [v.v for v in sorted(heap)]
    bisect.insort(rest, 3, key=lambda v: v)
    return ordered, rest""",
    "hashing": """
    table = {Value(k): k for k in range(4)}
    table[Value(2)] = i
    found = {Value(1), Value(1), Value(4)}
    return table[Value(2)], len(table), Value(3) in table, len(found), Value(9) in found""",
    "reducing": """
    def add(a, b):
        s.lock.locked()
        return a + b
    total = functools.reduce(add, map(lambda v: v.v, (Value(k) for k in range(5))), i)
    return total, repr(sum([Value(1), Value(2)])), list(filter(lambda v: v > i, range(4))), list(itertools.accumulate(range(4), add))""",
    "substitution": """
    box = Point(0)
    def found(match):
        box.x += 1
        return f"[{match.group()}{box.x}]"
    return re.sub("[ab]", found, "abcab"), string.Template("$a-$b").substitute({"a": Value(1), "b": i})""",
    "json": """
    return json.dumps({"v": Value(i)}, default=lambda v: v.v), json.loads('{"a": 1}', object_hook=lambda d: Point(d["a"]))""",
    "sqlite": """
    db = sqlite3.connect(":memory:")
    db.create_function("twice", 1, lambda v: Value(v).v * 2)
    db.create_collation("back", lambda a, b: (a < b) - (a > b))
    db.execute("create table t (x text)")
    with db:
        db.executemany("insert into t values (?)", [("a",), ("c",), ("b",)])
    rows = db.execute("select x from t order by x collate back").fetchall(), db.execute("select twice(?)", (i,)).fetchone()
    db.close()
    return rows""",
    "pickle": """
    made = pickle.loads(pickle.dumps([Value(i), Point(i)]))
    deep = copy.deepcopy({"v": Value(i)})
    return repr(made), repr(deep)""",
    "attributes": """
    odd = Odd.made(i)
    odd.kept += 1
    Odd.counted = 0
    return odd.double, odd.once, odd.missing, hasattr(odd, "no_such"), getattr(odd, "no_such", 4), vars(odd)["kept"]""",
    "patterns": """
    out = []
    for thing in (Point(i, 1), {"k": [1, i]}, [1, 2, 3], Value(2)):
        match thing:
            case Point(x=x, y=1) if x == i:
                out.append(("point", x))
            case {"k": [first, *rest]}:
                out.append(("dict", first, rest))
            case [a, *_, c]:
                out.append((a, c))
            case Value():
                out.append("value")
    return out""",
    "comprehensions": """
    rows = [[(a, b) for b in range(a)] for a in range(4) if a != i]
    flat = {k: v for row in rows for k, v in row}
    lazy = (x for x in flat if (y := flat[x]) >= 0)
    first, *middle, last = [*flat, i, *range(2)]
    return rows, flat, list(lazy), first, middle, last, f"{Value(i):03d}|{Value(i)!r}|{i=}" """,
    "contexts": """
    order = []
    @contextlib.contextmanager
    def inside(name):
        order.append(name)
        try:
            yield name
        finally:
            order.append(-1)
    with contextlib.ExitStack() as stack:
        stack.callback(order.append, "end")
        with contextlib.suppress(ZeroDivisionError), inside(i) as got, inside(got + 1):
            1 / 0
    token = VAR.set(i)
    seen = VAR.get(), contextvars.copy_context().run(lambda: VAR.get() + 1)
    VAR.reset(token)
    return order, seen, VAR.get()""",
    "locals": """
    LOCAL.x = i
    before = LOCAL.x
    with s.lock:
        s.n += 0
    mine = threading.local()
    mine.y = before
    return LOCAL.x, mine.y, hasattr(LOCAL, "z"), threading.current_thread() is threading.current_thread()""",
    "guarded": """
    for _ in range(3):
        with s.lock:
            value = s.n
            s.n = value + 1
    with BEFORE, AGAIN, AGAIN:
        s.items["guarded"] = s.items.get("guarded", 0) + 1
    return BEFORE.acquire(timeout=5) and BEFORE.release()""",
    "pool": """
    with ThreadPoolExecutor(2) as pool:
        doubled = list(pool.map(lambda v: Value(v).v * 2, range(4)))
        failing = pool.submit(operator.truediv, i, 0)
        try:
            failing.result()
        except ZeroDivisionError as error:
            doubled.append(type(error).__name__)
    return doubled""",
    "waiting": """
    event, barrier, signal = threading.Event(), threading.Barrier(2), threading.Semaphore(0)
    got = []
    def other():
        event.wait()
        barrier.wait()
        signal.acquire()
        got.append(i)
    thread = threading.Thread(target=other)
    thread.start()
    event.set(); barrier.wait(); signal.release()
    thread.join()
    return got, thread.is_alive(), threading.Event().wait(0.001)""",
    "passing": """
    q = queue.Queue(1)
    def produce():
        for k in range(3):
            q.put(Value(k))
            time.sleep(0)
        q.put(None)
    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    got = [v.v for v in iter(q.get, None)]
    try:
        q.get(timeout=0.001)
    except queue.Empty:
        got.append("empty")
    thread.join(5)
    return got""",
    "conditions": """
    condition, state = threading.Condition(), Point(0)
    def other():
        for _ in range(2):
            with condition:
                condition.wait_for(lambda: state.x % 2 == 1)
                state.x += 1
                condition.notify_all()
    thread = threading.Thread(target=other)
    thread.start()
    for _ in range(2):
        with condition:
            condition.wait_for(lambda: state.x % 2 == 0)
            state.x += 1
            condition.notify_all()
    thread.join()
    return state.x""",
    "loop": """
    async def main():
        async def part(k):
            await asyncio.sleep(0.001 * k)
            return Value(k).v
        async with asyncio.timeout(5):
            parts = await asyncio.gather(*(part(k) for k in range(3)))
        return parts, await asyncio.to_thread(Value(i).__repr__)
    return asyncio.run(main())""",
    "finalisers": """
    gone = []
    thing = Value(i)
    weakref.finalize(thing, gone.append, i)
    del thing
    class Dropped:
        def __del__(self):
            gone.append("dropped")
    Dropped()
    counter = collections.Counter("abca"); counter.update("a")
    nested = collections.defaultdict(list); nested[i].append(1)
    return gone, counter.most_common(1), dict(nested), collections.deque([1, 2], maxlen=1)""",
}


def source(seed: int) -> str:
    """The text of one program; ``FRAGMENTS`` of a program are recorded in its ``USED``."""
    draws = random.Random(f"program {seed}")
    used = [
        draws.sample(sorted(FRAGMENTS), draws.randint(1, 3)) for _ in range(draws.choice((2, 2, 3)))
    ]
    parts = [HEAD]
    for name in sorted({name for names in used for name in names}):
        parts.append(f"\ndef do_{name}(s, i):{FRAGMENTS[name]}\n")
    for number, names in enumerate(used):
        calls = "".join(
            f"\n    s.items[{number}].append(({n!r}, repr(do_{n}(s, {number}))))" for n in names
        )
        parts.append(f"\ndef body_{number}(s):\n    s.items[{number}] = []{calls}\n")
    bodies = ", ".join(f"body_{number}" for number in range(len(used)))
    parts.append(f"\nBODIES = ({bodies},)\n")
    parts.append("\ndef result(s):\n    return s.n, [s.items[k] for k in range(len(BODIES))]\n")
    return "".join(parts)


def load(seed: int, folder: Path) -> ModuleType:
    """The program as a module, from a file in this folder."""
    name = f"generated_threads_{seed}"
    file = folder / f"{name}.py"
    file.write_text(source(seed), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_real_threads(module: ModuleType) -> object:
    """What real threads make of it."""
    import threading

    shared = module.Shared()
    errors: list[BaseException] = []

    def run(body: object) -> None:
        try:
            body(shared)  # type: ignore[operator]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(body,), daemon=True) for body in module.BODIES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    if errors:
        raise errors[0]
    return module.result(shared)
