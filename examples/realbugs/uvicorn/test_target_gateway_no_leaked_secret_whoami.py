"""no leaked secret broke in whoami.

no leaked secret: bob saw alice's secret "alice's-secret-1-0fe3232b", given to alice.1, in bob.1
(whoami): "alice's-secret-1-0fe3232b".

2 users, 2 operations, no switch, no fault; found under stock: only orders the stock asyncio
loop can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, do

STORY = Story(
    target="target:Gateway",
    property="no leaked secret",
    at="whoami",
    fidelity="stock",
    operations=[
        do("alice.1", "upload", name="alice's-secret-1-0fe3232b"),
        do("bob.1", "whoami"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
