"""The fine granularity: a point before each bytecode instruction that another thread could notice.

Events of the interpreter: ``sys.settrace`` with opcodes on Python 3.11, ``sys.monitoring`` from
3.12 on. Instructions that only move things about on the thread's own stack are passed over, as
nobody can see them. The program's code is not changed, so nothing that it does is missed; what
other code does between two points is still one step.

A switch inside such an event runs under ``sys.call_tracing``: else the interpreter, which believes
to be in the event still, loses those of every other thread.
"""

from __future__ import annotations

import contextlib
import dis
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FrameType, FunctionType
from typing import Any

from isomodel.engine.threads.crew import Crew
from isomodel.engine.threads.here import here
from isomodel.engine.threads.places import Places, Touched
from isomodel.tracking.active import activate, recording
from isomodel.tracking.recorder import Recorder, Runner

_OWN = """
BUILD_LIST BUILD_MAP BUILD_SET BUILD_SLICE BUILD_STRING BUILD_TUPLE CACHE COPY COPY_FREE_VARS
DELETE_FAST END_FOR END_SEND EXTENDED_ARG GEN_START INTERPRETER_EXIT IS_OP JUMP_BACKWARD
JUMP_BACKWARD_NO_INTERRUPT JUMP_FORWARD KW_NAMES LOAD_ASSERTION_ERROR LOAD_CLOSURE LOAD_CONST
LOAD_FAST LOAD_FAST_AND_CLEAR LOAD_FAST_CHECK LOAD_FAST_LOAD_FAST MAKE_CELL MAKE_FUNCTION NOP
POP_EXCEPT POP_JUMP_BACKWARD_IF_NONE POP_JUMP_BACKWARD_IF_NOT_NONE POP_JUMP_FORWARD_IF_NONE
POP_JUMP_FORWARD_IF_NOT_NONE POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE POP_TOP PRECALL PUSH_EXC_INFO
PUSH_NULL RAISE_VARARGS RERAISE RESUME RETURN_CONST RETURN_GENERATOR RETURN_VALUE STORE_FAST
STORE_FAST_LOAD_FAST STORE_FAST_STORE_FAST SWAP
"""
"""Instructions that touch nothing but the thread's own stack and variables."""

_SILENT = frozenset(_OWN.split())

Ran = Counter[tuple[str, int, int]]
"""How often an instruction ran: by thread, identity of its code, and offset."""


class Instructions:
    """The events of this process, for one program at a time."""

    def __init__(self) -> None:
        self._codes: dict[int, CodeType] = {}
        self._places: dict[int, frozenset[int]] = {}
        self._touched: dict[int, dict[int, Touched]] = {}
        self._ran: Ran | None = None
        self._crew: Crew | None = None

    @contextlib.contextmanager
    def watching(self, functions: Iterable[FunctionType]) -> Iterator[None]:
        """Look at the instructions of these functions, and of those made in them."""
        self._forget()
        for function in functions:
            self._add(function.__code__)
        events = _events(self)
        with events.watching(self._codes.values()):
            try:
                yield
            finally:
                self._forget()

    def _forget(self) -> None:
        self._codes, self._places, self._touched = {}, {}, {}

    def _add(self, code: CodeType) -> None:
        if id(code) in self._codes:
            return
        self._codes[id(code)] = code  # by identity: to hash one takes as long as to read it
        self._places[id(code)] = frozenset(
            each.offset for each in dis.get_instructions(code) if each.opname not in _SILENT
        )
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._add(constant)

    def begin(self, crew: Crew, watch: bool) -> None:
        """An execution begins; with ``watch`` its threads have points at instructions."""
        self._crew = crew if watch else None
        if watch and _TRACES:
            crew.traced = self._trace_again

    def end(self) -> None:
        """It is over."""
        if self._crew is not None and _TRACES:
            sys.settrace(None)
        self._crew = None

    def happens(self, code: CodeType, offset: int) -> None:
        """This instruction is about to run."""
        crew = self._crew
        if crew is None or crew is not here.crew or crew.current is None:
            return
        key = id(code)
        if offset not in self._places[key] or crew.quiet or crew.ending:
            return
        if self._ran is not None:
            self._ran[crew.current.name, key, offset] += 1
        if key not in self._touched:
            sys.call_tracing(crew.point, ())
            return
        thread = crew.current
        touched = self._touched[key].get(offset)
        thread.alone = touched == ()
        sys.call_tracing(crew.point, ())
        thread.alone = False
        recorder = recording() if touched else None
        if recorder is not None:
            for owner, part, write in touched or ():
                recorder.touch_name(owner, part, write=write)

    # What is known of them

    @contextlib.contextmanager
    def noting(self) -> Iterator[Ran]:
        """Count inside the block which instructions run."""
        self._ran = ran = Ran()
        try:
            yield ran
        finally:
            self._ran = None

    def know(self, places: Places, ran: Ran) -> Counter[str]:
        """From now on know of these what they touch; how many, by thread, concern nobody else."""
        alone: Counter[str] = Counter()
        self._touched = {key: {} for _, key, _ in ran}
        of = {key: places.of(self._codes[key]) for key in self._touched}
        for (thread, key, offset), times in ran.items():
            touched = self._touched[key][offset] = of[key][offset]
            if not touched:
                alone[thread] += times
        return alone

    @contextlib.contextmanager
    def recording(self, who: Callable[[], Runner], *, located: bool = False) -> Iterator[Recorder]:
        """Record inside the block what instructions touch, as far as it is known.

        As ``Tracker.recording``, but the program's code stays as it is.
        """
        recorder = Recorder(who, located=located)
        before = activate(recorder)
        try:
            yield recorder
        finally:
            activate(before)
            recorder.forget()

    # Python 3.11

    def _trace_again(self) -> None:
        """greenlet takes the tracing of one greenlet along to another on 3.11: say it anew."""
        sys.settrace(self._called)

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        if id(frame.f_code) not in self._places:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._traced

    def _traced(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "opcode":
            self.happens(frame.f_code, frame.f_lasti)
        return self._traced


_TRACES = sys.version_info < (3, 12)


class _Tracing:
    @contextlib.contextmanager
    def watching(self, codes: Iterable[CodeType]) -> Iterator[None]:
        """Tracing begins with each thread."""
        yield


class _Monitoring:
    """``sys.monitoring``, under a tool id of its own."""

    TOOL = 4

    def __init__(self, owner: Instructions) -> None:
        self._owner = owner

    @contextlib.contextmanager
    def watching(self, codes: Iterable[CodeType]) -> Iterator[None]:
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
        event = monitoring.events.INSTRUCTION
        monitoring.use_tool_id(self.TOOL, "isomodel")
        monitoring.register_callback(self.TOOL, event, self._owner.happens)
        codes = list(codes)
        for code in codes:
            monitoring.set_local_events(self.TOOL, code, event)
        try:
            yield
        finally:
            for code in codes:
                monitoring.set_local_events(self.TOOL, code, 0)
            monitoring.register_callback(self.TOOL, event, None)
            monitoring.free_tool_id(self.TOOL)


def _events(owner: Instructions) -> Any:
    return _Tracing() if _TRACES else _Monitoring(owner)


instructions = Instructions()
"""One for the process, as the events belong to the process."""
