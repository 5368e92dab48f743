"""liveness broke in ask.

liveness: alice.3 (ask) of alice never ends: alice.3 waits at Client.ask >
_BaseRequestContextManager.__aenter__ > ClientSession._request > BaseConnector.connect.

1 user, 3 operations, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, beside, cancel, do, switch

STORY = Story(
    target="target:Client",
    property="liveness",
    at="ask",
    fidelity="stock",
    operations=[
        do("alice.1", "ask", question="alice's-secret-1-0fe3232b"),
        beside("alice.2", "ask", question="alice's-secret-2-c14a0d09"),
        beside("alice.3", "ask", question="alice's-secret-3-ec87cd4e"),
    ],
    schedule=[
        # When alice.2 has taken 1 step, alice.3 starts.
        switch(after="alice.2", step=1, to="alice.3 start 0"),
        # When alice.2 has taken 1 step, what is ready goes on first.
        switch(after="alice.2", step=1, to="go on", nth=1),
        # When alice.2 has taken 1 step, what is ready goes on first.
        switch(after="alice.2", step=1, to="go on", nth=2),
        # When alice.3 has taken 1 step, the reply of alice.1 arrives.
        switch(after="alice.3", step=1, to="alice.1 reply 0"),
        # When alice.3 has taken 1 step, what is ready goes on first.
        switch(after="alice.3", step=1, to="go on", nth=1),
    ],
    faults=[
        # alice.2 is cancelled after 1 step.
        cancel("alice.2", after=1),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
