"""How often the failure of a case shows in a target that should not have it.

python -m benchmarks.quiet CASE EXECUTIONS SEED    (in an environment with the mended version)

A hunt ends with its first finding. This goes on, and counts the findings that are the case's
failure apart from any others; it prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

from isomodel.search.cases import load
from isomodel.search.exploring.explore import Explorer
from isomodel.search.running.execute import session
from isomodel.targets.resolve import resolve

EACH = 1_000
"""Executions of one seed, as in a hunt's jobs."""


def main(case_file: str, executions: str, seed: str) -> None:
    case = load(Path(case_file))
    spec = resolve(case.target)
    same = unknown = done = 0
    others: Counter[str] = Counter()
    began = time.monotonic()
    with session():
        while done < int(executions):
            explorer = Explorer(spec, seed=int(seed) + done)
            for index in range(min(EACH, int(executions) - done)):
                draw = explorer.draw(index)
                execution = explorer.run(draw, observe=explorer.observes(draw))
                explorer.learn(draw, execution)
                judged = explorer.judge(execution, partial(explorer.run, draw))
                unknown += bool(judged.unknown)
                if judged.findings and judged.findings[0].same_failure(case.finding):
                    same += 1
                elif judged.findings:
                    others[f"{judged.findings[0].property} ({draw.fidelity})"] += 1
                done += 1
    seconds = time.monotonic() - began
    report = {"executions": done, "same": same, "others": others, "unknown": unknown}
    print(json.dumps({**report, "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
