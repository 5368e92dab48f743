"""noninterference broke in resolve.

noninterference: alice sees something else when bob acts too.

2 users, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, do, switch

STORY = Story(
    target="target:App",
    property="noninterference",
    at="resolve",
    fidelity="stock",
    operations=[
        do("alice.1", "resolve"),
        do("bob.1", "resolve"),
    ],
    schedule=[
        # When alice.1 has taken 1 step, bob.1 starts.
        switch(after="alice.1", step=1, to="bob.1 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
