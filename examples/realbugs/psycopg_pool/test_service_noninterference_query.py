"""noninterference broke in query.

noninterference: alice was refused by connections although only 0 of 1 units were in use.

2 users, 3 operations, 1 switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, cancel, do, switch

STORY = Story(
    target="target:Service",
    property="noninterference",
    at="query",
    fidelity="stock",
    operations=[
        do("alice.1", "query"),
        do("alice.2", "query"),
        do("bob.1", "query"),
    ],
    schedule=[
        # When alice.1 has taken 1 step, bob.1 starts.
        switch(after="alice.1", step=1, to="bob.1 start 0"),
    ],
    faults=[
        # bob.1 is cancelled after 1 step.
        cancel("bob.1", after=1),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
