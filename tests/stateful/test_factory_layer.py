"""The machine over the sound factory layer, and one over each armed defect, which must fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from isomodel.bridges.options import OPTIONS
from isomodel.search import cases
from isomodel.targets.factory.defects_414 import OF_THE_ISSUE
from isomodel.targets.factory.target import FactoryLayer
from isomodel.testing import machine
from isomodel.values.errors import Violated

TestFactoryLayer = machine(FactoryLayer).TestCase
SECONDS = max(120, 3 * TestFactoryLayer.settings.max_examples)
TestFactoryLayer = pytest.mark.timeout(SECONDS)(TestFactoryLayer)


LONG = ("414-05", "414-08", "414-09", "414-11", "414-12")
"""Those for which Hypothesis takes more than ten seconds to find and shrink."""

DEFECTS = [
    pytest.param(each.id, marks=pytest.mark.slow) if each.id in LONG else each.id
    for each in OF_THE_ISSUE
]


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_machine_fails_where_a_defect_is_armed(
    defect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OPTIONS, "cases", tmp_path)
    broken = machine(FactoryLayer, armed=[defect])
    always_the_same = settings(
        broken.TestCase.settings, derandomize=True, database=None, max_examples=200
    )
    with pytest.raises(Violated) as caught:
        broken.run(always_the_same)
    (file,) = tmp_path.glob("*.json")
    case = cases.load(file)
    assert case.armed == (defect,)
    assert case.size.users <= 2
    assert case.size.operations <= 4
    assert str(file) in str(caught.value)
