"""Waits until a flatten is done, then reads from the exchange what is left.

Flat is an account that the engine saw flat and that reads flat again, with no order of ours at rest
that could still open something; a read that failed is never flat. Sends nothing itself.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from commands.engine_at_hand import AtHand, ended_by_signals, engine_at_hand
from commands.engine_world import known_engine_id
from commands.flattens.look import Seen, look
from commands.opened_accounts import open_venues
from commands.position_reading import OpenAccount
from commands.quiet import quiet
from commands.repair import open_intents
from core.control import Scope
from core.control.file import halt_file_exists, halt_path
from core.errors import ConfigError
from core.home import Home
from core.model import ZERO
from core.settings import Settings, load_settings

READ_AGAIN_WITHIN_S: Final = 12.0  # a read may show a fill this late
READ_AGAIN_S: Final = 1.0
UNSEEN_S: Final = 3.0  # an account that the engine did not see flat is read again for so long
NOT_TRADED: Final = ("disabled", "unconfigured", None)
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
class EngineWord:
    """What the engine saw: accounts that it says are flat, and its word on each."""

    scope: Scope
    done: set[str]
    said: Mapping[str, Mapping[str, Any]]
    patience_s: float  # for an account that is not done
    unended: set[tuple[str, str]]  # account, symbol: where an order of ours has no known end
    halt: str  # why nothing at all is sent; empty = it is


async def flatten_and_look(home: Home, scope: Scope, flatten_id: str, *, wait_s: float) -> Outcome:
    """Wait for the engine to be done with a flatten, then look at the exchange."""
    try:
        settings = load_settings(home)
    except ConfigError as error:
        return _unseen(scope, str(error))
    with quiet():
        async with engine_at_hand(home, [scope]) as engine:
            names = _names(settings, engine, scope)
            with ended_by_signals():
                done = await _wait(engine, scope, flatten_id, names, wait_s=wait_s)
            said = {str(row["name"]): row for row in engine.accounts(scope)}
            word = EngineWord(
                scope=scope,
                done=done,
                said=said,
                patience_s=min(wait_s, UNSEEN_S),
                unended={(name, symbol) for name, symbol, _ in open_intents(home, scope.account)},
                halt=f"remove {halt_path(home)}: it stops reductions too"
                if halt_file_exists(home)
                else "",
            )
            left, notes = await _look(home, settings, names, word)
            goes_on = not engine.is_ours and engine.is_heard and not names <= done
    accounts = tuple(sorted(names))
    return Outcome(accounts=accounts, left=tuple(left), notes=tuple(notes), goes_on=goes_on)


def _names(settings: Settings, engine: AtHand, scope: Scope) -> set[str]:
    """Name the accounts that are enabled in the file, or that the engine trades all the same."""
    names = {row.name for row in settings.accounts if row.enabled}
    rows = engine.accounts(scope)
    names |= {str(row["name"]) for row in rows if row.get("state") not in NOT_TRADED}
    return {name for name in names if scope.account in (None, name)}


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
    if row.get("needs_arming", row.get("environment") == "live") and row.get("armed") is not True:
        return True
    return row.get("state") in NEVER and waited_s > GIVE_UP_S


async def _look(
    home: Home, settings: Settings, names: set[str], word: EngineWord
) -> tuple[list[Left], list[str]]:
    there = [a for a in settings.accounts if a.name in names]
    chosen = replace(
        settings, accounts=tuple(a.model_copy(update={"enabled": True}) for a in there)
    )
    engine_id = known_engine_id(home)
    async with open_venues(home, chosen) as (opened, failed):
        found = await asyncio.gather(*(_of_account(one, engine_id, word) for one in opened))
    unopened = {str(row["account"]): str(row["error"]) for row in failed}
    unseen = _unseen_accounts(unopened, names - {account.name for account in there}, word)
    notes = [note for _, account_notes in found for note in account_notes]
    return [*(row for rows, _ in found for row in rows), *unseen], notes


def _unseen_accounts(
    unopened: Mapping[str, str], gone: set[str], word: EngineWord
) -> Iterator[Left]:
    """Say of which accounts nobody can tell what is held."""
    whys = {**unopened}
    whys |= dict.fromkeys(gone, "it is not in credentials.json any more: nobody can look")
    for name, why in sorted(whys.items()):
        if name not in word.done:
            yield Left(account=name, symbol=word.scope.symbol or "", lots=None, why=why)


async def _of_account(
    one: OpenAccount, engine_id: str | None, word: EngineWord
) -> tuple[list[Left], list[str]]:
    """Read an account until it shows what the engine saw, or time is up."""
    name, scope = one.account.name, word.scope
    is_done, row = name in word.done, word.said.get(name)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (READ_AGAIN_WITHIN_S if is_done else word.patience_s)
    while True:
        seen = await look(one, scope, engine_id, is_seen_flat=is_done)
        if seen.is_flat or loop.time() >= deadline:
            break
        await asyncio.sleep(READ_AGAIN_S)
    notes: list[str] = []
    if seen.error and is_done:
        notes = [f"{name}: the engine saw it flat; it could not be read once more: {seen.error}"]
    left = [*_held(name, seen, word), *_resting(name, seen, word)]
    known = {row.symbol for row in left}
    left += [row for row in _unended(name, word) if row.symbol not in known]
    if not left and not is_done:
        notes = [f"{name}: nothing is held there; {_standing(row)}"]
    return left, notes


def _held(name: str, seen: Seen, word: EngineWord) -> Iterator[Left]:
    """Say what is held, or that nobody knows."""
    row, is_done = word.said.get(name), name in word.done
    if seen.error and not is_done:
        yield _unknown(name, word.scope, f"it could not be read: {seen.error}", row)
    texts = _texts(seen)
    for symbol, lots in seen.held:
        whys = (word.halt or _why(row, symbol, is_done), texts.get(symbol, ""))
        yield Left(account=name, symbol=symbol, lots=lots, why="; ".join(filter(None, whys)))


def _resting(name: str, seen: Seen, word: EngineWord) -> Iterator[Left]:
    """Say where orders of ours rest although nothing is held, or that nobody knows."""
    held = {symbol for symbol, _ in seen.held}
    for symbol, text in _texts(seen).items():
        if symbol not in held:
            yield Left(account=name, symbol=symbol, lots=None if seen.error else ZERO, why=text)
    if seen.orders_error and (name in word.done or not seen.error):
        why = f"whether an order of ours rests there could not be read: {seen.orders_error}"
        yield Left(account=name, symbol=word.scope.symbol or "", lots=None, why=why)


def _unended(name: str, word: EngineWord) -> Iterator[Left]:
    """Say where an order of ours may still be filled, as far as anybody knows."""
    for account, symbol in sorted(word.unended):
        if account == name and name not in word.done and word.scope.symbol in (None, symbol):
            why = "an order of ours has no known end: ./trade-engine repair"
            yield Left(account=name, symbol=symbol, lots=None, why=why)


def _texts(seen: Seen) -> dict[str, str]:
    """Say by symbol which orders of ours may still be filled."""
    texts: dict[str, str] = {}
    for order in seen.resting:
        lots = order.size_lots - order.filled_lots
        text = f"an order of ours rests there: {lots:+f} lots ({order.client_id})"
        texts[order.symbol] = "; ".join(filter(None, (texts.get(order.symbol), text)))
    return texts


def _unknown(name: str, scope: Scope, error: str, row: Mapping[str, Any] | None) -> Left:
    last = "; ".join(_last_seen(row, scope))
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
    if row.get("needs_arming", row.get("environment") == "live") and row.get("armed") is not True:
        return f"an account that is not armed sends nothing: ./trade-engine arm {row['name']}"
    state, reason = str(row.get("state")), str(row.get("reason") or "")
    return f"{state}: {reason}" if reason else f"{state}, not done in time"


def _unseen(scope: Scope, error: str) -> Outcome:
    why = f"the configuration cannot be read, so nobody can look: {error}"
    left = Left(account=scope.account or "", symbol=scope.symbol or "", lots=None, why=why)
    return Outcome(accounts=(), left=(left,), goes_on=True)
