"""Who comes in: keys, signatures, clocks, addresses."""

from pathlib import Path
from typing import Any

import ccxt
import ccxt.async_support
import orjson
import pytest

from core.home import Home
from paper_exchange.accounts import PaperAccount
from paper_exchange.server import PaperServer
from tests.paper.clients import ETH, MAIN, plain_client, redirected


def write_credentials(home: Path, *rows: dict[str, Any]) -> None:
    base = {"exchange": "bybit", "environment": "paper", "enabled": True}
    document = {"accounts": [base | row for row in rows]}
    (home / "credentials.json").write_bytes(orjson.dumps(document))


async def test_hosts_replaced_path_by_path_work_as_well() -> None:
    async with PaperServer(accounts=[MAIN]) as server:
        client = ccxt.async_support.bybit({"apiKey": MAIN.api_key, "secret": MAIN.api_secret})
        client.urls["api"] = redirected(client.urls["api"], f"{server.url}/bybit")
        try:
            client.options["fetchMarkets"] = {"types": ["linear"]}
            assert (await client.fetch_balance())["USDT"]["total"] == 100_000
            await client.create_order(ETH, "market", "buy", 1)
        finally:
            await client.close()

        assert server.truth("main")["sizes"] == {"ETHUSDT": "1"}


async def test_an_unknown_key_is_10003_and_a_wrong_secret_10004() -> None:
    stranger = PaperAccount(name="x", exchange="bybit", api_key="NOBODY", api_secret="S")
    forger = PaperAccount(name="x", exchange="bybit", api_key=MAIN.api_key, api_secret="WRONG")
    async with PaperServer(accounts=[MAIN]) as server:
        for account, code in ((stranger, 10003), (forger, 10004)):
            async with plain_client(server, account) as client:
                with pytest.raises(ccxt.AuthenticationError, match=f'"retCode":{code}'):
                    await client.create_order(ETH, "market", "buy", 1)

        assert server.truth("main")["orders"] == {}


async def test_a_signature_is_over_the_bytes_of_body_and_query() -> None:
    async with PaperServer(accounts=[MAIN]) as server, plain_client(server) as client:
        await client.load_markets()
        real_fetch = client.fetch

        async def meddle(url: str, method: str, headers: object, body: str | None) -> object:
            body = body.replace('"1"', '"2"') if body else body
            return await real_fetch(url.replace("limit=200", "limit=199"), method, headers, body)

        client.fetch = meddle
        with pytest.raises(ccxt.AuthenticationError, match="10004"):
            await client.create_order(ETH, "market", "buy", 1)
        with pytest.raises(ccxt.AuthenticationError, match="10004"):
            await client.fetch_positions()


@pytest.mark.parametrize(
    ("skew_ms", "is_taken"), [(-900, True), (-1100, False), (4500, True), (5500, False)]
)
async def test_the_window_is_five_seconds_back_and_one_ahead(skew_ms: int, is_taken: bool) -> None:
    async with PaperServer(accounts=[MAIN]) as server, plain_client(server) as client:
        await client.load_markets()
        server.add_fault("clock_skew", ms=skew_ms)
        if is_taken:
            await client.create_order(ETH, "market", "buy", 1)
        else:
            with pytest.raises(ccxt.InvalidNonce, match="10002"):
                await client.create_order(ETH, "market", "buy", 1)

        assert bool(server.truth("main")["orders"]) is is_taken


async def test_the_door_follows_credentials_json(home: Home) -> None:
    write_credentials(
        home.root,
        {"name": "main", "api_key": "KEYMAIN", "api_secret": "SECRETMAIN"},
        {"name": "live", "api_key": "LIVE", "api_secret": "x", "environment": "live"},
    )
    second = PaperAccount(name="second", exchange="bybit", api_key="K2", api_secret="S2")
    async with PaperServer(home=home.root) as server, plain_client(server, second) as client:
        assert server.is_strict
        with pytest.raises(ccxt.AuthenticationError, match="10003"):
            await client.fetch_balance()
        write_credentials(home.root, {"name": "second", "api_key": "K2", "api_secret": "S2"})
        assert (await client.fetch_balance())["USDT"]["total"] == 100_000
        (home.root / "credentials.json").write_text("{half")
        assert (await client.fetch_balance())["USDT"]["total"] == 100_000

        assert {row.name for row in server.exchange.doorkeeper.accounts()} == {"second"}


async def test_without_credentials_any_key_opens_an_account_of_its_own() -> None:
    walk_in = PaperAccount(name="WALKIN", exchange="bybit", api_key="WALKIN", api_secret="any")
    async with PaperServer() as server:
        async with plain_client(server, walk_in) as client:
            await client.create_order(ETH, "market", "buy", 1)
        async with plain_client(server, MAIN) as client:
            assert await client.fetch_positions() == []
        server.exchange.open_account(MAIN)  # from now on its signature is checked
        forger = PaperAccount(name="x", exchange="bybit", api_key=MAIN.api_key, api_secret="no")
        async with plain_client(server, forger) as client:
            with pytest.raises(ccxt.AuthenticationError, match="10004"):
                await client.fetch_balance()

        assert server.truth("WALKIN")["sizes"] == {"ETHUSDT": "1"}


def test_a_secret_is_in_no_repr() -> None:
    assert "SECRETMAIN" not in repr(MAIN)
