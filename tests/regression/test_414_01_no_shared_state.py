"""414-01: a database session is shared by two users.

no shared state: alice and bob share one Session: alice.client.sessions[0] is
bob.client.sessions[0].

2 users, 2 operations, no switch, no fault; found under stock: only orders the stock asyncio
loop can produce.
"""

import pytest

from isomodel.testing import Story, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="no shared state",
    at="",
    defects=["414-01"],
    fidelity="stock",
    operations=[
        do("alice.1", "open_session"),
        do("bob.1", "open_session"),
    ],
    schedule=[
        # First, bob.1 starts.
        switch(after="", step=0, to="bob.1 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
