"""What names say: a file alone has no types, so locks, users and sessions are told by their names.

Each pattern is matched against one identifier (``self._lock`` is ``_lock``), whatever package it
comes from.
"""

from __future__ import annotations

import re

MUTATORS = frozenset(
    {
        "append",
        "appendleft",
        "add",
        "extend",
        "extendleft",
        "insert",
        "update",
        "setdefault",
        "pop",
        "popitem",
        "popleft",
        "remove",
        "discard",
        "clear",
        "sort",
        "reverse",
        "move_to_end",
        "rotate",
    }
)
"""Methods of the standard containers that change them."""

REMOVES = frozenset({"pop", "popitem", "popleft", "remove", "discard", "clear", "sort", "reverse"})
"""Those of them that put nothing there."""

CONTAINERS = frozenset(
    {
        "list",
        "dict",
        "set",
        "bytearray",
        "collections.deque",
        "collections.defaultdict",
        "collections.OrderedDict",
        "collections.Counter",
    }
)
"""Qualified names that make a mutable container."""

RELEASES = frozenset(
    {"release", "close", "aclose", "free", "put", "put_nowait", "disconnect", "terminate"}
)
"""Methods that give back what was acquired."""

_LOCK = re.compile(
    r"lock|mutex|sem(aphore)?s?$|_sem_|cond(ition)?s?$|limiter|critical|exclusive", re.I
)
_USER = re.compile(
    r"^(user|tenant|account|customer|owner|org|organi[sz]ation|member|principal|session|request|"
    r"conversation|thread|room|context|ctx)(_?(id|name|key|ctx|context))?$|_user(_id)?$|^uid$",
    re.I,
)
_IDENTITY = re.compile(
    r"(^|_)(user|tenant|account|customer|owner|org|member|session|conversation)(_|$|id$)", re.I
)
_OF_USER = re.compile(r"(User|Session|Request|Context|Connection|Agent|Conversation|Account)$")
_SESSION = re.compile(r"(Session|Connection|Cursor|Transaction|WebSocket)$")
_OPENS = frozenset({"connect", "open_connection", "create_connection", "cursor", "begin"})
_SET_UP = re.compile(
    r"^_*(try_)?(register|configure|config|setup|set_up|install|uninstall|init|load|enable|disable|patch|reset|clear|test)",
    re.I,
)
_BUILDS = re.compile(r"Pool|Factory|Maker|Manager|Config|Error|Exception|Options|Settings", re.I)
_SUBSCRIBES = re.compile(r"^_*(on|use|include|handler|listen|hook)(_|$)", re.I)
_ENTRY = re.compile(r"^_*(main|run|serve)$|lifespan", re.I)
_RESOURCE = re.compile(
    r"conn|pool|client|session|channel|sock|stream|engine|transport|server|sandbox|proc|browser|"
    r"agent|worker|cursor|driver|broker|producer|consumer|queue|subscri|task|token|credential|"
    r"create|open|start|acquire|spawn|launch|register|runner|account",
    re.I,
)
_START = re.compile(
    r"^_*(start|open|connect|begin|run_forever|serve|main|login|launch|create)", re.I
)
_TEAR_DOWN = re.compile(
    r"^_*(a?close|stop|shut_?down|disconnect|clean_?up|tear_?down|terminate|finish|release|dispose|kill)",
    re.I,
)
_LOOP = re.compile(r"^_*(event_?)?loop$")


def is_lock(name: str) -> bool:
    """A lock, a semaphore, a condition: what excludes others while it is held."""
    return bool(_LOCK.search(name)) and not re.search(r"clock|block", name, re.I)


def is_user(name: str) -> bool:
    """One of many users, or what belongs to one: a session, a request, a context."""
    return bool(_USER.search(name))


def is_user_class(name: str) -> bool:
    """A class whose instances are made for one user, connection or request."""
    return bool(_OF_USER.search(name)) and not _BUILDS.search(name)


def is_identity(name: str) -> bool:
    """Part of a key that says whose it is."""
    return bool(_IDENTITY.search(name))


def is_session_class(name: str) -> bool:
    """A class whose instances serve one caller at a time."""
    return bool(_SESSION.search(name)) and not _BUILDS.search(name)


def opens_session(name: str) -> bool:
    """A function or method that returns such an instance."""
    return name in _OPENS


def is_set_up(name: str) -> bool:
    """A function that is called while a program starts, not for a user."""
    return bool(_SET_UP.match(name))


def is_subscription(name: str) -> bool:
    """A method that takes handlers, while the program is put together."""
    return bool(_SUBSCRIBES.match(name)) or is_set_up(name)


def is_entry(name: str, parameters: int) -> bool:
    """A function that is the program itself, and runs once: it works for nobody in particular."""
    return bool(_ENTRY.search(name)) and parameters < 2


def is_resource(name: str) -> bool:
    """What must exist once, or must be closed: to make it twice loses one of the two."""
    return bool(_RESOURCE.search(name))


def is_start(name: str) -> bool:
    """A method that begins an object's life, and is called once."""
    return bool(_START.match(name)) or is_set_up(name)


def is_tear_down(name: str) -> bool:
    """A method that ends an object's life."""
    return bool(_TEAR_DOWN.match(name))


def is_loop(name: str) -> bool:
    """An event loop."""
    return bool(_LOOP.match(name))
