"""noninterference broke in edit.

noninterference: bob sees something else when alice acts too.

2 users, 2 operations, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, cancel, do

STORY = Story(
    target="target:Locked",
    property="noninterference",
    at="edit",
    fidelity="stock",
    operations=[
        do("alice.1", "edit"),
        do("bob.1", "edit"),
    ],
    faults=[
        # alice.1 is cancelled right behind its first step.
        cancel("alice.1", after=0),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
