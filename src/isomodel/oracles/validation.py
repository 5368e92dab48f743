"""Validation: nothing that must be refused is accepted."""

from __future__ import annotations

from isomodel.oracles.protocol import Invariant
from isomodel.oracles.reading import at, ends, facts, name_of
from isomodel.values.execution import Execution
from isomodel.values.facts import Accepted
from isomodel.values.verdict import Finding


def _accepted(execution: Execution) -> list[Finding]:
    return [
        Finding(
            property="validation",
            message=f"{accepted.value!r} was accepted as a {accepted.field}, which it is not",
            user=noted.user,
            **at(execution, noted),
            evidence={"field": accepted.field, "value": accepted.value},
        )
        for accepted, noted in facts(execution, Accepted)
        if not accepted.valid
    ]


def _succeeded(execution: Execution) -> list[Finding]:
    if not execution.invalid:
        return []
    ended = ends(execution)
    operations = {operation.label: operation for operation in execution.scenario.operations}
    found = []
    for label in execution.invalid:
        if label in ended and ended[label].kind == "ok":
            event, args = ended[label], operations[label].args if label in operations else {}
            values = ", ".join(f"{name}={value!r}" for name, value in args.items())
            found.append(
                Finding(
                    property="validation",
                    message=f"{label} succeeded with arguments it must refuse: "
                    f"{event.name}({values})",
                    user=event.user,
                    operation=name_of(execution, label),
                    label=label,
                    evidence={"arguments": args, "result": event.value},
                )
            )
    return found


def check(execution: Execution) -> list[Finding]:
    """Values accepted inside the system, then operations that should have been refused."""
    return _accepted(execution) + _succeeded(execution)


VALIDATION = Invariant(
    "validation",
    "What is not valid is refused, under load as well. It fires on an Accepted fact that is not "
    "valid, and on an operation that returned although its declared accepts(...) says that its "
    "arguments must be refused. It is as good as the target's judgement of what is valid, which "
    "must be made apart from the code that validates. An invalid operation that was cancelled "
    "or failed for another reason counts as refused.",
    check,
)
