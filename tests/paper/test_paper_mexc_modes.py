"""Leverage, margin modes, position modes and client ids, as on MEXC; what it refuses, and how."""

from collections.abc import AsyncIterator
from typing import Any

import ccxt
import pytest

from paper_exchange.server import PaperServer
from paper_exchange.wires.mexc import WIRE
from tests.paper.clients import ETH, SCENES, Client, plain_client

ACCOUNT = SCENES["mexc"].account
CROSS = {"type": 5, "openType": 2}
ISOLATED = {"type": 5, "openType": 1}
SIDED = ({"openType": 1, "positionType": 1}, {"openType": 1, "positionType": 2})
ORDER = {"symbol": "ETH_USDT", "vol": 1, "side": 1, "type": 5, "openType": 2}


@pytest.fixture
async def server() -> AsyncIterator[PaperServer]:
    async with PaperServer(accounts=[ACCOUNT], limits=False) as running:
        running.pin(BTCUSDT="60000", ETHUSDT="3328")
        yield running


@pytest.fixture
async def client(server: PaperServer) -> AsyncIterator[Client]:
    async with plain_client(server, ACCOUNT) as plain:
        yield plain


async def leverages(client: Client) -> tuple[str, int, int]:
    found = await client.fetch_leverage(ETH)
    return found["marginMode"], found["longLeverage"], found["shortLeverage"]


async def held(client: Client) -> dict[tuple[int, int], tuple[int, int]]:
    answer = await client.contractPrivateGetPositionOpenPositions()
    return {
        (row["positionType"], row["openType"]): (row["holdVol"], row["leverage"])
        for row in answer["data"]
    }


async def test_leverage_is_kept_by_side_and_margin_mode(client: Client) -> None:
    assert await leverages(client) == ("cross", 10, 10)
    await client.set_leverage(5, ETH, SIDED[0])
    await client.set_leverage(7, ETH, SIDED[1])
    await client.set_leverage(7, ETH, SIDED[1])  # again: fine
    assert await leverages(client) == ("isolated", 5, 7)
    await client.set_margin_mode("cross", ETH, {"leverage": 3, "direction": "long"})
    assert await leverages(client) == ("cross", 3, 10)

    await client.create_order(ETH, "market", "buy", 10, None, CROSS)  # without: as set for longs
    assert await held(client) == {(1, 2): (10, 3)}
    await client.create_order(ETH, "market", "sell", 10, None, {**CROSS, "reduceOnly": True})
    await client.create_order(ETH, "market", "sell", 10, None, CROSS)
    assert await held(client) == {(2, 2): (10, 10)}


@pytest.mark.parametrize("wrong", [0, 201, 2.5, -1])
async def test_a_leverage_that_cannot_be_is_2006(client: Client, wrong: float) -> None:
    await client.load_markets()
    body = {"symbol": "ETH_USDT", "openType": 1, "positionType": 1, "leverage": wrong}

    with pytest.raises(ccxt.ExchangeError, match='"code":2006'):
        await client.contractPrivatePostPositionChangeLeverage(body)
    with pytest.raises(ccxt.ExchangeError, match='"code":2006'):
        await client.contractPrivatePostOrderCreate({**ORDER, "openType": 1, "leverage": wrong})


async def test_the_leverage_of_what_is_held_changes_by_its_id_too(client: Client) -> None:
    await client.create_order(ETH, "market", "buy", 10, None, {**ISOLATED, "leverage": 5})
    [row] = (await client.contractPrivateGetPositionOpenPositions())["data"]
    await client.set_leverage(8, params={"positionId": row["positionId"]})
    [after] = (await client.contractPrivateGetPositionOpenPositions())["data"]

    assert (after["leverage"], after["im"]) == (8, pytest.approx(row["im"] * 5 / 8))
    with pytest.raises(ccxt.InvalidOrder, match="2009"):
        await client.set_leverage(8, params={"positionId": 1})


async def test_adding_takes_the_leverage_and_the_mode_that_is_held(client: Client) -> None:
    await client.create_order(ETH, "market", "buy", 10, None, {**ISOLATED, "leverage": 5})
    with pytest.raises(ccxt.ExchangeError, match='"code":2021'):
        await client.create_order(ETH, "market", "buy", 10, None, {**ISOLATED, "leverage": 6})
    with pytest.raises(ccxt.ExchangeError, match='"code":2027'):
        await client.create_order(ETH, "market", "buy", 10, None, {**CROSS, "leverage": 5})
    for params in SIDED:
        await client.set_leverage(6, ETH, params)
    await client.create_order(ETH, "market", "buy", 10, None, {**ISOLATED, "leverage": 6})
    assert await held(client) == {(1, 1): (20, 6)}

    await client.create_order(
        ETH, "market", "sell", 20, None, {**ISOLATED, "reduceOnly": True, "leverage": 1}
    )
    await client.create_order(ETH, "market", "buy", 10, None, CROSS)  # flat: the mode may change
    assert (1, 2) in await held(client)


async def test_leverage_stays_while_an_opening_order_rests(client: Client) -> None:
    await client.create_order(ETH, "limit", "buy", 10, 3000, {**CROSS, "type": 1})

    with pytest.raises(ccxt.ExchangeError, match='"code":2019'):
        await client.set_leverage(5, ETH, {"openType": 2, "positionType": 1})
    with pytest.raises(ccxt.ExchangeError, match='"code":2019'):
        await client.set_position_mode(True)


async def test_less_leverage_needs_the_margin_for_it(client: Client) -> None:
    await client.create_order(ETH, "market", "buy", 4000, None, {**ISOLATED, "leverage": 2})

    with pytest.raises(ccxt.ExchangeError, match='"code":2018'):
        await client.set_leverage(1, ETH, SIDED[0])
    assert await held(client) == {(1, 1): (4000, 2)}


async def test_position_mode_switches_only_while_flat(client: Client) -> None:
    assert await client.fetch_position_mode() == {
        "info": {"success": True, "code": 0, "data": 2},
        "hedged": False,
    }
    await client.set_position_mode(False)  # again: fine
    await client.set_position_mode(True)
    assert (await client.fetch_position_mode())["hedged"]
    await client.create_order(ETH, "market", "buy", 10, None, CROSS)

    with pytest.raises(ccxt.ExchangeError, match='"code":2019'):
        await client.set_position_mode(False)


async def test_hedge_mode_holds_both_sides_and_closes_each_by_its_code(
    server: PaperServer, client: Client
) -> None:
    await client.set_position_mode(True)
    hedged = {**CROSS, "hedged": True}
    await client.create_order(ETH, "market", "buy", 10, None, hedged)
    await client.create_order(ETH, "market", "sell", 4, None, {**hedged, "leverage": 20})
    assert await held(client) == {(1, 2): (10, 10), (2, 2): (4, 20)}

    # ccxt's own codes are the other way round: its `side` must be overruled
    with pytest.raises(ccxt.ExchangeError, match='"code":2008'):
        await client.create_order(ETH, "market", "sell", 10, None, {**hedged, "reduceOnly": True})
    await client.create_order(ETH, "market", "sell", 10, None, {**hedged, "side": 4})
    await client.create_order(ETH, "market", "buy", 4, None, {**hedged, "side": 2})
    with pytest.raises(ccxt.InvalidOrder, match="2009"):
        await client.create_order(ETH, "market", "buy", 4, None, {**hedged, "side": 2})
    orders = (await client.contractPrivateGetOrderListHistoryOrders())["data"]

    assert server.truth("mex")["sizes"] == {}
    assert [(row["side"], row["positionMode"]) for row in orders] == [
        (2, 1),
        (4, 1),
        (3, 1),
        (1, 1),
    ]


async def test_an_order_for_the_other_position_mode_is_7002(client: Client) -> None:
    with pytest.raises(ccxt.ExchangeError, match='"code":7002'):
        await client.create_order(ETH, "market", "buy", 1, None, {**CROSS, "hedged": True})
    await client.set_position_mode(True)

    with pytest.raises(ccxt.ExchangeError, match='"code":7002'):
        await client.create_order(ETH, "market", "buy", 1, None, {**CROSS, "positionMode": 2})
    with pytest.raises(ccxt.BadRequest, match='"code":600'):
        await client.contractPrivatePostOrderCreate({**ORDER, "reduceOnly": True})


async def lookup(client: Client, client_id: str) -> Any:
    path = {"symbol": "ETH_USDT", "external_oid": client_id}
    return (await client.contractPrivateGetOrderExternalSymbolExternalOid(path))["data"]


async def test_a_client_id_is_taken_once_and_finds_its_order(
    server: PaperServer, client: Client
) -> None:
    order = await client.create_order(ETH, "market", "buy", 1, None, {**CROSS, "externalOid": "x"})
    with pytest.raises(ccxt.BadRequest, match='"code":603'):
        await client.create_order(ETH, "market", "buy", 1, None, {**CROSS, "externalOid": "x"})
    found = await lookup(client, "x")

    assert (found["orderId"], found["state"], found["dealVol"]) == (order["id"], 3, 1)
    assert server.truth("mex")["sizes"] == {"ETHUSDT": "1"}
    with pytest.raises(ccxt.ExchangeError, match='"code":2040'):
        await lookup(client, "y")


async def test_what_nobody_has_told_has_another_form(
    server: PaperServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WIRE.habits, "unknown_order_is_null", True)
    monkeypatch.setattr(WIRE.habits, "second_client_id_is_fine", True)
    params = {**CROSS, "externalOid": "x"}
    first = await client.create_order(ETH, "market", "buy", 1, None, params)
    second = await client.create_order(ETH, "market", "buy", 1, None, params)

    assert first["id"] == second["id"]
    assert len(server.truth("mex")["orders"]) == 1
    assert await lookup(client, "y") is None
    assert (await client.fetch_order("1", ETH))["id"] is None


async def test_a_batch_takes_each_order_by_itself_and_knows_a_client_id(
    server: PaperServer, client: Client
) -> None:
    await client.load_markets()
    limit = {**ORDER, "type": 1, "price": 3000}
    batch = [{**limit, "externalOid": "a"}, {**limit, "vol": 0}, {**limit, "externalOid": "a"}]
    rows = (await client.contractPrivatePostOrderSubmitBatch(batch))["data"]
    assert [row["errorCode"] for row in rows] == [0, 2011, 0]
    assert (rows[0]["orderId"], rows[1]["orderId"]) == (rows[2]["orderId"], None)

    cancels = [{"symbol": "ETH_USDT", "externalOid": client_id} for client_id in "ab"]
    done = await client.contractPrivatePostOrderBatchCancelWithExternal(cancels)
    assert [row["errorCode"] for row in done["data"]] == [0, 2040]
    with pytest.raises(ccxt.ExchangeError, match='"code":2041'):
        await client.contractPrivatePostOrderCancelWithExternal(cancels[0])
    with pytest.raises(ccxt.ExchangeError, match='"code":2040'):
        await client.contractPrivatePostOrderCancelWithExternal(cancels[1])
    with pytest.raises(ccxt.ExchangeError, match='"code":2013'):
        await client.contractPrivatePostOrderCancel(["1"] * 51)
    assert server.truth("mex")["sizes"] == {}


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        pytest.param({"vol": 0}, ccxt.BadRequest, 2011, id="nothing"),
        pytest.param({"vol": -1}, ccxt.BadRequest, 2011, id="negative"),
        pytest.param({"vol": 1.5}, ccxt.ExchangeError, 2015, id="off-the-step"),
        pytest.param({"vol": "NaN"}, ccxt.BadRequest, 600, id="not-a-number"),
        pytest.param({"vol": 82_001}, ccxt.ExchangeError, 2028, id="above-the-maximum"),
        pytest.param({"vol": 40_000}, ccxt.InsufficientFunds, 2005, id="no-margin"),
        pytest.param({"symbol": "NO_USDT"}, ccxt.BadSymbol, 1001, id="unknown-contract"),
        pytest.param({"symbol": "ETHUSDT"}, ccxt.BadSymbol, 1001, id="spot-name"),
        pytest.param({"side": 5}, ccxt.ExchangeError, 2001, id="unknown-side"),
        pytest.param({"openType": 3}, ccxt.ExchangeError, 2002, id="unknown-open-type"),
        pytest.param({"type": 7}, ccxt.BadRequest, 600, id="unknown-type"),
        pytest.param({"type": 1}, ccxt.BadRequest, 600, id="limit-without-price"),
        pytest.param({"type": 1, "price": 3700}, ccxt.InvalidOrder, 2003, id="bid-too-high"),
        pytest.param(
            {"type": 1, "price": 2900, "side": 3}, ccxt.ExchangeError, 2004, id="ask-too-low"
        ),
        pytest.param({"type": 1, "price": 3000.001}, ccxt.ExchangeError, 2015, id="off-the-tick"),
        pytest.param({"type": 1, "price": -1}, ccxt.ExchangeError, 2007, id="negative-price"),
        pytest.param({"openType": 1}, ccxt.ExchangeError, 2006, id="isolated-without-leverage"),
        pytest.param({"externalOid": "x" * 33}, ccxt.ExchangeError, 2030, id="long-client-id"),
    ],
)
async def test_bad_orders_get_the_venues_own_code(
    server: PaperServer, client: Client, change: dict[str, Any], error: type[Exception], code: int
) -> None:
    await client.load_markets()

    with pytest.raises(error, match=f'"success":false,"code":{code},'):
        await client.contractPrivatePostOrderCreate({**ORDER, **change})
    assert server.truth("mex")["orders"] == {}
