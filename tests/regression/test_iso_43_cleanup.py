"""iso-43: a slot is handed to somebody who has given up waiting.

cleanup: slot of the connection pool is left after all users have left.

1 user, 3 operations, no switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="cleanup",
    at="",
    defects=["iso-43"],
    fidelity="stock",
    operations=[
        do("alice.1", "open_session"),
        do("alice.2", "open_session"),
        do("alice.3", "open_session"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
