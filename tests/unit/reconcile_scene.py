"""A symbol on which every light is green, for tests of what is decided about it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from core.attempts import Attempts
from core.decision import Decision, Frozen, View
from core.ledger import SymbolLedger, Trust
from core.model import Mode, Target, Ticker
from tests.engine.fake_venue import INSTRUMENT, MARK

NOW = 1_700_000_000_000
TARGET = Target(
    symbol="BTCUSDT",
    exposure=Decimal("0.1"),
    fresh_exposure=Decimal("0.1"),
    leverage=Decimal(3),
    version="v",
    newest_signal_at_ms=NOW - 1000,
    instructed_at_ms=NOW - 1000,
)
TICKER = Ticker(
    symbol="BTCUSDT",
    mark_price=MARK,
    last_price=MARK,
    bid_price=MARK - 1,
    ask_price=MARK + 1,
    read_at_ms=NOW,
)


def view(held: str | None = "0", wanted: str | None = "1", **changes: Any) -> View:
    lots = None if held is None else Decimal(held)
    exposure = TARGET.exposure if wanted is None else Decimal(wanted) / 20
    base = View(
        symbol="BTCUSDT",
        now_ms=NOW,
        wall_ms=NOW,
        mode=Mode.RUN,
        mode_reason="",
        target=replace(TARGET, exposure=exposure),
        frozen=Frozen(
            version="v",
            exposure=exposure,
            leverage=Decimal(3),
            lots=None if wanted is None else Decimal(wanted),
        ),
        ledger=SymbolLedger(symbol="BTCUSDT", baseline_lots=lots, is_ours=True),
        trust=Trust.COUNTS,
        read_lots=lots,
        instrument=INSTRUMENT,
        ticker=TICKER,
        last_price=MARK,
        leverage_held=Decimal(3),
        sets_leverage=True,
        equity_usdt=Decimal(1_000_000),
        free_margin_usdt=Decimal(1_000_000),
        attempts=Attempts(version="v"),
    )
    return replace(base, **changes)


def sizes(decision: Decision) -> list[tuple[Decimal, bool]]:
    return [(o.size_lots, o.reduce_only) for o in decision.orders]


def codes(decision: Decision) -> list[str]:
    return [r.code for r in decision.reasons]
