"""SQLite among threads: each statement is a step, and locked databases are waited for in control.

A statement runs in C as a whole. Before each there is a point, and it counts as an access to its
database, which is what counterexamples name it by. SQLite waits for a locked database by blocking
the thread; here the thread waits in virtual time, until another one has done something to a
database or its own time limit is over.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any

from isomodel.engine.threads.crew import Crew
from isomodel.engine.threads.here import active

_READS = ("select", "pragma", "explain", "values", "with")
"""How statements begin that change nothing. (WITH may: then its change shows as a later one's.)"""

_QUIET = ("begin", "savepoint", "release", "rollback")
"""Those by which nothing is read, and nothing written that others will see."""


class _Databases:
    """Stands for all databases of a process, as what threads wait for and conflicts are over."""


databases = _Databases()


class _Connection(sqlite3.Connection):
    """A connection of a thread of ours."""

    time_limit = 5.0
    file = ""
    change = ""
    """The last statement of the current transaction that changed something."""

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(_Cursor if factory is None else factory)

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> Any:
        return self.cursor().executemany(sql, parameters)

    def executescript(self, script: str) -> Any:
        return self.cursor().executescript(script)

    def commit(self) -> None:
        _statement(self, "COMMIT", super().commit)

    def rollback(self) -> None:
        _statement(self, "ROLLBACK", super().rollback)

    def close(self) -> None:
        _statement(self, "", super().close)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        sql = "COMMIT" if kind is None else "ROLLBACK"
        return _statement(self, sql, super().__exit__, kind, error, trace)


class _Cursor(sqlite3.Cursor):
    """A cursor of such a connection."""

    connection: Any

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        return _statement(self.connection, sql, super().execute, sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> Any:
        return _statement(self.connection, sql, super().executemany, sql, parameters)

    def executescript(self, script: str) -> Any:
        return _statement(self.connection, script, super().executescript, script)


_Connection.__name__ = _Connection.__qualname__ = "Connection"
_Cursor.__name__ = _Cursor.__qualname__ = "Cursor"


def connecting(original: Callable[..., Any]) -> Callable[..., Any]:
    """``sqlite3.connect``, which in a thread of ours makes a connection of ours."""

    def connect(database: Any, *args: Any, **options: Any) -> Any:
        if active() is None or args or "factory" in options:
            return original(database, *args, **options)
        timeout = options.pop("timeout", 5.0)
        connection = original(database, timeout=0.0, factory=_Connection, **options)
        connection.time_limit = timeout
        connection.file = os.path.basename(str(database).partition("?")[0])
        return connection

    return connect


def _statement(connection: Any, sql: str, run: Callable[..., Any], *args: Any) -> Any:
    """Run a statement when it is this thread's turn, and again while its database is locked."""
    crew = active()
    if crew is None or not isinstance(connection, _Connection):
        return run(*args)
    _touch(crew, connection, sql)
    until = crew.now + connection.time_limit
    while True:
        try:
            result = run(*args)
        except sqlite3.OperationalError as error:
            if "is locked" not in str(error) or crew.now >= until or crew.ending:
                raise
            crew.wait(databases, "waits for a locked database", until)
        else:
            crew.wake(databases)
            return result


def _touch(crew: Crew, connection: Any, sql: str) -> None:
    text = " ".join(sql.split())
    verb = text.partition(" ")[0].lower()
    if verb == "commit":
        text = f"COMMIT of {connection.change}"
    if not verb or verb in _QUIET or (verb == "commit" and not connection.change):
        crew.point()
    else:
        crew.touch_outside("database", connection.file, text, write=verb not in _READS)
    if verb in ("commit", "rollback"):
        connection.change = ""
    elif verb not in _READS and verb not in _QUIET:
        connection.change = text
