"""Code of one asynchronous library under another: told by the error it ends with."""

from __future__ import annotations

_SAYS: tuple[tuple[str, type[BaseException], str], ...] = (
    ("asyncio", RuntimeError, "no running event loop"),
    ("asyncio", RuntimeError, "no current event loop"),
    ("asyncio", RuntimeError, "There is no current event loop"),
    ("asyncio", TypeError, "trio.run received unrecognized yield message"),
    ("trio", RuntimeError, "must be called from async context"),
    ("trio", RuntimeError, "Task got bad yield: WaitTaskRescheduled"),
    ("trio", RuntimeError, "Task got bad yield: <class 'trio."),
)
"""Whose code it is that ends so under another library."""


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
    """Where the program called that library: the innermost line that is not the library's own."""
    place = "unknown place"
    trace = error.__traceback__
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename.replace("\\", "/")
        ours = any(part in filename for part in ("/isomodel/search/", "/isomodel/engine/"))
        if not ours and not any(part in filename for part in ("/asyncio/", "/trio/", "/outcome/")):
            place = f"{filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
