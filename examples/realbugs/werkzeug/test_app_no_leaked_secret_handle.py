"""no leaked secret broke in handle.

no leaked secret: alice saw bob's secret "bob's-secret-1-8115f613", given to bob.1, in alice.1
(handle): "bob's-secret-1-8115f613".

2 users, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, do, switch

STORY = Story(
    target="target:App",
    property="no leaked secret",
    at="handle",
    fidelity="stock",
    operations=[
        do("alice.1", "handle", request="alice's-secret-1-0fe3232b"),
        do("bob.1", "handle", request="bob's-secret-1-8115f613"),
    ],
    schedule=[
        # When alice.1 has taken 1 step, bob.1 starts.
        switch(after="alice.1", step=1, to="bob.1 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
