"""414-04: a transaction stays open after an error.

rollback: transaction session-607023aea3ea40b9a858b5d25dbd5a33/1, begun in alice.1, which ended
with fail, was never ended.

1 user, 1 operation, no switch, no fault; found under stock: only orders the stock asyncio loop
can produce.
"""

import pytest

from isomodel.testing import Story, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="rollback",
    at="transfer",
    defects=["414-04"],
    fidelity="stock",
    operations=[
        do("alice.1", "transfer", amount=9),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
