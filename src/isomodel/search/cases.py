"""Cases on disk: saved whole or not at all, found again by name, judged again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import tempfile
from importlib.metadata import version
from pathlib import Path

import msgspec

from isomodel.search.judging.judge import Judge
from isomodel.search.running.execute import check_fits, replay
from isomodel.targets.declare import TargetSpec
from isomodel.targets.resolve import check_armed
from isomodel.values.case import Case, Origin, Size, dumps, loads
from isomodel.values.errors import BadInput
from isomodel.values.execution import Execution
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import RuntimeName, Schedule
from isomodel.values.verdict import Finding


def make(
    target: str,
    armed: tuple[str, ...],
    scenario: Scenario,
    schedule: Schedule,
    finding: Finding,
    *,
    switches: int,
    seed: int = 0,
    execution: int = 0,
    runtime: RuntimeName = "asyncio",
) -> Case:
    """A case as it was found, not shrunk; with its size and where it came from."""
    size = Size(len(scenario.users), len(scenario.operations), switches, len(schedule.faults))
    return Case(
        target=target,
        scenario=scenario,
        schedule=schedule,
        finding=finding,
        size=size,
        armed=armed,
        confirmed={schedule.fidelity: True},
        origin=Origin(
            platform.python_version(), version("isomodel"), seed, execution, schedule.fidelity
        ),
        runtime=runtime,
    )


def name_of(case: Case) -> str:
    """The file name of a case: for a person to read, and the same for the same counterexample.

    The hash covers target, defects, scenario, schedule and property. Where it came from counts
    only while it is not minimal, so that no job takes another's result for its own first draft.
    """
    module, _, name = case.target.rpartition(":")
    short = name if case.armed else f"{module.rpartition('.')[2]}-{name}"
    words = [_word(text) for text in (short, *case.armed, case.finding.property) if text]
    same: tuple[object, ...] = (
        case.target,
        case.armed,
        case.scenario,
        case.schedule,
        case.finding.property,
    )
    if case.runtime != "asyncio":
        words.insert(1, case.runtime)
        same = (*same, case.runtime)
    where = None if case.minimal else (case.origin.seed, case.origin.execution)
    digest = hashlib.blake2b(
        repr((*same, where)).encode(errors="replace"), digest_size=4
    ).hexdigest()
    return "-".join([*words, digest])[-200:] + ".json"


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.#]+", "-", text).strip("-.") or "x"


def save(case: Case, folder: Path) -> Path:
    """Write the case into this folder, made if need be; where it is.

    It is on disk when this returns, and a reader sees a whole file or none.
    """
    place = folder / name_of(case)
    write(place, _encoded(case))
    return place


def write(place: Path, content: bytes) -> None:
    """Put a file in place at once and for good: temporary file, flush to disk, rename."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[-60:]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _flush_folder(place.parent)


def _flush_folder(folder: Path) -> None:
    """Make a rename last; not every system lets a folder be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _encoded(case: Case) -> bytes:
    """The case as JSON; what a target observed may be none, and must not lose the case."""
    try:
        return dumps(case)
    except (TypeError, ValueError):  # a lone surrogate, say
        finding = msgspec.structs.replace(
            case.finding,
            message=ascii(case.finding.message),
            evidence={key: ascii(value) for key, value in case.finding.evidence.items()},
        )
        return dumps(msgspec.structs.replace(case, finding=finding))


def load(path: Path) -> Case:
    """The case in this file. Raises BadInput, in one line, if there is none that can be read."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{path}: no such case file{_others(path)}") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    return loads(text, str(path))


def _others(path: Path) -> str:
    """Which cases the folder has instead."""
    if not path.parent.is_dir():
        return f"; there is no folder {path.parent}"
    names = sorted(each.name for each in path.parent.glob("*.json"))
    some = ", ".join((*names[:5], "...") if len(names) > 5 else names)
    return f"; {path.parent} has {some}" if names else ""


def fits(case: Case, spec: TargetSpec, name: str = "") -> None:
    """Raise BadInput if this case uses what the target does not (any longer) declare.

    ``name`` is what the message calls the case, by default after its target.
    """
    check_fits(spec, case.scenario, name or f"case of {case.target}")
    check_armed(spec, case.armed)


def rejudge(
    case: Case, spec: TargetSpec, armed: tuple[str, ...] | None = None
) -> tuple[Execution, Finding | None]:
    """Run the case again, here, and look for the same failure, by the oracle that found it.

    ``armed`` replaces the defects armed in the case: ``()`` tells whether it holds without.
    Where the program has changed, ``execution.diverged`` counts the choices that found no
    counterpart. A case that ends or blocks its process does so to this one: for those there
    is ``isomodel.search.campaign.campaign.replay_case``.
    """
    wanted = case.armed if armed is None else armed

    def again() -> Execution:
        return replay(spec, case.scenario, case.schedule, armed=wanted)

    execution = again()
    return execution, Judge(spec, wanted).same(execution, case.finding, again)
