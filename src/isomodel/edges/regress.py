"""``isomodel regress CASE``: write a counterexample as a pytest test that stays."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from isomodel.bridges.regression import write
from isomodel.edges import documents, exits
from isomodel.edges.output import Line, Screen
from isomodel.search import cases
from isomodel.values.errors import BadInput


def run(case: Path, into: Path, screen: Screen) -> int:
    """Write the test; say where it is and how to run it."""
    loaded = cases.load(case)
    try:
        test = write(loaded, into)
    except OSError as error:
        raise BadInput(
            f"cannot write into {into}; {error.strerror}; name a folder with --into"
        ) from None
    command = f"pytest {shlex.quote(os.path.relpath(test))}"
    meaning = (
        "it passes, and shows that the armed defect breaks it"
        if loaded.armed
        else "it fails as long as the failure is there"
    )
    screen.show([f"test:  {os.path.relpath(test)}", f"run:   {command}", Line(f"       {meaning}")])
    screen.document(
        documents.document(
            "regress", exits.OK, target=loaded.target, case=str(case), test=str(test), run=command
        )
    )
    return exits.OK
