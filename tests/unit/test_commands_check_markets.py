"""What `check` says of a market on an account: listed, minimum, leverage, affordable; by table."""

from decimal import Decimal

import pytest
from pydantic import SecretStr

from commands.checks.findings import State
from commands.checks.markets import MarketsSeen, Wanted, judge_markets
from core.model import Instrument, Ticker
from core.settings import AccountConfig

NOW = 1_800_000_000_000


def account(**changes: object) -> AccountConfig:
    row = {
        "name": "main",
        "exchange": "bybit",
        "environment": "live",
        "api_key": SecretStr("KEY"),
        "api_secret": SecretStr("SECRET"),
    }
    return AccountConfig.model_validate({**row, **changes})


def instrument(**changes: object) -> Instrument:
    fields = {
        "symbol": "BTCUSDT",
        "step_lots": Decimal("0.001"),
        "min_lots": Decimal("0.001"),
        "max_market_lots": None,
        "min_notional_usdt": Decimal(5),
        "contract_size": Decimal(1),
        "tick_size": Decimal("0.1"),
        "max_leverage": Decimal(100),
        "leverage_step": Decimal(1),
    }
    return Instrument(**{**fields, **changes})  # type: ignore[arg-type]


def market(
    *listed_here: Instrument,
    name: str = "main",
    equity: str | None = "1000",
    price: str | None = "60000",
    **changes: object,
) -> MarketsSeen:
    mark = None if price is None else Decimal(price)
    ticker = mark and Ticker(
        symbol="BTCUSDT", mark_price=mark, last_price=mark, bid_price=mark, ask_price=mark,
        read_at_ms=NOW,
    )  # fmt: skip
    return MarketsSeen(
        account=account(name=name, **changes),
        equity_usdt=None if equity is None else Decimal(equity),
        instruments={row.symbol: row for row in listed_here},
        tickers={"BTCUSDT": ticker} if ticker else {},
    )


def wanted(leverage: str = "3", weight: str = "0.1", gross: str = "3") -> Wanted:
    return Wanted(
        symbol="BTCUSDT",
        leverage=Decimal(leverage),
        weight=Decimal(weight),
        max_gross_exposure=Decimal(gross),
    )


@pytest.mark.parametrize(
    ("seen", "asked", "state", "text"),
    [
        pytest.param(
            market(instrument()), wanted(), State.OK, "0.001 lots = 60.00 USDT", id="fits"
        ),
        pytest.param(
            market(instrument(max_leverage=Decimal(2))), wanted(), State.WARN, "set instead",
            id="leverage",
        ),
        pytest.param(
            market(instrument(max_leverage=Decimal(2)), leverage_override=2), wanted(), State.OK,
            "leverage 2 of at most 2", id="override",
        ),
        pytest.param(
            market(instrument(is_trading=False)), wanted(), State.WARN, "takes no orders",
            id="closed",
        ),
        pytest.param(
            market(instrument(), equity="199"), wanted(), State.WARN,
            "59.70 USDT: it will always be below the minimum", id="too-small",
        ),
        pytest.param(market(instrument(), equity="200"), wanted(), State.OK, "", id="just-enough"),
        pytest.param(
            market(instrument(), equity="100"), wanted(leverage="20", weight="1", gross="0.5"),
            State.WARN, "50.00 USDT", id="gross-cap",
        ),
        pytest.param(
            market(instrument(), min_order_notional_usdt=400), wanted(), State.WARN,
            "always be below", id="own-minimum",
        ),
        pytest.param(
            market(instrument(), equity=None), wanted(), State.OK, "", id="money-unknown"
        ),
        pytest.param(
            market(instrument(), price=None), wanted(), State.UNKNOWN, "no price", id="no-price"
        ),
        pytest.param(
            market(instrument(contract_size=Decimal("0.001"), step_lots=Decimal(1),
                              min_lots=Decimal(1))),
            wanted(), State.OK, "at least 1 lots = 60.00 USDT, step 1, a lot is 0.001 coins",
            id="contracts",
        ),
    ],
)  # fmt: skip
def test_a_market_is_judged(seen: MarketsSeen, asked: Wanted, state: State, text: str) -> None:
    (found,) = judge_markets([seen], [asked])

    assert found.state is state, found.detail
    assert text in found.detail


def test_a_market_that_is_listed_elsewhere_warns_and_one_that_is_listed_nowhere_fails() -> None:
    lists, lacks = market(instrument(), name="first"), market(name="second")
    elsewhere = judge_markets([lists, lacks], [wanted()])
    nowhere = judge_markets([market(name="first"), lacks], [wanted()])

    assert [row.state for row in elsewhere] == [State.OK, State.WARN]
    assert [row.state for row in nowhere] == [State.FAIL, State.FAIL]


def test_markets_that_could_not_be_read_fail_and_say_nothing_of_others() -> None:
    unread = MarketsSeen(
        account=account(name="hung"), equity_usdt=None, instruments=None, tickers={}, error="hung"
    )
    found = judge_markets([unread, market(instrument())], [wanted()])

    assert [(row.where, row.state) for row in found] == [
        ("hung", State.FAIL),
        ("main", State.OK),
    ]
