"""Status parts as services write them, and the document that is made of them."""

from typing import Any

import orjson
from jsonschema import Draft202012Validator

from core.home import CHECKOUT
from core.status import build_status
from core.status.parts import ServicePart, StatusParts

NOW = 1_700_000_000_000
RULES: dict[str, Any] = orjson.loads((CHECKOUT / "docs/status.schema.json").read_bytes())
SCHEMA = Draft202012Validator(RULES)
SYMBOL = {
    "symbol": "BTCUSDT",
    "held_lots": "0.100",
    "target_lots": "0.100",
    "version": "v1",
    "verified": True,
    "reason": "",
    "hold": None,
    "retry_at_ms": None,
}
ACCOUNT = {
    "name": "first",
    "exchange": "bybit",
    "environment": "paper",
    "state": "ready",
    "reason": "",
    "armed": True,
    "equity_usdt": "100000.5",
    "last_pass_at_ms": NOW - 2000,
    "last_pass_ms": 120,
    "open_intents": 0,
    "symbols": [SYMBOL],
}
ENGINE = {
    "service": "trade-engine",
    "pid": 4711,
    "started_at_ms": NOW - 100_000,
    "refreshed_at_ms": NOW - 1000,
    "ready": True,
    "stopping": False,
    "orphan": False,
    "version": "0.1.0",
    "url": None,
    "exception": None,
    "last_crash": None,
    "cycles": 7,
    "completed_cycle": 7,
    "completed_at_ms": NOW - 2000,
    "mode": "paper",
    "config_hash": "ab" * 32,
    "engine_id": "abcde",
    "signal_age_s": {"tradingview": 12.5, "bittensor": None},
    "accounts": [ACCOUNT],
    "alerts": [],
    "problems": [],
}
CRASH = {"type": "ValueError", "exit_code": 1, "message": "boom", "tb": "Trace", "at_ms": NOW - 9}


def plain(name: str, **changes: object) -> ServicePart:
    keys = ("pid", "started_at_ms", "refreshed_at_ms", "ready", "orphan", "version", "url")
    said = {key: ENGINE[key] for key in keys} | {"service": name} | changes
    return ServicePart(name=name, said=said, is_alive="stopped_at_ms" not in changes)


def engine(*, is_alive: bool = True, **changes: object) -> StatusParts:
    """All services well, but for what is changed of the engine's part."""
    part = ServicePart(name="trade-engine", said={**ENGINE, **changes}, is_alive=is_alive)
    others = (plain("tradingview-endpoint"), plain("monitor", url="http://127.0.0.1:8010"))
    return StatusParts(services={row.name: row for row in (part, *others)})


def with_symbol(**changes: object) -> StatusParts:
    return engine(accounts=[{**ACCOUNT, "symbols": [{**SYMBOL, **changes}]}])


def document(parts: StatusParts) -> dict[str, Any]:
    """Build it, as it goes over the wire, and hold it against the schema."""
    made: dict[str, Any] = orjson.loads(orjson.dumps(build_status(parts, NOW)))
    SCHEMA.validate(made)
    return made


def keys(made: dict[str, Any]) -> set[str]:
    return {alert["key"] for alert in made["alerts"]}
