"""Each misbehaviour of the simulated validator's files and answers is what it says."""

import gzip
import math
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest

from tests.paper.sn8_clients import BEARER, Bench, bench, listening, receive

HOUR_MS = 3_600_000


@pytest.fixture
async def b() -> AsyncIterator[Bench]:
    async with bench() as running:
        await running.positions()
        yield running


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        pytest.param(
            {"kind": "http_status", "status": 502},
            502,
            b'{"error":"An error occurred processing your request"}',
            id="502",
        ),
        pytest.param(
            {"kind": "http_status", "status": 429, "body": "slow down"}, 429, b"slow down", id="429"
        ),
        pytest.param({"kind": "not_built"}, 404, b'{"error":"Data not found"}', id="not-built"),
        pytest.param({"kind": "empty_object"}, 200, b"{}", id="empty"),
        pytest.param(
            {"kind": "rate_limited"}, 403, b'{"error":"Unauthorized: Rate limited"}', id="rate"
        ),
        pytest.param(
            {"kind": "upstream_failure"}, 500, b'{"error":"Internal server error"}', id="upstream"
        ),
    ],
)
async def test_an_answer_is_replaced_as_often_as_is_wanted(
    b: Bench, fault: dict[str, Any], status: int, body: bytes
) -> None:
    kind = fault.pop("kind")
    b.sn8.misbehave(kind, **fault, path="/miner-positions", count=2)

    assert (await b.get("/statistics")).status == 200
    for _ in range(2):
        answer = await b.get("/miner-positions")
        assert (answer.status, answer.raw) == (status, body)
    assert (await b.get("/miner-positions")).status == 200


async def test_a_web_page_comes_with_status_200(b: Bench) -> None:
    b.sn8.misbehave("html")
    answer = await b.get("/miner-positions")

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.raw.startswith(b"<!doctype html>")


async def test_a_truncated_body_is_complete_http_and_broken_gzip(b: Bench) -> None:
    whole = (await b.get("/miner-positions")).raw
    b.sn8.misbehave("truncated_gzip")
    answer = await b.get("/miner-positions")

    assert answer.raw == whole[: len(whole) // 2]
    with pytest.raises(EOFError):
        gzip.decompress(answer.raw)


async def test_a_bomb_is_small_and_unpacks_to_what_was_asked_for(b: Bench) -> None:
    b.sn8.misbehave("gzip_bomb", mb=20)
    answer = await b.get("/miner-positions")
    unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(answer.raw[10:])

    assert len(answer.raw) < 60_000
    assert int.from_bytes(answer.raw[-4:], "little") == 1000  # announced
    assert len(unpacked) == 20 * (1 << 20) + 2
    assert zlib.crc32(unpacked) == int.from_bytes(answer.raw[-8:-4], "little")


async def test_an_oversize_body_is_valid_and_large(b: Bench) -> None:
    b.sn8.misbehave("oversize", mb=3)
    answer = await b.get("/miner-positions")

    assert abs(len(answer.raw) - 3 * (1 << 20)) < 70_000
    assert orjson.loads(gzip.decompress(answer.raw)) == {}
    assert b.sn8.large_bytes_sent == len(answer.raw)


async def test_a_client_that_has_enough_stops_an_oversize_body(b: Bench) -> None:
    b.sn8.misbehave("oversize", mb=200, path="/miner-positions")
    url = f"{b.server.url}/sn8/miner-positions"
    async with b.http.get(url, headers=BEARER) as answer:
        await answer.content.read(1 << 20)
        answer.close()

    assert (await b.get("/eliminations", timeout=aiohttp.ClientTimeout(5))).status == 200
    assert b.sn8.large_bytes_sent < 100 * (1 << 20)


async def test_a_late_answer_and_one_that_never_comes(b: Bench) -> None:
    patience = aiohttp.ClientTimeout(total=0.2)
    b.sn8.misbehave("latency", s=0.05, count=1)
    assert (await b.get("/miner-positions", timeout=patience)).status == 200

    b.sn8.misbehave("latency", s=5, count=1)
    with pytest.raises(TimeoutError):
        await b.get("/miner-positions", timeout=patience)
    b.sn8.misbehave("hang", count=1)
    with pytest.raises(TimeoutError):
        await b.get("/miner-positions", timeout=patience)


async def test_a_stale_file_stays_while_the_websocket_goes_on(b: Bench) -> None:
    async with listening(b) as socket:
        b.sn8.misbehave("stale_file")
        before = (await b.get("/miner-positions")).raw
        b.sn8.set_position("BTCUSDC", 0.1)
        b.clock.ahead_ms = HOUR_MS

        assert (await receive(socket))["data"]["position"]["net_leverage"] == 0.1
        assert (await b.get("/miner-positions")).raw == before
        b.sn8.clear()
        assert (await b.nets())["BTCUSDC"] == 0.1


async def test_emptied_miners_have_no_positions(b: Bench) -> None:
    b.sn8.misbehave("emptied")
    document = await b.positions()

    assert set(document) == set(b.sn8.hotkeys)
    assert all(miner["positions"] == [] for miner in document.values())
    b.sn8.clear("emptied")
    assert any(miner["positions"] for miner in (await b.positions()).values())


async def test_swapped_miners_are_all_strangers(b: Bench) -> None:
    before = await b.positions()
    b.sn8.misbehave("swapped")
    document = await b.positions()

    assert set(document).isdisjoint(b.sn8.hotkeys)
    for hotkey, miner in document.items():
        assert {row["miner_hotkey"] for row in miner["positions"]} == {hotkey}
    assert [row["thirty_day_returns"] for row in document.values()] == [
        row["thirty_day_returns"] for row in before.values()
    ]


async def test_a_removed_miner_is_in_no_list(b: Bench) -> None:
    gone = b.sn8.hotkeys[2]
    b.sn8.misbehave("removed", index=2)

    assert gone not in await b.positions()
    assert gone not in (await b.get("/miner-hotkeys")).json()
    assert gone not in {row["hotkey"] for row in (await b.get("/statistics")).json()["data"]}
    assert (await b.get(f"/miner-positions/{gone}")).status == 404


async def test_a_vanished_position_was_never_closed(b: Bench) -> None:
    for net in (0.1, 0.0, 0.2):  # one is closed, one open
        b.sn8.set_position("BTCUSDC", net)
    b.sn8.rebuild()
    before = await b.positions()
    b.sn8.misbehave("vanished", hotkey=b.sn8.hotkeys[0], pair="BTCUSDC")
    after = await b.positions()
    changed = [hotkey for hotkey in before if before[hotkey] != after[hotkey]]

    assert changed == [b.sn8.hotkeys[0]]
    was, now = (document[changed[0]]["positions"] for document in (before, after))
    [lost] = [row for row in was if row not in now]
    assert (lost["trade_pair"][0], lost["is_closed_position"]) == ("BTCUSDC", False)


async def test_rewritten_history_changes_closed_results_only(b: Bench) -> None:
    before = await b.positions()
    b.sn8.misbehave("rewritten", factor=2, index=1)
    after = await b.positions()
    hotkey = b.sn8.hotkeys[1]

    assert [key for key in before if before[key] != after[key]] == [hotkey]
    for was, now in zip(before[hotkey]["positions"], after[hotkey]["positions"], strict=True):
        factor = 2 if was["is_closed_position"] else 1
        assert now["return_at_close"] == factor * was["return_at_close"]
        assert now["orders"] == was["orders"]


@pytest.mark.parametrize(
    ("where", "field", "value"),
    [
        ("open", "net_leverage", 400.0),
        ("open", "net_leverage", None),
        ("open", "trade_pair", "BTCUSD"),
        ("closed", "return_at_close", "much"),
        ("order", "processed_ms", -1),
        ("miner", "positions", {}),
    ],
)
async def test_a_poisoned_miner_shows_that_value_and_the_others_none(
    b: Bench, where: str, field: str, value: Any
) -> None:
    b.sn8.set_position("BTCUSDC", 0.1, index=5)
    b.sn8.rebuild()
    before = await b.positions()
    b.sn8.misbehave("poisoned", index=5, where=where, field=field, value=value)
    after = await b.positions()
    miner = after[b.sn8.hotkeys[5]]
    rows = [] if where == "miner" else miner["positions"]
    found = {
        "open": [row.get(field) for row in rows if not row["is_closed_position"]],
        "closed": [row.get(field) for row in rows if row["is_closed_position"]],
        "order": [order.get(field) for row in rows for order in row["orders"]],
        "miner": [miner.get(field)],
    }[where]

    assert found
    assert all(row == value for row in found)
    assert [key for key in before if before[key] != after[key]] == [b.sn8.hotkeys[5]]


async def test_a_poison_may_be_no_number_at_all(b: Bench) -> None:
    b.sn8.set_position("BTCUSDC", 0.1)
    b.sn8.misbehave("poisoned", index=0, field="net_leverage", value=math.nan)
    answer = await b.get("/miner-positions")

    assert b'"net_leverage": NaN' in answer.body
    with pytest.raises(orjson.JSONDecodeError):
        answer.json()
    async with listening(b) as socket:
        b.sn8.set_position("BTCUSDC", 0.2)
        assert '"net_leverage":NaN' in (await socket.receive_str(timeout=5))


async def test_statistics_can_be_poisoned_too(b: Bench) -> None:
    field = "drawdowns.instantaneous_max_drawdown"
    b.sn8.misbehave("poisoned", index=5, where="statistics", field=field, value=-3)
    rows = {row["hotkey"]: row for row in (await b.get("/statistics")).json()["data"]}
    values = {key: row["drawdowns"]["instantaneous_max_drawdown"] for key, row in rows.items()}

    assert [key for key, value in values.items() if value == -3] == [b.sn8.hotkeys[5]]
    assert rows[b.sn8.hotkeys[5]]["drawdowns"]["daily_max_drawdown"] <= 1


async def test_the_watermark_goes_back_by_so_many_seconds(b: Bench) -> None:
    b.sn8.set_position("BTCUSDC", 0.1)
    b.clock.ahead_ms = HOUR_MS
    b.sn8.set_position("BTCUSDC", 0.2)
    b.sn8.set_position("BTCUSDC", 0.3, index=1)
    b.sn8.rebuild()
    newest = watermark(await b.positions())
    b.sn8.misbehave("watermark_back", s=1800)
    document = await b.positions()

    assert newest >= b.clock.now_ms()
    assert watermark(document) < b.clock.now_ms() - 1_800_000
    assert (await b.nets(0))["BTCUSDC"] == 0.1
    assert "BTCUSDC" not in await b.nets(1)


def watermark(document: dict[str, Any]) -> int:
    return max(
        int(order["processed_ms"])
        for miner in document.values()
        for row in miner["positions"]
        for order in row["orders"]
    )
