"""noninterference broke in retry.

noninterference: bob sees something else when alice acts too.

2 users, 2 operations, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, cancel, do

STORY = Story(
    target="target:Pages",
    property="noninterference",
    at="retry",
    fidelity="stock",
    operations=[
        do("alice.1", "read"),
        do("bob.1", "read"),
    ],
    faults=[
        # alice.1/load is cancelled after no step.
        cancel("alice.1/load", after=0),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
