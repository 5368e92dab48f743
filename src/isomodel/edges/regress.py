"""``isomodel regress CASE``: write a counterexample as a pytest test that stays."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from isomodel.bridges.regression import write
from isomodel.edges import documents, exits
from isomodel.edges.output import Line, Screen
from isomodel.search import cases
from isomodel.targets.resolve import is_found
from isomodel.values.errors import BadInput


def run(case: Path, into: Path, path: tuple[str, ...], screen: Screen) -> int:
    """Write the test; say where it is and how to run it."""
    loaded = cases.load(case)
    try:
        test = write(loaded, into, path=path)
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
    if not is_found(loaded.target, path):
        module = loaded.target.partition(":")[0]
        screen.show(
            [
                Line(f"note:  no module {module} from here; the test will not find it either"),
                Line("       unless you name its folder: `isomodel regress CASE --path DIR`"),
            ]
        )
    screen.document(
        documents.document(
            "regress", exits.OK, target=loaded.target, case=str(case), test=str(test), run=command
        )
    )
    return exits.OK
