"""Each rule of ``isomodel scan`` fires on its anti-pattern and is silent beside it."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from isomodel.bridges.flake8_plugin import Plugin
from isomodel.edges import exits
from isomodel.edges.cli import main
from isomodel.scan.rules import RULES
from isomodel.scan.run import scan_source
from isomodel.scan.values import Finding

PAGE = Path(__file__).parents[2] / "docs" / "scan.md"
SECTION = re.compile(
    r"### (ISO\d+): (.+?)\n.*?```python\n(# bad.*?)```.*?```python\n(# good.*?)```", re.DOTALL
)
EXAMPLES = {
    name: (title, bad, good) for name, title, bad, good in SECTION.findall(PAGE.read_text())
}
BY_THE_SCAN = "ISO001"


def found(source: str) -> list[Finding]:
    return list(scan_source("app.py", textwrap.dedent(source), RULES))


def ids(source: str) -> set[str]:
    return {finding.rule for finding in found(source)}


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.id != BY_THE_SCAN], ids=lambda r: r.id
)
def test_the_page_s_bad_example_breaks_the_rule_and_its_good_one_none(rule: Any) -> None:
    title, bad, good = EXAMPLES[rule.id]

    assert title == rule.name
    assert ids(bad) == {rule.id}
    assert ids(good) == set()


def test_ids_are_in_order_and_none_is_used_twice() -> None:
    names = [rule.id for rule in RULES]

    assert names == sorted(set(names))


SILENT = {
    "ISO101 a registry of classes, filled by a decorator": """
        _registry = {}

        def codec(name):
            def add(cls):
                _registry[name] = cls
                return cls
            return add

        def get_codec(name):
            return _registry[name]
        """,
    "ISO102 a memo whose value follows from the key": """
        _SQUARES = {}

        def square(number):
            if number not in _SQUARES:
                _SQUARES[number] = number * number
            return _SQUARES[number]
        """,
    "ISO102 a local name hides the module's": """
        HISTORY = []

        def remember(message):
            HISTORY = []
            HISTORY.append(message)
            return HISTORY
        """,
    "ISO102 tasks that leave when they are done": """
        import asyncio
        _running = set()

        def start(work):
            task = asyncio.create_task(work)
            _running.add(task)
            task.add_done_callback(_running.discard)
        """,
    "ISO103 the class's container is replaced in each instance": """
        class Conversation:
            history = []

            def __init__(self):
                self.history = []

            def remember(self, message):
                self.history.append(message)
        """,
    "ISO104 a default that is only read": """
        def names(users, hidden=[]):
            return [user for user in users if user not in hidden]
        """,
    "ISO104 a default that is copied": """
        class Context:
            def __init__(self, metadata={}):
                self.metadata = dict(metadata)
        """,
    "ISO104 a dataclass's default that cannot change": """
        from dataclasses import dataclass, field

        @dataclass(frozen=True)
        class Limit:
            most: int = 1

        @dataclass
        class Context:
            limit: Limit = Limit()
            metadata: dict = field(default_factory=dict)
        """,
    "ISO104 an attribute of a dataclass that is no field": """
        from dataclasses import dataclass

        @dataclass
        class Frame:
            KINDS = {1: "text"}
            data: bytes
        """,
    "ISO106 a copy is changed": """
        from contextvars import ContextVar
        _fields = ContextVar("fields")

        def bind(**more):
            fields = dict(_fields.get())
            fields.update(more)
            _fields.set(fields)
        """,
    "ISO106 a set that lives for one call without an await": """
        from contextvars import ContextVar
        visited = ContextVar("visited")

        def walk(node):
            token = visited.set(set())
            try:
                _walk(node)
            finally:
                visited.reset(token)

        def _walk(node):
            visited.get().add(node)
        """,
    "ISO107 a value set for the rest of a task": """
        from contextvars import ContextVar
        user = ContextVar("user")

        async def log_in(name):
            await check(name)
            user.set(name)
        """,
    "ISO201 a session of an object that knows one user": """
        class UserRepository:
            def __init__(self, engine):
                self.session = Session(engine)

            async def orders(self):
                return await self.session.orders()
        """,
    "ISO201 an object of the module that keeps nothing": """
        class UserSession:
            def get(self, key):
                return context.session.values[key]

        user_session = UserSession()

        def load(key):
            return user_session.get(key)
        """,
    "ISO202 a manager that keeps nothing": """
        class ConnectionManager:
            def address(self, user):
                return "/" + str(user)

        manager = ConnectionManager()
        """,
    "ISO301 an object that nobody else knows": """
        class Request:
            async def form(self):
                if self._form is None:
                    self._form = await self._parse()
                return self._form
        """,
    "ISO301 a lock around both": """
        class Cache:
            async def get(self, key):
                async with self._lock:
                    if key not in self.values:
                        self.values[key] = await load(key)
                return self.values[key]
        """,
    "ISO301 a private method that is only called under the lock": """
        class Cache:
            async def get(self, key):
                async with self._lock:
                    return await self._fill(key)

            async def _fill(self, key):
                if key not in self.values:
                    self.values[key] = await load(key)
                return self.values[key]
        """,
    "ISO301 checked again after the await": """
        class Cache:
            async def get(self, key):
                if key not in self.values:
                    value = await load(key)
                    if key not in self.values:
                        self.values[key] = value
                return self.values[key]
        """,
    "ISO301 a flag goes up before the await": """
        class ConnectionPool:
            async def open(self):
                if self.connection is None and not self.opening:
                    self.opening = True
                    self.connection = await connect_to()
        """,
    "ISO301 another key": """
        class Cache:
            async def copy(self, one, other):
                if one in self.values:
                    self.values[other] = await clone(self.values[one])
        """,
    "ISO301 the await and the write are in different branches": """
        class Cache:
            async def get(self, key):
                if key not in self.values:
                    if self.remote:
                        return await load(key)
                    self.values[key] = compute(key)
                return self.values[key]
        """,
    "ISO301 a value that may as well be fetched twice": """
        class Bot:
            async def name(self, user):
                if self._name is None:
                    self._name = await self.fetch_name()
                return self._name, self._lock
        """,
    "ISO301 another flag is taken first": """
        class ConnectionPool:
            async def open(self):
                if self.ready:
                    return self
                if self.opening:
                    raise RuntimeError
                self.opening = True
                await self.fill()
                self.ready = True
        """,
    "ISO302 the value is read after the await": """
        class Account:
            async def pay(self, amount):
                await check(amount)
                self.balance = self.balance - amount
        """,
    "ISO303 set again after the await": """
        class AgentService:
            async def run(self, user_id, prompt):
                self.user_id = user_id
                answer = await complete(prompt)
                self.user_id = user_id
                return self.user_id, answer
        """,
    "ISO304 nobody changes it": """
        class Room:
            def __init__(self, sockets):
                self.sockets = sockets

            async def broadcast(self, text):
                for socket in self.sockets:
                    await socket.send(text)
        """,
    "ISO304 the loop ends with its first await": """
        class Room:
            def leave(self, socket):
                self.sockets.remove(socket)

            async def first(self):
                for socket in self.sockets:
                    if socket.ready:
                        await socket.send("you")
                        break
        """,
    "ISO305 a key that was free": """
        class Hub:
            async def serve(self, user, socket):
                if user in self.sockets:
                    raise ValueError(user)
                self.sockets[user] = socket
                try:
                    await socket.wait_closed()
                finally:
                    self.sockets.pop(user, None)
        """,
    "ISO305 a key of the program's own": """
        class WorkerPool:
            async def work(self, job_id, task):
                self.jobs[job_id] = task
                try:
                    await task
                finally:
                    del self.jobs[job_id]
        """,
    "ISO305 a slice is no key": """
        class Hub:
            async def fill(self, user, sockets):
                self.sockets[user:] = sockets
                await ready()
                del self.sockets[user:]
        """,
    "ISO306 a local lock that is handed on": """
        import asyncio

        async def fill(accounts):
            lock = asyncio.Lock()
            await asyncio.gather(*(account.fill(lock) for account in accounts))
            async with lock:
                await done()
        """,
    "ISO401 a method that acquires for its caller": """
        async def enter(limit, name):
            name = name.strip()
            await limit.acquire()
            return name
        """,
    "ISO401 an acquisition inside the clean-up's reach": """
        async def fetch(limit, url):
            try:
                await limit.acquire()
                return await get(url)
            finally:
                limit.release()
        """,
    "ISO401 what is awaited before is no way on": """
        async def start(streams, lock):
            async with lock:
                await streams.acquire()
            try:
                await send()
            finally:
                streams.release()
        """,
    "ISO401 polling without waiting": """
        import asyncio

        async def fetch(lock, url):
            while not lock.acquire(blocking=False):
                await asyncio.sleep(0.01)
            try:
                return await get(url)
            finally:
                lock.release()
        """,
    "ISO402 the end of a task that was cancelled": """
        import asyncio

        async def close(self):
            self.task.cancel()
            try:
                await self.task
            except asyncio.CancelledError:
                pass
            await self.transport.close()
        """,
    "ISO402 cleaned up and raised again": """
        import asyncio

        async def pump(queue, socket):
            while True:
                try:
                    await socket.send(await queue.get())
                except asyncio.CancelledError:
                    socket.abort()
                    raise
        """,
    "ISO402 waiting on for what is shielded": """
        import asyncio

        async def settle(task):
            while not task.done():
                try:
                    await asyncio.shield(task)
                except asyncio.CancelledError:
                    continue
        """,
    "ISO402 a clean-up that finishes first": """
        import asyncio

        async def close(self):
            try:
                await self.reader
            except asyncio.CancelledError:
                pass
            await self.transport.close()
        """,
    "ISO402 a task's last words": """
        import asyncio

        async def keep_open(stack, stop):
            try:
                try:
                    await stop.wait()
                except asyncio.CancelledError:
                    log("stopped")
            finally:
                await stack.aclose()
        """,
    "ISO403 a task group keeps its tasks": """
        async def serve(group, message):
            group.create_task(store(message))
        """,
    "ISO404 a clean-up of one await": """
        async def serve(socket):
            try:
                await socket.run()
            finally:
                await socket.close()
        """,
    "ISO502 a cache on a class of which there is one": """
        from functools import lru_cache

        class Dialect:
            @lru_cache
            def query(self, kind):
                return build(kind)
        """,
    "ISO504 a number cannot contain the separator": """
        async def load(cache, user_id: int, name):
            return await cache.get(f"{user_id}:{name}")
        """,
    "ISO505 a duration": """
        import time

        def measure(user_id):
            began = time.time()
            return user_id, began
        """,
    "ISO601 a worker thread's own": """
        import threading
        current = threading.local()

        def work(job):
            current.job = job
        """,
    "ISO602 a thread's lock released before the await": """
        import threading

        class Counter:
            def __init__(self):
                self.lock = threading.Lock()

            async def count(self):
                with self.lock:
                    self.number += 1
                await store(self)
        """,
}


@pytest.mark.parametrize("case", SILENT)
def test_a_near_miss_leaves_every_rule_silent(case: str) -> None:
    assert ids(SILENT[case]) == set()


def test_every_rule_has_a_near_miss_beside_the_page_s() -> None:
    covered = {name.split()[0] for name in SILENT}

    assert {rule.id for rule in RULES} - covered == {BY_THE_SCAN, "ISO105", "ISO501", "ISO503"}


MORE = {
    "ISO101": """
        _agents = {}

        def get_agent(name):
            if name not in _agents:
                _agents[name] = Agent(name)
            return _agents[name]
        """,
    "ISO102": """
        current_user = None

        def log_in(user):
            global current_user
            current_user = user
        """,
    "ISO104": """
        from dataclasses import dataclass

        class Memory:
            def keep(self, text):
                self.text = text

        @dataclass
        class Agent:
            memory: Memory = Memory()
        """,
    "ISO106": """
        from contextvars import ContextVar
        fields = ContextVar("fields")

        def bind(key, value):
            mine = fields.get()
            mine[key] = value
        """,
    "ISO201": """
        session = Session(engine)

        def load(user):
            return session.get(user)
        """,
    "ISO202": """
        class WebSocketManager:
            _instance = None

            def __new__(cls):
                if cls._instance is None:
                    cls._instance = super().__new__(cls)
                return cls._instance

            def add(self, user, socket):
                self.sockets[user] = socket
        """,
    "ISO301": """
        class Limiter:
            async def enter(self, user):
                if self.count >= self.most:
                    return False
                await log(user)
                self.count += 1
                return True
        """,
    "ISO302": """
        class Counter:
            async def add(self, amount):
                before = self.value
                await log(before)
                self.value = before + amount
        """,
    "ISO401": """
        class Pool:
            async def __aenter__(self):
                await self.slots.acquire()
                self.connection = await open_one()
                return self.connection
        """,
    "ISO402": """
        import asyncio, contextlib

        async def poll(source):
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await source.next()
        """,
    "ISO403": """
        import asyncio

        async def on_message(message):
            loop = asyncio.get_running_loop()
            task = loop.create_task(store(message))
        """,
    "ISO504": """
        LIMITS = {}

        def limit(tenant, name):
            key = tenant + "/" + name
            return LIMITS.get(key)
        """,
}


@pytest.mark.parametrize("rule", MORE)
def test_other_shapes_of_an_anti_pattern_are_found(rule: str) -> None:
    assert ids(MORE[rule]) == {rule}


def test_a_lock_that_is_let_go_in_between_protects_nothing() -> None:
    source = """
        class Cache:
            async def get(self, key):
                async with self._lock:
                    if key in self.values:
                        return self.values[key]
                value = await load(key)
                async with self._lock:
                    self.values[key] = value
                return value
        """

    assert ids(source) == {"ISO301"}


DROPPED = "import asyncio\n\nasync def go(x):\n    asyncio.create_task(x){}\n"


def test_a_comment_suppresses_its_rule_in_its_line_and_keeps_the_reason() -> None:
    (finding,) = found(DROPPED.format("  # isomodel: ignore[ISO403] the server keeps it"))

    assert (finding.rule, finding.suppressed) == ("ISO403", "the server keeps it")


def test_a_comment_alone_in_its_line_is_for_the_next() -> None:
    source = DROPPED.format("").replace("    a", "    # isomodel: ignore[ISO403] kept\n    a")

    assert [finding.suppressed for finding in found(source)] == ["kept"]


def test_a_comment_for_another_rule_suppresses_nothing_and_is_reported() -> None:
    findings = found(DROPPED.format("  # isomodel: ignore[ISO404] no"))

    assert {finding.rule: finding.suppressed for finding in findings} == {
        "ISO403": None,
        "ISO001": None,
    }


def test_a_comment_in_a_string_is_none() -> None:
    assert ids('text = "# isomodel: ignore[ISO301]"\n') == set()


def test_a_comment_is_not_called_idle_where_its_rule_did_not_run() -> None:
    rules = [rule for rule in RULES if rule.id != "ISO403"]
    source = DROPPED.format("  # isomodel: ignore[ISO403] kept")

    assert list(scan_source("app.py", source, rules)) == []


def test_columns_count_characters() -> None:
    source = 'import asyncio\nasync def go(x):\n    "ä"; asyncio.create_task(x)\n'

    assert [(each.line, each.column) for each in found(source)] == [(3, 10)]


def test_a_form_feed_ends_no_line() -> None:
    source = "\x0c\n# \u2028\n" + DROPPED.format("")

    assert [(each.line, each.column) for each in found(source)] == [(6, 5)]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app" / ".venv").mkdir(parents=True)
    (tmp_path / "app" / "drop.py").write_text(DROPPED.format(""))
    (tmp_path / "app" / "fine.py").write_text("import asyncio\n")
    (tmp_path / "app" / ".venv" / "drop.py").write_text(DROPPED.format(""))
    return tmp_path


def test_findings_are_lines_with_a_place_and_a_fix(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", "app"]) == exits.VIOLATED

    first, fix, count = capsys.readouterr().out.splitlines()
    assert first.startswith("app/drop.py:4:5 ISO403 nobody keeps the task")
    assert fix.startswith("    fix: keep it in a set")
    assert count == "1 finding in 2 files"


def test_nothing_found_is_exit_0(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "app/fine.py"]) == exits.OK
    assert main(["scan", "app", "--ignore", "ISO4"]) == exits.OK
    assert main(["scan", "app", "--select", "ISO3,ISO101"]) == exits.OK
    assert main(["scan", "app", "--exclude", "drop*"]) == exits.OK
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"def broken(:\n", "invalid syntax"),
        (b"x = 'a\x00b'\n", "null"),
        (b"# coding: latin-1\n\xe4 = (\n", "never closed"),
        (b"\xff\xfe", "encoding"),
        (b"x = " + b"-" * 20_000 + b"1\n", ""),
        (b"async def f(x):\n    await x(" + b"x + " * 4_000 + b"x)\n", "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_and_the_others_are_scanned(
    tree: Path, capsys: pytest.CaptureFixture[str], content: bytes, reason: str
) -> None:
    (tree / "app" / "broken.py").write_bytes(content)

    assert main(["scan", "app"]) == exits.BAD_INPUT

    output = capsys.readouterr()
    (line,) = output.err.splitlines()
    assert line.startswith("isomodel: cannot scan app/broken.py")
    assert reason in line
    assert "app/drop.py:4:5 ISO403" in output.out


def test_a_missing_path_is_one_line_and_the_others_are_scanned(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", "nowhere", "app"]) == exits.BAD_INPUT

    output = capsys.readouterr()
    assert output.err.startswith("isomodel: cannot scan nowhere; no such file or folder;")
    assert "1 finding in 2 files" in output.out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["scan"], "no path to scan"),
        (["scan", ".", "--select", "XYZ"], "no rule's id begins with 'XYZ'"),
        (["scan", ".", "--select", "ISO3", "--ignore", "ISO"], "leave no rule"),
        (["scan", ".", "--format", "xml"], "invalid choice"),
    ],
)
def test_a_wrong_option_is_one_line(
    tree: Path, capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    assert main(argv) == exits.BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_folder_without_python_is_bad_input(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "empty").mkdir()

    assert main(["scan", "empty"]) == exits.BAD_INPUT
    assert "no Python file in empty" in capsys.readouterr().err


def test_json_is_one_document(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "app", "--format", "json"]) == exits.VIOLATED

    document = json.loads(capsys.readouterr().out)
    assert (document["command"], document["exit"], document["files"]) == ("scan", 1, 2)
    assert [(each["path"], each["rule"]) for each in document["findings"]] == [
        ("app/drop.py", "ISO403")
    ]


def test_sarif_has_what_its_schema_demands(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "app" / "kept one.py").write_text(
        DROPPED.format("  # isomodel: ignore[ISO403] the server keeps it")
    )
    (tree / "app" / "broken.py").write_text("def broken(:\n")

    assert main(["scan", "app", "--format", "sarif"]) == exits.BAD_INPUT

    document = json.loads(capsys.readouterr().out)
    check_sarif(document)
    (run,) = document["runs"]
    plain, kept = run["results"]
    assert "suppressions" not in plain
    assert kept["suppressions"] == [{"kind": "inSource", "justification": "the server keeps it"}]
    location = kept["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "app/kept%20one.py"
    assert run["invocations"][0]["executionSuccessful"] is False


def check_sarif(document: dict[str, Any]) -> None:
    """The constraints of the SARIF 2.1.0 schema on the properties that are used here."""
    assert document.keys() <= {"$schema", "version", "runs"}
    assert document["version"] == "2.1.0"
    for run in document["runs"]:
        assert run.keys() <= {"tool", "columnKind", "invocations", "results"}
        assert run["columnKind"] in {"utf16CodeUnits", "unicodeCodePoints"}
        driver = run["tool"]["driver"]
        assert isinstance(driver["name"], str)
        rules = driver["rules"]
        assert len({rule["id"] for rule in rules}) == len(rules)
        for rule in rules:
            for text in ("shortDescription", "fullDescription", "help"):
                check_message(rule[text])
            assert rule["defaultConfiguration"]["level"] in LEVELS
        for invocation in run["invocations"]:
            assert isinstance(invocation["executionSuccessful"], bool)
            for notification in invocation["toolExecutionNotifications"]:
                check_result(notification)
        for result in run["results"]:
            check_result(result)
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
            for suppression in result.get("suppressions", []):
                assert suppression["kind"] in {"inSource", "external"}


LEVELS = {"none", "note", "warning", "error"}


def check_message(message: dict[str, Any]) -> None:
    assert isinstance(message["text"], str)
    assert message["text"]


def check_result(result: dict[str, Any]) -> None:
    check_message(result["message"])
    assert result["level"] in LEVELS
    for location in result["locations"]:
        physical = location["physicalLocation"]
        assert re.fullmatch(r"[\w%./:~-]+", physical["artifactLocation"]["uri"])
        region = physical.get("region", {"startLine": 1})
        assert region.keys() <= {"startLine", "startColumn", "endLine", "endColumn"}
        assert all(isinstance(value, int) and value >= 1 for value in region.values())


def test_rules_are_listed_without_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--rules"]) == exits.OK

    output = capsys.readouterr().out
    assert all(f"{rule.id}  {rule.name}" in output for rule in RULES)


def test_findings_do_not_depend_on_the_hash_seed(tree: Path) -> None:
    for rule, source in MORE.items():
        (tree / "app" / f"{rule}.py").write_text(textwrap.dedent(source))
    command = [sys.executable, "-m", "isomodel", "scan", "app"]
    outputs = {
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=False
        ).stdout
        for seed in ("1", "2")
    }

    assert len(outputs) == 1
    assert b"ISO504" in next(iter(outputs))


def test_flake8_gets_the_same_places() -> None:
    source = DROPPED.format("")

    assert [each[:3] for each in Plugin(ast.parse(source)).run()] == [
        (each.line, each.column - 1, f"{each.rule} {each.message}") for each in found(source)
    ]
