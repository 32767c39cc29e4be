"""A home in which sources have spoken and an engine has reported, for tests of `why`."""

import os
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from commands.braking import now_ms
from core.checkpoint import CHECKPOINT_NAME
from core.home import Home
from core.journal import Journal
from core.model import Signal
from core.process.lease import Lease, lock_now
from core.process.service_status import replace_status

MINERS = [
    {"hotkey": "5Long", "weight": "0.05", "net_leverage": "0.4", "depth": "0.04"},
    {"hotkey": "5Short", "weight": "0.05", "net_leverage": "-0.10", "depth": "-0.010"},
]
SN8_META = {
    "via": "push",
    "ranking": "risk_adjusted",
    "flags": ["no_chain", "careful"],
    "wanted": "0.0300",
    "agreement": "0.6000",
    "miners": MINERS,
    "simulated": True,
}


def weights(symbol: str, **more: str) -> dict[str, Any]:
    heard = {"tradingview": "0.1", **more}
    sources = [{"source": name, "weight": weight} for name, weight in heard.items()]
    return {"symbol": symbol, "leverage": 3, "sources": sources}


def says(
    home: Home,
    source: str,
    symbol: str,
    depth: str,
    *,
    leverage: str | None = None,
    ago_s: int = 5,
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Store what a source says."""
    at_ms = now_ms() - 1000 * ago_s
    made = Signal(
        id=f"{source}-{symbol}-{at_ms}",
        source=source,
        source_symbol=symbol,
        symbol="",
        depth=Decimal(depth),
        leverage=None if leverage is None else Decimal(leverage),
        price=None,
        fired_at_ms=None,
        received_at_ms=at_ms,
        meta=meta or {},
    )
    journal = Journal(home.raw_signals / source)
    journal.append_sync([made.to_row()], at_ms=1_700_000_000_000)
    journal.close()


def sn8(home: Home, symbol: str = "BTCUSD", depth: str = "0.03", **meta: Any) -> None:
    says(home, "bittensor", symbol, depth, meta={**SN8_META, **meta})


def confirm(home: Home, ago_s: int) -> None:
    """Have the source confirm its state as it stands, as its writer does."""
    folder = home.raw_signals / "bittensor"
    (path,) = folder.glob("*.jsonl")
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    document = {
        "v": 1,
        "source": "bittensor",
        "covered": {"file": path.name, "offset": path.stat().st_size},
        "symbols": {r["source_symbol"]: {"signal": r, "before_newest": None} for r in rows},
        "memory_from": None,
        "confirmed_at_ms": now_ms() - 1000 * ago_s,
        "fold": {},
    }
    (folder / CHECKPOINT_NAME).write_bytes(orjson.dumps(document))


def symbol_row(held: str | None, target: str | None, **changes: Any) -> dict[str, Any]:
    row = {
        "symbol": "BTCUSDT",
        "held_lots": held,
        "target_lots": target,
        "version": "v",
        "verified": held == target,
        "reason": "",
        "hold": None,
        "retry_at_ms": None,
    }
    return {**row, **changes}


def account(name: str, *rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    made = {"name": name, "exchange": "bybit", "environment": "paper", "state": "ready"}
    return {**made, "reason": "", "symbols": list(rows), **changes}


def engine(home: Home, *accounts: dict[str, Any], ago_s: int = 1, alerts: Any = ()) -> Lease:
    """Have an engine say this; hold the lease for as long as it lives."""
    part = {
        "service": "trade-engine",
        "pid": os.getpid(),
        "started_at_ms": now_ms() - 200_000,
        "refreshed_at_ms": now_ms() - 1000 * ago_s,
        "ready": True,
        "accounts": list(accounts),
        "alerts": list(alerts),
    }
    replace_status(home, "trade-engine", part)
    return lock_now(home.state / "trade-engine.lock", "x")
