"""Edits of scenarios and schedules, as shrinking needs them: pure functions on values."""

from __future__ import annotations

import msgspec

from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario, made_by, operation_of
from isomodel.values.schedule import Fault, Schedule, Switch


def as_begun(scenario: Scenario, execution: Execution) -> Scenario:
    """The scenario with users and operations listed in the order in which they began there."""
    begun = [event.label for event in execution.history if event.kind == "invoke"]
    place = {label: number for number, label in enumerate(begun)}
    last = len(begun)
    first: dict[str, int] = {}
    for each in scenario.operations:
        mine = place.get(each.label, last)
        first[each.user] = min(first.get(each.user, last), mine)
    operations = sorted(
        scenario.operations, key=lambda o: (first[o.user], place.get(o.label, last))
    )
    return msgspec.structs.replace(scenario, operations=tuple(operations))


def replaced(scenario: Scenario, changed: Operation) -> Scenario:
    """The scenario with this operation in place of the one of its label."""
    operations = tuple(
        changed if operation.label == changed.label else operation
        for operation in scenario.operations
    )
    return msgspec.structs.replace(scenario, operations=operations)


def without(scenario: Scenario, label: str) -> Scenario:
    """The scenario without this operation, and without those that use what it made."""
    gone = {label}
    kept = []
    for operation in scenario.operations:
        if operation.label in gone:
            continue
        if any(made_by(value) in gone for value in operation.args.values()):
            gone.add(operation.label)
            continue
        kept.append(operation)
    return msgspec.structs.replace(scenario, operations=tuple(kept))


def relabelled(scenario: Scenario, users: dict[str, str], labels: dict[str, str]) -> Scenario:
    """The scenario with other names for its users and operations."""
    operations = tuple(
        msgspec.structs.replace(
            operation,
            label=labels[operation.label],
            user=users[operation.user],
            args={name: _renamed_handle(v, labels) for name, v in operation.args.items()},
        )
        for operation in scenario.operations
    )
    groups = tuple(tuple(users.get(user, user) for user in group) for group in scenario.groups)
    return msgspec.structs.replace(scenario, operations=operations, groups=groups)


def _renamed_handle(value: object, labels: dict[str, str]) -> object:
    maker = made_by(value)
    return {"made": labels[maker]} if maker is not None else value


def relabelled_schedule(schedule: Schedule, labels: dict[str, str]) -> Schedule:
    """The schedule that says of the renamed operations what this one says of the old."""

    return Schedule(
        schedule.fidelity,
        tuple(
            Switch(
                _relabelled_task(choice.after, labels),
                choice.step,
                relabelled_key(choice.to, labels),
                choice.nth,
            )
            for choice in schedule.choices
        ),
        tuple(Fault(f.kind, _relabelled_task(f.task, labels), f.at) for f in schedule.faults),
    )


def relabelled_key(key: str, labels: dict[str, str]) -> str:
    """The key of an option that is of the renamed operation what this one is of the old."""
    head, space, rest = key.partition(" ")
    return _relabelled_task(head, labels) + space + rest if key != "go on" else key


def _relabelled_task(task: str, labels: dict[str, str]) -> str:
    head, slash, rest = task.partition("/")
    label = operation_of(head)
    mark = head.removesuffix(label)
    return mark + labels.get(label, label) + slash + rest


def with_fault(schedule: Schedule, index: int, fault: Fault) -> Schedule:
    """The schedule with this fault in place of the one of this number."""
    faults = (*schedule.faults[:index], fault, *schedule.faults[index + 1 :])
    return msgspec.structs.replace(schedule, faults=faults)


def kept(schedule: Schedule, labels: set[str]) -> Schedule:
    """What a schedule says of the operations with these labels."""
    return Schedule(
        schedule.fidelity,
        tuple(choice for choice in schedule.choices if _about(choice, labels)),
        tuple(fault for fault in schedule.faults if _label(fault.task) in labels),
    )


def _about(choice: Switch, labels: set[str]) -> bool:
    after, to = _label(choice.after), _label(choice.to)
    return (not after or after in labels) and (choice.to == "go on" or to in labels)


def _label(name: str) -> str:
    return operation_of(name.split(" ")[0].split("/")[0])
