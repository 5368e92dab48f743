"""Code of one asynchronous library under another: told by the error it ends with."""

from __future__ import annotations

from isomodel.engine.control.sources import is_machinery, shortened

_SAYS: tuple[tuple[str, type[BaseException], str], ...] = (
    ("asyncio", RuntimeError, "no running event loop"),
    ("asyncio", RuntimeError, "no current event loop"),
    ("asyncio", RuntimeError, "There is no current event loop"),
    ("asyncio", AttributeError, "'NoneType' object has no attribute 'create_future'"),
    ("asyncio", TypeError, "trio.run received unrecognized yield message"),
    ("trio", RuntimeError, "must be called from async context"),
    ("trio", RuntimeError, "Task got bad yield: WaitTaskRescheduled"),
    ("trio", RuntimeError, "Task got bad yield: <class 'trio."),
)
"""Whose code it is that ends so under another library."""

_LIBRARIES = ("asyncio", "trio", "outcome")


def mixed(error: BaseException, runtime: str) -> str:
    """What is mixed here, and what to do, in one line; "" if this error says nothing of the kind.

    An error of several at once (a task group's) tells by its parts.
    """
    if isinstance(error, BaseExceptionGroup):
        return next((said for each in error.exceptions if (said := mixed(each, runtime))), "")
    text = str(error)
    for library, kind, says in _SAYS:
        if library != runtime and isinstance(error, kind) and says in text:
            return (
                f'code of {library} under runtime "{runtime}" ({type(error).__name__}: '
                f'{text[:80]}, {_place(error)}); write `runtime = "{library}"`, '
                "or leave that code out of the target"
            )
    return ""


def _place(error: BaseException) -> str:
    """Where the program called that library: the innermost line that is not a library's own."""
    place = "unknown place"
    trace = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__"))
        if module.partition(".")[0] not in _LIBRARIES and not is_machinery(module):
            place = f"{shortened(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
