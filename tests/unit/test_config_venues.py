"""What the wizards ask of venues, over HTTP at the paper exchange."""

import asyncio
import json

from commands.configuring.venues import Venues
from core.home import Home
from core.process.service_status import replace_status
from core.settings.account import parse_credentials
from paper_exchange.accounts import PaperAccount
from paper_exchange.server import PaperServer

ACCOUNT = {
    "name": "paper-bybit",
    "exchange": "bybit",
    "api_key": "key-of-a-test",
    "api_secret": "secret-of-a-test",
    "environment": "paper",
}


async def test_a_key_is_tried_and_markets_are_read_where_the_venue_answers(home: Home) -> None:
    right, wrong = ACCOUNT, {**ACCOUNT, "name": "wrong", "api_key": "another-key", "enabled": False}
    home.credentials.write_text(json.dumps({"accounts": [right, wrong]}))
    accounts = parse_credentials({"accounts": [right, wrong]}).accounts
    known = PaperAccount(
        name="paper", exchange="bybit", api_key="key-of-a-test", api_secret="secret-of-a-test"
    )
    async with PaperServer(accounts=[known]) as server:
        replace_status(home, "paper-exchange", {"url": server.url})
        venues = Venues(home)
        works, fails = [await asyncio.to_thread(venues.test_key, one) for one in accounts]
        markets = await asyncio.to_thread(venues.markets)

    assert works.is_ok
    assert works.text == "equity 100000 USDT"
    assert not fails.is_ok
    assert "10003" in fails.text
    assert list(markets) == ["bybit (paper)"]  # the enabled account's
    assert "BTCUSDT" in (markets["bybit (paper)"] or ())
