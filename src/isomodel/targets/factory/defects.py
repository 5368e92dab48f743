"""The catalogue: what is known to go wrong in such a layer, each armed alone in the factory layer.

First the sixteen failures of issue #414, then what other systems got wrong. The minima were
worked out by hand; ``docs/defects.md`` tells the story of each.
"""

from __future__ import annotations

from collections.abc import Mapping

from isomodel.targets.factory.defect import Defect
from isomodel.targets.factory.defects_414 import OF_THE_ISSUE
from isomodel.targets.factory.defects_flow import OF_THE_FLOW
from isomodel.targets.factory.defects_names import OF_NAMES

DEFECTS: Mapping[str, Defect] = {
    defect.id: defect for defect in (*OF_THE_ISSUE, *OF_NAMES, *OF_THE_FLOW)
}

__all__ = ["DEFECTS", "Defect"]
