"""noninterference broke in get.

noninterference: bob sees something else when alice acts too.

2 users, 2 operations, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, cancel, do

STORY = Story(
    target="target:Cache",
    property="noninterference",
    at="get",
    fidelity="stock",
    operations=[
        do("alice.1", "set", value="alice's-secret-1-0fe3232b"),
        do("bob.1", "get"),
    ],
    faults=[
        # alice.1 is cancelled after 4 steps.
        cancel("alice.1", after=4),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
