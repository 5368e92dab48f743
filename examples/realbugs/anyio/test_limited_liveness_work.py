"""liveness broke in work.

liveness: alice.3 (work) of alice never ends: alice.3 waits at Limited.work >
CapacityLimiter.__aenter__ > CapacityLimiter.acquire > CapacityLimiter.acquire_on_behalf_of >
Event.wait.

1 user, 3 operations, 2 switches, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, beside, cancel, do, switch

STORY = Story(
    target="target:Limited",
    property="liveness",
    at="work",
    fidelity="stock",
    operations=[
        do("alice.1", "work"),
        beside("alice.2", "work"),
        beside("alice.3", "work"),
    ],
    schedule=[
        # First, alice.2 starts.
        switch(after="", step=0, to="alice.2 start 0"),
        # When alice.2 has taken 2 steps, alice.1 starts.
        switch(after="alice.2", step=2, to="alice.1 start 0"),
        # When alice.2 has taken 2 steps, alice.3 starts, too.
        switch(after="alice.2", step=2, to="alice.3 start 0", nth=2),
        # When alice.2 has taken 2 steps, the work of alice.2 arrives, too.
        switch(after="alice.2", step=2, to="alice.2 work 0", nth=3),
    ],
    faults=[
        # alice.1 is cancelled after 1 step.
        cancel("alice.1", after=1),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
