"""The side door of the simulated validator, and what the page says of it."""

import re
import shlex
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from core.home import CHECKOUT
from paper_exchange.sn8.faults import KINDS
from paper_exchange.sn8.service import ACTIONS
from tests.paper.sn8_clients import Bench, bench

PAGE = CHECKOUT / "docs" / "paper-exchange.md"


@pytest.fixture
async def b() -> AsyncIterator[Bench]:
    async with bench() as running:
        await running.positions()
        yield running


async def test_misbehaviours_are_cleared_by_id_by_kind_or_all(b: Bench) -> None:
    first = b.sn8.misbehave("silence")
    second = b.sn8.misbehave("latency", s=0)
    b.sn8.misbehave("html", path="/nothing")

    def ids() -> list[int]:
        return [row["id"] for row in b.sn8.state()["misbehaviours"]]

    b.sn8.clear(first)
    assert ids() == [second, second + 1]
    b.sn8.clear("latency")
    assert ids() == [second + 1]
    b.sn8.clear()
    assert ids() == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"do": "dance"}, "cannot do 'dance'"),
        ({}, '{"do": NAME'),
        ({"do": "latency", "ms": 5}, "latency does not know ms"),
        ({"do": "latency", "s": "5"}, "must be a number"),
        ({"do": "latency", "count": 0}, "count must be"),
        ({"do": "poisoned", "index": 0, "value": 1}, "poisoned needs field"),
        ({"do": "poisoned", "index": 0, "field": "x", "value": 1, "where": "y"}, "where must"),
        ({"do": "removed"}, "removed needs hotkey or index"),
        ({"do": "removed", "index": 99}, "no miner"),
        ({"do": "vanished", "hotkey": "x", "pair": "BTCUSD"}, "no miner"),
        ({"do": "set_position", "pair": "XMRUSD", "net_leverage": 0.1}, "not traded here"),
        ({"do": "set_position", "pair": "BTCUSD", "net_leverage": 0.6}, "must be -0.5..0.5"),
        ({"do": "set_position", "pair": "BTCUSD", "net_leverage": "1"}, "must be -0.5..0.5"),
        ({"do": "set_position", "leverage": 1}, "set_position does not take"),
        ({"do": "settings", "miners": 3}, "cannot set miners"),
        ({"do": "settings", "dialect": "x"}, "dialect must be"),
        ([1], "JSON object"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_its_reason(
    b: Bench, body: Any, text: str
) -> None:
    before = b.sn8.state()
    answer = await b.post(body)

    assert answer.status == 400
    assert text in answer.json()["error"]
    assert b.sn8.state() == before


async def test_the_side_door_shows_and_changes(b: Bench) -> None:
    await b.post({"do": "set_position", "index": 1, "pair": "BTCUSDC", "net_leverage": -0.2})
    added = (await b.post({"do": "html", "count": 3})).json()
    await b.post({"do": "settings", "change_every_s": 5, "dialect": "vn"})
    async with b.http.get(f"{b.server.url}/control/sn8") as answer:
        state = await answer.json()

    assert state["miners"][1]["open"]["BTCUSDC"] == -0.2
    assert [row["id"] for row in state["misbehaviours"]] == [added["id"]]
    assert (state["change_every_s"], state["dialect"]) == (5, "vn")
    async with b.http.delete(f"{b.server.url}/control/sn8") as answer:
        assert (await answer.json())["misbehaviours"] == []


async def test_a_token_guards_the_side_door() -> None:
    async with bench(token="secret") as b:
        assert (await b.post({"do": "rebuild"})).status == 401
        headers = {"Authorization": "Bearer secret"}
        async with b.http.get(f"{b.server.url}/control/sn8", headers=headers) as answer:
            assert answer.status == 200


def documented() -> list[list[str]]:
    """Give the words of each curl line of the page that is for this side door."""
    text = PAGE.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "/control/sn8" in line]
    return [shlex.split(line) for line in lines if line.startswith("curl")]


async def test_every_command_of_the_page_is_understood(b: Bench) -> None:
    bodies = [orjson.loads(words[-1]) for words in documented() if "--data" in words]

    assert len(bodies) >= 5
    for body in bodies:
        b.sn8.set_position("BTCUSD", 0.1)
        answer = await b.post(body)
        assert answer.status == 200, (body, answer.raw)


def test_everything_that_can_be_done_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## The simulated SN8 validator")[2]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert named == {*KINDS, *ACTIONS}


async def test_the_rest_of_the_server_is_not_disturbed(b: Bench) -> None:
    b.sn8.misbehave("http_status", status=500)
    async with b.http.get(f"{b.server.url}/bybit/v5/market/time") as answer:
        assert answer.status == 200
    async with b.http.get(f"{b.server.url}/control/ping") as answer:
        assert answer.status == 200
    assert b.server.requests("/v5/market/time")
