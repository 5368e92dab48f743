"""noninterference broke in left.

noninterference: alice sees something else when bob acts too.

2 users, 4 operations, 2 switches, no fault; found under stock: only orders the stock asyncio
loop can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, beside, do, switch

STORY = Story(
    target="target:Api",
    property="noninterference",
    at="left",
    fidelity="stock",
    operations=[
        do("alice.1", "call"),
        beside("alice.2", "call"),
        do("alice.3", "call"),
        do("bob.1", "call"),
    ],
    schedule=[
        # When alice.1/__expire_events has taken 1 step, alice.2 starts, too.
        switch(after="alice.1/__expire_events", step=1, to="alice.2 start 0", nth=4),
        # When alice.2 has taken 1 step, the result of alice.1 arrives, too.
        switch(after="alice.2", step=1, to="alice.1 result 0", nth=1),
        # When alice.1/__expire_events has taken 2 steps, bob.1 starts.
        switch(after="alice.1/__expire_events", step=2, to="bob.1 start 0"),
        # When bob.1/__expire_events has taken 1 step, alice.3 starts, too.
        switch(after="bob.1/__expire_events", step=1, to="alice.3 start 0", nth=4),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
