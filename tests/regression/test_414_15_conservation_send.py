"""414-15: a full event queue drops events.

conservation: event
request-607023aea3ea40b9a858b5d25dbd5a33/4@ws-52ac1c74d7a243acaf2371178cd3f779 for alice was
lost: neither delivered nor dropped (in alice.1).

1 user, 1 operation, no switch, no fault; found under stock: only orders the stock asyncio loop
can produce.
"""

import pytest

from isomodel.testing import Story, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="conservation",
    at="send",
    defects=["414-15"],
    fidelity="stock",
    operations=[
        do("alice.1", "send", message="alice's-secret-1-0fe3232b", times=4),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
