"""What the interpreter keeps for each OS thread, kept for each of ours instead.

The values of ``threading.local`` objects, the running event loop of asyncio and the hooks of
asynchronous generators. (greenlet itself keeps the rest: frames, the exception being handled,
the context of context variables, the recursion depth.)

Up to Python 3.12 the values of every ``threading.local`` are in one dict of the interpreter's,
which is exchanged here, whenever the local was made. From 3.13 on they are out of reach: see
``standins``.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from typing import Any

_get = ctypes.pythonapi.PyThreadState_GetDict
_get.argtypes = []
_get.restype = ctypes.c_void_p  # a borrowed reference, which py_object would give up

_LOOP = "__asyncio_running_event_loop__"
"""Where asyncio keeps the running loop: its C code has a pointer to the value, so it must stay."""

_running_loop = asyncio._get_running_loop
_set_running_loop = asyncio._set_running_loop


_known: tuple[object, dict[Any, Any]] = (None, {})


def interpreters_own() -> dict[Any, Any]:
    """The interpreter's dict for the OS thread that asks; the same one as long as that lives."""
    global _known
    address = _get()
    if _known[0] != address:
        _known = (address, ctypes.cast(address, ctypes.py_object).value)
    return _known[1]


class Locals:
    """What one thread has of its own, while it does not run."""

    __slots__ = ("_hooks", "_loop", "_shared", "_values")

    def __init__(self, shared: dict[Any, Any]) -> None:
        self._shared = shared
        self._values: dict[Any, Any] | None = None
        self._loop: Any = None
        self._hooks: Any = None

    def leave(self) -> None:
        """Take what the running thread has out of the interpreter."""
        loop = _running_loop()
        if loop is not None:
            self._loop = loop
            self._hooks = sys.get_asyncgen_hooks()
            sys.set_asyncgen_hooks(None, None)
            _set_running_loop(None)
        shared = self._shared
        if len(shared) > (_LOOP in shared):
            self._values = values = shared.copy()
            running = values.pop(_LOOP, None)
            shared.clear()
            if running is not None:
                shared[_LOOP] = running

    def enter(self) -> None:
        """Put back what this thread has, which runs from here on."""
        values = self._values
        if values is not None:
            self._shared.update(values)
            self._values = None
        if self._loop is not None:
            _set_running_loop(self._loop)
            sys.set_asyncgen_hooks(*self._hooks)
            self._loop = None

    def end(self) -> None:
        """The running thread ends: what it has goes, one by one, as finalisers may wait."""
        shared = self._shared
        while len(shared) > (_LOOP in shared):
            shared.pop(next(key for key in shared if key != _LOOP))
        if _running_loop() is not None:
            sys.set_asyncgen_hooks(None, None)
            _set_running_loop(None)
