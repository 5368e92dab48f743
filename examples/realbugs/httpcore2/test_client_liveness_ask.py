"""liveness broke in ask.

liveness: alice.2 (ask) of alice never ends: serve waits at serve > StreamReader.readline >
StreamReader.readuntil > StreamReader._wait_for_data; alice.2 waits at Client.ask >
AsyncRequestInterface.request > AsyncConnectionPool.handle_async_request >
AsyncPoolRequest.wait_for_connection > AsyncEvent.wait > Event.wait > Event.wait.

1 user, 2 operations, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, cancel, do

STORY = Story(
    target="target:Client",
    property="liveness",
    at="ask",
    fidelity="stock",
    operations=[
        do("alice.1", "ask", question="alice's-secret-1-0fe3232b"),
        do("alice.2", "ask", question="alice's-secret-2-c14a0d09"),
    ],
    faults=[
        # alice.1 is cancelled after 3 steps.
        cancel("alice.1", after=3),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
