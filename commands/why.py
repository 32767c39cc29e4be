"""`trade-engine why SYMBOL`: from the sources' words to what each account holds, and why.

Reads files only: journals, configuration, state, status. It decides nothing; what it adds up is
what the engine adds up, before staleness and caps, which `--account` and each account's reasons
tell.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final

import typer

from commands.plan import refuse_unknown
from commands.plans.unkept import UnkeptSettings
from commands.reasons.chain import chains
from commands.signals import source_names
from core.home import Home
from core.model import ZERO, Signal
from core.process.exit_codes import ExitCode
from core.process.logs import redact, register_secret
from core.settings import Settings
from core.source_reader import SourceReader
from core.status import read_status
from core.store import to_json

Row = dict[str, Any]
Read = Sequence[tuple[SourceReader, Mapping[str, Signal] | None]]
SILENT: Final = frozenset({"ready", "disabled"})
"""States of an account that explain why nothing is said of a symbol."""
KEYS: Final = ("held_lots", "target_lots", "version", "hold", "retry_at_ms")
"""What the engine says of a symbol, beside what is weighed up here."""
CONTROL: Final = re.compile(r"[\x7f-\x9f]")
"""Control characters that JSON leaves as they are."""


def command(
    symbol: Annotated[str, typer.Argument(help="Our symbol, such as BTCUSDT.", show_default=False)],
    account: Annotated[
        str | None, typer.Option("--account", help="Every step of one account, with its figures.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show why SYMBOL is held as it is: signals, weights, targets, reasons, miners.

    Example: ./trade-engine why BTCUSDT --account main
    """
    home = Home.from_environment()
    settings = UnkeptSettings(home).read()
    if account is not None:
        refuse_unknown(account, [row.name for row in settings.accounts if row.enabled])
    for secret in _secrets(settings):
        register_secret(secret)
    document = explain(home, settings, symbol.upper(), time.time_ns() // 1_000_000)
    if as_json:
        text = redact(to_json(document).decode())
        typer.echo(CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text))
    else:
        from commands.reasons.view import show  # noqa: PLC0415 - programs that ask for JSON need none

        show(document, account)
    if any("error" in row for row in document["signals"]):
        raise typer.Exit(ExitCode.PARTLY_FAILED)


def explain(home: Home, settings: Settings, symbol: str, now_ms: int) -> Row:
    """Collect what is known of a symbol; every key is always there.

    A row of `signals` is `{source, error}` where a source's journals are lost.
    """
    readers = [SourceReader(home, name, is_level=True) for name in source_names(home)]
    read = [(reader, reader.sweep()) for reader in readers]
    words = list(_words(read, settings, symbol, now_ms))
    counted = [row for row in words if "error" not in row]
    real = [row for row in counted if not row["is_simulated"]]
    weights = settings.symbol_weights(symbol)
    status = read_status(home, now_ms)
    seen_at = status["last_refreshed_at"]
    return {
        "symbol": symbol,
        "is_configured": weights is not None,
        "leverage": None if weights is None else format(weights.leverage, "f"),
        "signals": words,
        "exposure": _sum(counted),
        "exposure_without_simulated": _sum(real),
        "unmapped": list(_unmapped(read, settings, symbol)),
        "engine": {
            "is_running": status["executor_running"],
            "seen_s": None if seen_at is None else _seconds(round(1000 * seen_at), now_ms),
        },
        "accounts": list(_accounts(status, symbol, is_wanted=weights is not None)),
        "chains": chains(home, settings, symbol, status, now_ms),
        "alerts": [row for row in status["alerts"] if row.get("symbol") in (symbol, "")],
    }


def _words(read: Read, settings: Settings, symbol: str, now_ms: int) -> Iterator[Row]:
    """Say what each source wants of a symbol, by its newest signals."""
    for reader, newest in read:
        if newest is None:
            yield {"source": reader.name, "error": reader.problem}
            continue
        mapping = settings.mapping.get(reader.name, {})
        for source_symbol, signal in sorted(newest.items()):
            if mapping.get(source_symbol) == symbol:
                yield _word(settings, symbol, signal, reader.confirmed_at_ms(), now_ms)


def _word(
    settings: Settings, symbol: str, signal: Signal, confirmed_at_ms: int | None, now_ms: int
) -> Row:
    """Say what one source's newest signal adds to the target."""
    weights = settings.symbol_weights(symbol)
    weight = ZERO if weights is None else weights.weight_of(signal.source)
    leverage = ZERO if weights is None else weights.leverage
    if signal.leverage is not None:
        leverage = min(leverage, signal.leverage)
    heard_at_ms = max(signal.received_at_ms, confirmed_at_ms or 0)
    stale_after_ms = 1000 * settings.engine.source(signal.source).stale_after_s
    return {
        "source": signal.source,
        "source_symbol": signal.source_symbol,
        "depth": format(signal.depth, "f"),
        "weight": format(weight, "f"),
        "leverage": format(leverage, "f"),
        "asked_leverage": None if signal.leverage is None else format(signal.leverage, "f"),
        "adds": format(weight * signal.depth * leverage, "f"),
        "age_s": _seconds(signal.received_at_ms, now_ms),
        "heard_s": _seconds(heard_at_ms, now_ms),
        "is_stale": bool(stale_after_ms) and now_ms - heard_at_ms > stale_after_ms,
        "is_simulated": signal.meta.get("simulated") is True,
        "id": signal.id,
        "meta": {key: value for key, value in signal.meta.items() if key != "raw"},
    }


def _unmapped(read: Read, settings: Settings, symbol: str) -> Iterator[Row]:
    """Find words about the symbol by its own name that mean nothing, or another symbol."""
    for reader, newest in read:
        mapped_to = settings.mapping.get(reader.name, {}).get(symbol)
        if newest and symbol in newest and mapped_to != symbol:
            yield {
                "source": reader.name,
                "source_symbol": symbol,
                "depth": format(newest[symbol].depth, "f"),
                "mapped_to": mapped_to,
            }


def _accounts(status: Mapping[str, Any], symbol: str, *, is_wanted: bool) -> Iterator[Row]:
    """Give what each account holds; one that cannot say only where something may be wanted."""
    off = {row["account"] for row in status["drift"] if row["symbol"] == symbol}
    for account in status["accounts"]:
        name, state = account.get("name"), account.get("state")
        why = "" if state in SILENT else f"{state}: {account.get('reason') or 'not ready'}"
        rows = [row for row in account.get("symbols") or () if row.get("symbol") == symbol]
        if not rows and why and is_wanted:
            rows = [{}]
        for row in rows:
            is_held = row.get("verified") is True and name not in off
            yield {
                "account": name,
                "environment": account.get("environment"),
                "symbol": symbol,
                **{key: row.get(key) for key in KEYS},
                "verified": row.get("verified") is True,
                "as_wanted": is_held and not row.get("hold") and not why,
                "reason": "; ".join(filter(None, (why, row.get("reason")))),
            }


def _secrets(settings: Settings) -> Iterator[str]:
    yield settings.engine.webhook.token.get_secret_value()
    if settings.bittensor is not None:
        yield settings.bittensor.api_key.get_secret_value()


def _sum(rows: list[Row]) -> str:
    return format(sum((Decimal(row["adds"]) for row in rows), ZERO), "f")


def _seconds(at_ms: int, now_ms: int) -> int:
    return max(0, now_ms - at_ms) // 1000
