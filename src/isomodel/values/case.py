"""Case: a counterexample as data, in a JSON file with a schema version.

Reading a case never runs code from it: the target is a name that the caller resolves.
"""

from __future__ import annotations

import msgspec

from isomodel.values.errors import BadInput
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import RuntimeName, Schedule
from isomodel.values.verdict import Finding

SCHEMA = 3
"""2 since cases may have faults other than ``cancel`` and ``fail``, 3 since they may have those of
the network and be for another runtime than asyncio; older ones are read as ever."""


class Size(msgspec.Struct, frozen=True, order=True):
    """How much a person has to follow: users, operations, context switches, faults."""

    users: int
    operations: int
    switches: int
    faults: int

    def __str__(self) -> str:
        return f"{self.users}u {self.operations}o {self.switches}s {self.faults}f"


class Origin(msgspec.Struct, frozen=True):
    """Where a counterexample came from; for people, never needed to replay it."""

    python: str = ""
    isomodel: str = ""
    seed: int = 0
    execution: int = 0
    fidelity: str = ""
    """Under which it was found; the schedule may be one of ``stock`` found later."""


class Case(msgspec.Struct, frozen=True):
    """Scenario, schedule and the finding they lead to, for the target of this name.

    ``armed`` names the defects of the target that were armed. ``minimal`` says whether it is
    1-minimal: nothing single can be removed without losing the failure; ``cut_short`` that
    shrinking ended at its limit, of time or of executions, before it knew. ``confirmed`` tells
    for each fidelity whether the failure shows there too, and under ``asyncio`` whether it does
    on the ordinary event loop; ``searched`` in how many executions it was looked for in vain.
    """

    target: str
    scenario: Scenario
    schedule: Schedule
    finding: Finding
    size: Size
    schema: int = SCHEMA
    armed: tuple[str, ...] = ()
    minimal: bool = False
    cut_short: bool = False
    confirmed: dict[str, bool] = {}
    searched: dict[str, int] = {}
    origin: Origin = Origin()
    runtime: RuntimeName = "asyncio"


def dumps(case: Case) -> bytes:
    """The case as indented JSON, with its schema version first."""
    ordered = {"schema": case.schema, **msgspec.to_builtins(case)}
    return msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n"


def loads(text: bytes, name: str) -> Case:
    """The case in this JSON text; ``name`` stands in the error message.

    Raises BadInput if it is not JSON, not a case, or of a newer schema.
    """
    try:
        raw = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BadInput(f"{name}: not a case file ({error}); hunt again to make one") from None
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if not isinstance(schema, int):
        raise BadInput(f"{name}: not a case file (no schema version); hunt again to make one")
    if schema > SCHEMA:
        raise BadInput(
            f"{name}: schema {schema} is newer than this isomodel reads ({SCHEMA}); "
            "upgrade isomodel"
        )
    try:
        return msgspec.convert(raw, Case)
    except msgspec.ValidationError as error:
        raise BadInput(f"{name}: damaged case file ({error}); hunt again to make one") from None
