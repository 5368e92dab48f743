"""The order of events as text: a lane for each user, time going down."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import msgspec

from isomodel.bridges.wording import NAMES, called, happens, outcome, strikes
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, operation_of
from isomodel.values.schedule import Fault, Switch
from isomodel.values.trace import Event

WIDTH = 100
MOST_ROWS = 80
_MARK = ">> "


class Row(msgspec.Struct, frozen=True):
    """One line: something a user's operation does, or, without a user, something about all."""

    user: str
    text: str
    marked: bool = False


def lanes(execution: Execution, marked: str = "") -> list[str]:
    """The execution as lines; the end of the operation with the label ``marked`` stands out."""
    users = execution.scenario.users
    width = (WIDTH - len(_MARK)) // len(users)
    rows = list(_Telling(execution, marked, max(24, width - 16)).rows())
    if len(rows) > MOST_ROWS:
        left_out = len(rows) - MOST_ROWS
        half = MOST_ROWS // 2
        rows = [*rows[:half], Row("", f"... {left_out} more lines ..."), *rows[-half:]]
    heading = "".join(user.ljust(width) for user in users)
    lines = [" " * len(_MARK) + heading.rstrip()]
    for row in rows:
        lines += _drawn(row, users, width)
    return lines


def _drawn(row: Row, users: tuple[str, ...], width: int) -> Iterator[str]:
    mark = _MARK if row.marked else " " * len(_MARK)
    if row.user not in users:
        for text in textwrap.wrap(
            row.text, WIDTH - 10, subsequent_indent="  ", break_on_hyphens=False
        ):
            yield f"{' ' * len(_MARK)}  ~ {text}"
        return
    indent = width * users.index(row.user)
    for text in textwrap.wrap(
        row.text, width - 2, subsequent_indent="    ", break_on_hyphens=False
    ):
        yield mark + " " * indent + text
        mark = " " * len(_MARK)


class _Telling:
    """Turns a trace into rows: what begins and ends, who goes on, what arrives from outside."""

    def __init__(self, execution: Execution, marked: str, width: int) -> None:
        self._execution = execution
        self._width = width
        self._marked = marked
        self._operations = {o.label: o for o in execution.scenario.operations}
        self._ends: dict[str, Event] = {}
        for event in execution.history:
            if event.kind != "invoke":
                self._ends.setdefault(event.label, event)  # what hangs is cancelled afterwards
        self._invoked = {e.label for e in execution.history if e.kind == "invoke"}
        self._choices: dict[tuple[str, int], list[Switch]] = {}
        for choice in execution.schedule.choices:
            self._choices.setdefault((choice.after, choice.step), []).append(choice)
        self._last_steps = {
            step.task: position
            for position, step in enumerate(execution.trace)
            if step.what == "step"
        }
        self._stopped: dict[tuple[str, int], str] = {}
        counted: dict[str, int] = {}
        for step in execution.trace:
            if step.what == "step" and step.where:
                self._stopped[step.task, counted.get(step.task, 0)] = step.where
                counted[step.task] = counted.get(step.task, 0) + 1
        self._struck: dict[int, list[tuple[Fault, str]]] = {}
        for fault, (place, task) in zip(execution.fired, execution.places, strict=True):
            self._struck.setdefault(place, []).append((fault, task))
        self._steps: dict[str, int] = {}
        self._running = ""
        self._time = 0.0

    def rows(self) -> Iterator[Row]:
        """The rows, from the first operation to the final check that tells."""
        yield from self._chosen("", 0)
        for position, step in enumerate(self._execution.trace):
            yield from self._faults(position)
            label = step.task.partition("/")[0]
            operation = self._operations.get(operation_of(label))
            if operation is None:
                continue
            if step.time > self._time + 1e-9:
                yield Row("", f"{step.time - self._time:g} s pass")
                self._time = step.time
            if step.what == "step" and label == operation.label:
                yield from self._stepped(operation, step.task, position)
        yield from self._faults(len(self._execution.trace))
        yield from self._never_struck()
        yield from self._never_ended()
        yield from self._final_check()

    def _stepped(self, operation: Operation, task: str, position: int) -> Iterator[Row]:
        label, user = operation.label, operation.user
        number = self._steps[task] = self._steps.get(task, 0) + 1
        if task == label and number == 1 and label in self._invoked:
            yield Row(user, f"{label} begins {called(operation, 26)}")
        elif self._running != label and not self._is_last(label, task, position):
            yield Row(user, f"{task} {'begins' if number == 1 else 'goes on'}")
        self._running = label
        if self._is_last(label, task, position):
            end = self._ends[label]
            text = f"{label} -> {outcome(end.kind, end.value, self._width)}"
            yield Row(user, text, label == self._marked)
            self._running = ""
        yield from self._chosen(task, number)

    def _is_last(self, label: str, task: str, position: int) -> bool:
        ended = label in self._ends and self._ends[label].kind != "hang"
        return task == label and ended and position == self._last_steps[task]

    def _chosen(self, task: str, number: int) -> Iterator[Row]:
        for choice in self._choices.get((task, number), ()):
            if choice.to.partition(" ")[2].startswith(("cancel ", "jump ")):
                continue
            when = f"after step {number} of {task}" if task else "at first"
            stopped = self._stopped.get((task, number))
            when += f", at {stopped}" if stopped else ""
            too = ", too" if choice.nth and choice.to != "go on" else ""
            yield Row("", f"{when}: {happens(choice.to)}{too}")

    def _faults(self, position: int) -> Iterator[Row]:
        """What struck when the trace had so many entries."""
        for fault, task in self._struck.get(position, ()):
            operation = self._operations.get(operation_of(fault.task.partition("/")[0]))
            yield Row(operation.user if operation else "", strikes(fault, task))

    def _never_struck(self) -> Iterator[Row]:
        """Faults that are counted, though what they were meant for was over."""
        for fault in self._execution.schedule.faults:
            if fault not in self._execution.fired:
                yield Row(
                    "", f"{NAMES[fault.kind]} of {fault.task}: it comes too late to do anything"
                )

    def _never_ended(self) -> Iterator[Row]:
        for end in self._ends.values():
            if end.kind == "hang":
                yield Row(end.user, f"{end.label} never ends", end.label == self._marked)

    def _final_check(self) -> Iterator[Row]:
        """The final check at which it showed; the others are no part of the story."""
        if self._marked in self._operations:
            return
        for user, seen in self._execution.observations.items():
            for label, kind, value in seen:
                if label == self._marked:
                    name = label.partition(".")[2]
                    yield Row(
                        user, f"at the end, {name}: {outcome(kind, value, self._width)}", True
                    )
