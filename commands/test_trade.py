"""`trade-engine test-trade`: opens the smallest position, sees it, closes it, sees it flat.

The engine does it, the living one or one of our own under its lock; its lane does nothing else
meanwhile. Ctrl-C does not leave the position behind: it is closed first.
"""

import asyncio
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final
from uuid import uuid4

import typer

from commands.braking import YesOption, ask, now_ms, person
from commands.quiet import quiet
from commands.refusal import CheckFailedError, PartlyFailedError, RefusedError
from commands.tables import plain, print_table
from core.control import Errand, Scope
from core.control.errands import result_path
from core.control.file import halt_file_exists, halt_path, lend, take_back
from core.errors import ConfigError
from core.home import Home
from core.nudge import send_nudge
from core.process.identity import start_time
from core.settings import AccountConfig, load_settings
from core.store import read_json, to_json

EXAMPLE: Final = "./trade-engine test-trade --account paper-bybit --symbol BTCUSDT"
READY_WITHIN_S: Final = 20.0
DONE_WITHIN_S: Final = 240.0
CLOSED_WITHIN_S: Final = 60.0
INTERRUPTED: Final = 130


def command(
    *,
    account: Annotated[str, typer.Option("--account", help="The account to test.")],
    symbol: Annotated[str, typer.Option("--symbol", help="A symbol with nothing held.")],
    short: Annotated[bool, typer.Option("--short", help="Sell first, then buy back.")] = False,
    lots: Annotated[
        str, typer.Option("--lots", help="More than the venue's minimum, in lots.")
    ] = "",
    yes: YesOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Prove that an account can trade: open at the minimum, verify, close, verify flat.

    Refuses (4) where a position is held or wanted. Ends in 3 when it could not be opened, in 5
    when it could not be closed.
    """
    import os  # noqa: PLC0415 - only for our own pid

    home = Home.from_environment()
    found = _account(home, account)
    name, size = symbol.strip().upper(), _lots(lots)
    _ask(found, name, size, is_sure=yes)
    errand = Errand(
        id=uuid4().hex[:12],
        account=account,
        symbol=name,
        side="short" if short else "long",
        lots=size,
        who=person(),
        when_ms=now_ms(),
        pid=os.getpid(),
        started=start_time(os.getpid()),
    )
    try:
        result = asyncio.run(_test(home, errand))
    except asyncio.CancelledError:
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(to_json(result))
    else:
        _show(result)
    _end(result)


def _account(home: Home, name: str) -> AccountConfig:
    if halt_file_exists(home):
        raise RefusedError(f"nothing is sent while state/HALT is there: rm {halt_path(home)}")
    settings = load_settings(home)
    found = settings.account(name)
    if found is None:
        names = ", ".join(row.name for row in settings.accounts) or "none"
        raise RefusedError(f"no account is named {name}; there are: {names}")
    if not found.enabled:
        raise RefusedError(f"{name} is disabled in credentials.json")
    return found


def _ask(account: AccountConfig, symbol: str, lots: Decimal | None, *, is_sure: bool) -> None:
    if not account.needs_arming:
        return
    size = "at the venue's minimum" if lots is None else f"{lots:f} lots, if the minimum is less"
    question = f"This buys and sells {symbol} on {account.name} with real money, {size}"
    ask(question, expected=account.name, is_sure=is_sure)


def _lots(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(0)
    if not number.is_finite() or number <= 0:
        raise typer.BadParameter(f"--lots must be a number above 0, was {text}")
    return number


async def _test(home: Home, errand: Errand) -> dict[str, Any]:
    """Lend the account, wait for the answer, give it back. Raises RefusedError."""
    from commands.engine_at_hand import ended_by_signals, engine_at_hand  # noqa: PLC0415

    scope = Scope(account=errand.account, symbol=errand.symbol)
    with quiet():
        async with engine_at_hand(home, [scope]) as engine:
            with ended_by_signals():
                await _until_ready(engine, scope)
                lend(home, errand, now_ms=now_ms())
                send_nudge(home)
                waiting = asyncio.create_task(_answer(home, engine, errand))
                try:
                    return await asyncio.shield(waiting)
                except asyncio.CancelledError:
                    typer.echo("Closing what was opened first ...", err=True)
                    take_back(home, errand.id, now_ms=now_ms())
                    _show(await waiting)
                    raise
                finally:
                    take_back(home, errand.id, now_ms=now_ms())
                    with suppress(OSError):
                        result_path(home, errand.id).unlink()


async def _answer(home: Home, engine: Any, errand: Errand) -> dict[str, Any]:  # noqa: ANN401 - AtHand
    """Wait for the engine's answer; one of our own also closes what is left before it ends."""
    await engine.until(result_path(home, errand.id).exists, within_s=DONE_WITHIN_S)
    result = _result(home, errand)
    if engine.is_ours and result["outcome"] == "left":
        await engine.until(lambda: _is_flat(engine, errand), within_s=CLOSED_WITHIN_S)
    return result


def _is_flat(engine: Any, errand: Errand) -> bool:  # noqa: ANN401 - AtHand
    rows = engine.accounts(Scope(account=errand.account))
    symbols = [s for row in rows for s in row.get("symbols") or ()]
    found = [s for s in symbols if s.get("symbol") == errand.symbol]
    is_settled = all(row.get("open_intents") == 0 for row in rows)
    return is_settled and all(s.get("held_lots") == "0" for s in found)


async def _until_ready(engine: Any, scope: Scope) -> None:  # noqa: ANN401 - AtHand, loaded late
    def states() -> list[str]:
        return [str(row.get("state")) for row in engine.accounts(scope)]

    if not await engine.until(lambda: "ready" in states(), within_s=READY_WITHIN_S):
        rows = engine.accounts(scope)
        why = "; ".join(f"{row.get('state')} {row.get('reason') or ''}".strip() for row in rows)
        raise RefusedError(f"{scope.account} does not trade now: {why or 'the engine is silent'}")


def _result(home: Home, errand: Errand) -> dict[str, Any]:
    try:
        found = read_json(result_path(home, errand.id))
    except (FileNotFoundError, ConfigError, OSError):
        found = None
    if isinstance(found, dict):
        return found
    text = (
        f"no answer within {DONE_WITHIN_S:.0f} s: ./trade-engine positions, ./trade-engine status"
    )
    return {
        "outcome": "unknown",
        "text": text,
        "account": errand.account,
        "symbol": errand.symbol,
        "side": errand.side,
        "legs": [],
    }


def _show(result: dict[str, Any]) -> None:
    if result["legs"]:
        print_table(
            ("step", "lots", "price", "mark", "slippage bps", "fee USDT", "ms"),
            (
                (
                    str(leg["what"]),
                    str(leg["lots"]),
                    _or_unknown(leg["average_price"]),
                    _or_unknown(leg["mark_price"]),
                    _rounded(leg["slippage_bps"]),
                    _or_unknown(leg["fee_usdt"]),
                    str(leg["took_ms"]),
                )
                for leg in result["legs"]
            ),
        )
    if result["outcome"] not in ("done", "refused"):
        typer.echo(f"Test trade {result['outcome']}: {plain(str(result['text']))}")
    if result["outcome"] == "done":
        typer.echo(f"All ok: {result['account']} traded {result['symbol']} and is flat again.")


def _or_unknown(value: object) -> str:
    return "unknown" if value is None else str(value)


def _rounded(value: object) -> str:
    return "unknown" if value is None else f"{Decimal(str(value)):.2f}"


def _end(result: dict[str, Any]) -> None:
    """End in the outcome's exit code. Raises RefusedError, CheckFailedError, PartlyFailedError."""
    text = plain(str(result["text"]))
    match result["outcome"]:
        case "done":
            return
        case "refused":
            raise RefusedError(text)
        case "failed":
            raise CheckFailedError(f"the test trade failed, and nothing is left of it: {text}")
        case "left":
            raise PartlyFailedError(f"A POSITION IS LEFT of the test trade: {text}")
        case _:
            raise PartlyFailedError(f"nobody knows how the test trade ended: {text}")
