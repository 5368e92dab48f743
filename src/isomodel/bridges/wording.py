"""Schedules, sizes and values in words: what reports and regression tests say alike."""

from __future__ import annotations

from typing import Any

from isomodel.values.case import Size
from isomodel.values.scenario import SERVER, Operation, made_by, operation_of
from isomodel.values.schedule import (
    OF_NETWORK,
    STRIKES,
    Fault,
    FaultKind,
    Fidelity,
    RuntimeName,
    Switch,
)

_OF_THREADS = "threads interrupted only before accesses of the code under test, and at locks"

_ORDERS: dict[RuntimeName, dict[Fidelity, str]] = {
    "asyncio": {
        "stock": "only orders the stock asyncio loop can produce",
        "portable": "any runnable task next, as trio, other loops and later versions may choose",
    },
    "trio": {
        "stock": "on trio, only orders its own loop can produce",
        "portable": "on trio, any runnable task next, as its documentation allows",
    },
    "threads": {
        "stock": _OF_THREADS,
        "portable": _OF_THREADS,
    },
}


def orders(fidelity: Fidelity, runtime: RuntimeName) -> str:
    """What this fidelity means on this runtime."""
    return _ORDERS[runtime][fidelity]


NOT_MINIMAL = "not minimal: shrinking ended at its limit"
"""Said of a case from which something may be left out still."""

STRUCK: dict[FaultKind, str] = {
    "cancel": "is cancelled",
    "timeout": "is given up by its caller's time limit",
    "scope": "is given up by its caller's cancel scope",
}
"""What happens to a task when such a fault strikes."""

NAMES: dict[FaultKind, str] = {
    "cancel": "cancellation",
    "timeout": "time limit",
    "scope": "cancel scope",
    "fail": "failing I/O",
    "slow": "slow I/O",
    "jump": "jump of the clock",
    "refuse": "refused connection",
    "reset": "reset connection",
    "split": "delivery in pieces",
    "partition": "connection gone silent",
    "stale": "connection closed while idle",
}


def shown(value: Any, width: int = 60) -> str:
    """This value on one line of at most ``width`` characters, its middle left out if need be."""
    text = " ".join(repr(value).split())
    if len(text) <= width:
        return text
    tail = width // 3
    return f"{text[: width - tail - 3]}...{text[-tail:]}"


def called(operation: Operation, width: int = 32) -> str:
    """The operation as a call: ``send(text='hello')``."""
    arguments = []
    for name, value in operation.args.items():
        maker = made_by(value)
        made = f"the one of {maker}" if maker is not None else shown(value, width)
        arguments.append(f"{name}={made}")
    return f"{operation.name}({', '.join(arguments)})"


def outcome(kind: str, value: Any, width: int = 60) -> str:
    """How an operation or a final check ended."""
    if kind == "hang":
        return "never ends"
    if kind == "info" and _is_given_up(value):
        return "cancelled"
    if kind == "info":
        return shorten(f"{outcome('fail', value, width)} (done or not)", width)
    if kind == "fail":
        error = value if isinstance(value, dict) else {"error": "error", "message": value}
        message = f": {error['message']}" if error.get("message") else ""
        return shorten(f"raises {error.get('error')}{message}", width)
    if isinstance(value, dict) and set(value) == {"handle"}:
        return f"a {value['handle']}"
    return shown(value, width)


def _is_given_up(value: Any) -> bool:
    given_up = ("CancelledError", "TimeoutError")
    return not isinstance(value, dict) or value.get("error") in given_up


def shorten(text: str, width: int) -> str:
    """``text``, cut at ``width`` characters."""
    return text if len(text) <= width else text[: width - 3] + "..."


def counted(number: int, what: str) -> str:
    """``2 users``, ``1 switch``, ``no fault``."""
    plural = what + ("es" if what.endswith("ch") else "s")
    return f"no {what}" if number == 0 else f"{number} {what if number == 1 else plural}"


def size(of: Size) -> str:
    """How much a person has to follow."""
    return ", ".join(
        (
            counted(of.users, "user"),
            counted(of.operations, "operation"),
            counted(of.switches, "switch"),
            counted(of.faults, "fault"),
        )
    )


def happens(key: str) -> str:
    """The option of this key, as a clause: ``bob.1 starts``."""
    if key == "go on":
        return "what is ready goes on first"
    if key.endswith(" step"):
        return f"{key.removesuffix(' step')} goes on"
    owner, _, what = key.partition(" ")
    if owner.startswith(SERVER):
        owner = f"the server of {operation_of(owner)}"
    kind, _, number = what.rpartition(" ")
    if kind == "start":
        return f"{owner} starts"
    if kind == "cancel":
        return f"{owner} is cancelled"
    if kind == "jump":
        return "the clock jumps past every pending timer"
    if kind in ("timer", "latency"):
        return f"time passes until a timer of {owner or 'the system'} is due"
    nth = "" if number == "0" else f" (number {number})"
    return f"the {kind or what}{nth} of {owner or 'the system'} arrives"


OVER_NETWORK: dict[FaultKind, str] = {
    "refuse": "is refused",
    "reset": "is a reset of the connection instead",
    "split": "comes in three pieces: one byte, the rest, one byte",
    "partition": "never comes, nor does anything after it",
    "stale": "finds its connection closed, as one that was idle for too long",
}
"""What happens to a connect or a delivery when such a fault strikes."""


def switched(choice: Switch) -> str:
    """A choice as a sentence: when, and what happens."""
    if not choice.after:
        when = "First"
    elif choice.step == 0:
        when = f"Before {choice.after} has begun"
    else:
        when = f"When {choice.after} has taken {counted(choice.step, 'step')}"
    also = ", too" if choice.nth and choice.to != "go on" else ""
    return f"{when}, {happens(choice.to)}{also}."


def strikes(fault: Fault, task: str) -> str:
    """A fault as what happens where it strikes, in this task or in what it begins."""
    if fault.kind in STRIKES:
        return f"{fault.task} {STRUCK[fault.kind]}"
    if fault.kind == "jump":
        return "the clock jumps past every pending timer"
    if fault.kind in OF_NETWORK:
        return f"network event {fault.at} of {fault.task} {OVER_NETWORK[fault.kind]}"
    fate = "fails" if fault.kind == "fail" else "outlasts every pending timer"
    return f"{task} begins I/O {fault.at} of {fault.task}, which {fate}"


def failed(fault: Fault) -> str:
    """A fault as a sentence."""
    if fault.kind in STRIKES:
        when = f"after {counted(fault.at, 'step')}" if fault.at else "right behind its first step"
        return f"{fault.task} {STRUCK[fault.kind]} {when}."
    if fault.kind == "jump":
        return (
            f"The clock jumps past every timer while timer {fault.at} of {fault.task} is pending."
        )
    if fault.kind in OF_NETWORK:
        return f"Network event {fault.at} of {fault.task} {OVER_NETWORK[fault.kind]}."
    how = "fails" if fault.kind == "fail" else "takes longer than every pending timer"
    return f"The I/O number {fault.at} of {fault.task} {how}."
