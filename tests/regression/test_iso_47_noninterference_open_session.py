"""iso-47: a stale timer ends the newer context.

noninterference: bob sees something else when alice acts too.

2 users, 3 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do, made, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="noninterference",
    at="open_session",
    defects=["iso-47"],
    fidelity="stock",
    operations=[
        do("alice.1", "open_session"),
        do("alice.2", "close_session", session=made("alice.1")),
        do("bob.1", "open_session"),
    ],
    schedule=[
        # When bob.1 has taken 2 steps, time passes until a timer of alice.1 is due.
        switch(after="bob.1", step=2, to="alice.1 timer 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
