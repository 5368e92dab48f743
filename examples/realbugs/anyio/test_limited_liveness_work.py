"""liveness broke in work.

liveness: bob.1 (work) of bob never ends: bob.1 waits at Limited.work >
CapacityLimiter.__aenter__ > CapacityLimiter.acquire > CapacityLimiter.acquire_on_behalf_of >
Event.wait.

3 users, 3 operations, 2 switches, 1 fault; found under stock: only orders the stock asyncio
loop can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, cancel, do, switch

STORY = Story(
    target="target:Limited",
    property="liveness",
    at="work",
    fidelity="stock",
    operations=[
        do("alice.1", "work"),
        do("bob.1", "work"),
        do("carol.1", "work"),
    ],
    schedule=[
        # First, carol.1 starts.
        switch(after="", step=0, to="carol.1 start 0"),
        # First, alice.1 starts, too.
        switch(after="", step=0, to="alice.1 start 0", nth=2),
        # When alice.1 has taken 1 step, bob.1 starts.
        switch(after="alice.1", step=1, to="bob.1 start 0"),
        # When alice.1 has taken 1 step, the work of carol.1 arrives, too.
        switch(after="alice.1", step=1, to="carol.1 work 0", nth=1),
    ],
    faults=[
        # alice.1 is cancelled after 1 step.
        cancel("alice.1", after=1),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
