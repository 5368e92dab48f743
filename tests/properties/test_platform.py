"""The reference platform: live on real sockets, in simulation, sound, and broken in known ways."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from isomodel.schedulers.fifo import Default
from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.running.execute import execute, session
from isomodel.targets.factory.defects import DEFECTS
from isomodel.targets.factory.errors import AccessDenied, InvalidToken
from isomodel.targets.factory.events import LIFE_CYCLE
from isomodel.targets.factory.layer import Layer
from isomodel.targets.factory.memory import memory_backends
from isomodel.targets.resolve import resolve
from isomodel.values.scenario import Operation, Scenario

pytest.importorskip("websockets")

from isomodel.targets.platform import credentials
from isomodel.targets.platform.client import ConnectionLost, PlatformClient, RequestFailed
from isomodel.targets.platform.desk import Desk
from isomodel.targets.platform.server import PlatformServer

NAME = "isomodel.targets.platform.target:Platform"
KEY = b"a key for this test"


def test_a_credential_names_its_user_until_it_expires_and_cannot_be_forged() -> None:
    credential = credentials.issue(KEY, "alice.of.acme", 100)
    assert credentials.read(KEY, credential, 99.9) == "alice.of.acme"
    with pytest.raises(InvalidToken, match="expired"):
        credentials.read(KEY, credential, 100)
    forged = credentials.issue(b"another key", "alice.of.acme", 100)
    with pytest.raises(InvalidToken, match="not issued here"):
        credentials.read(KEY, forged, 1)
    for damaged in ("", "nonsense", credential[:-3], credential.replace(".", "!"), "é.é"):
        with pytest.raises(InvalidToken):
            credentials.read(KEY, damaged, 1)
    body = credentials.issue(KEY, "bob", 100).partition(".")[0]
    with pytest.raises(InvalidToken):
        credentials.read(KEY, f"{body}.{credential.partition('.')[2]}", 1)


async def talk(url: str, user: str) -> dict[str, Any]:
    events: list[Any] = []
    credential = credentials.issue(KEY, user, time.time() + 60)
    client = await PlatformClient.connect(url, credential, events.append)
    answer = await client.ask("run_agent", task=f"task of {user}")
    await client.ask("save", about=user, memory=f"memory of {user}")
    number = await client.ask("open_session")
    await client.ask("write", session=number, text=f"row of {user}")
    rows = await client.ask("query", session=number)
    await client.ask("close_session", session=number)
    with pytest.raises(AccessDenied):
        await client.ask("load", owner="somebody else")
    with pytest.raises(RequestFailed, match="UnknownRequest: no request is called 'fly'"):
        await client.ask("fly")
    memory = await client.ask("load", owner=user)
    await client.close()
    with pytest.raises(ConnectionLost):
        await client.ask("whoami", token="")
    kinds = tuple(event.kind for event in events)
    return {"answer": answer["answer"], "rows": rows, "memory": memory, "kinds": kinds}


def test_it_serves_several_users_live_on_real_sockets() -> None:
    async def main() -> list[dict[str, Any]]:
        layer = Layer(memory_backends())
        async with await PlatformServer(layer, KEY).listen("127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()[:2]
            url = f"ws://{host}:{port}"
            from websockets.exceptions import InvalidStatus

            with pytest.raises(InvalidStatus, match="401"):
                await PlatformClient.connect(url, "nonsense", print)
            told = await asyncio.gather(*(talk(url, user) for user in ("alice", "bob")))
            while layer.connections.users():
                await asyncio.sleep(0)
            return list(told)

    for user, told in zip(("alice", "bob"), asyncio.run(main()), strict=True):
        assert told == {
            "answer": f"research: search(task of {user})",
            "rows": [f"row of {user}"],
            "memory": f"memory of {user}",
            "kinds": LIFE_CYCLE,
        }


def test_in_simulation_every_operation_does_its_work_and_nothing_leaves() -> None:
    spec = resolve(NAME)
    operations = [
        Operation("alice.1", "alice", "run_agent", {"task": "a-secret"}),
        Operation("bob.1", "bob", "send", {"message": "b-secret", "times": 2}),
        Operation("alice.2", "alice", "open_session"),
        Operation("alice.3", "alice", "write", {"session": {"made": "alice.2"}, "text": "a-row"}),
        Operation("alice.4", "alice", "query", {"session": {"made": "alice.2"}}),
        Operation("alice.5", "alice", "close_session", {"session": {"made": "alice.2"}}),
        Operation("bob.2", "bob", "transfer", {"amount": 2}),
        Operation("bob.3", "bob", "call"),
        Operation("bob.4", "bob", "refresh"),
        Operation("bob.5", "bob", "track", {"what": "b-event"}),
        Operation("bob.6", "bob", "create_context", {"user_id": "me", "tag": "tag of bob"}),
        Operation("bob.7", "bob", "disconnect"),
    ]
    with session():
        told = execute(spec, Scenario(tuple(operations)), Default(), fidelity="stock")
    assert (told.ended, told.error, told.uncontrolled, told.leftovers) == ("done", "", (), ())
    assert {kind for seen in told.observations.values() for _, kind, _ in seen} == {"ok"}
    seen = {label: value for values in told.observations.values() for label, _, value in values}
    assert [kind for kind, _ in seen["alice.inbox"]] == list(LIFE_CYCLE)
    assert seen["bob.inbox"] == [["message", "b-secret"]] * 2
    assert seen["alice.4"] == ["a-row"]
    assert seen["bob.2"] == 2
    assert seen["bob.3"]["user"] == seen["bob.whoami"] == "bob"
    assert seen["bob.tracked"] == ["b-event"]


def hunted(defect: str | None, executions: int) -> tuple[str, str]:
    armed = (defect,) if defect else ()
    with session():
        outcome = Explorer(resolve(NAME), seed=0, armed=armed).hunt(Budget(executions))
    return outcome.verdict.status, outcome.finding.property if outcome.finding else ""


def test_leaving_frees_what_a_request_had_begun_to_cache_when_it_was_cancelled() -> None:
    async def main() -> list[list[str]]:
        layer = Layer(memory_backends())
        desk = Desk(layer)
        reading = asyncio.create_task(desk.prefer("alice", "tea"))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        cached = [layer.profiles.users()]
        await desk.leave("alice")
        return [*cached, layer.profiles.users()]

    assert asyncio.run(main()) == [["alice"], []]


def test_without_a_defect_nothing_is_found() -> None:
    assert hunted(None, 60)[1] == ""


@pytest.mark.parametrize("defect", ["414-01", "414-03", "414-05", "414-09", "414-15"])
def test_a_defect_of_the_layer_shows_through_the_platform(defect: str) -> None:
    status, broken = hunted(defect, 150)
    assert status == "violated"
    assert broken in DEFECTS[defect].noticed_by


@pytest.mark.slow
@pytest.mark.parametrize("defect", DEFECTS)
def test_each_of_the_sixteen_shows_through_the_platform(defect: str) -> None:
    assert hunted(defect, 2_000)[0] == "violated"


@pytest.mark.slow
def test_a_long_hunt_without_a_defect_finds_nothing() -> None:
    assert hunted(None, 3_000) == ("ok", "")
