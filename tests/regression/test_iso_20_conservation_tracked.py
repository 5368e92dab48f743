"""iso-20: what should be made once is made twice.

conservation: counter events of alice shows 1 after counts of 2.

1 user, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, beside, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="conservation",
    at="tracked",
    defects=["iso-20"],
    fidelity="stock",
    operations=[
        do("alice.1", "track", what="alice's-secret-1-0fe3232b"),
        beside("alice.2", "track", what="alice's-secret-2-c14a0d09"),
    ],
    schedule=[
        # When alice.1 has taken 1 step, alice.2 starts.
        switch(after="alice.1", step=1, to="alice.2 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
