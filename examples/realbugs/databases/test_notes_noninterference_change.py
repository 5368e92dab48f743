"""noninterference broke in change.

noninterference: alice sees something else when bob acts too.

2 users, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, do, switch

STORY = Story(
    target="target:Notes",
    property="noninterference",
    at="change",
    fidelity="stock",
    operations=[
        do("alice.1", "change", text="alice's-secret-1-0fe3232b", abort=True),
        do("bob.1", "change", text="bob's-secret-1-8115f613", abort=False),
    ],
    schedule=[
        # When alice.1 has taken 1 step, bob.1 starts.
        switch(after="alice.1", step=1, to="bob.1 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
