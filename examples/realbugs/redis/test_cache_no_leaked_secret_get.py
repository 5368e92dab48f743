"""no leaked secret broke in get.

no leaked secret: bob saw alice's secret "alice's-secret-1-0fe3232b", given to alice.1, in bob.1
(get): "alice's-secret-1-0fe3232b".

2 users, 3 operations, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, cancel, do, switch

STORY = Story(
    target="target:Cache",
    property="no leaked secret",
    at="get",
    fidelity="stock",
    operations=[
        do("alice.1", "set", value="alice's-secret-1-0fe3232b"),
        do("alice.2", "get"),
        do("bob.1", "get"),
    ],
    schedule=[
        # When @alice.1/handle has taken 3 steps, bob.1 starts.
        switch(after="@alice.1/handle", step=3, to="bob.1 start 0"),
    ],
    faults=[
        # alice.2 is cancelled after 2 steps.
        cancel("alice.2", after=2),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
