"""Positions as rows: what is held and wanted, side by side. Pure.

Every number is text, null is unknown; sizes, notional and target are signed (short < 0).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from core.model import ZERO, Instrument, Position, PositionsRead, Ticker
from core.settings import AccountConfig

Row = dict[str, Any]


def rows(
    account: AccountConfig,
    read: PositionsRead,
    targets: Mapping[str, Decimal | None],
    instruments: Mapping[str, Instrument],
    tickers: Mapping[str, Ticker],
) -> list[Row]:
    """Give a row for each position held, unreadable, or wanted (non-zero target), by symbol.

    `targets` are the frozen lots by symbol, None = not computed yet; a symbol without one is
    foreign.
    """
    held = {symbol for symbol, row in read.positions.items() if row.size_lots}
    wanted = {symbol for symbol, lots in targets.items() if lots}
    return [
        _row(
            account,
            read.positions.get(symbol) or Position(symbol=symbol, size_lots=ZERO),
            is_known=symbol not in read.unreadable,
            target_lots=targets.get(symbol),
            instrument=instruments.get(symbol),
            ticker=tickers.get(symbol),
        )
        for symbol in sorted(held | wanted | read.unreadable)
    ]


def cached_rows(account: Mapping[str, Any]) -> list[Row]:
    """Give rows of what the engine last saw of an account, from its status: lots only."""
    return [
        {
            **_blank(str(account.get("name")), str(account.get("exchange")), str(row["symbol"])),
            "side": _side(_decimal(row.get("held_lots"))),
            "size_lots": row.get("held_lots"),
            "size_base": "0" if _decimal(row.get("held_lots")) == 0 else None,
            "target_lots": row.get("target_lots"),
        }
        for row in account.get("symbols") or ()
        if _decimal(row.get("held_lots")) != 0 or _decimal(row.get("target_lots"))
    ]


def failed_row(account: str, error: str) -> Row:
    """Give the row of an account that could not be read."""
    return {"account": account, "error": error}


def targets_of(document: object, account: str) -> dict[str, Decimal | None]:
    """Take an account's frozen lots out of what state/targets.json holds."""
    found = document.get(account) if isinstance(document, dict) else None
    if not isinstance(found, dict):
        return {}
    return {
        symbol: _decimal(row.get("lots")) for symbol, row in found.items() if isinstance(row, dict)
    }


def _row(
    account: AccountConfig,
    position: Position,
    *,
    is_known: bool,
    target_lots: Decimal | None,
    instrument: Instrument | None,
    ticker: Ticker | None,
) -> Row:
    lots = position.size_lots if is_known else None
    mark = position.mark_price
    if mark is None and ticker is not None:
        mark = ticker.mark_price
    base = _base(lots, instrument)
    notional = ZERO if base == 0 else None if base is None or mark is None else base * mark
    return {
        **_blank(account.name, account.exchange, position.symbol),
        "side": _side(lots),
        "size_lots": _text(lots),
        "size_base": _text(base),
        "notional_usdt": _text(notional),
        "entry_price": _text(position.entry_price),
        "mark_price": _text(mark),
        "leverage": _text(position.leverage),
        "margin_mode": position.margin_mode,
        "unrealized_pnl_usdt": _text(position.unrealized_pnl_usdt),
        "target_lots": _text(target_lots),
    }


def _blank(account: str, exchange: str, symbol: str) -> Row:
    return {
        "account": account,
        "exchange": exchange,
        "symbol": symbol,
        "side": None,
        "size_lots": None,
        "size_base": None,
        "notional_usdt": None,
        "entry_price": None,
        "mark_price": None,
        "leverage": None,
        "margin_mode": None,
        "unrealized_pnl_usdt": None,
        "target_lots": None,
    }


def _base(lots: Decimal | None, instrument: Instrument | None) -> Decimal | None:
    if lots == 0:
        return ZERO  # whatever a lot is
    return None if lots is None or instrument is None else lots * instrument.contract_size


def _side(lots: Decimal | None) -> str | None:
    if not lots:
        return None
    return "long" if lots > 0 else "short"


def _text(number: Decimal | None) -> str | None:
    return None if number is None else "0" if number == 0 else format(number, "f")


def _decimal(value: object) -> Decimal | None:
    try:
        number = None if value is None else Decimal(str(value))
    except ArithmeticError:
        return None
    return number if number is not None and number.is_finite() else None
