"""What a venue says of an API key, read by its table: what is missing or odd is unknown."""

from decimal import Decimal
from typing import Any

import pytest

from account_processors import venue_profiles
from account_processors.transport.key_facts import read_key_facts
from account_processors.transport.profile import KeyFields, OrderFields
from account_processors.transport.rows import read_orders
from core.model import KeyFacts

BYBIT = {
    "readOnly": 0,
    "permissions": {"ContractTrade": ["Order", "Position"], "Wallet": ["AccountTransfer"]},
    "ips": ["*"],
    "expiredAt": "2027-05-15T03:21:05Z",
}
ENDS_AT_MS = 1_810_351_265_000
BLOFIN = {"readOnly": 0, "ips": ["10.0.0.2", "10.0.0.1"], "expireTime": str(ENDS_AT_MS), "type": 1}
KUCOIN = {"permission": "General, Futures", "ipWhitelist": "10.0.0.2,10.0.0.1"}
TRADES = {"ContractTrade": ["Order", "Position"]}


def facts(venue: str, row: dict[str, Any]) -> KeyFacts:
    fields = venue_profiles()[venue].key
    assert isinstance(fields, KeyFields)
    return read_key_facts(row, fields)


@pytest.mark.parametrize(
    ("venue", "row", "expected"),
    [
        pytest.param(
            "bybit", BYBIT,
            KeyFacts(
                can_read=True, can_trade=True, can_withdraw=False, expires_at_ms=ENDS_AT_MS,
                allowed_ips=(),
            ),
            id="bybit",
        ),
        pytest.param(
            "blofin", BLOFIN,
            KeyFacts(
                can_read=True, can_trade=True, expires_at_ms=ENDS_AT_MS,
                allowed_ips=("10.0.0.1", "10.0.0.2"),
            ),
            id="blofin",
        ),
        pytest.param(
            "kucoin", KUCOIN,
            KeyFacts(
                can_read=True, can_trade=True, can_withdraw=False,
                allowed_ips=("10.0.0.1", "10.0.0.2"),
            ),
            id="kucoin",
        ),
        pytest.param("bybit", {}, KeyFacts(), id="bybit-empty"),
        pytest.param("blofin", {}, KeyFacts(), id="blofin-empty"),
        pytest.param("kucoin", {}, KeyFacts(), id="kucoin-empty"),
    ],
)  # fmt: skip
def test_a_key_is_read_by_the_table(venue: str, row: dict[str, Any], expected: KeyFacts) -> None:
    assert facts(venue, row) == expected


@pytest.mark.parametrize(
    ("venue", "row", "can_trade", "can_withdraw"),
    [
        pytest.param("bybit", BYBIT | {"readOnly": 1}, False, False, id="read-only"),
        pytest.param("bybit", BYBIT | {"readOnly": 7}, None, False, id="odd-flag"),
        pytest.param(
            "bybit", BYBIT | {"permissions": {"ContractTrade": ["Order"]}}, False, False,
            id="orders-alone",
        ),
        pytest.param(
            "bybit", BYBIT | {"permissions": {"Derivatives": ["DerivativesTrade"]}}, True, False,
            id="the-other-right",
        ),
        pytest.param(
            "bybit", BYBIT | {"permissions": {**TRADES, "Wallet": ["Withdraw"]}}, True, True,
            id="withdraws",
        ),
        pytest.param("bybit", BYBIT | {"permissions": 5}, None, None, id="odd-rights"),
        pytest.param("blofin", BLOFIN | {"readOnly": "1"}, False, False, id="blofin-read-only"),
        pytest.param(
            "kucoin", KUCOIN | {"permission": "General,Spot"}, False, False, id="spot-alone"
        ),
        pytest.param(
            "kucoin", KUCOIN | {"permission": "General,Futures,InnerTransfer"}, True, False,
            id="inner-transfer",
        ),
        pytest.param(
            "kucoin", KUCOIN | {"permission": "General,Futures,Transfer"}, True, True,
            id="transfer",
        ),
    ],
)  # fmt: skip
def test_c3_a_right_is_told_only_where_the_venue_says_it(
    venue: str, row: dict[str, Any], can_trade: bool | None, can_withdraw: bool | None
) -> None:
    found = facts(venue, row)

    assert (found.can_trade, found.can_withdraw) == (can_trade, can_withdraw)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("1970-01-01T00:00:00Z", None, id="epoch"),
        pytest.param("0", None, id="zero"),
        pytest.param("", None, id="empty"),
        pytest.param("soon", None, id="word"),
        pytest.param(None, None, id="null"),
        pytest.param(ENDS_AT_MS, ENDS_AT_MS, id="number"),
        pytest.param("2027-05-15T03:21:05", ENDS_AT_MS, id="no-zone"),
    ],
)
def test_an_end_that_is_none_is_none(value: object, expected: int | None) -> None:
    assert facts("bybit", BYBIT | {"expiredAt": value}).expires_at_ms == expected


@pytest.mark.parametrize("ips", ["", [], ["*"], ["10.0.0.1", "*"]])
def test_no_address_means_every_address(ips: object) -> None:
    assert facts("bybit", BYBIT | {"ips": ips}).allowed_ips == ()


def order_row(venue: str, **changes: object) -> dict[str, object]:
    """Give a row that its venue's table can read."""
    fields: OrderFields = venue_profiles()[venue].order
    side, status = next(iter(fields.sides)), next(iter(fields.statuses))
    return {
        fields.order_id: "1",
        fields.client_id: "te1",
        fields.symbol: "BTC",
        fields.side: side,
        fields.size: "2",
        fields.filled: "2",
        fields.status: status,
        **changes,
    }


@pytest.mark.parametrize(
    ("venue", "changes", "expected"),
    [
        pytest.param("bybit", {"cumFeeDetail": {"USDT": "0.067"}}, "0.067", id="bybit"),
        pytest.param("bybit", {"cumFeeDetail": {"MNT": "0.067"}}, None, id="bybit-other-coin"),
        pytest.param("bybit", {"cumFeeDetail": {}}, None, id="bybit-none"),
        pytest.param("bybit", {}, None, id="bybit-missing"),
        pytest.param("blofin", {"fee": "0.040866000000000000"}, "0.040866", id="blofin"),
        pytest.param("blofin", {"fee": ""}, None, id="blofin-empty"),
        pytest.param(
            "mexc", {"takerFee": 0.3, "makerFee": -0.1, "feeCurrency": "USDT"}, "0.2", id="mexc"
        ),
        pytest.param(
            "mexc", {"takerFee": 0.3, "makerFee": 0, "feeCurrency": "MX"}, None, id="mexc-coin"
        ),
        pytest.param("mexc", {"takerFee": 0.3, "feeCurrency": "USDT"}, None, id="mexc-half"),
        pytest.param("kucoin", {"fee": "1"}, None, id="kucoin-does-not-tell"),
    ],
)
def test_the_fee_of_an_order_is_in_usdt_or_unknown(
    venue: str, changes: dict[str, object], expected: str | None
) -> None:
    fields = venue_profiles()[venue].order
    (found,) = read_orders([order_row(venue, **changes)], fields, str, "order")

    assert found.fee_usdt == (None if expected is None else Decimal(expected))
