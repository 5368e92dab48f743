"""414-12: concurrent updates corrupt shared counters.

conservation: counter events of alice shows 1 after counts of 2.

1 user, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce.
"""

import pytest

from isomodel.testing import Story, beside, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="conservation",
    at="tracked",
    defects=["414-12"],
    fidelity="stock",
    operations=[
        do("alice.1", "track", what="alice's-secret-1-0fe3232b"),
        beside("alice.2", "track", what="alice's-secret-3-ec87cd4e"),
    ],
    schedule=[
        # When alice.1 has taken 1 step, alice.2 starts, too.
        switch(after="alice.1", step=1, to="alice.2 start 0", nth=1),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
