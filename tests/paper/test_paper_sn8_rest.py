"""The simulated validator over plain HTTP: routes, keys, tiers, files, as a real one answers."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from core.errors import ConfigError
from paper_exchange.sn8.options import Sn8Options
from paper_exchange.sn8.quotes import DAY_MS
from tests.paper.sn8_clients import BEARER, KEY, Bench, bench

POSITION_FIELDS = {
    *("miner_hotkey", "position_uuid", "open_ms", "trade_pair", "orders", "current_return"),
    *("close_ms", "net_leverage", "net_value", "net_quantity", "return_at_close"),
    *("average_entry_price", "cumulative_entry_value", "account_size", "realized_pnl"),
    *("unrealized_pnl", "position_type", "is_closed_position"),
}
ORDER_FIELDS = {
    *("order_type", "leverage", "value", "quantity", "price", "bid", "ask", "slippage"),
    *("quote_usd_rate", "usd_base_rate", "processed_ms", "order_uuid", "price_sources", "src"),
    *("execution_type", "limit_price", "stop_loss", "take_profit"),
}


@pytest.fixture
async def b() -> AsyncIterator[Bench]:
    async with bench() as running:
        yield running


async def test_positions_have_the_current_shape(b: Bench) -> None:
    document = await b.positions()
    returns = [miner["thirty_day_returns"] for miner in document.values()]

    assert set(document) == set(b.sn8.hotkeys)
    assert returns == sorted(returns, reverse=True)
    for hotkey, miner in document.items():
        closed = [row for row in miner["positions"] if row["is_closed_position"]]
        assert set(miner) == {
            *("positions", "thirty_day_returns", "all_time_returns", "n_positions"),
            *("percentage_profitable", "tier"),
        }
        assert (miner["tier"], miner["n_positions"]) == (100, len(closed))
        won = sum(row["return_at_close"] > 1 for row in closed)
        assert miner["percentage_profitable"] == won / len(closed)
        for row in miner["positions"]:
            check_position(row, hotkey)


def check_position(row: dict[str, Any], hotkey: str) -> None:
    assert set(row) == POSITION_FIELDS
    assert row["miner_hotkey"] == hotkey
    assert row["position_uuid"] == row["orders"][0]["order_uuid"]
    assert row["open_ms"] == row["orders"][0]["processed_ms"]
    assert len(row["trade_pair"]) == 5
    if row["is_closed_position"]:
        assert (row["net_leverage"], row["position_type"]) == (0, "FLAT")
        assert row["close_ms"] == row["orders"][-1]["processed_ms"]
    else:
        assert row["close_ms"] == 0
        assert row["position_type"] == ("LONG" if row["net_leverage"] > 0 else "SHORT")
        total = sum(order["leverage"] for order in row["orders"])
        assert row["net_leverage"] == pytest.approx(total)
    for order in row["orders"]:
        assert set(order) == ORDER_FIELDS
        assert order["bid"] < order["price"] < order["ask"]


async def test_the_file_is_sent_as_packed_whatever_the_client_accepts(b: Bench) -> None:
    answer = await b.get("/miner-positions", headers=BEARER | {"Accept-Encoding": "identity"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) == len(answer.raw)
    assert answer.headers["Content-Type"] == "application/json"
    assert {"ETag", "Last-Modified", "Cache-Control"}.isdisjoint(answer.headers)
    assert int.from_bytes(answer.raw[4:8], "little") == b.clock.now_ms() // 1000


async def test_a_client_that_unpacks_by_itself_gets_json(b: Bench) -> None:
    url = f"{b.server.url}/sn8/miner-positions"
    async with aiohttp.ClientSession() as http, http.get(url, headers=BEARER) as answer:
        document = await answer.json()

    assert set(document) == set(b.sn8.hotkeys)


async def test_a_rebuild_without_news_differs_in_the_time_of_packing_only(b: Bench) -> None:
    first = await b.get("/miner-positions")
    b.clock.ahead_ms = 16_000
    second = await b.get("/miner-positions")

    assert first.raw[4:8] != second.raw[4:8]
    assert first.raw[8:] == second.raw[8:]


async def test_a_fresh_order_shows_after_the_next_rebuild_only(b: Bench) -> None:
    before = await b.nets(0)
    b.sn8.set_position("BTCUSDC", 0.25)
    b.clock.ahead_ms = 14_900
    assert await b.nets(0) == before

    b.clock.ahead_ms = 15_000
    assert await b.nets(0) == before | {"BTCUSDC": 0.25}


async def test_a_full_key_sees_one_miner_live(b: Bench) -> None:
    await b.positions()
    b.sn8.set_position("BTCUSDC", 0.25, index=2)
    answer = await b.get(f"/miner-positions/{b.sn8.hotkeys[2]}")
    rows = answer.json()["positions"]

    assert rows[-1]["trade_pair"][0] == "BTCUSDC"
    assert "Content-Encoding" not in answer.headers


async def test_a_small_key_sees_one_miner_as_its_tier_does() -> None:
    async with bench(keys={KEY: 30}) as b:
        hotkey = b.sn8.hotkeys[0]
        b.sn8.set_position("BTCUSDC", 0.25)
        b.sn8.rebuild()
        found = (await b.get(f"/miner-positions/{hotkey}")).json()

        assert found == (await b.positions(30))[hotkey]
        assert found["tier"] == 30


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        (
            "/miner-positions?tier=31",
            400,
            "Invalid tier value. Allowed values are 0, 30, 50, or 100",
        ),
        ("/miner-positions/5Nobody", 404, "Miner ID 5Nobody not found"),
        ("/statistics/5Nobody/", 404, "Miner ID 5Nobody not found"),
        ("/validator-checkpoint-2", 404, "Resource not found"),
        ("/trade-pairs", 404, "Resource not found"),
        ("", 404, "Resource not found"),
    ],
)
async def test_errors_are_an_object_with_a_text(
    b: Bench, path: str, status: int, text: str
) -> None:
    answer = await b.get(path)

    assert (answer.status, answer.json()) == (status, {"error": text})


async def test_before_the_first_build_there_is_no_data() -> None:
    async with bench(first_build_after_s=5) as b:
        for path in ("/miner-positions", "/miner-positions?tier=0"):
            answer = await b.get(path)
            assert (answer.status, answer.json()) == (404, {"error": "Data not found"})
        answer = await b.get("/statistics")
        assert (answer.status, answer.json()) == (404, {"error": "Statistics data not found"})
        assert (await b.get("/eliminations")).status == 200

        b.clock.ahead_ms = 5000
        assert (await b.get("/miner-positions")).status == 200


async def test_lower_tiers_are_a_day_late_but_for_the_sample(b: Bench) -> None:
    for index in range(8):
        b.sn8.set_position("BTCUSDC", 0.25, index=index)
    b.sn8.rebuild()
    full = await b.positions(100)
    fresh = {row["position_uuid"] for row in of_pair(full, "BTCUSDC")}
    sampled = {
        uuid for uuid in fresh if int(hashlib.sha256(uuid.encode()).hexdigest(), 16) % 100 < 50
    }
    half = {row["position_uuid"] for row in of_pair(await b.positions(50), "BTCUSDC")}

    assert len(fresh) == 8
    assert half == sampled
    assert of_pair(await b.positions(0), "BTCUSDC") == []


async def test_a_position_closed_today_is_still_open_for_a_lower_tier(b: Bench) -> None:
    b.sn8.set_position("BTCUSDC", 0.25)
    b.clock.ahead_ms = DAY_MS
    b.sn8.set_position("BTCUSDC", 0.0)
    b.sn8.rebuild()

    assert [row["net_leverage"] for row in of_pair(await b.positions(100), "BTCUSDC")] == [0]
    [late] = of_pair(await b.positions(0), "BTCUSDC")
    assert (late["is_closed_position"], late["net_leverage"], late["close_ms"]) == (False, 0.25, 0)


def of_pair(document: dict[str, Any], pair: str) -> list[dict[str, Any]]:
    rows = [row for miner in document.values() for row in miner["positions"]]
    return [row for row in rows if row["trade_pair"][0] == pair]


async def test_statistics_agree_with_the_positions(b: Bench) -> None:
    document = (await b.get("/statistics?checkpoints=false")).json()
    positions = await b.positions()

    assert document["created_timestamp_ms"] == b.clock.now_ms()
    assert [row["weight"]["rank"] for row in document["data"]] == list(range(1, 9))
    for row in document["data"]:
        assert row["engagement"]["n_positions"] == len(positions[row["hotkey"]]["positions"])
        dates = [day["date"] for day in row["daily_returns"]]
        assert dates == sorted(set(dates))
        assert dates[-1] < document["created_date"][:10]
        multiplier = row["drawdowns"]["instantaneous_max_drawdown"]
        assert multiplier == pytest.approx(worst(row["daily_returns"]), abs=0.003)
        assert row["penalties"]["total"] == 1.0
        assert "checkpoints" not in row
    statuses = {row["challengeperiod"]["status"] for row in document["data"]}
    assert statuses == {"success", "testing", "probation"}


def worst(days: list[dict[str, Any]]) -> float:
    equity = peak = low = 1.0
    for day in days:
        equity *= 1 + day["value"] / 100
        peak = max(peak, equity)
        low = min(low, equity / peak)
    return low


async def test_statistics_of_one_miner_and_with_checkpoints(b: Bench) -> None:
    hotkey = b.sn8.hotkeys[1]
    with_them = await b.get("/statistics")
    one = await b.get(f"/statistics/{hotkey}/?checkpoints=false")
    same = await b.get(f"/statistics/{hotkey}?checkpoints=false")

    assert all(row["checkpoints"] for row in with_them.json()["data"])
    assert with_them.headers["Content-Encoding"] == "gzip"
    assert one.json()["hotkey"] == hotkey
    assert "checkpoints" not in one.json()
    assert same.json() == one.json()  # sent on to the address with the slash


async def test_eliminations_are_raw_and_list_who_was_eliminated(b: Bench) -> None:
    earlier = (await b.get("/eliminations")).json()
    b.sn8.eliminate(index=1, reason="LIQUIDATED")
    answer = await b.get("/eliminations")

    assert "Content-Encoding" not in answer.headers
    assert len(earlier) == 3
    assert answer.json() == [
        *earlier,
        {
            "hotkey": b.sn8.hotkeys[1],
            "reason": "LIQUIDATED",
            "elimination_initiated_time_ms": b.clock.now_ms(),
            "dd": 0.899,
        },
    ]
    b.sn8.rebuild()
    assert await b.nets(1) == {}
    ranked = {row["hotkey"] for row in (await b.get("/statistics")).json()["data"]}
    assert b.sn8.hotkeys[1] not in ranked
    with pytest.raises(ConfigError, match="eliminated"):
        b.sn8.set_position("BTCUSD", 0.1, index=1)


async def test_other_lists(b: Bench) -> None:
    assert set((await b.get("/miner-hotkeys")).json()) == set(b.sn8.hotkeys)
    selections = (await b.get("/miner-selections")).json()
    assert selections["miner_selections"][b.sn8.hotkeys[0]] == "crypto"
    assert selections["miner_selections"][b.sn8.hotkeys[4]] == "forex"
    assert selections["total_miners"] == 8
    assert (await b.get("/api/health", headers={})).json()["status"] == "healthy"


async def test_the_newer_dialect_says_what_may_be_traded_without_a_key() -> None:
    async with bench(dialect="vn", keys={KEY: 100}) as b:
        document = (await b.get("/trade-pairs", headers={})).json()

        assert "BTCUSDC" in document["allowed_trade_pair_ids"]
        assert document["allowed_trade_pairs"][0] == {
            "trade_pair_id": "BTCUSD",
            "trade_pair": "BTC/USD",
            "trade_pair_category": "crypto",
            "max_leverage": 0.5,
        }


async def test_it_costs_nothing_until_somebody_looks() -> None:
    async with bench() as b:
        b.sn8.tick()
        assert b.server.summary()["sn8"] == {"miners": 8, "connections": 0}
        assert not b.sn8._validator.is_made

        await b.get("/miner-positions")
        assert b.sn8._validator.is_made


async def test_requests_are_logged_without_their_keys(b: Bench) -> None:
    await b.get("/miner-positions?tier=50")
    await b.get("/eliminations", headers={})

    assert [(row.path, row.status) for row in b.sn8.requests()] == [
        ("/miner-positions?tier=50", 200),
        ("/eliminations", 401),
    ]
    assert len(b.sn8.requests("/miner-positions")) == 1


async def test_two_servers_of_a_seed_show_the_same_network() -> None:
    async with bench(change_every_s=20.0) as one, bench(change_every_s=20.0) as other:
        other.clock._start_ms = one.clock._start_ms

        assert await one.positions() == await other.positions()
        assert one.sn8.state()["miners"] == other.sn8.state()["miners"]


async def test_miners_trade_while_time_passes() -> None:
    async with bench(change_every_s=20.0) as b:
        before = await b.positions()
        b.clock.ahead_ms = 15 * 60_000
        b.sn8.tick()
        after = await b.positions()

        changed = [hotkey for hotkey in before if before[hotkey] != after[hotkey]]
        assert len(changed) >= 6
        newest = max(
            order["processed_ms"]
            for miner in after.values()
            for row in miner["positions"]
            for order in row["orders"]
        )
        assert b.clock.now_ms() - 120_000 < newest <= b.clock.now_ms()


@pytest.mark.parametrize(
    "wrong",
    [
        {"miners": 0},
        {"rebuild_every_s": 0},
        {"change_every_s": -1},
        {"change_every_s": 0.001},
        {"auth_style": "cookie"},
        {"dialect": "v3"},
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Sn8Options(**wrong)
