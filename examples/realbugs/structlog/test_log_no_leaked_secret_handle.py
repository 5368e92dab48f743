"""no leaked secret broke in handle.

no leaked secret: bob saw alice's secret "alice's-secret-1-0fe3232b", given to alice.1, in bob.1
(handle): "alice's-secret-1-0fe3232b".

2 users, 2 operations, no switch, no fault; found under stock: only orders the stock asyncio
loop can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, do

STORY = Story(
    target="target:Log",
    property="no leaked secret",
    at="handle",
    fidelity="stock",
    operations=[
        do("alice.1", "handle", request="alice's-secret-1-0fe3232b"),
        do("bob.1", "handle", request="bob's-secret-1-8115f613"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
