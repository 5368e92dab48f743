"""Catalogue: each known defect of the factory layer, and what notices it.

One default setting for all: the hunt of ``isomodel hunt``. Then the same hunt with noninterference
alone, and the search without randomness, ``prove``, within the size of the defect's minimum. The
last two get a time, and say so where it was too short.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.crew import spread
from benchmarks.defects import Found, Oracles, Search, hunt
from benchmarks.rows import Report, Row, at_least, figure
from isomodel.search.proof.campaign import Journal, Plan, prove_target
from isomodel.search.proof.scenarios import Bound
from isomodel.targets.factory.defects import DEFECTS
from isomodel.targets.resolve import BUILTIN
from isomodel.values.case import Size

EXECUTIONS = 5_000
"""Executions within which each defect must be found, as in ``isomodel hunt``."""

PROVE_SECONDS = 60.0
"""How long the search without randomness may look for one defect."""

DEFECTS_AT_LEAST, ALONE_AT_LEAST = 40, 30

BLIND = {
    "414-03": "harms nobody but its own user: what is left over is memory",
    "414-06": "harms nobody but its own user: what is left over is memory",
    "iso-35": "harms nobody but its own user, who passes a limit of its own",
    "iso-36": "harms nobody but its own user: a transport is left open",
    "iso-37": "harms nobody but its own user, who loses a connection of its own",
    "iso-39": "harms nobody but its own user, who loses messages of its own",
    "iso-40": "harms nobody but its own user, who gets messages after the end of the connection",
    "iso-41": "harms nobody but its own user, who gets a message twice",
    "iso-43": "takes six operations before another user is refused; cleanup sees it in three",
    "iso-52": "harms nobody but its own user, whose messages go to a client that is gone",
}
"""Why noninterference alone is not asked to find these."""


class Job(msgspec.Struct, frozen=True):
    """One way of looking for one defect; for ``oracles`` None, the proof."""

    defect: str
    oracles: Oracles | None
    seconds: float | None


class Looked(msgspec.Struct, frozen=True):
    """How it went: by which property, after how many executions, of which size."""

    executions: int
    property: str = ""
    size: Size | None = None


def look(job: Job) -> Looked:
    """Look for the defect this way."""
    if job.oracles is not None:
        search = Search(job.defect, job.oracles, 0, EXECUTIONS, job.seconds, job.oracles == "all")
        return _looked(hunt(search))
    sizes = DEFECTS[job.defect].minimum.values()
    size = min(sizes, key=lambda each: (each.operations, each.faults))
    bound = Bound(max(2, size.users), size.operations)
    plan = Plan(BUILTIN[0], (job.defect,), bound, faults=size.faults)
    with tempfile.TemporaryDirectory() as folder:
        proved = prove_target(
            plan, Journal(plan), keep=Path(folder) / "journal.json", seconds=job.seconds
        )
    executions = proved.totals.executions
    if proved.found is None:
        return Looked(executions)
    return Looked(executions, proved.found.finding.property)


def _looked(found: Found) -> Looked:
    if not found.found:
        return Looked(found.executions)
    return Looked(found.executions, found.property or "noninterference", found.size)


def run(quick: bool) -> Report:
    """A row for each defect, and what they come to."""
    jobs = [Job(defect, "all", 4.0 if quick else None) for defect in DEFECTS]
    if not quick:
        jobs += [Job(d, "noninterference", 60.0) for d in DEFECTS if d not in BLIND]
        jobs += [Job(defect, None, PROVE_SECONDS) for defect in DEFECTS]
    results: dict[str, dict[Oracles | None, Looked]] = {defect: {} for defect in DEFECTS}
    for job, looked in spread(look, jobs, 45 if quick else None):
        results[job.defect][job.oracles] = looked
    rows = [*_summary(results, quick)]
    for defect, looked in results.items():
        rows.append(_row(defect, looked))
    sample = "one seed, hunts only" if quick else "one seed"
    return Report("catalogue", quick, sample, tuple(rows))


def _summary(results: dict[str, dict[Oracles | None, Looked]], quick: bool) -> Iterator[Row]:
    full = {d: looked["all"] for d, looked in results.items() if "all" in looked}
    found = [d for d, looked in full.items() if looked.property]
    minimal = [d for d in found if _is_minimal(d, full[d])]
    yield at_least("defects", len(DEFECTS), DEFECTS_AT_LEAST)
    yield _of("found by one default setting", len(found), len(full), quick)
    yield _of("shrunk to the hand-made minimum", len(minimal), len(full), quick)
    if quick:
        return
    alone = [d for d, looked in results.items() if _property(looked, "noninterference")]
    yield at_least(
        "found by noninterference alone",
        len(alone),
        ALONE_AT_LEAST,
        f"of {len(DEFECTS)} defects",
        note="; ".join(f"not {defect}: {why}" for defect, why in BLIND.items()),
    )
    proved = [d for d, looked in results.items() if _property(looked, None)]
    yield figure("found without randomness, in the time given", len(proved), "defects")


def _of(what: str, value: int, of: int, quick: bool) -> Row:
    if quick:
        return figure(what, value, f"of {of} hunts that were made in the time given")
    return at_least(what, value, of, f"of {of} defects")


def _property(looked: dict[Oracles | None, Looked], how: Oracles | None) -> str:
    return looked[how].property if how in looked else ""


def _is_minimal(defect: str, looked: Looked) -> bool:
    return looked.size is not None and looked.size == DEFECTS[defect].minimum.get(looked.property)


def _row(defect: str, looked: dict[Oracles | None, Looked]) -> Row:
    title = f"{defect} {DEFECTS[defect].title}"
    if "all" not in looked:
        return figure(title, None, note="no time left")
    full = looked["all"]
    if not full.property:
        note = f"not found in {full.executions:,} executions"
        if full.executions < EXECUTIONS:
            return figure(title, None, note=f"{note}, when the time was up")
        return at_least(title, 0, 1, "found", note=note)
    alone, proof = looked.get("noninterference"), looked.get(None)
    minimum = DEFECTS[defect].minimum.get(full.property)
    note = f"by {full.property}, {full.size} / {minimum or 'not in the catalogue'}"
    if proof is not None:
        how = f"by {proof.property} in" if proof.property else "not in the time given, in"
        note += f"; prove: {how} {proof.executions:,} executions"
    if defect in BLIND:
        note += f"; noninterference: {BLIND[defect]}"
    return figure(
        title,
        full.executions,
        "executions",
        peer="noninterference alone" if alone is not None and alone.property else "",
        peer_value=alone.executions if alone is not None and alone.property else None,
        note=note,
    )
