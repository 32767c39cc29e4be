"""A probe of a key ends in time and in a value, whatever its venue does."""

import asyncio
from decimal import Decimal

import pytest

from account_processors.probing import PATIENCE, Probed, read_key
from core.errors import CredentialsError, TradeEngineError, TransientError
from core.model import AccountMode, Equity, KeyFacts
from tests.virtual_time import run_virtually

MODE = AccountMode(margin_mode="cross", is_hedged=False)
MONEY = Equity(
    equity_usdt=Decimal(10),
    free_margin_usdt=None,
    used_margin_usdt=None,
    unrealized_pnl_usdt=None,
)


class OneVenue:
    """A venue that fails, or hangs, at one of its reads."""

    account_mode = MODE
    skew_ms = 12

    def __init__(self, at: str = "", error: TradeEngineError | None = None) -> None:
        self._at = at
        self._error = error

    async def _meet(self, place: str) -> None:
        if place != self._at:
            return
        if self._error is None:
            await asyncio.sleep(3_600)
        else:
            raise self._error

    async def connect(self) -> AccountMode:
        await self._meet("connect")
        return MODE

    async def fetch_equity(self) -> Equity:
        await self._meet("equity")
        return MONEY

    async def fetch_key_facts(self) -> KeyFacts:
        await self._meet("key")
        return KeyFacts(can_trade=True)


@pytest.mark.parametrize("at", ["connect", "equity", "key"])
def test_a_venue_that_hangs_is_left_after_a_few_time_outs(at: str) -> None:
    async def play() -> None:
        began_s = asyncio.get_running_loop().time()
        found = await read_key(OneVenue(at), timeout_s=2)
        took_s = asyncio.get_running_loop().time() - began_s

        assert "no answer within 8 s" in found.error
        assert not found.is_refused
        assert took_s == pytest.approx(PATIENCE * 2)

    run_virtually(play())


@pytest.mark.parametrize(
    ("at", "error", "is_refused"),
    [
        pytest.param("connect", TransientError("502"), False, id="connect"),
        pytest.param("connect", CredentialsError("bad key"), True, id="refused"),
        pytest.param("equity", CredentialsError("bad key"), True, id="refused-later"),
    ],
)
def test_an_error_is_a_text_that_tells_a_refused_key_apart(
    at: str, error: TradeEngineError, is_refused: bool
) -> None:
    async def play() -> None:
        found = await read_key(OneVenue(at, error), timeout_s=2)

        assert found.error == str(error)
        assert found.is_refused is is_refused
        assert found.equity_usdt is None

    run_virtually(play())


def test_rights_that_cannot_be_read_leave_the_rest() -> None:
    venue: Probed = OneVenue("key", TransientError("502"))

    async def play() -> None:
        found = await read_key(venue, timeout_s=2)

        assert (found.error, found.facts_error) == ("", "502")
        assert (found.equity_usdt, found.facts) == (Decimal(10), KeyFacts())
        assert (found.mode, found.skew_ms) == (MODE, 12)

    run_virtually(play())
