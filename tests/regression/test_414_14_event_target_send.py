"""414-14: the routing table is corrupted between lookup and send.

event target: message event
request-607023aea3ea40b9a858b5d25dbd5a33/1@ws-52ac1c74d7a243acaf2371178cd3f779 was sent to alice
but was delivered to bob.

2 users, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce.
"""

import pytest

from isomodel.testing import Story, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="event target",
    at="send",
    defects=["414-14"],
    fidelity="stock",
    operations=[
        do("alice.1", "send", message="alice's-secret-1-0fe3232b", times=1),
        do("bob.1", "send", message="bob's-secret-1-8115f613", times=1),
    ],
    schedule=[
        # When alice.1 has taken 1 step, bob.1 starts, too.
        switch(after="alice.1", step=1, to="bob.1 start 0", nth=2),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
