"""iso-32: a queued message is copied shallowly.

no leaked secret: alice saw bob's secret "bob's-secret-1-8115f613", given to bob.1, in
alice.inbox (inbox): "bob's-secret-1-8115f613".

2 users, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="no leaked secret",
    at="inbox",
    defects=["iso-32"],
    fidelity="stock",
    operations=[
        do("alice.1", "send", message="alice's-secret-1-0fe3232b", times=1),
        do("bob.1", "send", message="bob's-secret-1-8115f613", times=1),
    ],
    schedule=[
        # When alice.1/_write has taken 1 step, bob.1 starts.
        switch(after="alice.1/_write", step=1, to="bob.1 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
