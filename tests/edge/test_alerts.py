"""The alert webhook: one message when something becomes wrong, one when it is over, none twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from edgeward.edge.alerts import Alerts, Patience
from edgeward.edge.conditions import Conditions
from waiting import eventually
from webhook import Hook

QUICK = Patience(hold=0.0, deadline=0.3, first_pause=0.01, longest_pause=0.02, give_up=0.05)


@asynccontextmanager
async def alerting(address: str, hook: Hook, patience: Patience = QUICK, **more: Any) -> AsyncIterator[Conditions]:
    server = await asyncio.start_server(hook.answer, address, 0)
    port = server.sockets[0].getsockname()[1]
    conditions = Conditions()
    alerts = Alerts(f"http://{address}:{port}/x", conditions, edge="fra", location="FRA", patience=patience, **more)
    task = asyncio.create_task(alerts.run())
    try:
        yield conditions
    finally:
        task.cancel()
        await asyncio.wait([task])
        server.close()
        await server.wait_closed()


async def test_one_message_for_each_change(loopback_address: str) -> None:
    """Firing and resolved are told once each, however often the condition is set again or its words change."""
    hook = Hook(200)
    async with alerting(loopback_address, hook, clock=lambda: 150.0) as conditions:
        conditions.set("disk", "the disk is nearly full", now=100)
        await eventually(lambda: len(hook.taken) == 1)
        conditions.set("disk", "the disk is nearly full", now=101)
        conditions.set("disk", "the disk is all but full", now=102)
        conditions.set("store", "the store is away", now=103)
        await eventually(lambda: len(hook.taken) == 2)
        conditions.set("disk", None, now=104)
        await eventually(lambda: len(hook.taken) == 3)
    assert hook.taken[0] == {
        "edge": "fra",
        "location": "FRA",
        "condition": "disk",
        "state": "firing",
        "message": "the disk is nearly full",
        "since": 100,
        "at": 150,
    }
    assert [(body["condition"], body["state"]) for body in hook.taken] == [
        ("disk", "firing"),
        ("store", "firing"),
        ("disk", "resolved"),
    ]


async def test_a_short_trouble_is_not_told(loopback_address: str) -> None:
    """What is over before it lasted is never sent; what lasts is."""
    hook, now = Hook(200), [100.0]
    patience = Patience(hold=5, deadline=1, first_pause=0.01)
    async with alerting(loopback_address, hook, patience, clock=lambda: now[0]) as conditions:
        conditions.set("blip", "a blip", now=100)
        await asyncio.sleep(0)
        conditions.set("blip", None, now=101)
        conditions.set("lasting", "it lasts", now=95)
        await eventually(lambda: hook.taken)
    assert [body["condition"] for body in hook.taken] == ["lasting"]


async def test_a_webhook_that_fails_is_tried_again(loopback_address: str) -> None:
    """Errors and silence are followed by more tries, until it is taken."""
    hook = Hook(500, 0, 503, 200)
    async with alerting(
        loopback_address, hook, Patience(hold=0, deadline=0.2, first_pause=0.01, longest_pause=0.02)
    ) as conditions:
        conditions.set("disk", "full", now=1)
        await eventually(lambda: hook.taken)
    assert hook.tries == 4


async def test_a_dead_webhook_is_given_up(loopback_address: str, caplog: pytest.LogCaptureFixture) -> None:
    """After a while an alert that nobody takes is dropped with a line in the log, and the next one is sent."""
    hook = Hook(500)
    async with alerting(loopback_address, hook) as conditions:
        conditions.set("one", "the first", now=1)
        await eventually(lambda: "could not be delivered and is dropped" in caplog.text)
        hook.answers = [200]
        conditions.set("two", "the second", now=2)
        await eventually(lambda: hook.taken)
    assert [body["condition"] for body in hook.taken] == ["two"]


def test_the_board_logs_changes_alone(caplog: pytest.LogCaptureFixture) -> None:
    """A condition is logged when it appears, changes its words or goes, not each time that it is found again."""
    caplog.set_level("INFO", logger="edgeward.edge")
    conditions = Conditions()
    for _ in range(3):
        conditions.set("disk", "full", now=1)
    conditions.set_group("release", {"blog": "cannot be staged"}, now=2)
    conditions.set_group("release", {}, now=3)
    assert conditions.sentences == ("full",)
    assert [record.message for record in caplog.records] == ["full", "cannot be staged", "over: cannot be staged"]
