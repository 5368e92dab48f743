"""iso-22: ids are made from a clock.

uniqueness: request id request-0.000 was issued twice: in alice.1, and again in alice.2.

1 user, 2 operations, no switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="uniqueness",
    at="open_session",
    defects=["iso-22"],
    fidelity="stock",
    operations=[
        do("alice.1", "open_session"),
        do("alice.2", "open_session"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
