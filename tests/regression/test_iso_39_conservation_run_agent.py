"""iso-39: a reconnect during a flush loses what is queued.

conservation: event
request-a453a9bda9d043bf89b9614ece39fa6a/1@ws-b09824c65c524fb1b16cf287242b0593 for alice was
lost: neither delivered nor dropped (in alice.1).

1 user, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, beside, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="conservation",
    at="run_agent",
    defects=["iso-39"],
    fidelity="stock",
    seed=1453223159,
    operations=[
        do("alice.1", "run_agent", task="alice's-secret-1-0fe3232b"),
        beside("alice.2", "reconnect"),
    ],
    schedule=[
        # When .background/_load has taken 1 step, the load prompt of .background arrives.
        switch(after=".background/_load", step=1, to=".background load prompt 0"),
        # When alice.1/_write has taken 1 step, alice.2 starts.
        switch(after="alice.1/_write", step=1, to="alice.2 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
