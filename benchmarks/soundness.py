"""Soundness: the factory layer with nothing armed is correct, so every finding is a false alarm.

Or a bug of the layer: either has to go. Each execution is judged by all oracles.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from benchmarks.crew import WORKERS, spread
from benchmarks.defects import target
from benchmarks.rows import Report, Row, at_least, at_most, figure
from isomodel.search.exploring.explore import AUDIT_EVERY, Explorer
from isomodel.search.exploring.tally import Tally
from isomodel.search.running.execute import session
from isomodel.values.schedule import Fidelity

EACH = 100_000
PIECE = 1_000


class Piece(msgspec.Struct, frozen=True):
    """Executions ``first`` and following of the hunt from one seed."""

    fidelity: Fidelity
    seed: int
    first: int
    executions: int


class Checked(msgspec.Struct, frozen=True):
    """What came of them; ``seconds`` are CPU seconds."""

    executions: int
    seconds: float
    steps: int
    alone_runs: int
    alone_steps: int
    also_alone: int
    findings: dict[str, int]
    unknown: dict[str, int]
    status: str


def check(piece: Piece) -> Checked:
    """Run and judge them all, findings or not."""
    findings: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    with session():
        explorer = Explorer(target(), seed=piece.seed, fidelities=(piece.fidelity,))
        tally = Tally(target())
        start = time.process_time()
        for index in range(piece.first, piece.first + piece.executions):
            draw = explorer.draw(index)
            execution, judged = explorer.examine(draw, observe=explorer.observes(draw))
            for finding in judged.findings:
                findings[f"{finding.property}: {_general(finding.message)}"] += 1
            if judged.unknown:
                unknown[judged.unknown] += 1
            explorer.learn(draw, execution)
            tally.add(execution, judged.unknown, judged.also_alone)
            if index % AUDIT_EVERY == 0:
                tally.audit(execution, explorer.run(draw))
        seconds = time.process_time() - start
        outcome = tally.outcome(explorer.judge.isolation)
    if outcome.verdict.status == "unknown":
        unknown[outcome.verdict.reason] += 1
    return Checked(
        tally.executions,
        seconds,
        tally.steps,
        outcome.alone_runs,
        outcome.alone_steps,
        tally.also_alone,
        dict(findings),
        dict(unknown),
        outcome.verdict.status,
    )


def _general(message: str) -> str:
    """The message without what differs from one execution to the next."""
    return " ".join(word for word in message.split() if not any(map(str.isdigit, word)))


def run(quick: bool) -> Report:
    """The rows of both fidelities."""
    size = PIECE // 5 if quick else PIECE
    pieces = [
        Piece(fidelity, seed=number // 10, first=number % 10 * size, executions=size)
        for number in range(EACH // size)
        for fidelity in ("stock", "portable")
    ]
    done: dict[str, list[Checked]] = {"stock": [], "portable": []}
    for piece, checked in spread(check, pieces, 35 if quick else None):
        done[piece.fidelity].append(checked)
    rows = [row for fidelity, checked in done.items() for row in _rows(fidelity, checked, quick)]
    sample = f"{EACH:,} executions of each fidelity"
    if quick:
        sample = "as many executions as fit"
    return Report("soundness", quick, f"{sample}, {WORKERS} processes", tuple(rows))


def _rows(fidelity: str, checked: list[Checked], quick: bool) -> Iterator[Row]:
    executions = sum(each.executions for each in checked)
    findings = _added(each.findings for each in checked)
    unknown = _added(each.unknown for each in checked)
    if quick:
        yield figure(f"{fidelity}: executions judged", executions, "executions")
    else:
        yield at_least(f"{fidelity}: executions judged", executions, EACH, "executions")
    yield at_most(
        f"{fidelity}: false alarms",
        findings.total(),
        0,
        "findings",
        note="; ".join(f"{times} x {what}" for what, times in findings.most_common(5)),
    )
    yield figure(
        f"{fidelity}: unknown",
        unknown.total(),
        "verdicts",
        note="; ".join(f"{times} x {what}" for what, times in unknown.most_common(3)),
    )
    also = sum(each.also_alone for each in checked)
    yield figure(f"{fidelity}: differences a user alone can show, too", also, "executions")
    seconds = sum(each.seconds for each in checked)
    yield figure(
        f"{fidelity}: speed of one process", executions / max(seconds, 1e-9), "executions/s"
    )
    runs = sum(each.alone_runs for each in checked)
    yield figure(
        f"{fidelity}: cost of noninterference, in executions",
        1 + runs / max(1, executions),
        "times",
    )
    steps, alone = sum(each.steps for each in checked), sum(each.alone_steps for each in checked)
    yield figure(
        f"{fidelity}: cost of noninterference, in steps", 1 + alone / max(1, steps), "times"
    )


def _added(counts: Iterable[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return total
