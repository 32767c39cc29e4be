"""The write-ahead journal of orders, and the ledgers that are its fold.

An intent is on disk before its order leaves; what becomes known of it follows. One client order id
per intent, minted here, never used for another. Sends nothing itself. When the disk refuses, facts
stay in memory (a reduction must not wait for a disk) and are restated as soon as it takes them.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from core.clock import utc_day
from core.ledger import (
    Held,
    Hold,
    HoldKind,
    Intended,
    Learned,
    Row,
    SymbolLedger,
    as_of_restart,
    fold,
    restated,
)
from core.model import Order
from core.ports import Clock
from core.safety.order_budget import OrderTimes

PREFIX = "te"
ID_LENGTH = 24
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_COUNTER_SIZE = 36**4


class RowLog(Protocol):
    """Where rows become durable: returns after the fdatasync, raises OSError."""

    async def commit(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows."""
        ...


def new_engine_id() -> str:
    """Make the five characters that mark this engine's orders at a venue."""
    return "".join(secrets.choice(_DIGITS) for _ in range(5))


def engine_of(client_id: str) -> str | None:
    """Tell which engine minted an id; None when it is not of our kind."""
    if len(client_id) != ID_LENGTH or not client_id.startswith(PREFIX):
        return None
    return client_id[2:7]


def minted_at_ms(client_id: str) -> int | None:
    """Tell when an id was minted; None when it is not of our kind."""
    if engine_of(client_id) is None or not client_id.isascii() or not client_id.isalnum():
        return None
    return int(client_id[11:20], 36)


class ClientIds:
    """Mints `te` + engine id (5) + account tag (4) + base36 ms (9) + counter (4)."""

    def __init__(self, engine_id: str, account_tag: str, clock: Clock) -> None:
        self._head = f"{PREFIX}{engine_id}{account_tag}"
        self._clock = clock
        self._count = secrets.randbelow(_COUNTER_SIZE)

    def mint(self) -> str:
        """Give an id that was never used."""
        self._count = (self._count + 1) % _COUNTER_SIZE
        return self._head + _base36(self._clock.now_ms(), 9) + _base36(self._count, 4)


class OrdersJournal:
    """All accounts' ledgers, kept equal to the journal."""

    def __init__(self, log: RowLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._ledgers: dict[tuple[str, str], SymbolLedger] = {}
        self._order_times: dict[str, OrderTimes] = {}
        self._day = ""
        self._owes_restatement = False
        self.disk_error = ""
        self.last_at_ms = 0  # of the newest row

    def replay(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Rebuild the ledgers from the newest journals; gives how many rows were not readable."""
        skipped = 0
        for raw in rows:
            try:
                account, row = decode(raw)
            except (KeyError, TypeError, ValueError, ArithmeticError):
                skipped += 1
                continue
            self._fold(account, row)
        started = self.last_at_ms = self._clock.now_ms()
        for key, ledger in self._ledgers.items():
            self._ledgers[key] = as_of_restart(ledger, started)
        self._owes_restatement = bool(self._ledgers)
        return skipped

    def ledger(self, account: str, symbol: str) -> SymbolLedger:
        """What is known of one symbol of one account."""
        return self._ledgers.get((account, symbol)) or SymbolLedger(symbol=symbol)

    def set_ledger(self, account: str, ledger: SymbolLedger) -> None:
        """Replace a ledger whose change needs no row (a re-read was done)."""
        self._ledgers[account, ledger.symbol] = ledger

    def order_times(self, account: str) -> OrderTimes:
        """When an account's orders were sent; the same object for as long as this lives."""
        return self._order_times.setdefault(account, OrderTimes())

    def symbols(self, account: str) -> tuple[str, ...]:
        """Symbols of an account that the journal knows."""
        return tuple(sorted(s for a, s in self._ledgers if a == account))

    def accounts(self) -> tuple[str, ...]:
        """Accounts that the journal knows, those of earlier configurations too."""
        return tuple(sorted({account for account, _ in self._ledgers}))

    def left(self, account: str) -> tuple[str, ...]:
        """Symbols of an account where something of ours is held, or may be."""
        return tuple(s for s in self.symbols(account) if self.ledger(account, s).is_left)

    async def intend(self, account: str, intents: Sequence[Intended]) -> None:
        """Make increases durable before they are sent. Raises OSError: then none may be sent."""
        rows = self._with_restatement(account, intents)
        try:
            await self._log.commit(rows)
        except OSError as error:
            self._owes_restatement = True
            self.disk_error = str(error)
            raise
        self.disk_error = ""
        for intent in intents:
            self._fold(account, intent)

    async def record(self, account: str, rows: Sequence[Row]) -> None:
        """Take facts: believed at once, made durable if the disk lets us (see `disk_error`)."""
        if not rows:
            return
        encoded = self._with_restatement(account, rows)
        for row in rows:
            self._fold(account, row)
        try:
            await self._log.commit(encoded)
        except OSError as error:
            self._owes_restatement = True
            self.disk_error = str(error)
        else:
            self.disk_error = ""

    def _fold(self, account: str, row: Row) -> None:
        self._ledgers[account, row.symbol] = fold(self.ledger(account, row.symbol), row)
        self.last_at_ms = max(self.last_at_ms, row.at_ms)
        if isinstance(row, Intended):
            self.order_times(account).add(row.client_id, row.at_ms)

    def _with_restatement(self, account: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
        now_ms = self._clock.now_ms()
        encoded: list[dict[str, Any]] = []
        if utc_day(now_ms) != self._day or self._owes_restatement:
            for (name, _), ledger in self._ledgers.items():
                encoded.extend(encode(name, row) for row in restated(ledger, now_ms))
            self._day = utc_day(now_ms)
            self._owes_restatement = False
        encoded.extend(encode(account, row) for row in rows)
        return encoded


def intents_for(
    orders: Sequence[Order], ids: ClientIds, versions: Mapping[str, str], at_ms: int
) -> tuple[Intended, ...]:
    """Mint one intent an order."""
    return tuple(
        Intended(
            symbol=order.symbol,
            client_id=ids.mint(),
            size_lots=order.size_lots,
            reduce_only=order.reduce_only,
            version=versions.get(order.symbol, ""),
            at_ms=at_ms,
        )
        for order in orders
    )


def encode(account: str, row: Row) -> dict[str, Any]:
    """Give the JSON object of a row."""
    base = {"account": account, "symbol": row.symbol, "at_ms": row.at_ms}
    if isinstance(row, Held):
        hold = None
        if row.hold is not None:
            hold = {
                "kind": str(row.hold.kind),
                "at_ms": row.hold.at_ms,
                "text": row.hold.text,
                "level_sign": row.hold.level_sign,
                "instruction_id": row.hold.instruction_id,
            }
        return {"t": "held", **base, "lots": str(row.lots), "is_ours": row.is_ours, "hold": hold}
    if isinstance(row, Intended):
        return {
            "t": "intent",
            **base,
            "client_id": row.client_id,
            "size_lots": str(row.size_lots),
            "reduce_only": row.reduce_only,
            "version": row.version,
        }
    return {
        "t": "learned",
        **base,
        "client_id": row.client_id,
        "status": row.status,
        "filled_lots": str(row.filled_lots),
        "order_id": row.order_id,
        "reason": row.reason,
    }


def decode(raw: Mapping[str, Any]) -> tuple[str, Row]:
    """Read a row's object. Raises KeyError, TypeError, ValueError or ArithmeticError."""
    kind, account, symbol, at_ms = raw["t"], raw["account"], raw["symbol"], int(raw["at_ms"])
    if kind == "held":
        hold = raw.get("hold")
        return account, Held(
            symbol=symbol,
            lots=Decimal(raw["lots"]),
            at_ms=at_ms,
            is_ours=bool(raw["is_ours"]),
            hold=None
            if hold is None
            else Hold(
                kind=HoldKind(hold["kind"]),
                at_ms=int(hold["at_ms"]),
                text=hold["text"],
                level_sign=hold.get("level_sign"),
                instruction_id=hold.get("instruction_id", ""),
            ),
        )
    if kind == "intent":
        return account, Intended(
            symbol=symbol,
            client_id=raw["client_id"],
            size_lots=Decimal(raw["size_lots"]),
            reduce_only=bool(raw["reduce_only"]),
            version=raw["version"],
            at_ms=at_ms,
        )
    if kind != "learned" or raw["status"] not in ("placed", "unknown", "absent", "closed"):
        msg = f"not a row of the orders journal: {kind!r}"
        raise ValueError(msg)
    return account, Learned(
        symbol=symbol,
        client_id=raw["client_id"],
        status=raw["status"],
        at_ms=at_ms,
        filled_lots=Decimal(raw["filled_lots"]),
        order_id=raw["order_id"],
        reason=raw["reason"],
    )


def _base36(number: int, width: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return digits.rjust(width, "0")[-width:]
