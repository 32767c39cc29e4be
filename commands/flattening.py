"""Waits until a flatten is done, then reads from the exchange what is left.

Flat is an account that the engine saw flat and that reads flat again, with no order of ours at rest
that could still open something; a read that failed is never flat. Sends nothing itself.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from commands.engine_at_hand import AtHand, engine_at_hand
from commands.engine_world import known_engine_id
from commands.flattening_look import Seen, look
from commands.opened_accounts import open_venues
from commands.position_reading import OpenAccount
from core.control import Scope
from core.errors import ConfigError
from core.home import Home
from core.model import ZERO
from core.settings import Settings, load_settings

READ_AGAIN_WITHIN_S: Final = 12.0  # a read may show a fill this late
READ_AGAIN_S: Final = 1.0
UNSEEN_S: Final = 3.0  # an account that the engine did not see flat is read again for so long
NEVER: Final = ("parked", "busy", "unconfigured")  # such an account is not traded at all
GIVE_UP_S: Final = 15.0  # an account in such a state may still be on its way


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """One thing that is not flat; `lots` None = nobody knows."""

    account: str
    symbol: str
    lots: Decimal | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a flatten ended; `notes` are worth a line although all is flat."""

    accounts: tuple[str, ...]
    left: tuple[Left, ...]
    notes: tuple[str, ...] = ()
    goes_on: bool = False  # the engine lives and tries on

    @property
    def is_flat(self) -> bool:
        """Tell whether nothing is left."""
        return not self.left


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the engine saw: accounts that it says are flat, and its word on each."""

    scope: Scope
    done: set[str]
    said: Mapping[str, Mapping[str, Any]]
    patience_s: float  # for an account that is not done


async def flatten_and_look(home: Home, scope: Scope, flatten_id: str, *, wait_s: float) -> Outcome:
    """Wait for the engine to be done with a flatten, then look at the exchange."""
    try:
        settings = load_settings(home)
    except ConfigError as error:
        return _unseen(scope, str(error))
    names = tuple(
        row.name for row in settings.accounts if scope.account in (None, row.name) and row.enabled
    )
    logging.disable(logging.CRITICAL)  # what matters is told at the end
    try:
        async with engine_at_hand(home, scope) as engine:
            done = await _wait(engine, scope, flatten_id, set(names), wait_s=wait_s)
            said = {str(row["name"]): row for row in engine.accounts(scope)}
            seen = Seen(scope=scope, done=done, said=said, patience_s=min(wait_s, UNSEEN_S))
            left, notes = await _look(home, settings, names, seen)
            goes_on = not engine.is_ours
    finally:
        logging.disable(logging.NOTSET)
    return Outcome(accounts=names, left=tuple(left), notes=tuple(notes), goes_on=goes_on)


async def _wait(
    engine: AtHand, scope: Scope, flatten_id: str, names: set[str], *, wait_s: float
) -> set[str]:
    """Wait until every account is done, or cannot be; gives those that the engine saw flat."""
    began = asyncio.get_running_loop().time()

    def done() -> set[str]:
        return {
            str(row["name"])
            for row in engine.accounts(scope)
            if flatten_id in (row.get("flattened") or ())
        }

    def is_over() -> bool:
        waited_s = asyncio.get_running_loop().time() - began
        lost = {str(r["name"]) for r in engine.accounts(scope) if _is_lost(r, waited_s)}
        return names <= done() | lost

    await engine.until(is_over, within_s=wait_s)
    return done()


def _is_lost(row: Mapping[str, Any], waited_s: float) -> bool:
    """Tell whether the engine will not flatten an account, whatever is waited."""
    if row.get("environment") == "live" and row.get("armed") is not True:
        return True
    return row.get("state") in NEVER and waited_s > GIVE_UP_S


async def _look(
    home: Home, settings: Settings, names: Sequence[str], seen: Seen
) -> tuple[list[Left], list[str]]:
    chosen = replace(settings, accounts=tuple(a for a in settings.accounts if a.name in names))
    engine_id = known_engine_id(home)
    async with open_venues(home, chosen) as (opened, failed):
        found = await asyncio.gather(
            *(_of_account(one, scope, engine_id, done, said) for one in opened)
        )
    unopened = [
        Left(
            account=str(row["account"]), symbol=seen.scope.symbol or "", lots=None, why=row["error"]
        )
        for row in failed
        if row["account"] not in seen.done
    ]
    notes = [note for _, account_notes in found for note in account_notes]
    return [*(row for rows, _ in found for row in rows), *unopened], notes


async def _of_account(
    one: OpenAccount,
    scope: Scope,
    engine_id: str | None,
    done: set[str],
    said: Mapping[str, Mapping[str, Any]],
) -> tuple[list[Left], list[str]]:
    """Read an account until it shows what the engine saw, or time is up."""
    name = one.account.name
    is_done = name in done
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (READ_AGAIN_WITHIN_S if is_done else 3 * READ_AGAIN_S)
    while True:
        seen = await look(one, scope, engine_id, is_seen_flat=is_done)
        if seen.is_flat or loop.time() >= deadline:
            break
        await asyncio.sleep(READ_AGAIN_S)
    resting = _resting(seen)
    left, notes = _held(name, seen, resting, scope, is_done=is_done, said=said)
    named = {row.symbol for row in left}
    left += [
        Left(account=name, symbol=symbol, lots=None if seen.error else ZERO, why=text)
        for symbol, text in resting.items()
        if symbol not in named
    ]
    if seen.orders_error and (is_done or not seen.error):
        why = f"whether an order of ours rests there could not be read: {seen.orders_error}"
        left.append(Left(account=name, symbol=scope.symbol or "", lots=None, why=why))
    if not left and not is_done:
        notes = [f"{name}: nothing is held there; {_standing(said.get(name))}"]
    return left, notes


def _resting(seen: Seen) -> dict[str, str]:
    """Say by symbol which orders of ours may still be filled."""
    texts: dict[str, str] = {}
    for order in seen.resting:
        lots = order.size_lots - order.filled_lots
        text = f"an order of ours rests there: {lots:+f} lots ({order.client_id})"
        texts[order.symbol] = "; ".join(filter(None, (texts.get(order.symbol), text)))
    return texts


def _held(  # noqa: PLR0913 - two looks, the engine's and ours
    name: str,
    seen: Seen,
    resting: Mapping[str, str],
    scope: Scope,
    *,
    is_done: bool,
    said: Mapping[str, Mapping[str, Any]],
) -> tuple[list[Left], list[str]]:
    """Say what is held, or that nobody knows."""
    if seen.error and is_done:
        return [], [f"{name}: the engine saw it flat; it could not be read once more: {seen.error}"]
    if seen.error:
        return [_unknown(name, scope, f"it could not be read: {seen.error}", said)], []
    whys = {s: _why(said.get(name), s, is_done) for s, _ in seen.held}
    return [
        Left(
            account=name,
            symbol=symbol,
            lots=lots,
            why="; ".join(filter(None, (whys[symbol], resting.get(symbol)))),
        )
        for symbol, lots in seen.held
    ], []


def _unknown(name: str, scope: Scope, error: str, said: Mapping[str, Mapping[str, Any]]) -> Left:
    last = "; ".join(_last_seen(said.get(name), scope))
    why = f"{error}; last seen by the engine: {last}" if last else error
    return Left(account=name, symbol=scope.symbol or "", lots=None, why=why)


def _last_seen(row: Mapping[str, Any] | None, scope: Scope) -> Iterator[str]:
    for symbol in () if row is None else row.get("symbols") or ():
        held = symbol.get("held_lots")
        if held not in (None, "0") and scope.symbol in (None, symbol["symbol"]):
            yield f"{symbol['symbol']} {held} lots"


def _why(row: Mapping[str, Any] | None, symbol: str, is_done: bool) -> str:
    if is_done:
        return "the engine saw it flat, the exchange shows it: opened by somebody else since?"
    if row is None:
        return "the engine says nothing of this account"
    for found in row.get("symbols") or ():
        if found.get("symbol") == symbol and found.get("reason"):
            return str(found["reason"])
    return _standing(row)


def _standing(row: Mapping[str, Any] | None) -> str:
    """Say why an account is not flattened."""
    if row is None:
        return "the engine says nothing of this account"
    if row.get("environment") == "live" and row.get("armed") is not True:
        return f"a live account that is not armed sends nothing: ./trade-engine arm {row['name']}"
    state, reason = str(row.get("state")), str(row.get("reason") or "")
    return f"{state}: {reason}" if reason else f"{state}, not done in time"


def _unseen(scope: Scope, error: str) -> Outcome:
    why = f"the configuration cannot be read, so nobody can look: {error}"
    left = Left(account=scope.account or "", symbol=scope.symbol or "", lots=None, why=why)
    return Outcome(accounts=(), left=(left,), goes_on=True)
