"""Worker threads: what an executor runs, and what it hands back to the loop.

A function runs as a whole, when the scheduler lets it; its result and every
``call_soon_threadsafe`` of it arrive later, in the order in which they were made, as from one
thread. An executor with n workers starts its functions in order, at most n ahead of the rest.
Out of sight: races inside such functions, and what is local to a thread.
"""

# ruff: noqa: D102 - what AbstractEventLoop declares is documented there

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from isomodel.engine.handle import Post
from isomodel.engine.loop_arrivals import LoopArrivals
from isomodel.engine.owner import OWNER, Actor, NumberedFuture
from isomodel.engine.refusals import NotSimulated
from isomodel.values.execution import Issue

WORKERS = 32
"""Of the default executor: asyncio's own number depends on the machine, and is no greater."""


class Line:
    """What comes from one thread: one thing after another. ``posts`` are those that are next."""

    __slots__ = ("_posts", "_waiting")

    def __init__(self, posts: list[Post]) -> None:
        self._posts = posts
        self._waiting: deque[Post] = deque()

    def add(self, handle: Post) -> None:
        """This comes after all before it."""
        handle.line = self
        self._waiting.append(handle)
        if len(self._waiting) == 1:
            self._posts.append(handle)

    def advance(self) -> Post | None:
        """The first has come, or never will; the one that is next now."""
        self._posts.remove(self._waiting.popleft())
        if not self._waiting:
            return None
        self._posts.append(self._waiting[0])
        return self._waiting[0]


class Pool:
    """The workers of one executor, of whom ``free`` have nothing to do, and what waits for one."""

    __slots__ = ("_posts", "_queue", "free")

    def __init__(self, workers: int, posts: list[Post]) -> None:
        self.free = workers
        self._posts = posts
        self._queue: deque[Post] = deque()

    def submit(self, job: Post) -> None:
        """Run it as soon as a worker is free."""
        if self.free:
            self.free -= 1
            self._start(job, Line(self._posts))
        else:
            self._queue.append(job)

    def finished(self, worker: Line) -> None:
        """This worker can take the next one."""
        if self._queue:
            self._start(self._queue.popleft(), worker)
        else:
            self.free += 1

    def _start(self, job: Post, worker: Line) -> None:
        job.args = (worker, *job.args)
        worker.add(job)


class Executors(LoopArrivals):
    """The part of the loop that stands in for threads."""

    __slots__ = ()

    threads_run = False
    """Whether threads run beside this loop, instead of being stood in for."""

    _line: Line | None = None
    _default_executor: Any = None

    @functools.cached_property
    def _lines(self) -> dict[int, Line]:
        return {}

    @functools.cached_property
    def _pools(self) -> dict[Any, Pool]:
        return {}

    def call_soon_threadsafe(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Any:
        line = self._line
        if line is None:
            if threading.get_ident() == self._thread:
                return self.call_soon(callback, *args, context=context)
            line = self._real_thread()
        owner = OWNER.get(self.root)
        if context is None:
            context = contextvars.copy_context()
        number = owner.count("callback")
        handle = Post(callback, args, context, self.last, owner, "callback", number)
        line.add(handle)
        return handle

    def _real_thread(self) -> Line:
        name = threading.current_thread().name
        self.uncontrolled.append(Issue("thread", f"call_soon_threadsafe from {name}"))
        return self._lines.setdefault(threading.get_ident(), Line(self._posts))

    def set_default_executor(self, executor: Any) -> None:
        self._default_executor = executor

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        pass

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Two arrivals: the function runs, then its result is delivered."""
        executor = self._default_executor if executor is None else executor
        if executor is not None and not isinstance(executor, ThreadPoolExecutor):
            kind = type(executor).__name__
            self.uncontrolled.append(Issue("executor", f"{kind} runs in the loop's own process"))
        if getattr(executor, "_shutdown", False):
            raise RuntimeError("cannot schedule new futures after shutdown")
        pool = self._pools.get(executor)
        if pool is None:
            workers = getattr(executor, "_max_workers", WORKERS)
            pool = self._pools[executor] = Pool(workers, self._posts)
        future = NumberedFuture(loop=self)
        owner = OWNER.get(self.root)
        work = (pool, future, self.last, func, args)
        number = owner.count("executor")
        post = Post(self._work, work, owner.context, self.last, owner, "executor", number)
        pool.submit(post)
        return future

    def run_as_thread(self, line: Line, run: Callable[[], object]) -> None:
        """Let ``run`` happen in the thread that is ``line``, when the scheduler lets it."""

        def work() -> None:
            with self._in_thread(line):
                run()

        owner = OWNER.get(self.root)
        context = owner.context
        number = owner.count("executor")
        line.add(Post(work, (), context, self.last, owner, "executor", number))

    def _work(
        self,
        worker: Line,
        pool: Pool,
        future: asyncio.Future[Any],
        actor: Actor,
        func: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> None:
        """What a worker thread does; a function whose future is cancelled by now never runs."""
        if not future.cancelled():
            result: Any = None
            error: BaseException | None = None
            with self._in_thread(worker):
                try:
                    result = func(*args)
                except KeyboardInterrupt:
                    raise
                except BaseException as caught:
                    error = caught
            owner = OWNER.get(self.root)
            outcome = (future, result, error)
            number = owner.count("result")
            worker.add(Post(_deliver, outcome, None, actor, owner, "result", number))
            del error, outcome
        pool.finished(worker)

    @contextlib.contextmanager
    def _in_thread(self, worker: Line) -> Iterator[None]:
        """Be a thread: without a running loop, and never waiting for it."""
        future: Any = concurrent.futures.Future
        result, exception = future.result, future.exception
        asyncio._set_running_loop(None)
        self._line = worker
        future.result, future.exception = _refuse_to_wait(result), _refuse_to_wait(exception)
        try:
            yield
        finally:
            future.result, future.exception = result, exception
            self._line = None
            asyncio._set_running_loop(self)


def _deliver(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _refuse_to_wait(method: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(future: concurrent.futures.Future[Any], timeout: float | None = None) -> Any:
        if not future.done():
            raise NotSimulated(
                "a worker thread waits for the event loop (run_coroutine_threadsafe(...).result() "
                "or the like); isomodel runs such a function as a whole, so it would wait for "
                "ever: await instead, or leave this function out of the target"
            )
        return method(future, timeout)

    return refuse
