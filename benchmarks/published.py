"""The programs that peers publish in what they install, loaded as they are.

They are read from the installed packages: modules, and the Python code of the page that comes with
each as its description; tests from the source distribution, which pip fetches. Names of their
drivers mean ours (``peer_drivers``). ``published_beside`` searches them.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.metadata
import inspect
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from benchmarks.peer_drivers import Program, captured, in_a_world, with_net

_folder = tempfile.TemporaryDirectory(prefix="published-")
ROOT = Path(__file__).resolve().parent.parent
REDIS = ROOT / "examples" / "realbugs" / "redis"


class Example(NamedTuple):
    """One published program; ``broken`` says whether it has a bug that can happen."""

    what: str
    peer: str
    load: Callable[[], Program]
    broken: bool
    note: str = ""
    fails: str = "AssertionError"
    """How its bug shows; what it raises otherwise, for want of a server, say, is not its bug."""
    more: Mapping[str, Any] = MappingProxyType({})
    """Options of our search that the program's own call to its peer corresponds to."""


def page(peer: str, *names: str) -> ModuleType:
    """What the peer's page has in its Python blocks that define or contain these, as one module."""
    text = importlib.metadata.metadata(peer)
    blocks = re.findall(
        r"^```python\n(.*?)^```", str(text.get_payload() or text["Description"]), re.S | re.M
    )
    wanted = []
    for name in names:
        found = [block for block in blocks if re.search(rf"\b{re.escape(name)}\b", block)]
        if not found:
            raise LookupError(f"the page of {peer} has no code with {name}")
        wanted.append(found[0])
    source = "\n\n".join(dict.fromkeys(wanted))
    stem = re.sub(r"\W", "_", f"{peer}_{names[-1]}")
    place = Path(_folder.name) / f"{stem}.py"
    place.write_text(source, encoding="utf-8")
    sys.path[:0] = [_folder.name] if _folder.name not in sys.path else []
    importlib.invalidate_caches()
    sys.modules.pop(stem, None)
    return importlib.import_module(stem)


# simloop and simloom: tests that are coroutine functions


def _test(peer: str, name: str, *before: str) -> Callable[[], Program]:
    def load() -> Program:
        test = getattr(page(peer, *before, name), name)
        return Program(with_net(test) if peer == "simloop" else test, asked={"test": test})

    return load


# seedloop: scenarios of a world


def _scenario(
    module: Callable[[], ModuleType], name: str, **options: bool
) -> Callable[[], Program]:
    def load() -> Program:
        scenario = getattr(module(), name)(**options)
        return Program(in_a_world(scenario), asked={"scenario": scenario})

    return load


def _raft() -> ModuleType:
    return importlib.import_module("seedloop.demos.raft")


def _quickstart() -> ModuleType:
    return page("seedloop", "make_scenario")


# frontrun: workers on a state


def _workers(name: str, *before: str, **arguments: Any) -> Callable[[], Program]:
    def load() -> Program:
        module = page("frontrun", *before, name)
        test = getattr(module, name)
        program = captured(lambda: test(**{key: make() for key, make in arguments.items()}))
        return _gathered(program) if inspect.iscoroutinefunction(program.bodies[0]) else program

    return load


def _gathered(program: Program) -> Program:
    async def main() -> None:
        assert program.setup is not None
        assert program.check is not None
        state: Any = program.setup()
        await asyncio.gather(*(body(state) for body in program.bodies))  # type: ignore[call-overload]
        assert program.check(state), "the invariant does not hold"

    return program._replace(main=main)


def _of_time() -> Program:
    return captured(lambda: page("frontrun", "delayed_writer"))


def _never_suspends() -> Program:
    kind = page("frontrun", "AsyncCounter").AsyncCounter

    async def main() -> None:
        counter = kind()
        await asyncio.gather(counter.increment(), counter.increment())
        assert counter.value == 2

    return Program(main)


def _new_folder() -> Path:
    return Path(tempfile.mkdtemp(dir=_folder.name))


def _redis_port() -> int:
    """Of a server that speaks Redis' protocol, in a process of its own."""
    code = (
        "import asyncio; from resp_server import RespServer\n"
        "async def main():\n"
        "    server = await asyncio.start_server(RespServer().handle, '127.0.0.1', 0)\n"
        "    print(server.sockets[0].getsockname()[1], flush=True)\n"
        "    await server.serve_forever()\n"
        "asyncio.run(main())"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", code], cwd=REDIS, stdout=subprocess.PIPE, text=True
    )
    _servers.append(server)
    assert server.stdout is not None
    return int(server.stdout.readline())


_servers: list[subprocess.Popen[str]] = []


def dismiss() -> None:
    """End the servers that programs needed."""
    while _servers:
        _servers.pop().kill()


def _redis_on_a_loop() -> Program:
    """Its own invariant is ``True``: what it says to check is checked here.

    Where the network is slow, the client gives up: that is no lost update.
    """
    sys.path[:0] = [str(REDIS)] if str(REDIS) not in sys.path else []
    server = importlib.import_module("resp_server").RespServer
    module = page("frontrun", "test_async_redis_race")
    increment = captured(lambda: module.test_async_redis_race(6379)).bodies[0]

    async def main() -> None:
        serving = await asyncio.start_server(server().handle, port=6379)
        counted = "2"
        with contextlib.suppress(module.aioredis.TimeoutError):
            client = module.aioredis.Redis(port=6379, decode_responses=True)
            await client.set("counter", "0")
            await asyncio.gather(increment(None), increment(None))  # type: ignore[call-overload]
            counted = await client.get("counter")
            await client.aclose()
        serving.close()
        assert counted == "2"

    return Program(main)


# interleave-test: models that start threads themselves


def _modelled(name: str, *before: str) -> Callable[[], Program]:
    """The model whose block has this name; those before it only lend it their names."""

    def load() -> Program:
        return captured(lambda: page("interleave-test", *before, name))

    return load


def _tested(module: str, name: str) -> Callable[[], Program]:
    """The model inside this test of the source distribution."""

    def load() -> Program:
        folder = str(_source("interleave-test") / "tests")
        sys.path[:0] = [folder] if folder not in sys.path else []
        return captured(getattr(importlib.import_module(module), name))

    return load


def _source(peer: str) -> Path:
    """Where the source distribution of the installed version lies, fetched now if need be."""
    version = importlib.metadata.version(peer)
    stem = f"{peer.replace('-', '_')}-{version}"
    folder = ROOT / ".isomodel" / "published"
    if not (folder / stem).is_dir():
        command = ("download", "--quiet", "--no-deps", "--no-binary", peer, "--dest", str(folder))
        subprocess.run(
            [sys.executable, "-m", "pip", *command, f"{peer}=={version}"],
            check=True,
            capture_output=True,
        )
        with tarfile.open(folder / f"{stem}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return folder / stem


EXAMPLES = (
    Example(
        "a lost update over the wire",
        "simloop",
        _test("simloop", "test_two_increments_both_count"),
        True,
    ),
    Example(
        "an audit beside a deposit",
        "simloop",
        _test("simloop", "test_the_audit_sees_every_deposit", "test_virtual_time_is_free"),
        False,
        "call_soon is documented to be first-in first-out, so no loop shows what the peer reports",
    ),
    Example("virtual time", "simloop", _test("simloop", "test_virtual_time_is_free"), False),
    Example("a counter", "simloom", _test("simloom", "test_counter_is_atomic"), True),
    Example(
        "a retry, server without memory",
        "seedloop",
        _scenario(_quickstart, "make_scenario", remember=False),
        True,
    ),
    Example(
        "a retry, server that remembers",
        "seedloop",
        _scenario(_quickstart, "make_scenario", remember=True),
        False,
    ),
    Example(
        "Raft, two votes a term",
        "seedloop",
        _scenario(_raft, "election_scenario", buggy=True),
        True,
    ),
    Example(
        "Raft, one vote a term",
        "seedloop",
        _scenario(_raft, "election_scenario", buggy=False),
        False,
    ),
    Example("a counter, threads", "frontrun", _workers("test_counter_is_atomic"), True),
    Example(
        "a bank account, threads",
        "frontrun",
        _workers("test_transfer_has_no_lost_update", "BankAccount"),
        True,
    ),
    Example(
        "a counter in SQLite, threads",
        "frontrun",
        _workers("test_counter_race", tmp_path=_new_folder),
        True,
        "its workers are processes there, and threads here",
    ),
    Example(
        "a counter in Redis, threads",
        "frontrun",
        _workers("test_redis_counter_race", redis_port=_redis_port),
        True,
        "needs a server: examples/realbugs/redis/resp_server.py in another process, real sockets",
    ),
    Example(
        "a write after a second, threads",
        "frontrun",
        _of_time,
        True,
        'the peer searches it with clock="explored", this with held_up=1.0',
        more={"held_up": 1.0},
    ),
    Example("a counter, tasks", "frontrun", _workers("test_async_counter_dpor"), True),
    Example(
        "a counter in Redis, tasks",
        "frontrun",
        _redis_on_a_loop,
        True,
        "the same server in memory; its own invariant is True, so the peer has no figure",
    ),
    Example(
        "a counter that awaits nothing, tasks",
        "frontrun",
        _never_suspends,
        False,
        "no task can be interrupted there; the peer's markers force what asyncio cannot do",
    ),
    Example("a counter", "interleave-test", _modelled("counter.increment"), True),
    Example(
        "a counter under a lock",
        "interleave-test",
        _modelled("test_counter_is_thread_safe", "counter.increment"),
        False,
    ),
    Example(
        "check, then act",
        "interleave-test",
        _tested("test_races", "test_check_then_act_double_init"),
        True,
    ),
    Example(
        "two locks in opposite order",
        "interleave-test",
        _tested("test_races", "test_detects_abba_deadlock"),
        True,
        fails="deadlock",
    ),
    Example(
        "a queue",
        "interleave-test",
        _tested("test_primitives", "test_queue_producer_consumer"),
        False,
    ),
    Example(
        "a condition",
        "interleave-test",
        _tested("test_primitives", "test_condition_wait_notify"),
        False,
    ),
    Example(
        "a semaphore",
        "interleave-test",
        _tested("test_primitives", "test_semaphore_bounds_concurrency"),
        False,
    ),
)
