"""``isomodel hunt`` alone: find every known defect of the built-in layer, and no other.

A check that has never been seen to fail shows nothing, so each defect is armed alone and must be
found; and the sound layer must be clean under both fidelities.
"""

from __future__ import annotations

import time
from typing import Any

from isomodel.edges import documents, exits, report, scoreboard
from isomodel.edges.hunt import hunt_all, logs
from isomodel.edges.options import ALIASES, HuntOptions
from isomodel.edges.output import Screen
from isomodel.edges.scoreboard import Score
from isomodel.search.campaign.jobs import Job
from isomodel.targets.factory.defects import DEFECTS, Defect

ARMED = 5_000
"""Executions within which each defect must be found; most take fewer than a hundred."""

SOUND = 1_000
"""Executions of the sound layer under each fidelity, so that all ends within a minute."""

SLICES = 2
"""Jobs over which the sound layer's executions are spread, under each fidelity."""


def run(options: HuntOptions, screen: Screen) -> int:
    """Hunt them all, print the scoreboard; 0 only if all were found and the sound layer is ok."""
    began = time.time()
    jobs = _armed_jobs(options) + _sound_jobs(options)
    results = hunt_all(jobs, options, screen, _name)
    sound = [result for result in results if not result.job.armed]
    hunted = {result.job.armed[0]: result for result in results if result.job.armed}
    scores = [Score(defect, hunted[name]) for name, defect in DEFECTS.items()]
    code = _code(scores, exits.of(report.merged(sound)))
    seconds = time.time() - began
    screen.show([*scoreboard.screen(scores, sound, options, seconds), *logs(options.cases, began)])
    screen.document(
        documents.document(
            "hunt",
            code,
            target=ALIASES["factory"],
            seconds=round(seconds, 3),
            verdict=documents.verdict(report.merged(sound)),
            defects=[_row(score) for score in scores],
            results=documents.results(sound),
        )
    )
    return code


def _armed_jobs(options: HuntOptions) -> list[Job]:
    """The largest minimum first: what takes long must not begin when the other workers are idle."""
    executions = options.executions or ARMED
    names = sorted(DEFECTS, key=lambda name: _effort(DEFECTS[name]), reverse=True)
    return [_job(options, executions, options.seed, (defect,)) for defect in names]


def _effort(defect: Defect) -> tuple[int, int]:
    """How much has to come together for it to show, and in how many ways it can be noticed."""
    least = min(s.operations + s.switches + 2 * s.faults for s in defect.minimum.values())
    return least, -len(defect.minimum)


def _sound_jobs(options: HuntOptions) -> list[Job]:
    executions = -(-(options.executions or SOUND) // SLICES)
    return [
        _job(options, executions, options.seed + number, (), fidelities=(fidelity,))
        for number in range(SLICES)
        for fidelity in options.fidelities
    ]


def _job(
    options: HuntOptions, executions: int, seed: int, armed: tuple[str, ...], **more: Any
) -> Job:
    return Job(
        target=ALIASES["factory"],
        armed=armed,
        seed=seed,
        executions=executions,
        seconds=options.seconds,
        fidelities=more.get("fidelities", options.fidelities),
        oracles=options.oracles,
        users=options.users,
        operations=options.operations,
        faults=options.faults,
        shrink=options.shrink,
    )


def _name(job: Job) -> str:
    return job.armed[0] if job.armed else f"sound, {job.fidelities[0]}"


def _code(scores: list[Score], sound: int) -> int:
    return exits.VIOLATED if any(not score.found for score in scores) else sound


def _row(score: Score) -> dict[str, Any]:
    return {
        "id": score.defect.id,
        "title": score.defect.title,
        "found": score.found,
        "minimum": documents.size(score.minimum),
        "mark": score.mark,
        **documents.result(score.result),
    }
