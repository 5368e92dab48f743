"""The order of events as text: a lane for each user, time going down."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import msgspec

from isomodel.bridges.wording import NAMES, STRUCK, called, happens, outcome
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, operation_of
from isomodel.values.schedule import OF_NETWORK, STRIKES, Switch
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
        self._steps: dict[str, int] = {}
        self._io: dict[str, int] = {}
        self._network: dict[str, int] = {}
        self._running = ""
        self._time = 0.0

    def rows(self) -> Iterator[Row]:
        """The rows, from the first operation to the final check that tells."""
        yield from self._chosen("", 0)
        for position, step in enumerate(self._execution.trace):
            label = step.task.partition("/")[0]
            operation = self._operations.get(operation_of(label))
            if operation is None:
                continue
            if step.time > self._time + 1e-9:
                yield Row("", f"{step.time - self._time:g} s pass")
                self._time = step.time
            if step.what != "step":
                yield from self._arrived(operation, step.what)
            elif label == operation.label:
                yield from self._stepped(operation, step.task, position)
        yield from self._never_ended()
        yield from self._final_check()

    def _stepped(self, operation: Operation, task: str, position: int) -> Iterator[Row]:
        label, user = operation.label, operation.user
        number = self._steps[task] = self._steps.get(task, 0) + 1
        if task == label and number == 1 and label in self._invoked:
            yield Row(user, f"{label} begins {called(operation, 26)}")
        elif self._running != label and not self._is_last(label, task, position):
            yield Row(user, f"{label} goes on")
        self._running = label
        if self._is_last(label, task, position):
            end = self._ends[label]
            text = f"{label} -> {outcome(end.kind, end.value, self._width)}"
            yield Row(user, text, label == self._marked)
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

    def _arrived(self, operation: Operation, what: str) -> Iterator[Row]:
        kind, _, nth = what.rpartition(" ")
        if kind == "cancel":
            struck = self._struck(operation.label, int(nth))
            yield Row(operation.user, f"{operation.label} {struck}")
        elif kind == "jump":
            yield Row("", "the clock jumps past every pending timer")
        elif kind not in ("start", "timer", "latency", "callback", "executor", "result"):
            number = self._io.get(operation.label, 0)
            self._io[operation.label] = number + 1
            for fault in self._execution.schedule.faults:
                if (fault.kind, fault.task, fault.at) == ("fail", operation.label, number):
                    yield Row(operation.user, f"{kind} of {operation.label} fails")
                elif (fault.kind, fault.task, fault.at) == ("slow", operation.label, number):
                    yield Row(operation.user, f"{kind} of {operation.label} arrives, very late")
            yield from self._over_network(operation, kind)

    def _over_network(self, operation: Operation, kind: str) -> Iterator[Row]:
        if not kind.startswith(("connect", "request", "reply")):
            return
        label = operation.label
        number = self._network.get(label, 0)
        self._network[label] = number + 1
        for fault in self._execution.schedule.faults:
            if fault.kind in OF_NETWORK and (fault.task, fault.at) == (label, number):
                yield Row(operation.user, f"{kind} of {label}: {NAMES[fault.kind]}")

    def _struck(self, label: str, number: int) -> str:
        """What this strike does to the operation; they are listed as they became possible."""
        strikes = [
            fault.kind
            for fault in self._execution.schedule.faults
            if fault.kind in STRIKES and fault.task.partition("/")[0] == label
        ]
        return STRUCK[strikes[number]] if number < len(strikes) else STRUCK["cancel"]

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
